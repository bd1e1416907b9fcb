"""How far a normal guide is from the optimum of its family.

Source: Opper and Archambeau (2009), The variational Gaussian approximation revisited, Neural Computation 21.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class FromOptimum(NamedTuple):
    """How far each coordinate of a normal q is from the optimum of its family, (P,) each."""

    location: np.ndarray  # in q's sds
    location_error: np.ndarray
    scale: np.ndarray  # the optimal sd over q's, less 1
    scale_error: np.ndarray


def from_optimum(w: np.ndarray, gradient: np.ndarray, *, factorised: bool) -> FromOptimum | None:
    """The distance of a normal q from the optimum of its family, if log p is as curved everywhere as it is under q.

    At draws w of q = N(m, S) the gradient of log p is regressed on w: by Stein's identity its slope is -H, H the mean
    curvature of -log p, and the optimum is one Newton step away, all coordinates at once:

        m* = m + H^-1 E_q[grad log p],    sd*_i = H_ii^-1/2 of a factorised q, (H^-1)_ii^1/2 of a full one.

    Exact, but for the Monte Carlo error of m and S themselves, where log p is Gaussian.

    Args:
        w: independent draws of q, (draws, P).
        gradient: of log p at each, (draws, P).
        factorised: whether q's coordinates are independent.

    Returns:
        None where H is not positive definite: then q is at no maximum that these draws can place.
    """
    n, sd = len(w), w.std(0)
    away, mean = (w - w.mean(0)) / sd, gradient.mean(0) * sd
    slope = np.linalg.lstsq(away, gradient * sd - mean)[0]
    curvature = -0.5 * (slope + slope.T)
    if not np.isfinite(curvature).all() or np.linalg.eigvalsh(curvature).min() <= 0:
        return None
    inverse = np.linalg.inv(curvature)
    left = gradient * sd - mean - away @ slope  # what a Gaussian log p does not have
    step = left @ inverse
    whitened = away @ np.linalg.inv(away.T @ away / n)
    if factorised:
        variance, influence = 1.0 / np.diag(curvature), left * whitened / np.diag(curvature) ** 2
    else:
        variance, influence = np.diag(inverse), step * (whitened @ inverse)
    scale = np.sqrt(variance)
    return FromOptimum(
        inverse @ mean,
        np.sqrt((1.0 + step.var(0)) / n),
        scale - 1.0,
        scale * np.sqrt((0.25 * influence.var(0) / variance**2 + 0.5) / n),
    )
