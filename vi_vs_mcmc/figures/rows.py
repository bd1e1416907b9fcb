"""The rows of data with draws of the components over them: two columns as a plane, one column as a strip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import clipped, ellipse, finish, note, safe
from vi_vs_mcmc.figures.palette import LIGHT, Style


def plane(
    x: NDArray[np.float64],
    columns: Sequence[str],
    doubt: NDArray[np.float64] | None,
    means: NDArray[np.float64],
    factors: NDArray[np.float64],
    style: Style,
    hover: Sequence[str],
    occupied: Sequence[int],
) -> go.Figure:
    """Points shaded by doubt, thin 90 % ellipses of a few draws, and a number at each component's centre.

    Args:
        x: rows, shape (row, 2).
        columns: the two columns' names.
        doubt: 1 - the largest responsibility of each row, shape (row,); None where it is not known.
        means: shape (draw, component, 2).
        factors: Cholesky factors of the covariances, shape (draw, component, 2, 2).
        style: whose draws they are.
        hover: one sentence per row.
        occupied: the components that are drawn; the others own no rows.
    """
    fig = go.Figure()
    fig.add_scatter(
        x=x[:, 0],
        y=x[:, 1],
        mode="markers",
        marker=_points(doubt, len(x)),
        hovertext=list(hover),
        hoverinfo="text",
        meta={"role": "rows"},
    )
    gap = np.full((2, 1), np.nan)
    for k in occupied:
        curves = [np.hstack([ellipse(m, f), gap]) for m, f in zip(means[:, k], factors[:, k], strict=True)]
        xs, ys = np.hstack(curves).round(4) if curves else np.zeros((2, 0))
        _thin(fig, xs, ys, style, k)
    for k in occupied:
        m = means[:, k].mean(axis=0)
        font = {"size": 15, "color": LIGHT["ink"]}
        note(
            fig,
            m[0],
            m[1],
            str(k),
            xanchor="center",
            font=font,
            bgcolor=LIGHT["paper"] + "CC",
            borderpad=2,
            name="n",
        )
    finish(fig, 420, l=44, b=44)
    low, high = _square(x, means[:, list(occupied)], factors[:, list(occupied)])
    fig.update_xaxes(range=[low[0], high[0]], nticks=6, title_text=safe(clipped(columns[0], 40)), constrain="domain")
    fig.update_yaxes(range=[low[1], high[1]], nticks=6, constrain="domain")
    fig.update_layout(meta={"square": True})
    return fig


def strip(
    x: NDArray[np.float64],
    column: str,
    doubt: NDArray[np.float64] | None,
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    sds: NDArray[np.float64],
    style: Style,
    hover: Sequence[str],
    occupied: Sequence[int],
) -> go.Figure:
    """One column: rows as a strip under the densities of a few draws of weighted components.

    `x` (row,); `weights`, `means`, `sds` (draw, component); `occupied` are drawn.
    """
    fig = go.Figure()
    grid = strip_grid(x)
    z = (grid[:, None, None] - means) / sds
    densities = weights * np.exp(-0.5 * z**2) / (sds * np.sqrt(2 * np.pi))  # (grid, draw, component)
    top = float(densities[:, :, list(occupied)].max())
    wobble = (np.arange(len(x)) * 0.618034) % 1  # spreads the points evenly, and the same way each time
    fig.add_scatter(
        x=x,
        y=-top * (0.06 + 0.16 * wobble),
        mode="markers",
        marker=_points(doubt, len(x)),
        hovertext=list(hover),
        hoverinfo="text",
        meta={"role": "rows"},
    )
    for k in occupied:
        ys = np.vstack([densities[:, :, k], np.full((1, means.shape[0]), np.nan)]).T.ravel().round(5)
        xs = np.tile(np.r_[grid, np.nan], means.shape[0]).round(4)
        _thin(fig, xs, ys, style, k)
        font = {"size": 15, "color": LIGHT["ink"]}
        note(
            fig,
            float(means[:, k].mean()),
            -0.03 * top,
            str(k),
            xanchor="center",
            font=font,
            bgcolor=LIGHT["paper"] + "CC",
            name="n",
        )
    finish(fig, 320, l=12, b=44)
    fig.update_xaxes(nticks=7, title_text=safe(clipped(column, 40)))
    fig.update_yaxes(showticklabels=False, showgrid=False, range=[-0.26 * top, 1.06 * top])
    return fig


def strip_grid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a strip's densities are drawn, shape (120,)."""
    room = 0.1 * float(np.ptp(x)) or 1.0
    return np.linspace(x.min() - room, x.max() + room, 120)


def _points(doubt: NDArray[np.float64] | None, rows: int) -> dict[str, object]:
    small = 1.0 if rows <= 1500 else 0.7
    if doubt is None:
        return {"line": {"width": 0}, "size": 5 * small, "color": LIGHT["sure"], "opacity": 0.85}
    return {
        "line": {"width": 0},
        "size": small * (4 + 5 * np.clip(doubt * 2, 0, 1)).round(2),
        "color": doubt.round(3),
        "cmin": 0,
        "cmax": 0.5,
        "colorscale": [[0, LIGHT["sure"]], [1, LIGHT["ink"]]],
        "opacity": 0.85,
    }


def _thin(fig: go.Figure, x: NDArray[np.float64], y: NDArray[np.float64], style: Style, component: int) -> None:
    thin = {"color": style.color, "width": 0.8}
    meta = {"method": style.method, "role": "component", "component": component}
    fig.add_scatter(x=x, y=y, mode="lines", line=thin, opacity=0.55, hoverinfo="skip", meta=meta)


def _square(
    x: NDArray[np.float64], means: NDArray[np.float64], factors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Limits that hold the rows and, up to half their width beyond, the ellipses."""
    low, high = x.min(axis=0), x.max(axis=0)
    room = np.where(high > low, high - low, 1.0)
    reach = 2.15 * np.sqrt((factors**2).sum(axis=-1)) if factors.size else np.zeros((1, 1, 2))
    centre = means if means.size else np.zeros((1, 1, 2))
    low = np.maximum(np.minimum(low, (centre - reach).min(axis=(0, 1))), low - 0.5 * room)
    high = np.minimum(np.maximum(high, (centre + reach).max(axis=(0, 1))), high + 0.5 * room)
    return low - 0.04 * room, high + 0.04 * room
