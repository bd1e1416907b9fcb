"""Promised against kept: at every nominal level, the share of simulated data sets whose interval holds the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import finish, line, note, safe
from vi_vs_mcmc.figures.palette import LIGHT, Style

LABELS = 0.55, 0.8  # nominal levels between which the methods' names stand


def calibration(
    levels: NDArray[np.float64],
    held: Mapping[str, NDArray[np.float64]],
    parameters: Sequence[str],
    band: tuple[NDArray[np.float64], NDArray[np.float64]],
    styles: Mapping[str, Style],
) -> go.Figure:
    """Held against promised, percent: below the diagonal is overconfident.

    Args:
        levels: nominal levels, shape (level,), in (0, 1).
        held: per method the share of data sets whose central interval holds the truth, shape (level, parameter).
        parameters: their names.
        band: the shares (low, high) between which a calibrated method's thin line stays, shape (level,) each.
        styles: the look of each method.
    """
    fig = go.Figure()
    low, high = band
    fig.add_scatter(
        x=100 * np.r_[0, levels, 1, 1, levels[::-1], 0],
        y=100 * np.r_[0, low, 1, 1, high[::-1], 0],
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=LIGHT["band"],
        hoverinfo="skip",
    )
    fig.add_scatter(x=[0, 100], y=[0, 100], mode="lines", line={"color": LIGHT["ink"], "width": 1.5}, hoverinfo="skip")
    x = 100 * np.r_[0, levels, 1]
    for method, shares in held.items():
        style = styles[method]
        for parameter, y in [*zip(parameters, shares.T, strict=True), ("mean of all", shares.mean(1))]:
            mean = parameter == "mean of all"
            fig.add_scatter(
                x=x,
                y=100 * np.r_[0, y, 1],
                mode="lines",
                line=line(style, 2.5) if mean else {"color": style.color, "width": 1},
                opacity=1.0 if mean else 0.6,
                meta={"method": method, "role": "mean" if mean else "parameter"},
                hovertemplate=f"{safe(style.label)}, {safe(parameter)}<br>%{{x:.0f}} % intervals hold the truth in "
                "%{y:.1f} % of data sets<extra></extra>",
            )
    _name(fig, levels, held, styles)
    note(fig, 30, 30, "promise kept", textangle=-38, xanchor="center", yanchor="bottom", yshift=6, name="promise")
    above = {"xref": "paper", "yref": "paper", "yanchor": "bottom", "yshift": 6}
    note(fig, 0.0, 1.0, "data sets whose interval holds the truth, %", **above)
    finish(fig, 460, l=44, r=18, t=36, b=52)
    fig.update_xaxes(range=[0, 100], dtick=20, title_text="nominal level of the interval, %")
    fig.update_yaxes(range=[0, 100], dtick=20)
    return fig


def _name(fig: go.Figure, levels, held: Mapping[str, NDArray[np.float64]], styles: Mapping[str, Style]) -> None:
    """Each method's name under its mean curve, further left the lower the curve, so that no two meet."""
    order = sorted(held, key=lambda method: held[method].mean())
    for method, level in zip(order, np.linspace(*LABELS, len(order)), strict=True):
        at = int(np.abs(levels - level).argmin())
        style = styles[method]
        font = {"size": 13, "color": style.color, "weight": 600}
        y = 100 * float(held[method].min(1)[at])
        note(fig, 100 * levels[at], y, safe(style.label), font=font, yanchor="top", yshift=-6, name="method")
