"""How often a component owns at least one row: an empty one follows its prior, and is not what a comparison is about."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from xarray import DataTree

from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

OCCUPIED = 0.95  # share of draws in which a component must own a row to be judged
DRAWS = 400  # posterior draws looked at
BATCH = 20


@in_float64
def occupancy(problem: Problem, tree: DataTree) -> np.ndarray | None:
    """Posterior probability that component k owns a row: the mean over draws of 1 - prod_n (1 - r_nk), (K,).

    None for a model without responsibilities.
    """
    found = _over_draws(problem, tree, None)
    return None if found is None else found[0]


@in_float64
def mean_responsibilities(problem: Problem, tree: DataTree, rows: np.ndarray) -> np.ndarray | None:
    """E[r_nk] over posterior draws for the given rows, (rows, K); None for a model without responsibilities."""
    found = _over_draws(problem, tree, rows)
    return None if found is None else found[1]


def _over_draws(problem: Problem, tree: DataTree, rows: np.ndarray | None):
    model: Any = problem.conjugate
    if problem.table is None or not hasattr(model, "responsibilities"):
        return None
    posterior = tree["posterior"].to_dataset()
    flat = {name: posterior[name].values.reshape(-1, *posterior[name].shape[2:]) for name in problem.latent}
    at = np.linspace(0, len(next(iter(flat.values()))) - 1, DRAWS).astype(int)
    x = problem.table.values if rows is None else rows
    return jax.tree.map(np.asarray, _run(model, {name: value[at] for name, value in flat.items()}, jnp.asarray(x)))


@jax.jit
def _run(model: Any, theta: dict[str, Array], x: Array) -> tuple[Array, Array]:
    def one(draw):
        r = model.responsibilities(draw, x)
        return 1.0 - jnp.exp(jnp.log1p(-jnp.minimum(r, 1.0 - 1e-15)).sum(0)), r

    def add(carry, draws):
        owned, r = jax.vmap(one)(draws)
        return (carry[0] + owned.sum(0), carry[1] + r.sum(0)), None

    count = jax.tree.leaves(theta)[0].shape[0]
    components = theta["weights"].shape[-1]
    batches = jax.tree.map(lambda leaf: leaf.reshape(count // BATCH, BATCH, *leaf.shape[1:]), theta)
    zero = (jnp.zeros(components), jnp.zeros((x.shape[0], components)))
    owned, r = jax.lax.scan(add, zero, batches)[0]
    return owned / count, r / count
