"""Curves and matrices from draws alone: coverage, grids, kernel densities, correlations."""

from __future__ import annotations

import numpy as np
from arviz_stats.base.array import array_stats
from numpy.typing import NDArray

LEVELS = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99])
GRID = 90  # points of a density
STILL = 1e-10  # relative range of draws that move by rounding only: a point, repeated

Array = NDArray[np.float64]


def held(method: Array, reference: Array) -> Array:
    """Reference probability inside a method's central intervals, (level, parameter); draws are sorted."""
    lows, highs = np.quantile(method, (1 - LEVELS) / 2, axis=0), np.quantile(method, (1 + LEVELS) / 2, axis=0)
    out = np.empty((len(LEVELS), method.shape[1]))
    for j in range(method.shape[1]):
        below = np.searchsorted(reference[:, j], lows[:, j], side="left")
        out[:, j] = (np.searchsorted(reference[:, j], highs[:, j], side="right") - below) / len(reference)
    return out


def grid(draws: list[Array], *, heavy: bool = False) -> Array:
    """From the reference's limits to the methods', but no further than three reference widths beyond.

    Args:
        draws: the reference's first, each of shape (draw,).
        heavy: whether extremes say nothing, so that the limits are those that hold 80 %.
    """
    outer, inner = ((0.1, 0.9), (0.1, 0.9)) if heavy else ((0.0005, 0.9995), (0.002, 0.998))
    low, high = np.nanquantile(draws[0], outer)
    width = high - low
    if width <= 0:
        width = max(abs(low) * 0.1, 0.1)
    others = [d for d in draws[1:] if np.isfinite(d).any()]
    ends = np.array([np.nanquantile(d, inner) for d in others] or [[low, high]])
    left, right = (
        max(min(ends[:, 0].min(), low), low - (1 if heavy else 3) * width),
        min(max(ends[:, 1].max(), high), high + (1 if heavy else 3) * width),
    )
    pad = (0.25 if heavy else 0.06) * max(right - left, width)
    least, most = (f([f(d) for d in [draws[0], *others]]) for f in (np.nanmin, np.nanmax))
    if heavy and most - least > 0.02 * width:  # room for the tails, but none beyond a wall such as zero
        room = 0.02 * (right - left)
        return np.linspace(max(left - pad, least - room), min(right + pad, most + room), GRID)
    return np.linspace(left - pad, right + pad, GRID)


def density(draws: Array, at: Array) -> Array:
    """The kernel density of sorted draws on a grid; a point is a spike, and far tails do not widen the kernel."""
    finite = draws[np.isfinite(draws)]
    step, width = at[1] - at[0], at[-1] - at[0]
    if finite.size < 2 or np.ptp(finite) <= STILL * max(abs(finite[0]), 1e-300):
        away = np.abs(at - finite[0]) if finite.size else np.full(GRID, np.inf)
        return (away <= step / 2).astype(float) / step
    near, share = finite, 1.0
    if np.ptp(finite) > 8 * width:
        near = finite[(finite >= at[0] - width) & (finite <= at[-1] + width)]
        share = near.size / finite.size
        if near.size < 2 or near[0] == near[-1]:
            return np.zeros(GRID)
    # 1.3 times ArviZ's bandwidth: narrower shows bumps that are the draws', not the posterior's
    x, curve, bandwidth = array_stats.kde(near, bw_fct=1.3)
    edge = 0.1 * float(curve.max())
    if share == 1 and curve[0] < edge and curve[-1] < edge:  # no wall: let the tails run out beyond the last draw
        room = 0.2 * float(np.ptp(near))
        ends = (float(near[0]) - room, float(near[-1]) + room)
        x, curve, _ = array_stats.kde(near, bw=float(bandwidth), bound_correction=False, custom_lims=ends)
    return share * np.interp(at, x, curve, 0, 0)


def correlation(flat: Array) -> Array:
    """Correlations of the columns, 0 where one does not move: the rounding of a repeated point has correlations of 1."""
    centred = np.nan_to_num(flat - np.nanmean(flat, axis=0))
    length = np.sqrt((centred**2).sum(axis=0))
    moves = np.ptp(centred, axis=0) > STILL * np.abs(np.nan_to_num(flat)).max(axis=0)
    scaled = np.where(moves, centred / np.where(moves, length, 1), 0)
    return np.clip(scaled.T @ scaled, -1, 1)
