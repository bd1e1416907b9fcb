"""What all figures share: the axes, the fonts, small texts, ellipses, and names made safe.

A figure has no title, legend or toolbar: its page says those things in words.
`trace.meta = {"method", "role"}` tells the page what to hide and what follows the chosen parameter.
"""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from vi_vs_mcmc.figures.palette import LIGHT, MONO, SANS, Style

NINETY = 2.145966  # sqrt of the 0.9 quantile of chi-square with 2 degrees of freedom
CIRCLE = np.linspace(0, 2 * np.pi, 49)
_AXIS: dict[str, Any] = {
    "ticklabelstandoff": 6,
    "gridcolor": LIGHT["grid"],
    "gridwidth": 1,
    "zeroline": False,
    "ticks": "",
    "showline": False,
    "automargin": False,
    "fixedrange": True,
    "exponentformat": "e",  # powers of ten as superscripts need inline styles, which the page forbids
    "tickfont": {"size": 12, "color": LIGHT["ink2"]},
    "title": {"font": {"size": 13, "color": LIGHT["ink2"]}, "standoff": 8},
}


def finish(fig: go.Figure, height: int, *, l: int = 48, r: int = 12, t: int = 12, b: int = 44) -> go.Figure:
    """Give a figure the page's fonts, axes and margins (pixels)."""
    fig.update_layout(
        template={},  # nothing of plotly's own; the named empty template is ten times as slow
        height=height,
        autosize=True,
        margin={"l": l, "r": r, "t": t, "b": b},
        separators=".\u202f",
        showlegend=False,
        dragmode=False,
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": SANS, "size": 13, "color": LIGHT["ink2"]},
        hoverlabel={
            "bgcolor": LIGHT["paper"],
            "bordercolor": LIGHT["rule"],
            "font": {"family": SANS, "size": 13, "color": LIGHT["ink"]},
            "align": "left",
        },
    )
    fig.update_xaxes(**_AXIS)
    fig.update_yaxes(**_AXIS)
    return fig


def note(fig: go.Figure, x: float, y: float, text: str, **place: Any) -> None:
    """A small text without an arrow; `place` overrides anchors, fonts and references."""
    fig.add_annotation(**small(x, y, text, **place))


def small(x: float, y: float, text: str, **place: Any) -> dict[str, Any]:
    """The same as a specification: many are added faster at once than one by one."""
    font = {"size": 12, "color": LIGHT["ink2"]}
    anchors = {"showarrow": False, "font": font, "xanchor": "left", "yanchor": "middle"}
    return {**anchors, "x": x, "y": y, "text": text, **place}


def rule(
    fig: go.Figure,
    *,
    x: float | None = None,
    y: float | None = None,
    span: tuple[float, float] | None = None,
    **place: Any,
) -> None:
    """The ink line of the reference: upright at x or level at y, over the plot unless `place` says.

    With a `span` along the other axis it is a trace: over the grid, which covers shapes, and under later traces.
    """
    upright = {"x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "y domain"}
    level = {"y0": y, "y1": y, "x0": 0, "x1": 1, "xref": "x domain"}
    line = {"color": LIGHT["ink"], "width": 1.5}
    if span is not None:
        ends = {"x": span, "y": [y, y]} if x is None else {"x": [x, x], "y": span}
        fig.add_scatter(**ends, mode="lines", line=line, hoverinfo="skip", meta={"role": "rule"})
        return
    fig.add_shape(**{"type": "line", "layer": "below", "line": line, **(level if x is None else upright), **place})


def safe(name: str) -> str:
    """A user's name as text for plotly: its pseudo-HTML and its %{templates} lose their meaning."""
    return html.escape(name).replace("{", "&#123;")


def clipped(name: str, longest: int = 22) -> str:
    """A name short enough for an axis; the middle goes, as an index stands at the end."""
    if len(name) <= longest:
        return name
    tail = longest // 2
    return f"{name[: longest - tail - 1]}…{name[-tail:]}"


def mono(size: int = 12) -> dict[str, Any]:
    """The font of parameter names."""
    return {"family": MONO, "size": size, "color": LIGHT["ink"]}


def line(style: Style, width: float = 2.25) -> dict[str, Any]:
    """A method's line."""
    return {"color": style.color, "width": width, "dash": style.dash}


def marker(style: Style) -> dict[str, Any]:
    """A method's symbol."""
    return {"symbol": style.symbol, "color": style.color, "size": style.size, "line": {"width": 0}}


def ellipse(mean: ArrayLike, factor: ArrayLike) -> NDArray[np.float64]:
    """The curve that holds 90 % of a 2-D normal: mean + 2.146 L (cos t, sin t), shape (2, 49).

    Plotly's circles cannot be turned, so an ellipse is a line through points of its Cholesky factor L (2, 2).
    """
    circle = np.stack([np.cos(CIRCLE), np.sin(CIRCLE)])
    return np.asarray(mean, float)[:, None] + NINETY * np.asarray(factor, float) @ circle
