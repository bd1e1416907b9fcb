"""Why widths are off, what reweighting does, robust scales and points: what the page says of each."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from report_fixture import Fit, Recipe, load_summary, save_summary, write_mixture, write_sites
from report_stories import recorded

from vi_vs_mcmc.figures.palette import LIGHT, styles
from vi_vs_mcmc.figures.why import why as figure
from vi_vs_mcmc.report import every_number, in_data, shapes, spread, why
from vi_vs_mcmc.report.blocks import Block
from vi_vs_mcmc.report.curves import correlation, density
from vi_vs_mcmc.report.findings import find
from vi_vs_mcmc.report.folder import read
from vi_vs_mcmc.report.ratios import ratios
from vi_vs_mcmc.report.view import View, look
from vi_vs_mcmc.report.words import NONE

POINT = Fit(1e-13, 0.12, ("point estimate",))


def fill(folder: Path, **columns) -> Path:
    """More columns in a folder's table: a number, or a function of a row."""
    with (folder / "comparison.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.update({name: v(row) if callable(v) else v for name, v in columns.items()})
    with (folder / "comparison.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def say(folder: Path, method: str, **entries) -> Path:
    """More entries in a method's verdict."""
    summary = load_summary(folder)
    summary["verdicts"][method] |= entries
    return save_summary(folder, summary)


def sites(folder: Path, fits: dict[str, Fit], *, failed: bool = False) -> Path:
    return write_sites(folder, Recipe(fits=fits, data=False, draws=100, failed=failed), {"mu": None, "theta": 5})


def seen(folder: Path) -> View:
    return look(read(folder))


def words(block: Block | None) -> str:
    assert block
    return f"{block.title} | {block.what}"


# --- what correlations predict


NARROW = {"cavi": Fit(0.7, verdict=("overconfident",))}


@pytest.mark.parametrize(
    ("observed", "predicted", "said"),
    [
        (0.7, 0.72, "Correlations predict CAVI’s narrowness: predicted and observed sd ratios differ by 0.02"),
        (0.7, 0.9, "CAVI is narrower than correlations explain, by 0.20 of NUTS’s sd at the median"),
        (0.99, 1.05, "CAVI’s median sd is within the tolerance; correlations predict wider ones, by 0.06 of NUTS’s sd"),
        (0.7, 0.5, "CAVI is wider than a factorised normal would be, by 0.20 of NUTS’s sd"),
        (0.98, 0.99, "Correlations take little from CAVI, as predicted: sd ratios differ by 0.01"),
    ],
)
def test_the_heading_says_whether_correlations_explain_the_width(tmp_path, observed, predicted, said):
    view = seen(fill(sites(tmp_path, NARROW), factorised=predicted, sd_ratio=observed))
    block = why.block(view)
    assert block
    assert said in block.title


def test_what_agrees_on_the_whole_but_not_one_by_one_is_not_called_explained(tmp_path):
    folder = sites(tmp_path, NARROW)
    off = lambda row: 0.7 + (0.1 if row["parameter"] in ("mu", "theta[0]", "theta[1]") else -0.1)
    assert "not one by one" in words(why.block(seen(fill(folder, factorised=off, sd_ratio=0.7))))


def test_shrinkage_is_paid_and_delinkage_forgiven(tmp_path):
    folder = fill(sites(tmp_path, NARROW), factorised=0.7)
    summary = load_summary(folder)
    said = words(why.block(seen(folder)))
    assert "nats" not in said
    summary["why"] = {"shrinkage": 2.68, "delinkage": 1.38, "kl": 1.3}
    said = words(why.block(seen(save_summary(folder, summary))))
    assert "2.68 nats of uncertainty (shrinkage)" in said
    assert "forgiven 1.38" in said
    assert "1.30 nats, is the least KL(q ‖ p)" in said
    summary["why"] = {"shrinkage": None, "delinkage": None, "kl": None}  # collinear coordinates
    assert "nats" not in words(why.block(seen(save_summary(folder, summary))))


def test_without_a_prediction_or_a_width_there_is_no_figure(tmp_path):
    assert why.block(seen(sites(tmp_path / "a", NARROW))) is None
    assert why.block(seen(fill(sites(tmp_path / "b", {"em": POINT}), factorised=0.7))) is None
    two = why.block(seen(fill(sites(tmp_path / "c", NARROW | {"em": POINT}), factorised=0.7)))
    assert two
    assert two.table
    assert list(two.table.head) == ["parameter", "predicted", "CAVI"]


def test_a_failed_reference_explains_nothing(tmp_path):
    view = seen(fill(sites(tmp_path, {"cavi": Fit(0.7)}, failed=True), factorised=0.7))
    said = words(why.block(view))
    assert "failed its checks" in said
    assert "predict CAVI" not in said


def test_predictions_that_differ_by_method_have_a_column_each(tmp_path):
    folder = sites(tmp_path, NARROW | {"lrvb": Fit()})
    block = why.block(seen(fill(folder, factorised=lambda row: 0.7 if row["method"] == "cavi" else 0.9)))
    assert block
    assert block.table
    assert list(block.table.head) == ["parameter", "predicted, CAVI", "CAVI", "predicted, LRVB", "LRVB"]


def test_the_figure_is_square_plain_and_its_names_are_text():
    looks = styles("nuts", ["cavi"])
    fig = figure(
        ["<b>a", "%{x}"], {"cavi": np.array([0.7, np.nan])}, {"cavi": np.array([0.6, 1.1])}, looks, 0.1, [4, 2]
    )
    plain = fig.to_plotly_json()
    marks = plain["data"][-1]
    assert marks["meta"] == {"method": "cavi"}
    assert marks["customdata"] == [4, 2]
    assert "<b>" not in marks["hovertext"][0]
    assert plain["layout"]["yaxis"]["scaleanchor"] == "x"
    assert plain["layout"]["xaxis"]["range"] == plain["layout"]["yaxis"]["range"]
    assert 1.0 in plain["layout"]["xaxis"]["tickvals"]
    colours = {marks["marker"]["color"], marks["marker"]["line"]["color"], plain["data"][0]["fillcolor"]}
    assert colours <= set(LIGHT.values())  # the page can turn them dark
    assert "title" not in plain["layout"]


# --- importance


GOOD = {"ess": 800.0, "draws": 40_000, "khat": 0.61, "threshold": 0.7, "reliable": True}
BAD = {"ess": 50.0, "draws": 40_000, "khat": 1.05, "threshold": 0.7, "reliable": False}
NO_CUBO = "the squared ratios have a tail index of 1.2, so their mean has no reliable estimate"


def test_the_heading_says_for_whom_reweighting_works_and_the_words_how(tmp_path):
    folder = sites(tmp_path, NARROW | {"svi:AutoNormal": Fit()})
    say(folder, "cavi", importance=GOOD)
    assert "Reweighting works for CAVI" in words(ratios(seen(folder)))
    say(folder, "svi:AutoNormal", importance=BAD)
    said = words(ratios(seen(folder)))
    assert "Reweighting works for CAVI, not for SVI AutoNormal" in said
    assert '`vm.resample(xarray.open_datatree("posteriors/cavi.nc"), seed=0)`' in said
    say(folder, "cavi", importance=BAD)
    said = words(ratios(seen(folder)))
    assert "Reweighting cannot mend CAVI and SVI AutoNormal: k‑hat is 1.05, to be trusted below 0.70" in said
    assert "resample" not in said


def test_numbers_before_and_after_reweighting_stand_beside_the_references(tmp_path):
    folder = say(sites(tmp_path, NARROW), "cavi", importance=GOOD)
    exact = {"corrected_mean": lambda row: row["reference_mean"], "corrected_sd": lambda row: row["reference_sd"]}
    view = seen(fill(folder, **exact, khat=lambda row: 0.9 if row["parameter"] == "mu" else 0.5))
    block = ratios(view)
    assert block
    assert block.table
    assert block.table.groups == {0: "CAVI"}
    assert all(row[2] == row[3] and row[5] == row[6] for row in block.table.body)
    assert {row[0]: row[7] for row in block.table.body}["`mu`"] == "0.90"


def test_a_method_whose_ratios_mean_nothing_is_not_reweighted(tmp_path):
    folder = say(sites(tmp_path, NARROW | {"em": POINT}), "cavi", importance=None)
    assert ratios(seen(folder)) is None


def test_a_certificate_is_one_sentence_and_a_missing_one_is_explained_once(tmp_path):
    folder = sites(tmp_path, NARROW | {"svi:AutoNormal": Fit()})
    say(folder, "svi:AutoNormal", importance=GOOD, certificate={"mean": None, "sd": None, "sentence": NO_CUBO})
    say(folder, "cavi", importance=GOOD, certificate={"mean": 0.31, "sd": 0.29, "sentence": "certified"})
    said = words(ratios(seen(folder)))
    assert "CAVI is certified: no mean is off by more than 0.31 of its sd, and no sd by more than 0.29." in said
    assert f"SVI AutoNormal gets no certificate: {NO_CUBO}." in said
    say(folder, "cavi", certificate={"mean": None, "sd": None, "sentence": NO_CUBO})
    assert words(ratios(seen(folder))).count("no reliable estimate") == 1


# --- scales that exist where an sd does not


def test_a_row_left_out_says_how_wide_it_is_by_quantiles(tmp_path):
    folder = write_mixture(tmp_path, Recipe(empty=1, draws=100, data=False))
    out = lambda value: lambda row: "" if row["judged"] == "True" else value
    fill(folder, robust_ratio=out(0.62), robust_ratio_low=out(0.55), robust_ratio_high=out(0.7), sd=out("inf"))
    rows = [r for r in every_number.rows(seen(folder)) if r.why is not None]
    assert rows
    assert all(
        r.why
        and "12 % of draws; its central 68\u202f% interval is 0.62 [0.55,\u00a00.70] times as wide as under NUTS"
        in r.why
        for r in rows
    )
    assert not [c for r in rows for c in r.cells if "inf" in c.text or "nan" in c.text]


# --- points


def with_point(folder: Path) -> View:
    recipe = Recipe(fits={"em": POINT, "cavi": Fit(0.8, verdict=("overconfident",))}, draws=100)
    return seen(write_mixture(folder, recipe))


@pytest.fixture(scope="module")
def pointed(tmp_path_factory) -> View:
    """A run of EM and CAVI."""
    return with_point(tmp_path_factory.mktemp("pointed"))


def test_a_repeated_point_with_rounding_correlates_with_nothing():
    rounding = 0.3 + 1e-13 * np.random.default_rng(0).standard_normal((500, 1)) * np.ones(2)
    moving = np.random.default_rng(1).standard_normal((500, 1))
    found = correlation(np.concatenate([rounding, moving, 2 * moving + 1e6], axis=1))
    assert_allclose(found[:2], 0)
    assert_allclose(found[2, 3], 1)
    assert np.count_nonzero(density(np.sort(rounding[:, 0]), np.linspace(0, 1, 90))) == 1


def test_a_point_counts_for_means_and_not_for_sds(pointed):
    block = spread.spread(pointed).blocks[1]
    furthest = max(float(np.abs(pointed.column(m, "bias")[pointed.judged]).max()) for m in ("em", "cavi"))
    assert f"{furthest:.2f}" in words(block)
    assert "one point" not in words(block)
    assert find(pointed, "em").wrong == 0
    assert find(pointed, "em").worst is None
    assert "EM gives one point" in spread.spread(pointed).blocks[0].what


@pytest.mark.parametrize(("calm", "who"), [((), "Both methods put "), (("lrvb",), "CAVI and SVI AutoNormal put ")])
def test_every_method_that_moves_a_mean_is_in_the_heading(tmp_path, calm, who):
    off = {m: Fit(1.0, 1.0, ("biased",)) for m in ("cavi", "svi:AutoNormal")}
    title = spread.spread(seen(sites(tmp_path, off | {m: Fit() for m in calm}))).blocks[1].title
    assert title.startswith(who)
    assert title.endswith("all six means more than a quarter of an sd off")


def test_all_sds_too_small_are_not_at_least_all(tmp_path):
    assert spread.spread(seen(sites(tmp_path, {"cavi": Fit(0.5)}))).blocks[0].title.startswith("CAVI makes all six sds")


@pytest.mark.parametrize(("predicted", "said"), [(0.8, True), (1.3, False)])
def test_narrower_with_correlations_is_said_only_where_all_predictions_are_below_one(tmp_path, predicted, said):
    block = why.block(seen(fill(sites(tmp_path, NARROW), factorised=predicted)))
    assert block
    assert ("the stronger the correlations, the narrower" in block.read) == said
    assert "each row’s z, which" in block.read


def test_where_rows_have_no_local_variable_nothing_hidden_is_blamed(tmp_path):
    folder = fill(sites(tmp_path, NARROW), factorised=0.8)
    summary = load_summary(folder)
    summary["problem"]["local"] = False
    block = why.block(seen(save_summary(folder, summary)))
    assert block
    assert "look elsewhere: at the optimiser or at a shape that is not normal" in block.read


def test_a_pair_plot_is_heard_as_its_two_parameters(tmp_path):
    view = seen(sites(tmp_path, NARROW))
    pairs = next(b for b in shapes.shapes(view).blocks if b.id == "pair")
    j, i = view.chosen, view.partners[view.chosen][0]
    assert pairs.panels[0].name == f"{view.names[j]} against {view.names[i]}"


def test_a_mean_that_only_a_point_moves_is_in_the_heading(tmp_path):
    view = seen(sites(tmp_path, {"em": Fit(1e-13, 1.0, ("point estimate",)), "cavi": Fit()}))
    assert "EM puts" in spread.spread(view).blocks[1].title
    assert shapes.shapes(view).blocks[0].title == "The widths agree; the centres do not"


def test_a_point_has_no_sd_ratio_in_any_table_and_comes_last_in_the_long_one(pointed):
    rows = every_number.rows(pointed)
    points = [r.style.method == "em" for r in rows]
    assert points == sorted(points)
    row = rows[-1]
    assert [row.cells[i].text for i in (0, 2, 6)] == [NONE] * 3
    assert row.cells[1].text != NONE
    assert row.bar is None
    assert [c.value for c in row.cells if c.text == NONE] == [""] * 3
    for block in (spread.spread(pointed).blocks[0], spread.spread(pointed).blocks[3]):
        assert block.table
        assert "EM" not in block.table.head


def test_pairs_say_nothing_of_a_points_correlations(pointed):
    assert "EM" not in shapes.pair_says(pointed, pointed.chosen)[1]
    assert "EM is one point" in shapes.matrix_says(pointed, "em")[0]
    for block in shapes.shapes(pointed).blocks[1:]:
        assert block.table
        assert {row[list(block.table.head).index("EM")] for row in block.table.body} == {NONE}


def test_a_points_weights_are_no_intervals(pointed):
    section = in_data.in_data(pointed)
    assert section
    block = next(b for b in section.blocks if b.id == "weights")
    assert "six intervals" in block.what
    assert "EM has no interval" in block.read
    assert block.table
    assert "[" not in block.table.body[0][list(block.table.head).index("EM")]


def test_of_points_alone_only_means_are_compared(tmp_path):
    view = seen(sites(tmp_path, {"em": POINT}))
    section = spread.spread(view)
    assert [b.id for b in section.blocks] == ["centre"]
    assert section.intro.startswith("EM gives one point")
    assert "A point has no shape" in shapes.shapes(view).blocks[0].title


def test_old_tables_without_the_new_columns_still_read():
    table = read(recorded("overconfident")).table
    assert np.isnan(table.numbers["factorised"]).all()
    assert np.isnan(table.numbers["robust_ratio"]).all()
