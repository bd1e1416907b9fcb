"""The normal law that fits best on the way uphill to a mode: where chains and optimisers may begin.

BFGS climbs from a point to a mode, and at each step of its path its gradients tell a normal law: mean x + C g, covariance C, the
inverse curvature as known by then. The best by ELBO is taken. At a plain mode that is Laplace's, at the end of the path; where
the highest density has no mass (a funnel's neck) it is one from before. No second derivative is compiled.

Source: Zhang, Carpenter, Gelman and Vehtari (2022), Pathfinder, JMLR 23; BFGS as in SciPy (Nocedal and Wright 2006, 6.1), and not
its limited-memory form, which knows little where sds differ by thousands: hence for LARGEST coordinates at most.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize

Slope = Callable[[np.ndarray], tuple[float, np.ndarray]]  # (P,) -> log p, and its gradient (P,)
Heights = Callable[[np.ndarray], np.ndarray]  # (DRAWS, P) -> log p of each

LARGEST = 200  # coordinates: a step of BFGS takes P^3 operations
HUGE = 1e300  # stands for what is not finite, where the line search must turn back
TURNS = 20  # steps for each coordinate, at most; a badly scaled normal law takes about 7
DRAWS = 8  # by which a law is judged
CURVED = 1e-12  # share of |s| |y| that s'y must be, or a step tells nothing of the curvature


@dataclass(frozen=True)
class Law:
    """A normal law in a neighbourhood of log p."""

    mean: np.ndarray  # (P,)
    root: np.ndarray  # (P, P) lower triangular: of the covariance
    elbo: float  # nats, by its draws
    draws: np.ndarray  # (DRAWS, P), all of finite density


def climb(slope: Slope, heights: Heights, start: np.ndarray, noise: np.ndarray) -> Law | None:
    """The best law on the way uphill from `start` (P,), or None where none has a finite ELBO.

    Args:
        slope: log p and its gradient.
        heights: log p of several points.
        start: where the path begins.
        noise: standard normal numbers that make the draws, (DRAWS, P).
    """
    best: Law | None = None
    last: list[np.ndarray] = [start, slope(start)[1]]  # where log p was looked at last
    before, covariance = (start, last[1]), np.zeros((0, 0))

    def down(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = slope(point)
        last[:] = point.copy(), gradient
        fine = np.isfinite(value) and np.isfinite(gradient).all()
        return (-value, -gradient) if fine else (HUGE, np.zeros_like(point))

    def look(intermediate_result: OptimizeResult) -> None:
        nonlocal best, before, covariance
        point = intermediate_result.x.copy()
        gradient = last[1] if (last[0] == point).all() else slope(point)[1]
        covariance = updated(covariance, point - before[0], before[1] - gradient)
        before = point, gradient
        if not covariance.size:
            return
        law = _judged(heights, point + covariance @ gradient, covariance, noise)
        if law is not None and (best is None or law.elbo > best.elbo):
            best = law

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what BFGS says of steps that left the domain
        options = {
            "gtol": 0.0,
            "maxiter": 100 + TURNS * len(start),
        }  # a gradient is in the user's units: `look` ends the path
        minimize(down, start, jac=True, method="BFGS", callback=look, options=options)
    return best


def updated(covariance: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """BFGS' inverse curvature after a step s along which the slope of -log p changed by y; (0, 0) before the first."""
    if not s @ y > CURVED * np.sqrt((s @ s) * (y @ y)):
        return covariance
    if not covariance.size:
        covariance = np.eye(len(s)) * (s @ y) / (y @ y)
    cy = covariance @ y
    both = np.outer(cy, s)
    return covariance + ((1 + y @ cy / (s @ y)) * np.outer(s, s) - both - both.T) / (s @ y)


def _judged(heights: Heights, mean: np.ndarray, covariance: np.ndarray, noise: np.ndarray) -> Law | None:
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return None
    draws = mean + noise @ root.T
    log_q = -0.5 * (noise**2).sum(1) - np.log(np.diag(root)).sum() - 0.5 * len(mean) * np.log(2.0 * np.pi)
    elbo = float((heights(draws) - log_q).mean())
    return Law(mean, root, elbo, draws) if np.isfinite(elbo) else None
