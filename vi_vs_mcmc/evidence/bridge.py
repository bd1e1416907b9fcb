r"""The log evidence by bridge sampling from a reference's own draws, for any model.

A normal g is fitted to half of each chain's draws in unconstrained coordinates; the other half, and draws of g, are joined by
the optimal bridge, the fixed point of

    r = mean_g[l / (s1 l + s2 r)] / mean_p[1 / (s1 l + s2 r)],    l = p(x, u) / g(u)

with s1, s2 the shares of effective draws.

Source: Meng and Wong (1996), Statistica Sinica 6; Gronau et al. (2017), A tutorial on bridge sampling, J. Math. Psychology 81;
its relative error, Fruehwirth-Schnatter (2004), Econometrics Journal 7.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from arviz_stats.base.array import array_stats
from jax import Array
from scipy.stats import multivariate_normal
from xarray import DataTree

from vi_vs_mcmc import flat
from vi_vs_mcmc.evidence.estimate import Estimate
from vi_vs_mcmc.evidence.places import in_place, log_labels
from vi_vs_mcmc.labels import Pivot
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

BRIDGED = 4_000  # reference draws at most that the bridge stands on
ROUNDS = 1000


@in_float64
def bridge(problem: Problem, tree: DataTree, key: Array, pivot: Pivot | None = None) -> Estimate | None:
    """The log evidence by bridge sampling from a reference's draws, labels aligned.

    Args:
        problem: whose joint density is bridged.
        tree: draws that passed their checks.
        key: of the normal's draws.
        pivot: what each label looks like; needed where labels are exchangeable.

    Returns:
        None where the draws are too few to fit a normal, none of its own reaches the posterior, or the iteration does not end.
    """
    u = flat.of_tree(problem, tree)
    half = u.shape[1] // 2
    fitted = u[:, :half].reshape(-1, u.shape[2])
    step = max(1, -(-u.shape[0] * (u.shape[1] - half) // BRIDGED))
    kept = u[:, half::step]
    covariance: Any = np.atleast_2d(np.cov(fitted.T))
    try:
        normal: Any = multivariate_normal(fitted.mean(0), covariance)
    except np.linalg.LinAlgError:  # fewer draws than coordinates, or coordinates that determine one another
        return None
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    number = kept.shape[0] * kept.shape[1]
    proposed = np.atleast_2d(normal.rvs(number, random_state=generator)).reshape(number, -1)
    theta, log_p = flat.evaluated(problem, np.concatenate([kept.reshape(number, -1), proposed]))
    ratio = log_p - normal.logpdf(np.concatenate([kept.reshape(number, -1), proposed]))
    ratio = np.where(np.isfinite(log_p), ratio, -np.inf)
    inside = in_place(problem, {name: value[number:] for name, value in theta.items()}, pivot)
    mine, theirs = ratio[:number], np.where(inside, ratio[number:], -np.inf)
    value, error = _bridged(mine.reshape(kept.shape[:2]), theirs)
    if not np.isfinite(error):
        return None
    sentence = f"{number} draws of the reference, {number} of a normal"
    return Estimate(value + log_labels(problem), error, "bridge", sentence)


def _bridged(mine: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Meng and Wong's optimal bridge and its relative error, from log p - log g.

    Args:
        mine: at the posterior's draws, (chain, draw).
        theirs: at g's draws, (proposals,); where none of them has weight, or ROUNDS do not suffice, the error is infinite.
    """
    top = float(np.median(mine))
    effective = float(np.clip(array_stats.ess(mine, chain_axis=0, draw_axis=1, method="mean"), 1.0, mine.size))
    share = effective / (effective + theirs.size)
    a, b = np.exp(np.clip(mine - top, -500, 500)), np.exp(np.minimum(theirs - top, 500))
    if b.max() < np.finfo(float).tiny:  # no draw of g reaches the posterior: nothing is bridged
        return float("-inf"), float("inf")
    r = 1.0
    for _ in range(ROUNDS):
        before = r
        r = np.mean(b / (share * b + (1 - share) * r)) / np.mean(1.0 / (share * a + (1 - share) * r))
        if abs(r - before) <= 1e-12 * r:
            break
    else:
        return float("-inf"), float("inf")
    own = b / (share * b + (1 - share) * r)
    posterior_side = 1.0 / (share * a + (1 - share) * r)
    own = own / own.max()
    spread = np.var(own) / np.mean(own) ** 2 / theirs.size
    length = float(np.clip(array_stats.ess(posterior_side, chain_axis=0, draw_axis=1, method="mean"), 1.0, mine.size))
    spread += np.var(posterior_side) / np.mean(posterior_side) ** 2 / length
    return float(top + np.log(r)), float(np.sqrt(spread))
