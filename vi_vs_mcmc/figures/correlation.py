"""A matrix of correlations, or of their differences, in brown and teal; the diagonal is left empty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import clipped, finish, safe
from vi_vs_mcmc.figures.palette import LIGHT

_COLORS = [
    [0, LIGHT["neg2"]],
    [0.3, LIGHT["neg1"]],
    [0.5, LIGHT["mid"]],
    [0.7, LIGHT["pos1"]],
    [1, LIGHT["pos2"]],
]


def correlation(matrix: NDArray[np.float64], names: Sequence[str], limit: float) -> go.Figure:
    """`matrix` (parameter, parameter), coloured from -limit to limit; sites are ticked, not scalars."""
    z = np.array(matrix, float)
    np.fill_diagonal(z, np.nan)
    labels = [safe(clipped(name, 40)) for name in names]
    gap = 1 if len(names) <= 30 else 0.4  # without any, plotly.js draws through an inline style, which the page forbids
    fig = go.Figure(
        go.Heatmap(
            z=np.round(z, 3),
            zmin=-limit,
            zmax=limit,
            xgap=gap,
            ygap=gap,
            showscale=False,
            colorscale=_COLORS,
            hoverongaps=False,
            x=list(range(len(names))),
            y=list(range(len(names))),
            text=[[f"{a}<br>{b}" for b in labels] for a in labels],
            hovertemplate="%{text}<br>%{z:+.2f}<extra></extra>",
            meta={"role": "matrix"},
        )
    )
    finish(fig, 300, l=88, r=2, t=4, b=24)
    ticks, ends = _sites(names)
    shared = {"tickvals": ticks, "ticktext": [safe(clipped(s, 12)) for s in ends], "showgrid": False}
    fig.update_yaxes(**shared, autorange="reversed", scaleanchor="x", constrain="domain")
    fig.update_xaxes(**shared, constrain="domain")
    _divide(fig, names)
    return fig


def _sites(names: Sequence[str]) -> tuple[list[float], list[str]]:
    """The middle of each site's rows; where sites are too many to name, only the larger ones are."""
    rows: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        rows.setdefault(name.split("[")[0], []).append(i)
    shown = {site: i for site, i in rows.items() if len(i) >= len(names) / 14} or dict(list(rows.items())[:6])
    return [float(np.mean(i)) for i in shown.values()], list(shown)


def _divide(fig: go.Figure, names: Sequence[str]) -> None:
    n = len(names)
    sites = [name.split("[")[0] for name in names]
    line = {"color": LIGHT["faint"], "width": 1}
    edges = [i - 0.5 for i in range(1, n) if sites[i] != sites[i - 1]]
    if len(edges) > 8:
        return
    for edge in edges:
        fig.add_shape(type="line", x0=edge, x1=edge, y0=-0.5, y1=n - 0.5, line=line)
        fig.add_shape(type="line", y0=edge, y1=edge, x0=-0.5, x1=n - 0.5, line=line)
