"""Where chains and optimisers start: at the modes that coordinate ascent finds, else at the best of many random points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from vi_vs_mcmc.conjugate import Coordinates
from vi_vs_mcmc.methods.cavi import CAVI, drawn
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Call, Problem, unconstrain
from vi_vs_mcmc.streams import MODES, stream

TRIES = 100  # random starts tried for each chain of a model without a closed form
NEGLIGIBLE = 0.05  # ELBO weight below which a mode gets no chain


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AsTheyAre:
    """The program's own coordinates."""

    def to_program(self, v: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """v itself."""
        return dict(v), jnp.zeros(())

    def from_program(self, u: Mapping[str, Array]) -> dict[str, Array]:
        """u itself."""
        return dict(u)


@in_float64
def starting_points(
    problem: Problem, key: Array, chains: int, restarts: int, name: str
) -> tuple[dict[str, Array], Coordinates]:
    """Unconstrained starting points, leaves (chains, ...), and coordinates to move in.

    With a closed form: draws of q at the modes found, and coordinates that q makes round; a mode gets chains in
    proportion to the softmax of the ELBOs of the distinct optima. Else random points, and the program's coordinates.
    """
    if problem.conjugate is None:
        return _random_starts(problem, stream(key, name), chains), AsTheyAre()
    optima = CAVI(restarts=restarts).optima(problem.conjugate, stream(key, MODES))
    chosen = optima.allocate(chains, NEGLIGIBLE)
    keys = jax.random.split(stream(key, name), chains)
    points = []
    for chain, mode in enumerate(chosen):
        eta = jax.tree.map(lambda leaf, mode=mode: jnp.asarray(leaf[mode]), optima.eta)
        theta = drawn(problem.conjugate, eta, keys[chain], 1, problem.supports)[0]
        points.append(unconstrain(problem.supports, {name: theta[name][0] for name in problem.latent})[0])
    coordinates = problem.conjugate.coordinates(jax.tree.map(jnp.asarray, optima.best()))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *points), coordinates


def _random_starts(problem: Problem, key: Array, number: int) -> dict[str, Array]:
    """The best of TRIES uniform points on (-2, 2) for each start, by log density: most are far from all mass."""
    call, arrays = problem.bound
    zeros = {name: jnp.zeros(problem.all_sites[name].shape) for name in problem.latent}
    shapes = jax.eval_shape(lambda: unconstrain(problem.supports, zeros)[0])
    sizes = tuple((name, shape.shape) for name, shape in shapes.items())
    return _best_of(call, sizes, arrays, jax.random.split(key, number))


@partial(jax.jit, static_argnums=(0, 1))
def _best_of(call: Call, sizes: tuple, arrays, keys: Array) -> dict[str, Array]:
    def point(key: Array) -> dict[str, Array]:
        parts = jax.random.split(key, len(sizes))
        return {
            n: jax.random.uniform(k, shape, minval=-2.0, maxval=2.0) for k, (n, shape) in zip(parts, sizes, strict=True)
        }

    def one(key: Array) -> dict[str, Array]:
        points = jax.vmap(point)(jax.random.split(key, TRIES))
        density = jax.vmap(lambda u: call.log_density(arrays, u))(points)
        best = jnp.argmax(jnp.where(jnp.isnan(density), -jnp.inf, density))
        return jax.tree.map(lambda leaf: leaf[best], points)

    return jax.vmap(one)(keys)
