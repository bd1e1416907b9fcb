"""The exact posterior of tiny data: a sum over every assignment of the local variables.

Given z the model is conjugate, so with S(z) = sum_n grad_m log p(x_n, z_n | theta)

    log p(x, z) = A(eta0 + S(z)) - log Z0 + sum_n log p(x_n, z_n | t = 0),    p(theta | x) = sum_z p(z | x) q(theta; eta0 + S(z))

and evidence, moments and draws follow by enumeration of all K^N values of z, to LIMIT.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from xarray import Dataset, DataTree

from vi_vs_mcmc import engine, posterior
from vi_vs_mcmc.call import unconstrain
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import stream

LIMIT = 2**20  # assignments
CHUNK = 4096  # of them side by side
BATCH = 500  # draws side by side


@dataclass(frozen=True)
class Exact:
    """Enumerate; no setting."""

    name = "exact"

    def suits(self, problem: Problem) -> Conjugate:
        """The structure that it works on; a SettingError where there is none, several blocks, a continuous z, too many rows."""
        model = problem.conjugate
        if model is None or len(model.blocks) > 1:
            raise SettingError(
                f"exact needs a conjugate structure in one block, and {problem.name!r} has no such thing; use nuts"
            )
        outcomes = jax.eval_shape(model.outcomes, model.rows)
        if outcomes is None:
            raise SettingError(
                f"exact sums over every value of the local variables, and those of {problem.name!r} are too many to list, or a "
                "continuum; use gibbs"
            )
        values, rows = jax.tree.leaves(outcomes)[0].shape[:2]
        if rows * np.log2(values) > np.log2(LIMIT):
            raise SettingError(
                f"exact sums over {values}^{rows} assignments; want {LIMIT} at most: fewer rows or components, or gibbs"
            )
        return model

    @in_float64
    def fit(self, problem: Problem, key: Array, *, chains: int, draws: int, progress=None) -> DataTree:
        """Sum over all assignments, then draw.

        Returns:
            posterior (chain, draw, *event), independent draws; attrs log_evidence, nats; variational/co_clustering, the
            probability that two rows share a component, where each has one; mean_*, sd_* where labels are not exchangeable.

        Raises:
            SettingError: no closed form, more than one block, a continuous z, or more than LIMIT assignments.
        """
        model = self.suits(problem)
        outcomes = model.outcomes(model.rows)
        values, rows = jax.tree.leaves(outcomes)[0].shape[:2]
        terms = _terms(model, outcomes)
        log_joint = _joined(lambda at: _log_joint(model, terms, at), values**rows, progress)
        log_evidence = float(np.logaddexp.reduce(log_joint))
        weight = np.exp(log_joint - log_evidence)
        key_z, key_theta = jax.random.split(stream(key, self.name))
        chosen = np.asarray(jax.random.choice(key_z, weight.size, (chains * draws,), p=jnp.asarray(weight)))
        theta, log_p = _drawn(problem, model, terms, chosen, key_theta)
        return posterior.build(
            problem,
            self,
            theta,
            chains=chains,
            status="ok",
            status_sentence=f"a sum over {values}^{rows} assignments",
            work=f"{values**rows} assignments",
            passes=1,
            sample_stats={"log_p": log_p, "log_q": log_p - log_evidence},
            variational=_variational(problem, model, terms, weight, labelled=jax.tree.leaves(outcomes)[0].ndim == 2),
            attrs={"log_evidence": log_evidence, "elbo": log_evidence, "closed_form": 1},
        )


@jax.jit
def _terms(model: Conjugate, outcomes) -> tuple[Natural, Array]:
    """Of each row and value: its statistics, leaves (rows, values, ...), and log p(x_n, z_n) at t = 0, (rows, values)."""
    zero = jax.tree.map(jnp.zeros_like, model.prior)

    def one(z, row):
        alone = jax.tree.map(lambda leaf: leaf[None], (z, row))
        value, slope = jax.value_and_grad(lambda m: model.complete(m, *alone)[0])(zero)
        return slope, value

    by_value = jax.vmap(one, in_axes=(0, None))
    return jax.vmap(by_value, in_axes=(1, 0))(outcomes, model.rows)


def _digits(terms, at: Array) -> Array:
    """Assignment number `at` as the value of each row, (rows,)."""
    rows, values = terms[1].shape
    return (at // values ** jnp.arange(rows)) % values


def _eta(model: Conjugate, terms, z: Array) -> tuple[Natural, Array]:
    """eta0 + S(z), and the sum of the constants."""
    statistics, constants = jax.tree.map(lambda leaf: leaf[jnp.arange(len(z)), z].sum(0), terms)
    return jax.tree.map(jnp.add, model.prior, statistics), constants


@jax.jit
def _log_joint(model: Conjugate, terms, at: Array) -> Array:
    """log p(x, z) of assignments `at`, (assignments,)."""

    def one(at: Array) -> Array:
        eta, constants = _eta(model, terms, _digits(terms, at))
        return model.log_normaliser(eta) - model.prior_log_normaliser + constants

    return jax.vmap(one)(at)


@jax.jit
def _weighted(model: Conjugate, terms, at: Array, weight: Array):
    """Sums over assignments of weight times: E[h], E[h^2] of each site, and whether two rows share a value."""

    def one(at: Array, weight: Array):
        z = _digits(terms, at)
        moments = model.moments(_eta(model, terms, z)[0])
        both = {site: (mean, variance + mean**2) for site, (mean, variance) in moments.items()}
        return jax.tree.map(lambda leaf: weight * leaf, (both, (z[:, None] == z[None]).astype(float)))

    return jax.tree.map(lambda leaf: leaf.sum(0), jax.vmap(one)(at, weight))


def _joined(of, number: int, progress=None) -> np.ndarray:
    """`of` every assignment, CHUNK by CHUNK."""
    parts = []
    for first in range(0, number, CHUNK):
        at = np.arange(first, first + CHUNK) % number  # the last chunk is filled up with the first assignments
        parts.append(np.asarray(of(at)))
        if progress is not None:
            progress(min(first + CHUNK, number), number)
    return np.concatenate(parts)[:number]


def _variational(problem: Problem, model: Conjugate, terms, weight: np.ndarray, *, labelled: bool) -> Dataset:
    """`labelled` says that a row's z is one label, so that two rows may share it; a path of a sequence is none."""
    total = None
    for first in range(0, weight.size, CHUNK):
        part = np.zeros(CHUNK)
        part[: weight[first : first + CHUNK].size] = weight[first : first + CHUNK]
        found = _weighted(model, terms, np.arange(first, first + CHUNK) % weight.size, part)
        total = found if total is None else jax.tree.map(jnp.add, total, found)
    assert total is not None  # noqa: S101 - there is at least one assignment
    moments, together = jax.tree.map(np.asarray, total)
    out = Dataset({"co_clustering": (("observation", "observation_2"), together)} if labelled else {})
    if problem.exchangeable is None:  # else a label means nothing, and neither does its mean
        means = {site: mean for site, (mean, _) in moments.items()}
        sds = {site: np.sqrt(np.maximum(square - mean**2, 0.0)) for site, (mean, square) in moments.items()}
        out = out.merge(posterior.dataset(problem, means, (), "mean_"))
        out = out.merge(posterior.dataset(problem, sds, (), "sd_"))
    return out


def _drawn(problem: Problem, model: Conjugate, terms, chosen: np.ndarray, key: Array):
    """A draw of theta for each chosen assignment, and log p of each on the unconstrained scale."""
    keys = jax.random.split(key, len(chosen))
    return jax.tree.map(np.asarray, _draw(model, terms, problem.supports, jnp.asarray(chosen), keys))


@jax.jit
def _draw(model: Conjugate, terms, supports: dict, chosen: Array, keys: Array):
    def one(pair):
        at, key = pair
        theta = model.draw(key, _eta(model, terms, _digits(terms, at))[0])
        return theta, engine.log_p(model, theta) + unconstrain(supports, theta)[1]

    return jax.lax.map(one, (chosen, keys), batch_size=BATCH)
