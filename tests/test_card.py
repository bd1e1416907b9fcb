"""The report card over posteriordb: what counts, what is summed up, and a page that says it."""

import importlib
import json
import re

import numpy as np
import pandas as pd
import pytest

import vi_vs_mcmc as vm
from vi_vs_mcmc.studies import _card, _summary


def table() -> pd.DataFrame:
    """Two posteriors, two methods, by hand."""
    row = lambda posterior, family, verdict, method, parameter, ratio, bias, khat, judged=True: {
        "posterior": posterior,
        "family": family,
        "verdict": verdict,
        "method_khat": khat,
        "seconds": 1.25,
        "method": method,
        "parameter": parameter,
        "sd_ratio": ratio,
        "bias": bias,
        "judged": judged,
        "sd_ratio_low": ratio * np.exp(-0.03),
        "sd_ratio_high": ratio * np.exp(0.03),
        "factorised": 0.5,
        "factorised_low": 0.5 * np.exp(-0.04),
        "factorised_high": 0.5 * np.exp(0.04),
        "reference_mean": 1.0,
        "reference_sd": 0.1,
        "known_mean": 0.0,
        "known_z": 1.0 if parameter == "a" else 5.0,
        "known_ratio": 1.0,
    }
    return pd.DataFrame(
        [
            row("x-line", "regression", "overconfident", "dadvi", "a", 0.5, 0.1, 0.9),
            row("x-line", "regression", "overconfident", "dadvi", "b", 0.7, -0.3, 0.9),
            row("x-line", "regression", "overconfident", "dadvi", "sigma", 0.6, -0.3, 0.9, judged=False),
            row("x-line", "regression", "calibrated", "dadvi-lr", "a", 1.0, 0.1, np.nan),
            row("x-line", "regression", "calibrated", "dadvi-lr", "b", 1.02, 0.0, np.nan),
            row("y-<b>", "time_series", "not converged", "dadvi", "a", 9.0, 3.0, 0.2),
            row("y-<b>", "time_series", "calibrated", "dadvi-lr", "a", 1.1, 0.0, 0.2),
            row("y-<b>", "time_series", "calibrated", "dadvi-lr", "c", 5.0, 0.0, 0.2, judged=False),
        ]
    )


def test_a_summary_counts_what_was_judged_and_converged():
    found = _summary.summarised(table(), ["dadvi", "dadvi-lr"])
    assert found["dadvi"]["all"] == {
        "of": 2,
        "posteriors": 1,
        "scalars": 2,
        "sd_err_median": -0.4,
        "sd_err_known": 0.5,
        "sd_err_most": {"posterior": "x-line", "share": 1.0},
        "bias_most": {"posterior": "x-line", "share": 1.0},
        "sd_err_rms": pytest.approx(np.sqrt((0.25 + 0.09) / 2), rel=1e-5),
        "bias_rms": pytest.approx(np.sqrt((0.01 + 0.09) / 2), rel=1e-5),
    }
    assert found["dadvi-lr"]["all"]["sd_err_median"] == pytest.approx(0.02)
    assert found["dadvi-lr"]["regressions"]["scalars"] == 2
    assert found["dadvi-lr"]["regressions"]["sd_err_median"] == pytest.approx(0.01)
    # The noise is known to a tenth: nu = 50 degrees of freedom, .5 sqrt(48 / 50) is predicted, with an error of .03 / 1.96.
    z = np.log(np.array([0.5, 0.7]) / (0.5 * np.sqrt(0.96))) / (0.03 / 1.959964)
    assert found["dadvi"]["theory"] == {
        "coefficients": 2,
        "within_2": 1,
        "largest_z": pytest.approx(z[1], rel=1e-4),
        "rms_z": pytest.approx(np.sqrt((z**2).mean()), rel=1e-4),
    }
    assert "theory" not in found["dadvi-lr"]
    wide = table().assign(
        known_ratio=0.9
    )  # NUTS' sds are .9 of what is known, so the method's .45 and .63, .9 and .918
    beside = _summary.summarised(wide, ["dadvi", "dadvi-lr"])
    assert beside["dadvi"]["regressions"]["sd_err_known"] == pytest.approx(0.55)
    assert beside["dadvi-lr"]["regressions"]["sd_err_known"] == pytest.approx(0.1)
    assert found["dadvi"]["verdicts"] == {"overconfident": 1, "not converged": 1}


def test_methods_are_also_summed_over_the_posteriors_where_all_converged():
    found = _summary.summarised(table(), ["dadvi", "dadvi-lr"])
    assert found["dadvi-lr"]["all"]["posteriors"] == 2
    assert found["dadvi-lr"]["common"]["posteriors"] == 1
    assert found["dadvi-lr"]["common"]["sd_err_median"] == pytest.approx(0.01)
    # 0.1^2 of 0.1^2 + 0.02^2
    assert found["dadvi-lr"]["all"]["sd_err_most"] == {"posterior": "y-<b>", "share": pytest.approx(1 / 1.04, rel=1e-5)}


