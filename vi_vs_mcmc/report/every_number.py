"""Section: the comparison table, one row per parameter and method, sortable and searchable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vi_vs_mcmc.figures.palette import Style
from vi_vs_mcmc.names import known
from vi_vs_mcmc.report.findings import points, robust
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import NONE, capital, count, interval, like, listed, number, percent, rough, spelled

MOST = 1500  # rows on the page; the files have all


@dataclass(frozen=True)
class Cell:
    """A number as it is shown, the value it sorts by, and its interval."""

    value: str
    text: str
    interval: str = ""


@dataclass(frozen=True)
class Row:
    """One comparison."""

    style: Style
    parameter: str
    key: int | None  # the page's index of the parameter, if it can be chosen
    why: str | None  # what stands in place of sd ratio, bias and coverage where they are left out
    cells: list[Cell]  # sd ratio, bias, coverage; reference mean, reference sd, mean, sd
    bar: dict[str, str] | None

    @property
    def dashed(self) -> bool:
        """Whether a number is missing."""
        return any(c.text == NONE for c in (self.cells if self.why is None else self.cells[3:]))


def rows(view: View) -> list[Row]:
    """The rows: judged ones first, with the sd ratio that is furthest off first, points last; then the others."""
    table = view.run.table
    ratio = table.numbers["sd_ratio"]
    far = np.abs(np.log(np.where((ratio > 0) & table.judged & _wide(view), ratio, np.nan)))
    order = np.lexsort((np.arange(len(table)), -np.nan_to_num(far, nan=-1.0), ~table.judged))
    keys = {name: j for j, name in enumerate(view.names)}
    start, end = _range(view)
    return [_row(view, int(i), keys, start, end) for i in order[:MOST] if table.method[i] in view.styles]


def intro(view: View) -> str:
    """What the table holds, and what it leaves to the file."""
    total = len(view.run.table)
    some = f" The {count(MOST)} furthest off are listed here; comparison.csv has all." if total > MOST else ""
    if total == 1:
        return "The one comparison there is."
    all_of = f"All {count(total)} comparisons, furthest sd ratio first."
    without = total - int(view.run.table.judged.sum())
    if 0 < without < total:
        they = (
            "of them is left out of the verdict and comes" if without == 1 else "are left out of the verdict and come"
        )
        all_of += f" {capital(spelled(without))} {they} last."
    if single := [view.label(m) for m in points(view)]:
        one = len(single) == 1
        all_of += f" {listed(single)} {'is a point, without' if one else 'are points, without'} an sd or an interval."
    return f"{all_of}{some} Choose a parameter here and every figure follows."


def heads(view: View) -> list[tuple[str, str]]:
    """Column heads and the key each sorts by; an empty key does not sort."""
    label = view.reference_label if known(view.reference) else "Reference"
    return [
        ("Method", "method"),
        ("Parameter", "parameter"),
        ("sd ratio", "sd_ratio"),
        ("", ""),
        ("Mean off by (sd)", "bias"),
        ("90\u202f% holds", "coverage90"),
        (f"{label} mean", "reference_mean"),
        (f"{label} sd", "reference_sd"),
        ("Mean", "mean"),
        ("sd", "sd"),
    ]


def band(view: View) -> tuple[str, str, str]:
    """The tolerated band of the small bars: left end, width, and where 1 stands."""
    start, end = _range(view)
    t = view.tolerance[0]
    left, right = _at(1 - t, start, end), _at(1 + t, start, end)
    return f"{left:.1f}%", f"{right - left:.1f}%", f"{_at(1, start, end):.1f}%"


def _row(view: View, i: int, keys: dict[str, int], start: float, end: float) -> Row:
    table = view.run.table
    r = {name: float(column[i]) for name, column in table.numbers.items()}
    low = r["sd_ratio_lowest"] if np.isfinite(r["sd_ratio_lowest"]) else r["sd_ratio_low"]
    high = r["sd_ratio_highest"] if np.isfinite(r["sd_ratio_highest"]) else r["sd_ratio_high"]
    method, parameter, out = table.method[i], table.parameter[i], not table.judged[i]
    if method in points(view):
        low = high = r["sd"] = r["sd_ratio"] = r["coverage90"] = np.nan
    why = "; ".join(w for w in (view.reasons.get(parameter, ""), robust(view, method, parameter)) if w) if out else None
    cells = [
        Cell(_sort(r["sd_ratio"]), number(r["sd_ratio"]), interval(low, high)),
        Cell(_sort(r["bias"]), number(r["bias"], 2, sign=True)),
        Cell(_sort(r["coverage90"]), percent(r["coverage90"], 1)),
        *(
            Cell(_sort(r[c]), rough(r[c]) if out else like(r[c], r["reference_sd"]))
            for c in ("reference_mean", "reference_sd", "mean", "sd")
        ),
    ]
    bar = None
    if not out and np.isfinite([r["sd_ratio"], low, high]).all():
        ends = {"at": r["sd_ratio"], "low": low, "high": high}
        bar = {k: f"{_at(v, start, end):.1f}%" for k, v in ends.items()}
    return Row(
        view.styles[method],
        parameter,
        keys.get(parameter),
        why,
        cells,
        bar,
    )


def _range(view: View) -> tuple[float, float]:
    """The axis of the small bars: most ratios and the tolerated band, never further than from 0.2 to 2.5."""
    t = view.tolerance[0]
    table = view.run.table
    finite = table.numbers["sd_ratio"][table.judged & np.isfinite(table.numbers["sd_ratio"]) & _wide(view)]
    low, high = np.quantile(finite, [0.01, 0.99]) if finite.size else (1.0, 1.0)
    return float(np.clip(min(low, 1 - t) - 0.08, 0.0, 1 - t)), float(np.clip(max(high, 1 + t) + 0.04, 1 + t, 2.5))


def _wide(view: View) -> np.ndarray:
    """Rows of the table that are not a point's, (row,)."""
    return ~np.isin(view.run.table.method, points(view))


def _at(value: float, start: float, end: float) -> float:
    return 100 * float(np.clip((value - start) / (end - start), 0, 1))


def _sort(value: float) -> str:
    return f"{value:.8g}" if np.isfinite(value) else ""
