"""How much of the reference each method's central intervals really hold, at every level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vi_vs_mcmc.figures import coverage as figures
from vi_vs_mcmc.report.blocks import Block, Panel, Table
from vi_vs_mcmc.report.view import LEVELS, View
from vi_vs_mcmc.report.words import code, percent

NINETY = int(np.flatnonzero(LEVELS == 0.9)[0])


def block(view: View) -> Block:
    """What central intervals hold, at every nominal level."""
    label = view.reference_label
    names = [view.label(m) for m in view.wide]
    body = [
        [
            percent(level),
            *(percent(v, 1) for m in view.wide for v in (_median(view, m)[i], view.held[m][i, view.chosen])),
        ]
        for i, level in enumerate(LEVELS)
    ]
    chosen = code(view.names[view.chosen])
    head = ["nominal level", *(t for n in names for t in (f"{n}, median", f"{n}, {chosen}"))]
    read = (
        f"Take a method’s central interval at some level (across) and ask how much of the {label} "
        "posterior it holds (up). On "
        "the straight line it keeps its promise; below, it is overconfident. The right panel is the "
        "same, as the distance from "
        "that line. Thick lines are the median parameter, thin ones the chosen parameter."
    )
    held = {m: view.held[m] for m in view.wide}
    return Block(
        "coverage",
        _title(view),
        says(view, view.chosen),
        read,
        [
            Panel(
                "coverage",
                figures.coverage(LEVELS, held, view.chosen, view.styles),
                "actual against nominal coverage",
                "Held by the interval",
                "%",
            ),
            Panel(
                "shortfall",
                figures.shortfall(LEVELS, held, view.chosen, view.styles),
                "actual minus nominal coverage",
                "Held minus promised",
                "percentage points",
            ),
        ],
        Table("actual coverage at each nominal level", head, body),
        columns=2,
    )


def says(view: View, j: int) -> str:
    """What 90 % intervals hold for the median parameter and for parameter j, method by method."""
    parts = []
    for m in view.wide:
        held = view.held[m][NINETY]
        parts.append(f"{view.label(m)} {percent(float(np.median(held[view.judged])), 1)} and {percent(held[j], 1)}")
    return (
        f"Of the promised {percent(0.9)}, for the median parameter and for {code(view.names[j])}: {'; '.join(parts)}."
    )


def _title(view: View) -> str:
    if view.failed:
        return "What intervals hold of a reference that failed its checks"
    standing = view.standing
    if not standing:
        return "What the intervals hold so far"
    off = {m: _median(view, m) - LEVELS for m in standing}
    m = max(standing, key=lambda m: float(np.abs(off[m]).max()))
    if np.abs(off[m]).max() < 0.015:
        return "Intervals hold what they promise, within a point or two"
    name = view.label(m)
    if (off[m] < 0).all() or (off[m] > 0).all():
        return f"{name}’s intervals hold {'less' if off[m][0] < 0 else 'more'} than they promise, at every level"
    return f"{name}’s {percent(0.9)} intervals hold {percent(_median(view, m)[NINETY], 1)} of {view.reference_label}"


def _median(view: View, method: str) -> NDArray[np.float64]:
    use = view.judged if view.judged.any() else np.ones_like(view.judged)
    return np.median(view.held[method][:, use], axis=1)
