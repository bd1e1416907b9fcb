"""The density of the next row's value in one column under every method, over a histogram of the rows seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import clipped, finish, line, safe
from vi_vs_mcmc.figures.palette import LIGHT, Style


def predictive(
    x: NDArray[np.float64],
    column: str,
    grid: NDArray[np.float64],
    densities: Mapping[str, NDArray[np.float64]],
    styles: Mapping[str, Style],
) -> go.Figure:
    """`x` (row,) are the rows; `densities` (grid,) per method, the reference first."""
    fig = go.Figure()
    counts, edges = np.histogram(x, bins="auto" if len(x) < 20_000 else 80, density=True)
    fig.add_bar(
        x=((edges[1:] + edges[:-1]) / 2).round(6),
        y=counts.round(6),
        width=np.diff(edges).round(6),
        marker={"color": LIGHT["band"], "line": {"width": 1, "color": LIGHT["rule"]}},
        hoverinfo="skip",
        meta={"role": "rows"},
    )
    for method, density in densities.items():
        fig.add_scatter(
            x=grid.round(6),
            y=density.round(6),
            mode="lines",
            line=line(styles[method]),
            meta={"method": method},
            hovertemplate=f"{safe(styles[method].label)} at %{{x:.4~g}}<extra></extra>",
        )
    finish(fig, 280, l=12, b=44)
    fig.update_layout(bargap=0)
    fig.update_xaxes(nticks=7, title_text=safe(clipped(column, 40)))
    fig.update_yaxes(showticklabels=False, showgrid=False, rangemode="tozero")
    return fig
