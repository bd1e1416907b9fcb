"""Location and scale that exist when means and variances do not: median, and half the central 68.27 % interval.

    h = (q_hi - q_lo) / 2,  hi, lo = Phi(1), Phi(-1)        the sd, for a normal law

A quantile has the influence function (p - [x <= q_p]) Q'(p), Q' = 1 / density the slope of the quantile function (van der
Vaart 1998, example 20.5), here from two quantiles .03 of probability to either side (Siddiqui 1960). h has the half
difference of two, so that the covariance of the two quantiles is counted, and ArviZ's effective size of the influence
itself carries the autocorrelation.

How to tell that a variance is missing: the generalised Pareto shape of a tail, 1 / nu for Student's t with nu degrees of
freedom. At 1 / 2 or more the law has no variance; at 1 / 4 or more its draws' variance has none, so that errors of an sd
cannot be trusted. All of this is meaningless for a scalar with few distinct values.

Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25(72), for the fit and
its prior; Smith (1987), Annals of Statistics 15, for its error.
"""

from __future__ import annotations

import numpy as np
from arviz_stats.base.array import array_stats
from scipy.stats import norm
from xarray import Dataset

from .marginals import Marginals, estimate

ENDS = (float(norm.cdf(-1.0)), float(norm.cdf(1.0)))
STEP = 0.03  # of probability; the slope's relative error, 1 / sqrt(2 STEP ESS), is 13 % at an ESS of 1000
FEW = 100  # draws below which a tail cannot be fitted


def robust_ratio(method: Marginals, reference: Marginals) -> Dataset:
    """h_method / h_reference by parameter, with the error of its logarithm; from draws, whatever closed forms there are."""
    (own, own_influence), (theirs, their_influence) = _half_width(method), _half_width(reference)
    error = method.error(own_influence / own)
    both = np.hypot(error, reference.error(their_influence / theirs))
    return estimate(method, own / theirs, both, own=error, log=True)


def robust_bias(method: Marginals, reference: Marginals) -> Dataset:
    """b = (median_method - median_reference) / h_reference by parameter.

    The reference's influence function is -(that of its median + b times that of h) / h.
    """
    own, own_influence = _quantile(method, 0.5)
    theirs, their_influence = _quantile(reference, 0.5)
    width, of_width = _half_width(reference)
    value = (own - theirs) / width
    error = method.error(own_influence / width)
    both = np.hypot(error, reference.error((their_influence + value * of_width) / width))
    return estimate(method, value, both, own=error)


def tail_index(draws: np.ndarray, efficiency: float | None = None) -> np.ndarray:
    """Generalised Pareto shape of the heavier tail of each scalar, (P,); nan where there is no tail to fit.

    No tail: fewer than 100 draws in all, a constant, tails of ties. The fit's prior weighs as 10 draws at .5 among the
    3 sqrt(n) or so in the tail; the larger of two like tails is high by .56 of one's error. Compare with a limit by
    `tail_index_error`, not alone.

    Args:
        draws: (chain, draw, P).
        efficiency: effective draws per draw; by default ArviZ's, in the tails, of draws from a chain.
    """
    if draws.shape[0] * draws.shape[1] < FEW:
        return np.full(draws.shape[-1], np.nan)
    return np.array([_heavier(draws[..., j], efficiency) for j in range(draws.shape[-1])])


def tail_index_error(index: np.ndarray, ess: np.ndarray | float) -> np.ndarray:
    """Standard error of a tail's fitted shape k, (1 + k) / sqrt(m), m = 3 sqrt(ess) the effective draws in the tail.

    Args:
        index: from `tail_index`.
        ess: effective draws; for a chain, in its tails.
    """
    return (1.0 + np.maximum(index, -0.5)) / np.sqrt(3.0 * np.sqrt(ess))


def _half_width(of: Marginals) -> tuple[np.ndarray, np.ndarray]:
    (low, of_low), (high, of_high) = (_quantile(of, p) for p in ENDS)
    return 0.5 * (high - low), 0.5 * (of_high - of_low)


def _quantile(of: Marginals, p: float) -> tuple[np.ndarray, np.ndarray]:
    """The quantile, (P,), and its influence function at each draw, (chain, draw, P)."""
    x = of.draws.values
    before, at, after = np.quantile(x, [p - STEP, p, p + STEP], axis=(0, 1))
    return at, (p - (x <= at)) * ((after - before) / (2.0 * STEP))


def _heavier(x: np.ndarray, efficiency: float | None) -> float:
    if not np.ptp(x) > 0:
        return float("nan")
    if efficiency is None:
        size = array_stats.ess(x, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95), relative=True)
        efficiency = float(np.asarray(size))
    left, right = (_shape(x, tail, efficiency) for tail in ("left", "right"))
    return float(np.fmax(left, right))


def _shape(x: np.ndarray, tail: str, efficiency: float) -> float:
    try:
        with np.errstate(all="ignore"):  # ArviZ also divides by the sum, which may be 0, for a result not used here
            shape = array_stats.pareto_khat(x, chain_axis=0, draw_axis=1, r_eff=efficiency, tail=tail)
    except ValueError:  # so ArviZ says that the whole tail is one value
        return float("nan")
    return float(np.asarray(shape))
