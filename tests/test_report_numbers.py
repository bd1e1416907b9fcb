"""The numbers of a report, and what it leaves out."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from report_fixture import Fit, Recipe, load_summary, write_sites
from report_stories import recorded, told
from report_text import markup
from scipy.stats import norm

from vi_vs_mcmc.metrics.occupancy import OCCUPIED
from vi_vs_mcmc.report.closing import provenance
from vi_vs_mcmc.report.curves import LEVELS, density, grid
from vi_vs_mcmc.report.em_steps import em_steps
from vi_vs_mcmc.report.folder import read
from vi_vs_mcmc.report.glossary import glossary
from vi_vs_mcmc.report.mixture import OFTEN, Components
from vi_vs_mcmc.report.optimiser import health_table
from vi_vs_mcmc.report.predictive import density as mixture_density
from vi_vs_mcmc.report.predictive import distance
from vi_vs_mcmc.report.ratios import ratios
from vi_vs_mcmc.report.reference import tiles
from vi_vs_mcmc.report.verdicts import rows
from vi_vs_mcmc.report.view import look
from vi_vs_mcmc.report.words import breakable, count, grouped, interval, like, marked, number, percent, rough


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
    view = look(read(recorded("overconfident")))
    assert view.names[view.chosen] == load_summary(recorded("overconfident"))["verdicts"]["cavi"]["worst_parameter"]
    assert view.against == "cavi"


def test_reweighting_leaves_the_effective_draws_of_the_weights():
    view = look(read(recorded("overconfident")))
    stats = view.run.posteriors["cavi"]["sample_stats"]
    weights = np.exp(stats["log_p"] - stats["log_q"]).to_numpy().ravel()
    left = round(weights.sum() ** 2 / (weights**2).sum())
    block = ratios(view)
    assert block
    assert f"Reweighting would leave {left} of CAVI’s 1\u202f000 draws" in block.title


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
        (count(4454), "4\u202f454"),
        (grouped("4 × 2000 draws, 50000 steps of 0.12345"), "4 × 2\u202f000 draws, 50\u202f000 steps of 0.12345"),
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


def test_what_is_left_out_of_the_verdict_is_in_no_finding_figure_or_ratio():
    folder = told("empty_components")
    view = look(read(folder))
    out = {view.names[j] for j in view.apart}
    assert len(out) == 2 * (1 + 2 + 3)
    assert not set(view.counted) & set(view.apart)
    assert not {i for j in view.counted for i in view.partners[j]} & set(view.apart)
    assert not any(view.partners[j] for j in view.apart)
    said = re.findall(r"<(?:h3|p)\b[^>]*>.*?</(?:h3|p)>", markup(folder), flags=re.S)
    assert not [p for p in out for s in said if p in s]
    thumbs = re.findall(r'aria-label="Choose ([^"]*), furthest', markup(folder))
    assert thumbs
    assert not out & set(thumbs)
    for name in ("forest", "centre"):
        order = json.loads((folder / "figures" / f"{name}.json").read_text())["layout"]["meta"]["order"]
        assert not set(order) & set(view.apart)
    drawn = json.loads((folder / "figures" / "corr0.json").read_text())["data"][0]
    assert len(drawn["x"]) == len(view.counted)


def test_what_is_left_out_stays_in_the_table_and_in_the_choice_with_its_reason():
    page = markup(told("empty_components"))
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


def _numbers(values) -> np.ndarray:
    """A figure's numbers, plain or packed as plotly packs arrays."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.array(values, float)


def test_a_component_is_drawn_and_judged_from_the_same_share_of_draws():
    assert OFTEN == OCCUPIED


