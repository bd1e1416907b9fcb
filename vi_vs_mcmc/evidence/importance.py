r"""The log evidence by importance sampling.

Where the model has a closed form the proposal is a mixture, all of whose parts are in the one exponential family:

    q(theta) = sum_c w_c q(theta; eta_c)

some on the paths from the prior to each optimum of coordinate ascent, eta0 + s (eta - eta0), s in STEPS; some complete-data
posteriors eta0 + S(z), z from short Gibbs chains, whose average over all z is the posterior itself. The shares w are
learned from pilot draws. The part of a proper prior gives the ratios p / q a finite variance: p / q is at most the likelihood
over its share, which has every moment under a normal-Wishart prior. So their standard error can be believed, as it can where
ratios have a light tail (k-hat below HEAVY): a method's own, those of linear response often do, or those of a proposal that the
prior is no part of, because it ties the factors of q.

Source: Hesterberg (1995), Weighted average importance sampling and defensive mixture distributions, Technometrics 37; Cappe
et al. (2008), Adaptive importance sampling in general mixture classes, Statistics and Computing 18.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from scipy.special import logsumexp
from xarray import DataTree

from vi_vs_mcmc import engine
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.evidence.estimate import Estimate
from vi_vs_mcmc.evidence.places import in_place, log_labels, order, permuted
from vi_vs_mcmc.flat import in_batches
from vi_vs_mcmc.labels import Pivot
from vi_vs_mcmc.methods.cavi import Optima, thetas
from vi_vs_mcmc.methods.gibbs import conditional, sweep
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.psis import smoothed

STEPS = (1.0, 0.85, 0.7, 0.5, 0.35, 0.2, 0.1, 0.05, 0.0)  # along the path from the prior, 0, to the optimum, 1
NEGLIGIBLE = 1e-3  # ELBO weight below which an optimum has no part in the proposal
MOST = 8  # optima in it
CHAINS, FEWEST, SWEEPS = 256, 32, 50  # of Gibbs, most and fewest: each gives one complete-data posterior
VISITS = 1_000_000  # rows that all chains together visit in a sweep, about
SOFTER = (0.9, 0.7, 0.5, 0.3, 0.15)  # shares of S(z) that count in it: softer than p, so that no weight is far out
PILOT, PILOTS = 2_000, 3  # draws, and rounds of them, that the shares are learned from
FLOOR = 0.5  # of the proposals is shared out evenly, whatever was learned
PROPOSALS = 10_000
HEAVY = 0.5  # k-hat from which ratios have no variance, and their mean no error that could be stated
FEW = 8  # draws of a part that its labels' order is read from
BATCH = 500


class Mixture(NamedTuple):
    """The proposal's parts; their flattened eta and A are at hand as numbers."""

    eta: Natural  # leaves (parts, ...)
    flat: np.ndarray  # (parts, P)
    log_normaliser: np.ndarray  # (parts,)
    order: np.ndarray | None  # (parts, K): which of a part's labels stands at each place of the pivot


@in_float64
def importance(
    problem: Problem, optima: Optima, key: Array, pivot: Pivot | None = None, proposals: int = PROPOSALS
) -> Estimate:
    """The log evidence by importance sampling from a mixture of complete-data posteriors and of paths from the prior.

    Its error is infinite where no proposal is in place.

    Args:
        problem: with a closed form.
        optima: of coordinate ascent.
        key: of the proposals.
        pivot: what each label looks like; needed where labels are exchangeable.
        proposals: how many.

    Raises:
        SettingError: the problem has no closed-form structure.
    """
    model = problem.conjugate
    if model is None:
        raise SettingError(f"{problem.name!r} has no closed form to propose from; bridge sampling needs none")
    key_parts, *keys = jax.random.split(key, 2 + PILOTS)
    mixture = _mixture(problem, model, optima, key_parts, pivot)
    number = len(mixture.flat)
    share = np.full(number, 1.0 / number)
    for key_pilot in keys[:-1]:
        share = _improved(share, *_proposed(problem, model, mixture, share, key_pilot, PILOT, pivot))
    density, log_p = _proposed(problem, model, mixture, share, keys[-1], proposals, pivot)
    log_weight = log_p - np.asarray(logsumexp(density + np.log(share), axis=1))
    found = _mean(log_weight)
    if not _prior_is_a_part(model):  # then nothing bounds the ratios, and their own tail must tell
        tail = smoothed(log_weight[np.isfinite(log_weight)])
        found = found if tail is not None and tail.khat < HEAVY else (found[0], float("inf"), found[2])
    sentence = f"{found[2]} of a mixture of {number} conjugate posteriors"
    return Estimate(found[0] + log_labels(problem), found[1], "importance", sentence)


