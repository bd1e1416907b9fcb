"""The blocks on evidence, modes, quantities without labels and a second MCMC: from small summaries, without a browser."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from report_stories import HOSTILE, recorded, told
from report_text import markup, titles, words

from vi_vs_mcmc.figures.gap import Part
from vi_vs_mcmc.figures.gap import gap as gap_figure
from vi_vs_mcmc.figures.modes import modes as modes_figure
from vi_vs_mcmc.figures.palette import LIGHT, styles
from vi_vs_mcmc.report import write
from vi_vs_mcmc.report.agreement import agreement
from vi_vs_mcmc.report.blocks import Block
from vi_vs_mcmc.report.evidence import components, evidence, gap_of
from vi_vs_mcmc.report.folder import read
from vi_vs_mcmc.report.labelfree import label_free
from vi_vs_mcmc.report.modes import modes, one_optimum
from vi_vs_mcmc.report.optimiser import ceiling, health_table, optimiser
from vi_vs_mcmc.report.view import View, look

LABELS = math.log(6)  # three components
SVI = "svi:AutoNormal"
EVIDENCE = {
    "log_evidence": -1696.0,
    "error": 0.003,
    "how": "importance",
    "sentence": "40000 draws",
    "labels": LABELS,
    "estimates": [
        {"log_evidence": -1696.0, "error": 0.003, "how": "importance", "sentence": "40000 draws"},
        {"log_evidence": -1696.01, "error": 0.004, "how": "bridge", "sentence": "4000 draws"},
    ],
    "gaps": {
        "cavi": {"total": 4.0, "labels": LABELS, "local": 1.25, "parameters": 4.0 - LABELS - 1.25, "error": 0.005},
        SVI: {"total": 2.5, "labels": LABELS, "local": 0.0, "parameters": 2.5 - LABELS, "error": 0.006},
    },
}
MODES = {
    "number": 3,
    "restarts": 16,
    "modes": [
        {"elbo": -323.23, "restarts": 9, "weight": 0.80, "visits": [0.6, 0.2, 0.5, 0.5]},
        {"elbo": -324.5, "restarts": 4, "weight": 0.15, "visits": [0.0, 0.0, 0.0, 0.0]},
        {"elbo": -326.0, "restarts": 3, "weight": 0.05, "visits": [0.4, 0.8, 0.5, 0.5]},
    ],
}


def free(method: str, parameter: str, sd_ratio: float | None, bias: float | None = 0.0) -> dict[str, Any]:
    reference = {"reference_mean": 0.4, "reference_sd": 0.02, "reference_rhat": 1.001}
    return {
        "method": method,
        "parameter": parameter,
        "mean": 0.4,
        "sd": 0.01,
        "sd_ratio": sd_ratio,
        "bias": bias,
    } | reference


QUANTITIES = [
    free("cavi", "sorted_weights[0]", 0.95),
    free("cavi", "together", 0.6, -0.1),
    free("cavi", "occupied", None, None),
    free(SVI, "sorted_weights[0]", 1.01),
    free(SVI, "together", 0.97),
    free(SVI, "occupied", None, None),
]
RULES = {"parameter": "means[1, 0]", "sd": 0.54, "other_sd": 0.63, "shift": -0.2}
HOLD = {"rules": RULES, "why_label_free": None, "label_free": QUANTITIES}
AGREE = {
    "other": "gibbs",
    "label": "Gibbs",
    "rows": [
        {"parameter": "weights[0]", "z_mean": 0.4, "z_sd": None},
        {"parameter": "means[0, 0]", "z_mean": -2.1, "z_sd": 1.0},
    ],
    "parameter": "means[0, 0]",
    "which": "mean",
    "z": -2.1,
    "limit": 2.4,
    "passed": True,
}


@cache
def of(story: str) -> View:
    return look(read(recorded(story)))


def seen(story: str = "overconfident", **entries: Any) -> View:
    """A recorded run as the page sees it, with other entries in its summary."""
    view = of(story)
    return replace(view, run=replace(view.run, summary=view.run.summary | entries))


def found(block: Block | None) -> Block:
    assert block is not None
    return block


# --- evidence


def test_the_gap_of_the_furthest_bound_is_the_heading_and_its_parts_add_up():
    view = seen(evidence=EVIDENCE)
    block = found(evidence(view))
    assert block.title == "CAVI’s bound falls 4.00 nats short: 1.79 for labels, 1.25 for q(z), 0.96 for q(θ)"
    for m in ("cavi", SVI):
        gap = gap_of(view, m)
        assert gap
        assert_allclose(sum(p.nats for p in gap.parts), gap.total, rtol=1e-12)
    assert "SVI AutoNormal falls short by 2.50." in block.what
    assert "log 3! = 1.79" in block.read
    assert components(math.log(24)) == 4
    assert components(1.0) is None


def test_estimates_of_the_evidence_are_compared_in_combined_standard_errors():
    # .01 / hypot(.003, .004) = 2; one pair at 95 % allows 1.96, so these two just do not agree
    block = found(evidence(seen(evidence=EVIDENCE)))
    assert "do not agree" in block.what
    assert "differ by 2.0 of their combined standard errors; chance allows 2.0" in block.what
    closer = [EVIDENCE["estimates"][0], EVIDENCE["estimates"][1] | {"log_evidence": -1696.005}]
    assert (
        "Two estimates of it agree: they differ by 1.0"
        in found(evidence(seen(evidence=EVIDENCE | {"estimates": closer}))).what
    )
    assert "nothing else checks it" in found(evidence(seen(evidence=EVIDENCE | {"estimates": closer[:1]}))).what


def test_a_bound_known_exactly_is_as_sure_as_the_evidence_and_a_sampled_one_is_not():
    view = seen(evidence=EVIDENCE)
    cavi, svi = gap_of(view, "cavi"), gap_of(view, SVI)
    assert cavi
    assert svi
    assert (cavi.error, svi.error) == (0.003, 0.006)
    assert cavi.errors == [None, pytest.approx(0.004), 0.005]  # .005^2 = .003^2 + .004^2


def test_without_exchangeable_labels_nothing_is_said_of_them():
    gaps = {"cavi": {"total": 1.5, "labels": 0.0, "local": None, "parameters": None, "error": 0.01}}
    block = found(evidence(seen(evidence=EVIDENCE | {"labels": 0.0, "gaps": gaps})))
    assert block.title == "CAVI’s bound falls 1.50 nats short"
    assert "label" not in f"{block.title} {block.what} {block.read}".lower()


def test_a_q_that_holds_several_labellings_is_not_split():
    gaps = {"cavi": {"total": 0.0, "labels": LABELS, "local": None, "parameters": None, "error": 0.0}}
    view = seen(evidence=EVIDENCE | {"gaps": gaps})
    gap = gap_of(view, "cavi")
    assert gap
    assert (gap.labels, [p.kind for p in gap.parts]) == (0.0, ["rest"])
    assert found(evidence(view)).title == "CAVI’s bound reaches the log evidence"
    assert ceiling(view, "cavi") == (-1696.0, "log evidence")


def test_the_ceiling_of_one_labelling_is_the_evidence_less_log_k_factorial():
    view = seen(evidence=EVIDENCE)
    top = ceiling(view, "cavi")
    assert top
    assert top == (pytest.approx(-1696.0 - math.log(6)), "log evidence of one labelling")
    climbs = next(b for b in optimiser(view).blocks if b.id == "elbo")
    drawn = [a.text for p in climbs.panels for a in p.figure.select_annotations()]
    assert "log evidence of one labelling −1697.79" in drawn
    # the trace ends at -1700 - 80 exp(-29/3): 2.2 nats below
    assert "Below the log evidence of one labelling, in nats: CAVI 2.21" in climbs.what
    assert ceiling(seen(), "cavi") is None


# --- a single point


def test_a_point_has_no_bound_no_ceiling_and_no_khat():
    view = seen("disagreeing", evidence=EVIDENCE)
    table = health_table(view)
    em = table.body[list(table.methods).index("em")]
    assert em[3] == "has no meaning for a point"
    assert em[4] == "log p −1700.00, not a bound"
    assert em[5] == "–"
    assert ceiling(view, "em") is None
    assert ceiling(view, "laplace") is not None


def test_methods_whose_restarts_agree_alike_share_one_sentence():
    view = seen()
    verdicts = {m: v | {"restarts": {"number": 8, "agreeing": 8}} for m, v in view.run.summary["verdicts"].items()}
    climbs = next(b for b in optimiser(seen(verdicts=verdicts)).blocks if b.id == "elbo")
    assert climbs.title == "All eight restarts of CAVI and SVI AutoNormal reach one optimum each"
    assert "restarts" not in climbs.what
    verdicts["cavi"] = verdicts["cavi"] | {"restarts": {"number": 8, "agreeing": 1}}
    climbs = next(b for b in optimiser(seen(verdicts=verdicts)).blocks if b.id == "elbo")
    assert climbs.title == "One of eight CAVI restarts reaches the best optimum"
    assert "All eight SVI AutoNormal restarts reach one optimum" in climbs.what


# --- modes


def test_optima_that_chains_visited_are_counted_and_a_heavy_one_they_missed_is_named():
    block = found(modes(seen(modes=MODES)))
    # means of visits: .45, 0, .55
    assert block.title == "Chains visited 2 of the 3 optima found; 55\u202f% of draws lie elsewhere than at the best"
    assert "**No chain visited an optimum that weighs much:** ELBO −324.50, 15\u202f% by its bound." in block.what
    assert "By bounds the optimum at ELBO −326.00 weighs 5\u202f%, by draws 55\u202f%" in block.what
    assert "ELBO −326.00: from 40\u202f% to 80\u202f% of their draws" in block.what
    assert "What no restart found and no chain visited stays unseen." in block.read


def test_where_every_draw_lies_at_the_best_optimum_nothing_is_said_of_elsewhere():
    alone = [m | {"visits": [1.0, 1.0] if i == 0 else [0.0, 0.0]} for i, m in enumerate(MODES["modes"])]
    assert found(modes(seen(modes=MODES | {"modes": alone}))).title == "Chains visited 1 of the 3 optima found"


def test_of_many_optima_twelve_are_drawn_and_all_that_are_listed_are_in_the_table():
    many = [{"elbo": -300.0 - i, "restarts": 1, "weight": 0.05, "visits": [0.05, 0.05]} for i in range(20)]
    block = found(modes(seen(modes={"number": 31, "restarts": 64, "modes": many})))
    assert len(block.panels[0].figure.data[0].x) == 12
    assert block.table
    assert len(block.table.body) == 20
    assert "Chains visited 20 of the 20 best optima;" in block.title
    assert "64 restarts ended at 31 optima, of which 12 are drawn." in block.what
    assert "No chain visited" not in block.what


def test_one_optimum_is_a_sentence_and_no_figure():
    view = seen(modes={"number": 1, "restarts": 8, "modes": MODES["modes"][:1]})
    assert modes(view) is None
    assert one_optimum(view).startswith("All 8 restarts of coordinate ascent ended at one optimum;")
    assert one_optimum(seen()) == one_optimum(seen(modes=MODES)) == ""


# --- quantities without labels


def test_where_labels_hold_the_quantities_without_them_confirm_or_contradict():
    block = found(label_free(seen(labels=HOLD)))
    assert block.title == "Labels hold, and two quantities without labels say the same"
    assert "`occupied` does not vary." in block.what
    assert "CAVI 0.60 (`together`) and SVI AutoNormal 0.97 (`together`)" in block.what
    rule = (
        "By another relabelling rule the sd of `means[1, 0]` is 0.630 instead of 0.540, and its mean is 0.20 sds lower."
    )
    assert rule in block.what
    assert block.table
    assert block.table.body[1] == ["`together`", "0.4000", "0.0200", "0.60", "−0.10", "0.97", "0.00"]
    assert block.table.body[2][3:] == ["–"] * 4
    wide = [*QUANTITIES[:4], free(SVI, "together", 0.5)]
    other = found(label_free(seen(labels=HOLD | {"label_free": wide})))
    assert other.title == "Labels hold, but one of two quantities without labels says otherwise of SVI AutoNormal"
    assert "nothing labelled is clearly off, but `together` is beyond the tolerance" in other.what


def test_verdicts_that_rest_on_quantities_without_labels_are_said_to_and_why():
    why = "60\u202f% of draws lie at other optima"
    reference = of("overconfident").run.summary["reference"] | {"label_free": why}
    block = found(label_free(seen(labels=HOLD | {"why_label_free": why}, reference=reference)))
    assert block.title == "The verdicts rest on two quantities without labels"
    assert block.what.startswith(f"{why}. ")


def test_after_a_failed_reference_quantities_without_labels_judge_nothing():
    block = found(label_free(seen("no_verdict", labels=HOLD | {"why_label_free": "chains do not agree"})))
    assert "are not judged either" in block.title
    assert "say the same" not in block.title


# --- a second MCMC


def test_a_second_mcmc_that_agrees_is_said_to_with_the_largest_score():
    block = found(agreement(seen(agreement=AGREE)))
    assert block.title == "Gibbs and NUTS agree: the largest of 3 z-scores is 2.1, 2.4 is allowed"
    assert "the mean of `means[0, 0]`" in block.what
    assert block.table
    assert block.table.body == [["`means[0, 0]`", "−2.10", "1.00"], ["`weights[0]`", "0.40", "–"]]
    assert [len(p.figure.data[0].x) for p in block.panels] == [2, 2]


def test_a_second_mcmc_that_disagrees_puts_the_reference_in_doubt():
    rows = [AGREE["rows"][0], {"parameter": "means[0, 0]", "z_mean": -5.6, "z_sd": 1.0}]
    block = found(agreement(seen(agreement=AGREE | {"rows": rows, "z": -5.6, "passed": False})))
    assert block.title == "Gibbs and NUTS disagree on the mean of `means[0, 0]`: its z-score is 5.6, 2.4 is allowed"
    assert "1 of 3 z-scores is beyond what chance allows" in block.what
    assert "in doubt" in block.what


# --- the page


@pytest.mark.parametrize("entry", [None, {}])
def test_without_an_entry_nothing_is_drawn(entry):
    view = seen(evidence=entry, modes=entry, labels=entry, agreement=entry)
    assert [block(view) for block in (evidence, modes, label_free, agreement)] == [None] * 4


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with all four blocks, whose names would break a page built from strings."""
    folder = tmp_path_factory.mktemp("truth") / "run"
    shutil.copytree(recorded("overconfident"), folder, ignore=shutil.ignore_patterns("report.html", "figures"))
    summary = json.loads((folder / "summary.json").read_text())
    other = {"parameter": HOSTILE, "z_mean": 1.0, "z_sd": 2.0}
    spoiled = [e | {"sentence": HOSTILE, "how": HOSTILE} for e in EVIDENCE["estimates"]]
    summary |= {
        "evidence": EVIDENCE | {"estimates": spoiled},
        "modes": MODES,
        "labels": {
            "rules": RULES | {"parameter": HOSTILE},
            "why_label_free": HOSTILE,
            "label_free": [*QUANTITIES, free("cavi", HOSTILE, 0.5), free("another method", "together", 0.5)],
        },
        "agreement": AGREE | {"label": HOSTILE, "parameter": HOSTILE, "rows": [*AGREE["rows"], other]},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    write(folder)
    return folder


def test_all_four_blocks_are_on_the_page_and_absent_from_one_without_them(page):
    for words_ in ("nats short", "Chains visited 2", "quantities without labels", "agree: the largest"):
        assert words_ in titles(page)
        assert words_ not in titles(told("overconfident"))
    assert {"gap", "modes", "agreement-mean", "agreement-sd"} <= {p.stem for p in (page / "figures").glob("*.json")}


def test_a_block_without_a_plot_shows_its_table_and_offers_no_picture(page):
    figure = re.search(r'<figure class="fig" id="fig-labels".*?</figure>', markup(page), re.S)
    assert figure
    assert "<table>" in figure[0]
    assert "data-save" not in figure[0]
    assert 'data-save=""' not in markup(page)


def test_hostile_names_are_text_in_all_four_blocks(page):
    assert "<img" not in markup(page)
    assert "<script" not in markup(page)
    assert HOSTILE not in markup(page)
    assert not re.search(r"\bnan\b|\binf\b|\bundefined\b|None\b(?! of)", words(page))
    for name in ("gap", "modes", "agreement-mean", "agreement-sd"):
        assert "<img" not in (page / "figures" / f"{name}.json").read_text().replace("\\u003c", "<")


# --- figures

LOOKS = styles("nuts", ["cavi", "<b>x %{y}"])


def new_figures():
    parts = {
        "cavi": [Part("labels", 1.8, "labels"), Part("q(z)", 1.0, "local"), Part("q(θ)", 0.4, "parameters")],
        "<b>x %{y}": [Part("labels", 1.8, "labels"), Part("q", -0.001, "rest")],
    }
    visits = np.array([[0.5, 0.4], [0.5, 0.6]])
    return {
        "gap": gap_figure(parts, {"cavi": 3.2, "<b>x %{y}": 1.799}, LOOKS),
        "modes": modes_figure(np.array([-3.0, -4.0]), np.array([0.7, 0.3]), visits, LOOKS["nuts"], None),
    }


@pytest.mark.parametrize("name", ["gap", "modes"])
def test_a_new_figure_is_within_the_page_s_palette_and_policy(name):
    spec = json.loads(str(new_figures()[name].to_json()))
    assert spec["layout"]["showlegend"] is False
    assert "title" not in spec["layout"]
    assert {t["type"] for t in spec["data"]} <= {"scatter", "bar"}
    assert {c[:7] for c in re.findall(r"#[0-9A-Fa-f]{6,8}", json.dumps(spec["data"]))} <= set(LIGHT.values())
    shown = json.dumps([{k: v for k, v in t.items() if k != "meta"} for t in spec["data"]] + [spec["layout"]])
    assert "<b>x" not in shown
    assert "%{y}" not in shown


def test_parts_are_stacked_from_the_evidence_away_and_told_apart_without_colour():
    bars = [t for t in new_figures()["gap"].data if t.type == "bar"]
    assert_allclose([t.base[0] for t in bars], [0, 1.8, 2.8, 0, 1.8])
    assert_allclose([t.x[0] for t in bars], [1.8, 1.0, 0.4, 1.8, 0])  # an error's negative part has no length
    assert {t.meta["role"]: t.marker.pattern.shape for t in bars} == {
        "labels": None,
        "local": "/",
        "parameters": None,
        "rest": ".",
    }
    fills = {t.meta["role"]: t.marker.color for t in bars if t.meta["method"] == "cavi"}
    assert fills["labels"] != fills["parameters"]
    written = [t.text[0] for t in new_figures()["gap"].data if t.type == "scatter"]
    assert "labels 1.80 + q(z) 1.00 + q(θ) 0.40" in written


def test_every_chain_is_a_circle_and_their_mean_a_filled_one():
    weight, chain, mean = new_figures()["modes"].data
    assert_allclose(weight.x, [70, 30])
    assert_allclose(chain.x, [50, 40, 50, 60])
    assert_allclose(mean.x, [45, 55])
    assert chain.marker.symbol == "circle-open"