def test_the_noise_of_a_regression_is_no_coefficient():
    rows = table()
    rows.loc[rows["parameter"] == "sigma", "judged"] = True
    found = _summary.summarised(rows, ["dadvi"])["dadvi"]
    assert found["all"]["scalars"] == 3
    assert found["regressions"]["scalars"] == 2


def test_nuts_is_held_against_what_is_known_where_it_passed_its_checks_and_a_variance_exists():
    rows = table()
    rows.loc[rows["posterior"] == "y-<b>", "verdict"] = "no verdict"
    found = _summary.beside_known(rows)
    assert (found["scalars"], found["near"]) == (3, 1)
    assert [of["parameter"] for of in found["beyond"]] == ["b", "sigma"]
    rows.loc[rows["parameter"] == "b", "known_z"] = np.nan
    found = _summary.beside_known(rows)
    assert (found["scalars"], found["near"]) == (2, 1)
    assert found["bare"] == [{"posterior": "x-line", "parameter": "b"}]
    assert _summary.summarised(rows, ["dadvi"])["dadvi"]["all"]["scalars"] == 1


def test_the_scalars_without_a_variance_are_those_of_the_catalogue():
    from vi_vs_mcmc.models.posteriordb import CATALOGUE, reference

    name = "one_comp_mm_elim_abs-one_comp_mm_elim_abs"
    assert [label for label, known in reference(name).items() if not known.has_variance] == ["K_m", "V_m"]
    for entry in CATALOGUE.values():
        assert set(entry.without_variance) <= set(reference(entry.posterior))


@pytest.mark.parametrize(("value", "text"), [(0.0023, "0.002"), (0.87, "0.87"), (1e-5, "<0.001"), (12.0, "12.00")])
def test_a_small_ratio_has_more_digits(value, text):
    assert _card.ratio(value) == text


def test_the_page_tells_each_measure_of_each_posterior_and_escapes_names(tmp_path):
    methods = ["dadvi", "dadvi-lr"]
    record = {
        "methods": methods,
        "failed": {"z": {"laplace": "<i>no</i>"}},
        "summary": _summary.summarised(table(), methods),
        "made": {"versions": {"numpy": "9"}, "date": "2000-01-01", "command": "vi-vs-mcmc study posteriordb"},
        "seed": 7,
        "draws": 500,
        "max_draws": 900,
    }
    _card.write(tmp_path, table(), record)
    page = (tmp_path / "study.html").read_text("utf-8")
    assert "<b>" not in page
    assert "y-<wbr>&lt;b&gt;" in page
    assert "Laplace on <code>z</code>: &lt;i&gt;no" in page
    assert "500 draws, 900 at most. Seed 7." in page
    assert page.count("<caption") == page.count("<table") == 10
    assert "<td>1 of 2</td>" in page
    assert "&lt;i&gt;no&lt;/i&gt;" in page
    assert "of 5 scalars 2" in page  # each once, whatever the methods
    for key, wanted in (
        ("sd", ["0.60", "1.01", "9.00", "1.10"]),
        ("worst", ["0.50", "1.02"]),
        ("bias", ["−0.30", "+0.10"]),
        ("khat", ["0.90", "–", "0.20"]),
        ("seconds", ["1.2"]),
    ):
        section = re.search(rf'<section id="{key}".*?</section>', page, flags=re.S)
        assert section is not None
        for text in wanted:
            assert f">{text}<" in section[0] or f">{text} <" in section[0], (key, text)
    assert '<td class="low">0.60<span class="hidden"> (too narrow)</span></td>' in page
    assert (
        '<td class="high unsure">9.00<span class="hidden"> (too wide)</span> <small>not converged</small></td>' in page
    )


def test_a_method_that_fails_is_found_and_the_others_are_compared(monkeypatch):
    module = importlib.import_module("vi_vs_mcmc.studies.posteriordb")
    asked = []

    def compare(problem, *, methods, **_):
        asked.append(list(methods))
        if "laplace" in methods:
            raise vm.NumericalError("somewhere")
        return "compared"

    def fit(problem, method, **_):
        if method == "laplace":
            raise vm.NumericalError("laplace went astray")

    monkeypatch.setattr(module, "compare", compare)
    monkeypatch.setattr(module, "fit", fit)
    cell = lambda *methods: module._compared(None, list(methods), seed=0, draws=10, max_draws=10)
    assert cell("dadvi", "laplace") == ("compared", {"laplace": "laplace went astray"})
    assert asked == [["dadvi", "laplace"], ["dadvi"]]
    assert cell("laplace") == (None, {"laplace": "laplace went astray"})
    monkeypatch.setattr(module, "fit", lambda *_, **__: None)
    assert cell("dadvi", "laplace") == (None, {"comparison": "somewhere"})