@in_float64
def reweighted(problem: Problem, tree: DataTree, shape: float, pivot: Pivot | None = None) -> Estimate | None:
    """The log evidence from a method's own draws, labels aligned; None without `log_q`, or where k-hat says that it has no error.

    Its error is infinite where no draw is in place.

    Args:
        problem: what was fitted.
        tree: with `log_p` of every draw, and `log_q` where it is known.
        shape: k-hat of its ratios.
        pivot: what each label looks like; needed where labels are exchangeable.
    """
    stats, group = tree["sample_stats"].to_dataset(), tree["posterior"].to_dataset()
    if not shape < HEAVY or "log_q" not in stats:
        return None
    theta = {str(n): group[n].values.reshape(-1, *group[n].shape[2:]) for n in group.data_vars}
    log_weight = (stats["log_p"] - stats["log_q"]).values.ravel()
    found = _mean(np.where(in_place(problem, theta, pivot), log_weight, -np.inf))
    return Estimate(found[0] + log_labels(problem), found[1], "importance", f"{found[2]} of {tree.attrs['method']}")


def _mixture(problem: Problem, model: Conjugate, optima: Optima, key: Array, pivot: Pivot | None) -> Mixture:
    """Paths from the prior to the optima that count, and complete-data posteriors of short Gibbs chains from them."""
    at = optima.distinct()[:MOST]
    at = at[np.exp(optima.ascent.elbo[at] - optima.ascent.elbo[0]) >= NEGLIGIBLE]
    steps = STEPS if _prior_is_a_part(model) else STEPS[:-1]
    paths = _paths(model, jax.tree.map(lambda leaf: jnp.asarray(leaf[at]), optima.eta), jnp.array(steps))
    ends = len(at) * len(steps)
    number = int(np.clip(VISITS // jax.tree.leaves(model.rows)[0].shape[0], FEWEST, CHAINS))
    from_path = np.resize(np.arange(ends), number)  # wide starts, too: another mode may be found
    key_starts, key_chains, key_order = jax.random.split(key, 3)
    starts = thetas(model, paths, from_path, key_starts)
    chains = _complete(model, starts, jax.random.split(key_chains, number), jnp.array(SOFTER))
    eta = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), paths, chains)
    flat, log_normaliser = jax.tree.map(np.asarray, _numbers(model, eta))
    if pivot is None:
        return Mixture(eta, flat, log_normaliser, None)
    # a path has the labels of its optimum; a chain may have changed its own
    heads = [*np.arange(0, ends, len(steps)), *np.arange(ends, len(flat), len(SOFTER))]
    found = order(problem, pivot, thetas(model, eta, np.repeat(heads, FEW), key_order), FEW)
    each = [len(steps)] * len(at) + [len(SOFTER)] * number
    return Mixture(eta, flat, log_normaliser, np.repeat(found, each, 0))


def _prior_is_a_part(model: Conjugate) -> bool:
    """Whether the prior is proper, and in q's family."""
    return bool(np.isfinite(float(model.log_normaliser(model.prior))))