def test_priors_have_four_digits_and_say_what_components_share():
    view = look(read(recorded("overconfident")))
    settings = {"components": 2, "concentration": [1.0, 1.0], "scale": [[[0.1, 0.0], [0.0, 3.059411]]] * 2}
    text = "concentration 1.; mean [5.843333, 3.758   ]; scale [[0.1     , 0.      ], [0.      , 3.059411]]"
    problem = view.run.summary["problem"] | {"priors": text, "settings": settings}
    view = replace(view, run=replace(view.run, summary=view.run.summary | {"problem": problem}))
    assert dict(provenance(view))["Priors"] == (
        "concentration 1 for each component; mean [5.843, 3.758]; scale rows [0.1, 0], [0, 3.059] for each component"
    )


def test_the_picture_of_a_verdict_is_of_the_parameter_its_sentence_names():
    view = look(read(recorded("overconfident")))
    name = view.names[-1]
    verdicts = view.run.summary["verdicts"]
    verdicts = verdicts | {"cavi": verdicts["cavi"] | {"sentence": f"The furthest is `{name}`."}}
    view = replace(view, run=replace(view.run, summary=view.run.summary | {"verdicts": verdicts}))
    assert next(r for r in rows(view) if r.style.method == "cavi").parameter == name


def test_only_r_hat_has_four_digits():
    view = look(read(recorded("overconfident")))
    checks = [
        {"name": "R-hat, largest", "value": 1.001, "wanted": "below 1.01", "passed": True},
        {"name": "divergences", "value": 1, "wanted": "at most 8", "passed": True},
        {"name": "E-BFMI, smallest", "value": 0.9928, "wanted": "at least 0.3", "passed": True},
    ]
    health = view.run.summary["reference"] | {"checks": checks}
    view = replace(view, run=replace(view.run, summary=view.run.summary | {"reference": health}))
    assert [t.value for t in tiles(view)] == ["1.0010", "1", "0.993"]
    said = [term for term, _ in glossary(view)]
    assert {"Divergence", "E‑BFMI"} <= set(said)
    assert "Depth limit" not in said


@pytest.mark.parametrize(
    ("kl", "said"),
    [
        ([0.8, 0.1, 1e-5], "which falls from 0.80 to 1 × 10⁻⁵ nats"),
        ([0.8, 2.5, 1e-5], "which rises from 0.80 to 2.5 at step 2, then falls to 1 × 10⁻⁵ nats"),
    ],
)
def test_the_kl_of_em_is_said_to_rise_where_it_rises(kl, said):
    view = look(read(recorded("overconfident")))
    joint = np.array([-9.0, -8.0, -7.5])
    group = xr.Dataset({n: ("sweep", v) for n, v in (("elbo", joint - kl), ("log_joint", joint), ("kl", kl))})
    tree = view.run.posteriors["cavi"].copy()
    tree["variational"] = xr.DataTree(group)
    view = replace(view, run=replace(view.run, posteriors=view.run.posteriors | {"cavi": tree}))
    block = em_steps(view)
    assert block
    assert said in block.title.replace("\u202f", " ")


def test_rows_have_labels_in_a_mixture_and_a_z_elsewhere():
    view = look(read(recorded("overconfident")))
    plain = {
        name: xr.DataTree.from_dict({"/posterior": tree["posterior"].to_dataset()[["weights"]].rename(weights="beta")})
        for name, tree in view.run.posteriors.items()
    }
    other = replace(view, run=replace(view.run, posteriors=plain))
    for of, word in ((view, "labels"), (other, "z")):
        assert health_table(of).head[-1] == f"ELBO, {word} summed out"
        assert dict(glossary(of))["ELBO"].endswith(f"with {word} summed out.")
    # a run that says of its rows that they have no local variable; one that says nothing is as above
    run = replace(other.run, summary=other.run.summary | {"problem": {"local": False}})
    none = replace(other, run=run)
    assert health_table(none).head[-1] == "marginal ELBO"
    assert dict(glossary(none))["ELBO"].endswith("divergence to the posterior.")


def test_a_long_name_may_break_at_its_capitals_and_is_escaped():
    assert breakable("SVI AutoMultivariateNormal") == "SVI Auto<wbr>Multivariate<wbr>Normal"
    assert breakable("<aB>") == "&lt;a<wbr>B&gt;"
