"""Pareto-smoothed importance weights: the largest ratios replaced by quantiles of the generalised Pareto law fitted to them.

Its shape k tells how many moments the ratios have (those of order below 1 / k). Up to k = min(1 - 1 / log10 S, 0.7), S draws
suffice for smoothed estimates to be trusted.

Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25(72).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from arviz_stats.base.array import array_stats

FEW = 100  # draws below which a tail cannot be fitted
EQUAL = 1e-6  # nats; log ratios within it are equal, up to the rounding of two log densities
PRIOR = (10, 0.5)  # the fit's prior on k: as many observations, at this value


class Weights(NamedTuple):
    """Smoothed weights of S draws, and how far they can be trusted."""

    log_weight: np.ndarray  # (S,), logsumexp 0
    khat: float
    threshold: float
    ess: float  # 1 / sum w^2, which means little where the weights are not reliable

    @property
    def reliable(self) -> bool:
        """Whether k-hat is below its threshold."""
        return self.khat < self.threshold


def smoothed(log_ratio: np.ndarray) -> Weights | None:
    """Pareto-smoothed importance weights of independent draws.

    None where a tail has no meaning: fewer than 100 draws, a ratio that is not finite, ratios that are all equal (the
    draws are exact and need no weights, or they repeat one point, which no weight repairs: the ratios cannot tell), and
    largest ratios that are tied. k-hat, its threshold and the effective size are always finite.

    Args:
        log_ratio: log p - log q of each draw, (S,), up to a constant.
    """
    size = log_ratio.size
    if size < FEW or not np.isfinite(log_ratio).all() or not np.ptp(log_ratio) > EQUAL:
        return None
    try:
        with np.errstate(all="ignore"):  # ratios of 1e-300 underflow
            log_weight, shape = array_stats.psislw(-log_ratio)  # ArviZ takes negative log ratios
    except ValueError:  # so ArviZ says that the whole tail is one value
        return None
    shape = float(shape)
    if not np.isfinite(shape):
        shape = _hill(log_ratio)
    if shape is None:
        return None
    threshold = min(1.0 - 1.0 / np.log10(size), 0.7)
    return Weights(log_weight, shape, float(threshold), float(1.0 / np.exp(2.0 * log_weight).sum()))


def _hill(log_ratio: np.ndarray) -> float | None:
    """k-hat of a tail that spans more than the floating-point numbers: the mean log excess, with the same prior.

    The generalised Pareto fit tends to it there (Hill 1975). None for a tail of ties.
    """
    size = log_ratio.size
    number = int(min(size / 5, 3.0 * np.sqrt(size)))
    tail = np.sort(log_ratio)[-number - 1 :]
    excess = tail[1:] - tail[0]
    if not excess[number // 4] > EQUAL:
        return None
    count, centre = PRIOR
    return float((excess.sum() + count * centre) / (number + count))
