"""What each method predicts of the next row, column by column: where overconfidence shows least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vi_vs_mcmc.figures.predictive import predictive as figure
from vi_vs_mcmc.report.blocks import Block, Panel, Table
from vi_vs_mcmc.report.findings import no_conclusion
from vi_vs_mcmc.report.mixture import Components, Mixture, components
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import code, listed, percent

DRAWS = 200
POINTS = 160
Array = NDArray[np.float64]


def predictive(view: View, mix: Mixture) -> Block:
    """The predictive densities of the shown columns, over the rows."""
    parts = {m: components(view.run.posteriors[m], mix.shown, DRAWS) for m in mix.components}
    grids = [_grid(mix.x[:, d]) for d in range(len(mix.columns))]
    densities = [{m: density(grid, p, d) for m, p in parts.items()} for d, grid in enumerate(grids)]
    apart = {
        m: [distance(grids[d], densities[d][m], densities[d][view.reference]) for d in range(len(grids))] for m in parts
    }
    panels = [
        Panel(
            f"predictive{d}",
            figure(mix.x[:, d], name, grids[d], densities[d], view.styles),
            f"predictive density of {name} by method",
            name,
            "density",
        )
        for d, name in enumerate(mix.columns)
    ]
    title, what = _say(view, mix, apart)
    read = (
        "Lines are the density of the next row’s value, averaged over posterior draws; bars are the rows "
        "seen. Predictions average over parameters, so a posterior that is too narrow often predicts as well "
        "as a right one: this figure shows what overconfidence does not cost."
    )
    judged = [m for m in parts if m != view.reference]
    body = [[code(name), *(percent(apart[m][d], 2) for m in judged)] for d, name in enumerate(mix.columns)]
    head = ["column", *(view.label(m) for m in judged)]
    table = Table(f"total variation distance of the predictive density from that of {view.reference_label}", head, body)
    return Block("predictive", title, what, read, panels, table, columns=2 if len(panels) > 1 else 1)


def density(grid: Array, parts: Components, column: int) -> Array:
    """p(x) = mean over draws of sum_k w_k N(x | m_k, s_k^2), on the grid (point,)."""
    sds = np.maximum(np.sqrt((parts.factors[:, :, column] ** 2).sum(axis=-1)), 1e-12)
    z = (grid[:, None, None] - parts.means[:, :, column]) / sds
    return (parts.weights * np.exp(-0.5 * z**2) / (sds * np.sqrt(2 * np.pi))).sum(axis=-1).mean(axis=-1)


def distance(grid: Array, a: Array, b: Array) -> float:
    """Half the integral of |a - b|: the share of mass that would have to move."""
    return float(0.5 * np.abs(a - b).sum() * (grid[1] - grid[0]))


def _grid(x: Array) -> Array:
    room = 0.15 * float(np.ptp(x)) or 1.0
    return np.linspace(x.min() - room, x.max() + room, POINTS)


def _say(view: View, mix: Mixture, apart: dict[str, list[float]]) -> tuple[str, str]:
    judged = {m: max(v) for m, v in apart.items() if m != view.reference}
    if view.failed or not judged:
        return "What the next row may be", no_conclusion(view) if view.failed else ""
    far = [f"{view.label(m)} {percent(v, 1)}" for m, v in judged.items()]
    what = f"Share of probability that lies elsewhere than under {view.reference_label}, at most: {listed(far)}."
    worst = max(judged, key=lambda m: judged[m])
    if judged[worst] < 0.02:
        who = "All methods predict" if len(judged) > 1 else f"{view.label(worst)} predicts"
        return f"{who} the next row as {view.reference_label} does", what
    column = mix.columns[int(np.argmax(apart[worst]))]
    return (
        f"{view.label(worst)} predicts {code(column)} differently, by {percent(judged[worst])} of its mass",
        what,
    )
