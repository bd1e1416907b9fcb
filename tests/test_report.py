"""The report: right in every story, the same bytes every time, and clear about what a folder lacks."""

from __future__ import annotations

import base64
import csv
import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from report_fixture import Fit, Recipe, load_summary, save_summary, write_mixture, write_sites
from report_stories import HOSTILE, STORIES, told
from scipy.stats import norm

from vi_vs_mcmc.errors import DataError
from vi_vs_mcmc.report import write
from vi_vs_mcmc.report.curves import LEVELS, density, grid
from vi_vs_mcmc.report.folder import read
from vi_vs_mcmc.report.mixture import Components
from vi_vs_mcmc.report.predictive import density as mixture_density
from vi_vs_mcmc.report.predictive import distance
from vi_vs_mcmc.report.view import look
from vi_vs_mcmc.report.words import count, interval, like, marked, number, percent, rough


def source(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def words(folder: Path) -> str:
    """The page's text, without its scripts and style."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", source(folder), flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", bare)))


def titles(folder: Path) -> str:
    return re.sub(r"<[^>]+>", "", " | ".join(re.findall(r"<h3 id=.*?</h3>", source(folder), flags=re.S)))


# --- every story


@pytest.mark.parametrize("name", STORIES)
def test_every_story_becomes_a_page_without_gaps(name):
    folder = told(name)
    text = words(folder)
    assert not re.search(r"\bnan\b|\binf\b|\bundefined\b|None\b(?! of)", text)
    assert " style=" not in re.sub(r"<(script|style)\b.*?</\1>", "", source(folder), flags=re.S)
    for section in (
        "Verdict",
        "What to do",
        "Warnings",
        "Spread",
        "Every number",
        "Shapes",
        "Reference health",
        "Glossary",
    ):
        assert section in text


def test_a_number_never_shows_a_negative_zero_or_a_hyphen_for_a_minus():
    for name in ("overconfident", "disagreeing"):
        assert not re.search(r"[−-]0\.0+\b(?![1-9])", words(told(name)))


def test_an_overconfident_method_is_the_subject_of_the_headings():
    assert "CAVI makes" in titles(told("overconfident"))
    assert "CAVI’s intervals hold less than they promise" in titles(told("overconfident"))
    assert "The centres agree; the widths do not" in titles(told("overconfident"))


def test_a_calibrated_page_accuses_nobody():
    said = titles(told("calibrated"))
    assert "too small" not in said
    assert "Intervals hold what they promise" in said


def test_a_failed_reference_is_said_before_any_number():
    folder = told("no_verdict")
    text = words(folder)
    assert text.index("failed its own checks") < text.index("90 %")
    assert "too small" not in titles(folder)
    assert "so no number below is a verdict" in text


def test_a_method_that_did_not_converge_is_not_blamed_on_its_family():
    said = titles(told("not_converged"))
    assert "too small" not in said
    assert "had not converged" in words(told("not_converged"))


def test_biased_and_underconfident_methods_are_named():
    text = words(told("disagreeing"))
    assert "means more than a quarter of an sd off" in text
    assert "sds more than 10 % too large" in text
    assert "EM gives one point" in text


def test_empty_components_are_counted_and_listed_with_their_quantiles():
    text = words(told("empty_components"))
    assert "Four of six components are occupied" in text
    assert "Left out of the verdict" in text
    assert "Its component is occupied in 12 % of draws" in text
    assert "Two of six components are empty and not drawn: components 4 and 5" in text


def test_what_is_left_out_of_the_verdict_is_in_no_finding_figure_or_ratio():
    folder = told("empty_components")
    view = look(read(folder))
    out = {view.names[j] for j in view.apart}
    assert len(out) == 2 * (1 + 2 + 3)
    assert not set(view.counted) & set(view.apart)
    assert not {i for j in view.counted for i in view.partners[j]} & set(view.apart)
    assert not any(view.partners[j] for j in view.apart)
    said = re.findall(r"<(?:h3|p)\b[^>]*>.*?</(?:h3|p)>", source(folder), flags=re.S)
    assert not [p for p in out for s in said if p in s]
    thumbs = re.findall(r'aria-label="Choose ([^"]*), furthest', source(folder))
    assert thumbs
    assert not out & set(thumbs)
    for name in ("forest", "centre"):
        order = json.loads((folder / "figures" / f"{name}.json").read_text())["layout"]["meta"]["order"]
        assert not set(order) & set(view.apart)
    drawn = json.loads((folder / "figures" / "corr0.json").read_text())["data"][0]
    assert len(drawn["x"]) == len(view.counted)


def test_what_is_left_out_stays_in_the_table_and_in_the_choice_with_its_reason():
    page = source(told("empty_components"))
    rows = re.findall(r'<tr [^>]*data-name="weights\[5\]".*?</tr>', page, flags=re.S)
    assert len(rows) == 2
    assert all("left out: its component is occupied in 12 % of draws" in row for row in rows)
    group = re.search(r'<optgroup label="Left out of the verdict">(.*?)</optgroup>', page)
    assert group
    assert group[1].count("<option") == 12


def test_the_median_of_the_coverage_figure_rests_on_judged_parameters():
    folder = told("empty_components")
    view = look(read(folder))
    drawn = json.loads((folder / "figures" / "shortfall.json").read_text())["data"]
    line = next(t for t in drawn if t["meta"] == {"method": "cavi", "role": "median"})
    held = np.median(view.held["cavi"][:, view.judged], axis=1)
    assert_allclose(_numbers(line["y"])[1:-1], 100 * (held - LEVELS), atol=1e-9)


def test_heavy_tails_are_shown_on_axes_that_hold_most_draws():
    draws = np.sort(np.random.default_rng(3).standard_cauchy(4000))
    at = grid([draws, draws], heavy=True)
    assert at[0] > -15
    assert at[-1] < 15
    curve = density(draws, at)
    truth = 1 / (np.pi * (1 + at**2))
    assert_allclose(curve, truth, atol=0.03)  # a tenth of the top: the kernel's width and 4000 draws


def test_a_reference_that_only_a_file_names_is_called_the_reference():
    text = words(told("two_files"))
    assert "of its sd under the reference" in text
    assert "under b" not in text
    assert "(the reference in grey)" in text
    assert "a makes" in titles(told("two_files"))
    assert "<code>a</code> makes" in source(told("two_files"))


def test_a_table_with_a_missing_number_says_so():
    assert "A dash: there is no finite number." in words(told("constant"))
    assert "A dash:" not in words(told("overconfident"))


def test_without_rows_the_weights_stay_and_the_page_says_what_is_missing():
    text = words(told("without_data"))
    assert "The rows themselves were not kept" in text
    assert "All three components are occupied" in text


def test_of_five_columns_the_page_names_the_two_it_draws():
    assert re.search(r"Of 5 columns, \w and \w separate the components most", words(told("five_columns")))


def test_a_generic_model_keeps_its_coordinates_and_has_no_data_section():
    text = words(told("disagreeing"))
    assert "theta[Phillips Andover]" in text
    assert "In the data" not in text


def test_a_check_of_two_files_leaves_out_what_nobody_knows():
    text = words(told("two_files"))
    assert "not known" in text
    assert "Wall time" not in text


def test_many_parameters_are_all_in_the_table_and_forty_in_the_forest():
    folder = told("many_parameters")
    forest = json.loads((folder / "figures" / "forest.json").read_text())
    assert len(forest["layout"]["meta"]["order"]) == 40
    assert len(re.findall(r"<tr [^>]*data-method", source(folder))) >= 402
    assert source(folder).count('class="thumb"') == 36


def test_hostile_names_are_text_and_nothing_else():
    page = source(told("hostile_names"))
    assert HOSTILE not in page
    assert "<img" not in page
    assert len(re.findall(r"<script\b", page.split("<body>")[1].split('<script type="application/json"')[0])) == 0
    assert html.escape(HOSTILE, quote=False)[:40] in page.replace("&#34;", '"').replace("&#39;", "'")


# --- files


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    shutil.copytree(told("overconfident"), tmp_path / "run", ignore=shutil.ignore_patterns("report.html", "figures"))
    write(tmp_path / "run")
    for path in sorted(p.relative_to(tmp_path / "run") for p in (tmp_path / "run").rglob("*") if p.is_file()):
        assert (tmp_path / "run" / path).read_bytes() == (told("overconfident") / path).read_bytes(), path


def test_every_figure_is_also_a_file_and_stale_ones_go(tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(told("overconfident"), folder)
    (folder / "figures" / "old.json").write_text("{}")
    write(folder)
    drawn = set(re.findall(r'<div class="plot [^"]*" id="([^"]+)"', source(folder)))
    assert {p.stem for p in (folder / "figures").glob("*.json")} == drawn


def test_the_page_carries_its_table_and_summary_unchanged():
    folder = told("hostile_names")
    for name in ("comparison.csv", "summary.json"):
        block = re.search(
            rf'<script type="application/json" id="{re.escape(name)}">(.*?)</script>', source(folder), re.S
        )
        assert block
        assert json.loads(block[1]) == (folder / name).read_text(encoding="utf-8")


def test_the_policy_has_hashes_only():
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', source(told("overconfident")))
    assert policy
    assert "unsafe" not in policy[1]
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "summary.json").unlink(), "lacks summary.json"),
        (lambda f: (f / "comparison.csv").unlink(), "lacks comparison.csv"),
        (lambda f: (f / "posteriors" / "cavi.nc").unlink(), "lacks posteriors/cavi.nc"),
        (lambda f: (f / "summary.json").write_text("{"), "is not JSON"),
        (lambda f: (f / "summary.json").write_text("[]"), "has no schema_version"),
        (
            lambda f: save_summary(f, load_summary(f) | {"schema_version": 2}),
            "schema_version 2; this package reads version 1",
        ),
        (lambda f: save_summary(f, load_summary(f) | {"verdicts": {}}), "holds no verdicts"),
        (lambda f: save_summary(f, load_summary(f) | {"reference": None}), "does not name its reference"),
        (lambda f: (f / "posteriors" / "cavi.nc").write_bytes(b"no netCDF"), "cannot be read as a posterior"),
        (lambda f: (f / "comparison.csv").write_text("method,parameter\n"), "lacks the columns mean, sd"),
        (lambda f: (f / "comparison.csv").write_text(""), "is empty"),
        (
            lambda f: _replace_cell(f, "sd_ratio", "wide"),
            "'wide' in column sd_ratio, row 1; a number is wanted",
        ),
        (lambda f: _replace_cell(f, "parameter", "zeta", rows=99), "compares parameters that"),
    ],
)
def test_a_damaged_folder_is_one_clear_sentence(tmp_path, spoil, message):
    write_mixture(tmp_path, Recipe(draws=20))
    spoil(tmp_path)
    with pytest.raises(DataError, match=re.escape(message)):
        write(tmp_path)


def test_what_is_no_folder_is_said_to_be_none(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        write(tmp_path / "missing")


def _replace_cell(folder: Path, column: str, value: str, rows: int = 1) -> None:
    path = folder / "comparison.csv"
    table = list(csv.DictReader(path.read_text().splitlines()))
    for row in table[:rows]:
        row[column] = value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)


def _numbers(values) -> np.ndarray:
    """A figure's numbers, plain or packed as plotly packs arrays."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.array(values, float)


# --- numbers


def test_coverage_curves_count_reference_draws_inside_each_interval(tmp_path):
    view = look(read(write_sites(tmp_path, Recipe(fits={"a": Fit(0.5, 0.3)}, draws=100), {"mu": None})))
    a, b = (view.draws[m][..., 0].ravel() for m in ("a", "nuts"))
    for i, level in enumerate(LEVELS):
        low, high = np.quantile(a, [(1 - level) / 2, (1 + level) / 2])
        assert view.held["a"][i, 0] == np.mean((b >= low) & (b <= high))


def test_ranks_count_every_draw_once_and_shift_with_a_chain(tmp_path):
    view = look(read(write_sites(tmp_path, Recipe(fits={"a": Fit()}, draws=100), {"mu": None})))
    assert view.ranks.shape == (1, 4, 20)
    assert (view.ranks.sum(axis=(1, 2)) == 400).all()
    assert (view.ranks.sum(axis=1) == 20).all()


def test_densities_integrate_to_one(tmp_path):
    view = look(read(write_sites(tmp_path, Recipe(fits={"a": Fit(0.5)}), {"mu": None})))
    for m in ("nuts", "a"):
        step = view.grids[0, 1] - view.grids[0, 0]
        assert abs(view.densities[m][0].sum() * step - 1) < 0.02  # the grid leaves out 0.1 % of the reference


def test_the_page_opens_with_the_worst_parameter_of_the_first_wrong_method():
    view = look(read(told("overconfident")))
    assert view.names[view.chosen] == load_summary(told("overconfident"))["verdicts"]["cavi"]["worst_parameter"]
    assert view.against == "cavi"


def test_reweighting_leaves_the_effective_draws_of_the_weights():
    view = look(read(told("overconfident")))
    stats = view.run.posteriors["cavi"]["sample_stats"]
    weights = np.exp(stats["log_p"] - stats["log_q"]).to_numpy().ravel()
    left = round(weights.sum() ** 2 / (weights**2).sum())
    assert f"Reweighting would leave {left} of CAVI’s 1000 draws" in titles(told("overconfident"))


def test_the_predictive_density_is_the_mean_of_the_mixtures_drawn():
    at = np.linspace(-6, 8, 400)
    parts = Components(
        weights=np.array([[0.3, 0.7]]),
        means=np.array([[[0.0], [2.0]]]),
        factors=np.array([[[[1.0]], [[0.5]]]]),
    )
    wanted = 0.3 * norm.pdf(at, 0, 1) + 0.7 * norm.pdf(at, 2, 0.5)
    assert_allclose(mixture_density(at, parts, 0), wanted, rtol=1e-12)
    assert distance(at, wanted, wanted) == 0
    assert_allclose(distance(at, norm.pdf(at, 0, 1), norm.pdf(at, 1, 1)), 0.3829, atol=1e-3)  # 2 Phi(1/2) - 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (number(-0.001), "0.00"),
        (number(-1.5, 1), "−1.5"),
        (number(float("nan")), "–"),
        (number(0.25, sign=True), "+0.25"),
        (percent(0.861), "86\u202f%"),
        (interval(0.73, 0.8), "[0.73,\u00a00.80]"),
        (count(16000), "16\u202f000"),
        (count(4454), "4454"),
        (rough(0.000000123), "1.23\u202f×\u202f10⁻⁷"),
        (like(0.0008109, 0.0524), "0.0008"),
        (
            str(marked("`<b>` is 0.76 [0.73, 0.80] & **so**")),
            "<code>&lt;b&gt;</code> is <b>0.76</b> [0.73,\u00a00.80] &amp; <b>so</b>",
        ),
    ],
)
def test_numbers_read_as_in_print(text, wanted):
    assert text == wanted
