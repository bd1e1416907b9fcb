"""How much of the reference each method's central intervals really hold, at every level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vi_vs_mcmc.figures import coverage as figures
from vi_vs_mcmc.report.blocks import Block, Panel, Table
from vi_vs_mcmc.report.curves import LEVELS
from vi_vs_mcmc.report.view import View
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
        f"Take a method’s central interval at some level (across) and ask how much of the posterior "
        f"under {label} it holds (up). On "
        "the straight line it keeps its promise; below, it is overconfident. The right panel is the "
        "same, as the distance from "
        "that line. Thick lines are the median parameter, thin ones the chosen parameter."
    )
    held = {m: view.held[m][:, view.counted] for m in view.wide}
    chosen_at = view.counted.index(view.chosen)
    return Block(
        "coverage",
        _title(view),
        says(view, view.chosen),
        read,
        [
            Panel(
                "coverage",
                figures.coverage(LEVELS, held, chosen_at, view.styles),
                "actual against nominal coverage",
                "Held by the interval",
                "%",
            ),
            Panel(
                "shortfall",
                figures.shortfall(LEVELS, held, chosen_at, view.styles),
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
        middle = f"{view.label(m)} {percent(float(np.median(held[view.counted])), 1)}"
        parts.append(middle if j in view.apart else f"{middle} and {percent(held[j], 1)}")
    if j in view.apart:
        only = f"Of the promised {percent(0.9)}, for the median parameter: {'; '.join(parts)}."
        return f"{only} {code(view.names[j])} is left out of the verdict and not drawn here."
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
    return np.median(view.held[method][:, view.counted], axis=1)