def test_a_method_that_does_not_suit_a_posterior_is_told(monkeypatch):
    module = importlib.import_module("vi_vs_mcmc.studies.posteriordb")

    def refuse(problem, method):
        if method.name == "laplace":
            raise vm.SettingError("too many coordinates")

    monkeypatch.setattr(module, "refuse", refuse)
    assert module._suited(None, ["dadvi", "laplace"]) == (["dadvi"], {"laplace": "too many coordinates"})


def test_a_method_without_rows_does_not_empty_what_the_others_share():
    rows = pd.DataFrame({"posterior": ["a", "a", "b"], "method": ["dadvi", "laplace", "dadvi"]})
    assert _summary.shared(rows, ["dadvi", "laplace"]) == ["a"]
    assert _summary.shared(rows, ["dadvi", "laplace", "pathfinder"]) == ["a"]


def test_what_failed_is_kept_when_the_study_goes_on(tmp_path, monkeypatch):
    module = importlib.import_module("vi_vs_mcmc.studies.posteriordb")
    rows = table().query("posterior == 'x-line' and method == 'dadvi'").drop(columns="posterior")
    asked = []

    def compared(problem, *_, **__):
        asked.append(problem.settings["posterior"])
        return "found", {"laplace": "astray"} if asked[-1] == "sblri-blr" else {}

    monkeypatch.setattr(module, "_compared", compared)
    monkeypatch.setattr(module, "_rows", lambda problem, found: rows)
    settings = {"methods": ["dadvi", "laplace"], "draws": 10, "max_draws": 20}
    for names in (["sblri-blr"], ["sblri-blr", "sblrc-blr"]):
        found = vm.study("posteriordb", tmp_path, posteriors=names, **settings)
    assert asked == ["sblri-blr", "sblrc-blr"]
    assert list(found["posterior"].unique()) == asked
    record = json.loads((tmp_path / "study.json").read_text("utf-8"))
    assert record["failed"] == {"sblri-blr": {"laplace": "astray"}}
    assert record["made"]["command"].endswith("--posterior sblrc-blr --draws 10 --max-draws 20 --seed 0")
    page = (tmp_path / "study.html").read_text("utf-8")
    assert "Laplace on <code>sblri-blr</code>: astray" in page
    assert ">failed<" in page


def test_names_of_posteriors_are_checked(tmp_path):
    with pytest.raises(vm.SettingError, match="did you mean 'sblri-blr'"):
        vm.study("posteriordb", tmp_path, posteriors=["sblri-blt"])
    with pytest.raises(vm.SettingError, match="has no setting rows"):
        vm.study("posteriordb", tmp_path, rows=10)


@pytest.mark.slow
def test_a_card_of_two_posteriors_is_written_one_by_one_and_goes_on(tmp_path, monkeypatch):
    methods, names = ["laplace", "dadvi", "dadvi-lr"], ["sblri-blr", "kidiq-kidscore_momiq"]
    first = vm.study("posteriordb", tmp_path, posteriors=names[:1], methods=methods, draws=500, max_draws=500)
    assert set(first["posterior"]) == {"sblri-blr"}
    module = importlib.import_module("vi_vs_mcmc.studies.posteriordb")
    seen, compare = [], module.compare
    monkeypatch.setattr(module, "compare", lambda problem, **k: seen.append(problem.title) or compare(problem, **k))
    both = vm.study("posteriordb", tmp_path, posteriors=names, methods=methods, draws=500, max_draws=500)
    assert seen == ["posteriordb, kidiq-kidscore_momiq"]
    assert set(both["posterior"]) == set(names)
    assert set(both["family"]) == {"regression"}
    record = json.loads((tmp_path / "study.json").read_text("utf-8"))
    assert record["failed"] == {}
    assert record["summary"]["dadvi"]["all"]["posteriors"] == 2
    rows = both[(both["method"] == "dadvi-lr") & (both["posterior"] == names[1])]
    # 4 x 500 draws: an sd's standard error is some 3 %, and a mean of NUTS is within 4 combined errors of what is known
    assert (rows["sd_ratio"] - 1).abs().max() < 0.12
    assert both["known_z"].abs().max() < 5


def test_a_row_keeps_six_digits_and_its_words():
    from vi_vs_mcmc.studies.posteriordb import short

    found = short(pd.DataFrame({"a": [np.pi * 1e-9, np.nan, -np.inf], "b": ["x", "y", "z"], "c": [True, False, True]}))
    assert found["a"].tolist()[0] == 3.14159e-09
    assert np.isnan(found["a"][1])
    assert found["a"][2] == -np.inf
    assert found[["b", "c"]].to_numpy().tolist() == [["x", True], ["y", False], ["z", True]]
