"""The marginal posterior of one parameter under every method, over the reference as a grey shape."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import finish, line, safe
from vi_vs_mcmc.figures.palette import LIGHT, Style


def marginal(
    grid: NDArray[np.float64],
    densities: Mapping[str, NDArray[np.float64]],
    reference: str,
    styles: Mapping[str, Style],
    single: Mapping[str, float] | None = None,
) -> go.Figure:
    """Densities of shape (grid,) each, the reference first and filled; `single` points are upright lines."""
    fig = go.Figure()
    for method, density in densities.items():
        filled = {"fill": "tozeroy", "fillcolor": LIGHT["ink"] + "12"} if method == reference else {}
        fig.add_scatter(
            x=grid,
            y=density,
            mode="lines",
            line=line(styles[method]),
            meta={"method": method, "role": "density"},
            hovertemplate=f"{safe(styles[method].label)} at %{{x:.4~g}}<extra></extra>",
            **filled,
        )
    top = 1.06 * max(float(d.max()) for d in densities.values())
    for method, at in (single or {}).items():
        fig.add_scatter(
            x=[at, at],
            y=[0, top],
            mode="lines",
            line=line(styles[method]),
            meta={"method": method, "role": "point"},
            hovertemplate=f"{safe(styles[method].label)}, one point: %{{x:.4~g}}<extra></extra>",
        )
    finish(fig, 320, l=12, b=32)
    fig.update_yaxes(showticklabels=False, showgrid=False, range=[0, top])
    fig.update_xaxes(nticks=7, range=[grid[0], grid[-1]])
    return fig
