"""Why are the widths off: what correlations alone predict of a factorised normal, beside what each method did.

The prediction needs no VI at all: it is the reference's own covariance, read in unconstrained coordinates.
Source: Margossian and Saul (2023), The shrinkage-delinkage trade-off, UAI.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vi_vs_mcmc.figures.why import why as figure
from vi_vs_mcmc.report.blocks import Block, Panel, Table
from vi_vs_mcmc.report.findings import find, leading, limits, no_conclusion, points, sentences
from vi_vs_mcmc.report.mixture import of_a_row
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import code, interval, listed, number, percent

ROWS = 40  # of the table
_ABOVE = 0.005  # above 1: a predicted ratio that two digits show as more than 1


@dataclass(frozen=True)
class Gap:
    """One method's judged parameters: the sd ratio predicted and the one observed, (parameter,)."""

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where both are numbers above 0."""
        both = np.stack([self.predicted, self.observed])
        return (np.isfinite(both) & (both > 0)).all(axis=0)

    @property
    def off(self) -> float:
        """Median distance, in either direction."""
        return self._median(np.abs(self.observed - self.predicted))

    @property
    def wider(self) -> float:
        """Median of observed minus predicted."""
        return self._median(self.observed - self.predicted)

    @property
    def middle(self) -> tuple[float, float]:
        """Median predicted and median observed ratio."""
        return self._median(self.predicted), self._median(self.observed)

    def _median(self, values: NDArray[np.float64]) -> float:
        return float(np.median(values[self.known]))


def block(view: View) -> Block | None:
    """The figure, or None where no prediction was made."""
    shown, gaps = view.counted, {}
    for m in [m for m in view.methods if m not in points(view)]:
        gap = Gap(view.column(m, "factorised")[shown], view.column(m, "sd_ratio")[shown])
        if gap.known.any():
            gaps[m] = gap
    if not gaps:
        return None
    title, what = _words(view, gaps)
    fig = figure(
        [view.names[j] for j in shown],
        {m: g.predicted for m, g in gaps.items()},
        {m: g.observed for m, g in gaps.items()},
        view.styles,
        view.tolerance[0],
        shown,
    )
    above, local = any((g.predicted[g.known] > 1 + _ABOVE).any() for g in gaps.values()), of_a_row(view.run)
    hidden = {"labels": "the labels, which", "": ""}.get(local, "each row’s z, which")
    elsewhere = (
        f"at the optimiser, at {hidden} the family also treats as independent, or" if hidden else "at the optimiser or"
    )
    read = (
        f"Across, what {view.reference_label}’s own correlations predict: the sd that the best fully factorised normal "
        f"would have, over {view.reference_label}’s. It holds every coordinate but one still"
        f"{'' if above else ', so the stronger the correlations, the narrower'}. Up, what each method has. On the "
        f"diagonal (grey: ±{percent(view.tolerance[0])}) a family that ignores correlations explains the width. "
        f"Above it, a method keeps some correlations. Below it, look elsewhere: {elsewhere} at a shape that is not normal."
    )
    if above:
        read += (
            " A prediction can lie above 1: a weight or a covariance is a mix of several unconstrained coordinates, and "
            "where these move against each other the mix widens once each moves alone."
        )
    if _price(view) and not view.failed:
        read += " A nat of uncertainty is a factor of 2.7 in the volume that a posterior fills."
    panel = Panel("why", fig, "sd ratio observed against sd ratio predicted", "sd ratio observed", "log")
    return Block("why", title, what, read, [panel], _table(view, gaps), beside=True)


def _words(view: View, gaps: dict[str, Gap]) -> tuple[str, str]:
    title = "What correlations predict of the widths"
    if view.failed:
        return f"{title}, from a reference that failed its checks", no_conclusion(view)
    first = leading(view, {m: find(view, m) for m in view.methods})
    lead = first if first in gaps else None
    medians = [f"{view.label(m)} {number(g.middle[1])}, {number(g.middle[0])} predicted" for m, g in gaps.items()]
    if len({g.middle[0] for g in gaps.values()}) == 1:
        predicted = number(next(iter(gaps.values())).middle[0])
        medians = [f"{view.label(m)} {number(g.middle[1])}" for m, g in gaps.items()]
        medians[-1] += f"; predicted, {predicted}"
    parts = (f"Median sd ratio: {listed(medians)}", _price(view))
    return (_title(view, lead, gaps[lead]) if lead else title), sentences(*parts)


def _title(view: View, method: str, gap: Gap) -> str:
    name, observed = view.label(method), gap.middle[1]
    by = f"by {number(abs(gap.wider))} of {view.reference_label}’s sd at the median"
    near = view.tolerance[0] / 2
    differ = f"predicted and observed sd ratios differ by {number(gap.off)} at the median"
    if gap.off <= near:
        if observed < 1 - near:
            return f"Correlations predict {name}’s narrowness: {differ}"
        return f"Correlations take little from {name}, as predicted: {differ.replace('predicted and observed ', '')}"
    if gap.wider < -near and observed < 1 - view.tolerance[0]:
        return f"{name} is narrower than correlations explain, {by}"
    if gap.wider < -near:
        return f"{name}’s median sd is within the tolerance; correlations predict wider ones, {by}"
    if gap.wider > near:
        return f"{name} is wider than a factorised normal would be, {by}"
    return f"Correlations explain {name}’s widths on the whole, not one by one: {differ}"


def _price(view: View) -> str:
    """What mean field pays with and is forgiven, in nats; empty where the run did not say."""
    found = view.run.summary.get("why") or {}
    shrinkage, delinkage = found.get("shrinkage"), found.get("delinkage")
    if shrinkage is None or delinkage is None:
        return ""
    left = abs(float(found["kl"])) if found.get("kl") is not None else shrinkage - delinkage
    return (
        f"Mean field pays for every coordinate’s lost width, {number(shrinkage)} nats of uncertainty (shrinkage), and is "
        f"forgiven {number(delinkage)}, because coordinates that vary independently roam more freely (delinkage). What "
        f"is left, {number(left)} nats, is the least KL(q ‖ p) that any fully factorised normal can reach, were the "
        "posterior normal"
    )


def _table(view: View, gaps: dict[str, Gap]) -> Table:
    """Predicted once where all methods share it, else once each."""
    shared = len(gaps) == 1 or all(_same(view, m, next(iter(gaps))) for m in gaps)
    low, high = {}, {}
    for m in gaps:
        low[m], high[m] = limits(view, m, "sd_ratio")
    body, head = [], ["parameter"]
    for m in gaps:
        head += [] if shared and len(head) > 1 else ["predicted" if shared else f"predicted, {view.label(m)}"]
        head += [view.label(m)]
    for j in view.counted[:ROWS]:
        row = [code(view.names[j])]
        for m in gaps:
            if not shared or len(row) == 1:
                ends = (view.column(m, f"factorised_{end}")[j] for end in ("low", "high"))
                row.append(f"{number(view.column(m, 'factorised')[j])} {interval(*ends)}")
            row.append(f"{number(view.column(m, 'sd_ratio')[j])} {interval(low[m][j], high[m][j])}")
        body.append(row)
    return Table("sd ratios, predicted by correlations and observed", head, body)


def _same(view: View, a: str, b: str) -> bool:
    return np.array_equal(view.column(a, "factorised"), view.column(b, "factorised"), equal_nan=True)
