"""What a generalised Pareto fit sees of a known law's tail: the truth that k-hat estimates from finitely many draws."""

import numpy as np
from scipy import optimize

PRIOR_DRAWS, PRIOR_CENTRE = 10, 0.5  # of the fit's prior on k


def tail_draws(size: int) -> int:
    """How many of the largest draws are fitted, for more than 225 independent draws."""
    return int(3 * np.sqrt(size))


def seen(isf, size: int) -> float:
    """The shape that is closest, in Kullback-Leibler divergence, to the law's excesses above its largest 3 / sqrt(size).

    Args:
        isf: the law's upper quantile, of a tail probability.
        size: draws.
    """
    share = tail_draws(size) / size
    node, weight = np.polynomial.legendre.leggauss(200)
    e = 10 * (node + 1)  # tail probability share exp(-e), e standard exponential, cut at 20
    weight = 10 * weight * np.exp(-e)
    x = isf(share * np.exp(-e)) - isf(share)

    def divergence(at):
        k, log_scale = at
        z = 1 + k * x / np.exp(log_scale)
        return weight @ (log_scale + (1 / k + 1) * np.log(z)) if (z > 0).all() else 1e9

    start = [0.3, np.log(x[len(x) // 2])]
    settings = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 4000}
    return float(optimize.minimize(divergence, start, method="Nelder-Mead", options=settings).x[0])


def with_prior(k: float, size: int) -> float:
    """What the fit's mean is then: its prior weighs as 10 draws of the tail."""
    number = tail_draws(size)
    return (number * k + PRIOR_DRAWS * PRIOR_CENTRE) / (number + PRIOR_DRAWS)


def error(k: float, size: int) -> float:
    """Standard error of a fitted shape (Smith 1987)."""
    return (1 + k) / np.sqrt(tail_draws(size))
