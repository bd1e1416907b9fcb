"""One measure against another on equal log axes, the line where they agree, and the band that is tolerated around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import finish, marker, safe
from vi_vs_mcmc.figures.palette import LIGHT, Style


def diagonal(fig: go.Figure, low: float, high: float, tolerance: float) -> None:
    """The line x = y, and the band of y within `tolerance` of x."""
    ends = np.array([low, high])
    fig.add_scatter(
        x=[low, high, high, low],
        y=[*(ends * (1 - tolerance)), *(ends[::-1] * (1 + tolerance))],
        fill="toself",
        fillcolor=LIGHT["band"],
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
    )
    fig.add_scatter(x=ends, y=ends, mode="lines", line={"color": LIGHT["ink"], "width": 1.5}, hoverinfo="skip")


def symbols(
    fig: go.Figure,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    style: Style,
    hover: Sequence[str],
    keys: Sequence[int],
) -> None:
    """One symbol per parameter of one method; `keys` says which parameter of the page each is.

    Each method is drawn smaller than the one before it, so that where they agree both are seen.
    """
    drawn: Any = fig.data
    before = sum(bool(t.meta) and "method" in t.meta for t in drawn)
    size = style.size * max(1.3 - 0.28 * before, 0.5)
    fig.add_scatter(
        x=x,
        y=y,
        mode="markers",
        customdata=list(keys),
        meta={"method": style.method},
        marker={**marker(style), "size": size, "line": {"width": 0.75, "color": LIGHT["paper"]}},
        hovertext=[f"{safe(style.label)}, {text}" for text in hover],
        hoverinfo="text",
    )


def square(fig: go.Figure, low: float, high: float, ticks: Sequence[float], title: str) -> None:
    """Equal log axes from `low` to `high`."""
    finish(fig, 480, l=52, b=48)
    ends = np.log10([low, high]).tolist()
    log = {"type": "log", "range": ends, "tickvals": list(ticks), "constrain": "domain"}
    log["ticktext"] = [f"{t:g}" for t in ticks]
    fig.update_xaxes(**log, title_text=title)
    fig.update_yaxes(**log, scaleanchor="x")