def _proposed(problem, model, mixture: Mixture, share, key, number: int, pivot) -> tuple[np.ndarray, np.ndarray]:
    """log q of `number` draws of the mixture under each of its parts, (draws, parts), and log p; -inf out of place.

    The draws are shared out in proportion, so that their mean has no more variance than that of independent ones.
    """
    counts = np.diff(np.floor(np.cumsum(np.r_[0.0, share]) * number + 0.5).astype(int))
    index = np.repeat(np.arange(len(share)), counts)
    drawn = thetas(model, mixture.eta, index, key)
    kinds, kind = (np.zeros((1, 1), int), np.zeros(len(share), int))
    if mixture.order is not None:
        kinds, kind = np.unique(mixture.order, axis=0, return_inverse=True)
        own = kind[index]
        moved = [permuted(problem, drawn, one) for one in kinds]
        drawn = {n: np.stack([m[n] for m in moved])[own, np.arange(len(own))] for n in drawn}
    density = np.empty((len(index), len(share)))
    for k, one in enumerate(kinds):
        back = permuted(problem, drawn, None if mixture.order is None else np.argsort(one))
        statistics = in_batches(partial(_statistics, model), back, BATCH)
        density[:, kind == k] = statistics @ mixture.flat[kind == k].T - mixture.log_normaliser[kind == k]
    density += float(model.log_jacobian())
    log_p = np.where(in_place(problem, drawn, pivot), in_batches(partial(_log_p, model), drawn, BATCH), -np.inf)
    return density, log_p


def _improved(share: np.ndarray, density: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """Shares that bring the mixture nearer to p, by one step of EM on the weighted draws; FLOOR stays shared out evenly."""
    log_mix = np.asarray(logsumexp(density + np.log(share), axis=1))
    ratio = log_p - log_mix
    weight = np.exp(ratio - ratio.max())
    new = (weight / weight.sum()) @ np.exp(density + np.log(share) - np.expand_dims(log_mix, 1))
    return (1.0 - FLOOR) * new + FLOOR / len(share)


@jax.jit
def _paths(model: Conjugate, optima: Natural, steps: Array) -> Natural:
    """eta0 + s (eta - eta0) at each step from each optimum, leaves (optima x steps, ...)."""
    along = lambda eta: jax.vmap(lambda s: jax.tree.map(lambda e, p: p + s * (e - p), eta, model.prior))(steps)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), jax.vmap(along)(optima))


@jax.jit
def _complete(model: Conjugate, start: dict[str, Array], keys: Array, shares: Array) -> Natural:
    """eta0 + share S(z) at the local variables z that a short Gibbs chain ends at, leaves (chains x shares, ...)."""

    def one(pair):
        theta, key = pair
        key_last, key_sweeps = jax.random.split(key)
        m = model.sufficient(theta)
        m = jax.lax.scan(lambda m, k: (sweep(model, k, m)[0], None), m, jax.random.split(key_sweeps, SWEEPS))[0]
        z = model.draw_local(key_last, m, model.rows)
        blocks = [conditional(model, block, m, z) for block in model.blocks]
        return {factor: leaf for block in blocks for factor, leaf in block.items()}

    full = jax.lax.map(one, (start, keys), batch_size=8)
    soften = lambda e, p: p + shares.reshape(-1, *[1] * p.ndim) * (e[:, None] - p)
    return jax.tree.map(lambda e, p: soften(e, p).reshape(-1, *p.shape), full, model.prior)


@jax.jit
def _numbers(model: Conjugate, eta: Natural) -> tuple[Array, Array]:
    """Flattened eta (parts, P) and A (parts,)."""
    return jax.vmap(lambda e: ravel_pytree(e)[0])(eta), jax.vmap(model.log_normaliser)(eta)


@jax.jit
def _log_p(model: Conjugate, theta: dict[str, Array]) -> Array:
    return jax.vmap(partial(engine.log_p, model))(theta)


@jax.jit
def _statistics(model: Conjugate, theta: dict[str, Array]) -> Array:
    """t of each draw, (draws, P)."""
    return jax.vmap(lambda t: ravel_pytree(model.sufficient(t))[0])(theta)


def _mean(log_weight: np.ndarray) -> tuple[float, float, str]:
    """log of the mean weight, its standard error, and how many draws it is worth."""
    top = log_weight.max()
    if not top > -np.inf:
        return float("-inf"), float("inf"), f"{log_weight.size} draws, none of them in place,"
    w = np.exp(log_weight - top)
    error = w.std(ddof=1) / w.mean() / np.sqrt(w.size)
    effective = w.sum() ** 2 / (w**2).sum()
    return float(top + np.log(w.mean())), float(error), f"{w.size} draws, {effective:.0f} of them effective,"
