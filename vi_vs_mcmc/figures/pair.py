"""Two parameters at once: reference draws, and the ellipse that holds 90 % under each method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import clipped, ellipse, finish, line, mono, safe
from vi_vs_mcmc.figures.palette import LIGHT, Style


@dataclass(frozen=True)
class Moments:
    """Means (2,), sds (2,) and correlation of two parameters, across then up."""

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    correlation: float


def pair(
    across: str,
    draws: NDArray[np.float64],
    moments: Mapping[str, Moments],
    styles: Mapping[str, Style],
) -> go.Figure:
    """`draws` (draw, 2) of the reference as dots, one line per method; the page names the upper parameter."""
    fig = go.Figure()
    dots = {"line": {"width": 0}, "size": 3.5, "color": LIGHT["faint"], "opacity": 0.45}
    fig.add_scatter(x=draws[:, 0], y=draws[:, 1], mode="markers", marker=dots, hoverinfo="skip", meta={"role": "draws"})
    for method, m in moments.items():
        r = m.correlation
        factor = np.array([[m.sd[0], 0], [m.sd[1] * r, m.sd[1] * np.sqrt(max(1 - r * r, 0))]])
        x, y = ellipse(m.mean, factor)
        fig.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line=line(styles[method]),
            meta={"method": method, "role": "ellipse"},
            hovertemplate=f"{safe(styles[method].label)}, 90 % ellipse<br>correlation {r:+.2f}<extra></extra>",
        )
    finish(fig, 270, l=48, r=8)
    fig.update_xaxes(nticks=5, title={"text": safe(clipped(across, 30)), "font": mono()})
    fig.update_yaxes(nticks=5)
    return fig
