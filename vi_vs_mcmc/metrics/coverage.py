"""Coverage: the reference probability inside the method's central interval. A 90 % interval should hold 90 %."""

from __future__ import annotations

import numpy as np
from arviz_stats.base.array import array_stats
from xarray import Dataset

from .marginals import Marginals, estimate

LEVEL = 0.9
STEP = 0.02  # of probability, on either side of a quantile, over which a density ratio is measured


def coverage90(method: Marginals, reference: Marginals) -> Dataset:
    """C = F_reference(q_95) - F_reference(q_05), q the method's quantiles, by parameter.

    Two errors: the reference's share inside, and the method's quantiles, whose errors reach C through the density ratio
    f_reference / f_method at each end: Var(F(q_p)) = (f_r / f_m)^2 p (1 - p) / n.
    """
    lower = 0.5 * (1.0 - LEVEL)
    draws = method.draws.values
    low, high = np.quantile(draws, [lower, 1.0 - lower], axis=(0, 1))
    x = reference.draws.values
    inside = ((x >= low) & (x <= high)).astype(float)
    value = inside.mean((0, 1))
    left, right = (_density_ratio(draws, x, p) for p in (lower, 1.0 - lower))
    size = _sizes(method, lower)
    variance = lower * (1.0 - lower) * (left**2 + right**2) - 2.0 * lower**2 * left * right
    own = np.sqrt(np.maximum(variance, 0.0) / size)
    return estimate(method, value, np.hypot(own, reference.error(inside)))


def held(method: np.ndarray, reference: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Share of the reference draws (n, P) inside the method's (m, P) central intervals, (levels, P)."""
    low, high = (np.quantile(method, 0.5 * (1.0 + s * levels), axis=0) for s in (-1, 1))
    ordered = np.sort(reference, axis=0)
    out = np.empty(low.shape)
    for j in range(low.shape[1]):
        column = ordered[:, j]
        out[:, j] = np.searchsorted(column, high[:, j], "right") - np.searchsorted(column, low[:, j], "left")
    return out / len(reference)


def _density_ratio(draws: np.ndarray, x: np.ndarray, p: float) -> np.ndarray:
    before, after = np.quantile(draws, [p - STEP, p + STEP], axis=(0, 1))
    return ((x > before) & (x <= after)).mean((0, 1)) / (2.0 * STEP)


def _sizes(method: Marginals, p: float) -> np.ndarray:
    draws = method.draws.values
    if method.independent:
        return np.full(draws.shape[-1], draws.shape[0] * draws.shape[1], float)
    size = lambda a: array_stats.ess(a, chain_axis=0, draw_axis=1, method="quantile", prob=p)
    return np.array([float(np.asarray(size(draws[..., j]))) for j in range(draws.shape[-1])])
