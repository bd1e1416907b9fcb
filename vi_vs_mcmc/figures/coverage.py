"""How much of the reference a central interval really holds, at every nominal level."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import finish, line, note, rule, safe
from vi_vs_mcmc.figures.palette import LIGHT, Style


def coverage(
    levels: NDArray[np.float64],
    held: Mapping[str, NDArray[np.float64]],
    chosen: int,
    styles: Mapping[str, Style],
) -> go.Figure:
    """Held against promised, percent.

    Args:
        levels: nominal levels, shape (level,), in (0, 1).
        held: per method the reference probability inside its central interval, shape (level, parameter).
        chosen: the parameter drawn as a thin line; the thick one is the median over parameters.
        styles: the look of each method.
    """
    fig = go.Figure()
    x = np.r_[0, levels, 1] * 100
    fig.add_scatter(x=[0, 100], y=[0, 100], mode="lines", line={"color": LIGHT["ink"], "width": 1.5}, hoverinfo="skip")
    for method, c in held.items():
        style = styles[method]
        for role, y in (("chosen", c[:, chosen]), ("median", np.median(c, axis=1))):
            fig.add_scatter(
                x=x,
                y=np.r_[0, y, 1] * 100,
                mode="lines",
                line=_line(style, role),
                opacity=1 if role == "median" else 0.75,
                meta={"method": method, "role": role},
                hovertemplate=f"{safe(style.label)}, {role} parameter<br>%{{x:.0f}} % interval holds "
                "%{y:.1f} %<extra></extra>",
            )
    note(
        fig,
        38,
        38,
        "promise kept",
        textangle=-38,
        xanchor="center",
        yanchor="bottom",
        yshift=4,
        name="promise",
    )
    finish(fig, 380, l=36, r=18, b=48)
    fig.update_xaxes(range=[0, 100], dtick=20, title_text="nominal level, %")
    fig.update_yaxes(range=[0, 100], dtick=20)
    return fig


def shortfall(
    levels: NDArray[np.float64],
    held: Mapping[str, NDArray[np.float64]],
    chosen: int,
    styles: Mapping[str, Style],
) -> go.Figure:
    """The same curves as held minus promised, in percentage points: below zero is overconfident."""
    fig = go.Figure()
    x = np.r_[0, levels, 1] * 100
    rule(fig, y=0, span=(0, 100))
    extremes = [0.0]
    for method, c in held.items():
        style = styles[method]
        off = np.vstack([np.zeros(c.shape[1]), c - levels[:, None], np.zeros(c.shape[1])]) * 100
        extremes += [float(off.min()), float(off.max())]
        for role, y in (("chosen", off[:, chosen]), ("median", np.median(off, axis=1))):
            fig.add_scatter(
                x=x,
                y=y,
                mode="lines+markers" if role == "median" else "lines",
                opacity=1 if role == "median" else 0.75,
                marker={"symbol": style.symbol, "size": 7, "color": style.color},
                line=_line(style, role),
                meta={"method": method, "role": role},
                hovertemplate=f"{safe(style.label)}, {role} parameter<br>%{{x:.0f}} % interval: "
                "%{y:+.1f} points<extra></extra>",
            )
    note(fig, 50, 0, "promise kept", xanchor="center", yanchor="bottom", yshift=2, name="promise")
    finish(fig, 380, l=36, r=18, b=48)
    pad = 0.06 * max(max(extremes) - min(extremes), 5)
    fig.update_xaxes(range=[0, 100], dtick=20, title_text="nominal level, %")
    fig.update_yaxes(range=[min(extremes) - pad, max(extremes) + 2 * pad], nticks=7)
    return fig


def _line(style: Style, role: str) -> dict[str, object]:
    """The median is thick and wears the method's dash; the chosen parameter is thin and solid."""
    return line(style, 2.5) if role == "median" else {"color": style.color, "width": 1.2}
