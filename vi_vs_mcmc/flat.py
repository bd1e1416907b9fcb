"""Draws as rows of unconstrained coordinates u, and sites and log densities from such rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array
from xarray import DataTree

from vi_vs_mcmc.call import Call, unconstrain
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

BATCH = 2000  # draws that one call of a compiled function takes
ABREAST = 500  # of those whose log p is computed side by side, at most
CELLS = 2**22  # rows of data times draws abreast: a model may keep a few numbers for each


def in_batches[T, R](function: Callable[[T], R], arrays: T, size: int = BATCH) -> R:
    """A function of rows, `size` rows at a time: one compilation serves any number of them.

    Args:
        function: from a tree of leaves (size, ...) to a tree of leaves (size, ...), row by row.
        arrays: leaves (rows, ...); the last batch is filled up with the first row.
        size: of a batch.
    """
    count = len(jax.tree.leaves(arrays)[0])
    padded = jax.tree.map(lambda leaf: np.concatenate([leaf, np.repeat(leaf[:1], -count % size, 0)]), arrays)
    parts = [
        jax.tree.map(np.asarray, function(jax.tree.map(lambda leaf, at=at: leaf[at : at + size], padded)))
        for at in range(0, count, size)
    ]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)


@jax.jit
def unconstrained(supports: dict, theta: dict[str, Array]) -> dict[str, Array]:
    """Unconstrained coordinates of draws, leaves (draws, ...)."""
    return jax.vmap(lambda t: unconstrain(supports, t)[0])(theta)


@in_float64
def rows(problem: Problem, theta: Mapping[str, np.ndarray]) -> np.ndarray:
    """u of each draw, (draws, U), in the order of the problem's latent sites; `theta` has leaves (draws, ...)."""
    latent = {name: theta[name] for name in problem.latent}
    u = in_batches(partial(unconstrained, problem.supports), latent)
    return np.concatenate([np.reshape(u[name], (len(u[name]), -1)) for name in problem.latent], 1)


def of_tree(problem: Problem, tree: DataTree) -> np.ndarray:
    """u of a posterior's draws, (chain, draw, U)."""
    group = tree["posterior"].to_dataset()
    sites = {name: group[name].transpose("chain", "draw", ...).values for name in problem.latent}
    flat = rows(problem, {name: value.reshape(-1, *value.shape[2:]) for name, value in sites.items()})
    return flat.reshape(group.sizes["chain"], group.sizes["draw"], -1)


@in_float64
def evaluated(problem: Problem, u: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Sites on their constrained scale, leaves (draws, ...), and log p(x, theta) with respect to u, (draws,).

    Args:
        problem: whose joint density it is.
        u: rows of coordinates, (draws, U).
    """
    call, arrays = problem.bound
    shapes = coordinate_shapes(problem)
    ends = np.cumsum([int(np.prod(shape)) for _, shape in shapes])
    parts = np.split(u, ends[:-1], 1)
    leaves = {name: part.reshape(len(u), *shape) for (name, shape), part in zip(shapes, parts, strict=True)}
    return in_batches(partial(_evaluated, call, arrays), leaves)


def coordinate_shapes(problem: Problem) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names and shapes of u, in the order of the latent sites."""
    values = {name: jax.ShapeDtypeStruct(site.shape, float) for name, site in problem.latent.items()}
    shapes = jax.eval_shape(lambda theta: unconstrain(problem.supports, theta)[0], values)
    return tuple((name, shapes[name].shape) for name in problem.latent)


def abreast(arrays: Any, most: int = ABREAST) -> int:
    """How many draws' log p to compute side by side: fewer the longer the data are, from the shapes of `arrays` alone."""
    longest = max((leaf.shape[0] for leaf in jax.tree.leaves(arrays) if np.ndim(leaf)), default=1)
    return int(np.clip(CELLS // max(longest, 1), 1, most))


@partial(jax.jit, static_argnums=0)
def _evaluated(call: Call, arrays, u: dict[str, Array]):
    one = lambda x: (call.constrain(arrays, x), call.log_density(arrays, x))
    return jax.lax.map(one, u, batch_size=abreast(arrays))


def systematic(weight: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Indices in ascending order, (number,), of draws taken in proportion to their weights: each floor or ceil(number w) times.

    Source: Douc, Cappe and Moulines (2005), Comparison of resampling schemes for particle filtering.
    """
    total = np.cumsum(weight)
    points = (np.arange(number) + rng.random()) / number
    return np.minimum(np.searchsorted(total / total[-1], points, side="right"), len(weight) - 1)
