"""The report card's page: verdicts, then posteriors by methods once for each thing that is measured, and sums above."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vi_vs_mcmc.names import percent, signed, spoken
from vi_vs_mcmc.studies import _page
from vi_vs_mcmc.studies._page import cell
from vi_vs_mcmc.studies._summary import NO_VERDICT, UNTOLD, beside_known, judged, shared, told

Table = Any  # a pandas frame, whose types no checker knows
Cell = dict[str, str | None]


@dataclass(frozen=True)
class Measure:
    """One table of the card.

    Attributes:
        heading: its title.
        what: what it is.
        legend: its limits in words.
        of: of the rows of one posterior and method, the number.
        written: how it is written.
        fine: from where to where it is fine.
        sides: class and words of a number below, and of one above.
    """

    heading: str
    what: str
    legend: str
    of: Callable[[Table], float]
    written: Callable[[float], str]
    fine: tuple[float, float] = (-np.inf, np.inf)
    sides: tuple[tuple[str, str], tuple[str, str]] = (("", ""), ("", ""))


def ratio(value: float) -> str:
    """An sd ratio: 0.87, and 0.002 where two digits would say nothing."""
    if value < 0.0005:
        return "<0.001"
    return f"{value:.3f}" if value < 0.01 else f"{value:.2f}"


WIDTH = (("low", "too narrow"), ("high", "too wide"))
BEYOND = (("beyond", "beyond the limit"), ("beyond", "beyond the limit"))
WIDTH_LEGEND = "Fine from 0.9 to 1.1. Brown and bold: below 0.9, too narrow. Teal and bold: above 1.1, too wide."
MEASURES = {
    "sd": Measure(
        "Median sd ratio",
        "Median over a posterior’s scalars of the sd under the method over that under NUTS. Below 1 the method is overconfident.",
        WIDTH_LEGEND,
        lambda rows: float(rows["sd_ratio"].median()),
        ratio,
        (0.9, 1.1),
        WIDTH,
    ),
    "worst": Measure(
        "Worst sd ratio",
        "The scalar whose ratio is furthest from 1, on the log scale.",
        WIDTH_LEGEND,
        lambda rows: float(rows["sd_ratio"].iloc[np.nanargmax(np.abs(np.log(rows["sd_ratio"])))]),
        ratio,
        (0.9, 1.1),
        WIDTH,
    ),
    "bias": Measure(
        "Worst bias",
        "The largest distance of a mean from NUTS’, in NUTS’ sds, with its sign.",
        "Fine from −0.25 to 0.25. Bold: beyond that.",
        lambda rows: float(rows["bias"].iloc[np.nanargmax(np.abs(rows["bias"]))]),
        lambda value: f"{value:+.2f}",
        (-0.25, 0.25),
        BEYOND,
    ),
    "khat": Measure(
        "k-hat",
        "Pareto shape of the importance ratios of the method’s draws; of Pathfinder’s before they are resampled.",
        "Fine up to 0.7. Bold: above that, and reweighting does not repair the draws.",
        lambda rows: float(rows["method_khat"].iloc[0]),
        lambda value: f"{value:.2f}" if value <= 10 else "> 10",
        (-np.inf, 0.7),
        BEYOND,
    ),
    "seconds": Measure(
        "Seconds",
        "Wall time of the fit, compilation and draws included.",
        "No limit.",
        lambda rows: float(rows["seconds"].iloc[0]),
        lambda value: f"{value:.1f}",
    ),
}


def write(folder: Path, table: Table, record: dict[str, Any]) -> None:
    """study.html, with no script: it prints, and needs nothing.

    Args:
        folder: of the study.
        table: the study's.
        record: study.json: methods, failed, summary, seed, draws, max_draws, made.
    """
    methods, summary, failed = record["methods"], record["summary"], record["failed"]
    known, names = beside_known(table), list(dict.fromkeys(table["posterior"]))
    labels = {method: spoken(method) for method in methods}
    _page.render(
        folder,
        "_card.html",
        names=names,
        labels=labels,
        record=record,
        failed=[(name, spoken(method), why) for name, of in failed.items() for method, why in of.items()],
        known=known,
        beyond=beyond,
        untested=_untested(table, labels),
        lost=list(table.loc[table["verdict"] == NO_VERDICT, "posterior"].unique()),
        together=shared(told(table), methods),
        every=[(labels[m], _of_all(summary[m]["all"])) for m in methods],
        common=[(labels[m], _middle(summary[m]["common"], "sd_err_median", "sd_err_rms", "bias_rms")) for m in methods],
        linear=[(labels[m], _linear(summary[m]["regressions"])) for m in methods],
        theory=[(labels[m], of) for m in methods if (of := summary[m].get("theory") or {}).get("coefficients")],
        counts=_counts(summary, labels, len(names)),
        verdicts=_verdicts(table, names, methods, failed),
        sections=[_section(key, table, names, methods) for key in MEASURES],
    )


def _untested(table: Table, labels: dict[str, str]) -> dict[str, Any] | None:
    """Pathfinder, whose fit has no test of convergence: on how many posteriors its k-hat is too high."""
    rows = table[(table["method"] == "pathfinder") & (table["verdict"] != NO_VERDICT)].drop_duplicates("posterior")
    if rows.empty or "pathfinder" not in labels:
        return None
    high = rows["method_khat"] > MEASURES["khat"].fine[1]
    return {"label": labels["pathfinder"], "high": int(high.sum()), "of": len(rows)}


def _of_all(of: dict[str, Any]) -> list[Cell]:
    (median,), (rms,), (bias,) = (_middle(of, key) for key in ("sd_err_median", "sd_err_rms", "bias_rms"))
    most, most_bias = _most(of["sd_err_most"]), _most(of["bias_most"])
    converged = cell(f"{of['posteriors']} of {of['of']}")
    return [converged, cell(str(of["scalars"])), median, rms, most, bias, most_bias]


def _linear(of: dict[str, Any]) -> list[Cell]:
    counts = [cell(str(of["posteriors"])), cell(str(of["scalars"]))]
    return [*counts, *_middle(of, "sd_err_median", "sd_err_rms", "sd_err_known"), _most(of["sd_err_most"])]


def _middle(of: dict[str, Any], *keys: str) -> list[Cell]:
    """Sums as cells; only a median has a sign."""
    form = lambda key: "+.3f" if key.endswith("median") else ".3f"
    return [cell(None if of[key] is None else format(of[key], form(key)).replace("-", "−")) for key in keys]


def _most(of: dict[str, Any] | None) -> Cell:
    return cell(None) if of is None else cell(of["posterior"], side="name", small=percent(of["share"]))


def _counts(summary: dict[str, Any], labels: dict[str, str], posteriors: int) -> dict[str, Any]:
    """Verdict words by method: how many posteriors have each. A posterior may have two."""
    order = ("calibrated", "overconfident", "underconfident", "biased", "inconclusive", *UNTOLD)
    words = list(dict.fromkeys(word for of in summary.values() for word in of["verdicts"]))
    words.sort(key=lambda word: order.index(word) if word in order else len(order))
    rows = [(labels[m], [cell(str(summary[m]["verdicts"].get(word, 0))) for word in words]) for m in labels]
    return {"heads": words, "rows": rows, "posteriors": posteriors}


def _verdicts(table: Table, names: Sequence[str], methods: Sequence[str], failed: dict[str, Any]) -> list[Any]:
    first = table.drop_duplicates(["posterior", "method"]).set_index(["posterior", "method"])["verdict"]
    words = first.to_dict()
    missing = lambda name, method: "failed" if method in failed.get(name, {}) else "not fitted"
    one = lambda name, method: cell(
        words.get((name, method), missing(name, method)),
        side="" if words.get((name, method), NO_VERDICT) not in UNTOLD else "unsure",
    )
    return [(name, [one(name, method) for method in methods]) for name in names]


def _section(key: str, table: Table, names: Sequence[str], methods: Sequence[str]) -> dict[str, Any]:
    """A measure, and its cells by posterior and method."""
    measure = MEASURES[key]
    groups: dict[Any, Table] = dict(iter(judged(table).groupby(["posterior", "method"])))
    rows = [(name, [_cell(groups.get((name, method)), measure) for method in methods]) for name in names]
    return {"key": key, "measure": measure, "rows": rows}


def _cell(rows: Table | None, measure: Measure) -> Cell:
    value = np.nan if rows is None or rows["sd_ratio"].isna().all() else measure.of(rows)
    if rows is None or not np.isfinite(value):
        return cell(None)
    verdict, (low, high) = str(rows["verdict"].iloc[0]), measure.fine
    side, said = measure.sides[0] if value < low else measure.sides[1] if value > high else ("", "")
    unsure = verdict if verdict in UNTOLD else ""
    classes = " ".join(filter(None, (side, "unsure" if unsure else "")))
    return cell(measure.written(value).replace("-", "−"), side=classes, said=said, small=unsure)


def beyond(of: dict[str, Any]) -> str:
    """How far NUTS is from what is known, in words."""
    return f"mean {signed(of['known_z'], 1)} standard errors off, sd {of['known_ratio']:.3f} of posteriordb’s"
