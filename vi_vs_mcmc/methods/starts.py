"""Where chains and optimisers start: at the modes that coordinate ascent finds, else at the best of many random points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.distributions import biject_to

from vi_vs_mcmc.conjugate import Conjugate, Coordinates, Natural
from vi_vs_mcmc.flat import unconstrained
from vi_vs_mcmc.methods.cavi import CAVI, thetas
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Call, Problem, unconstrain
from vi_vs_mcmc.streams import MODES, stream

TRIES = 100  # random starts tried for each chain of a model without a closed form
CLOUD = 500  # draws of q that its sds are read from
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


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Standardised:
    """w = (v - centre) / scale: coordinates v in units of q's sds, so that no unit of the data slows the warm-up."""

    inner: Coordinates
    centre: dict[str, Array]
    scale: dict[str, Array]

    def to_program(self, w: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """u, and log|du / dw|, ()."""
        u, log_det = self.inner.to_program({name: self.centre[name] + self.scale[name] * w[name] for name in w})
        return u, log_det + jnp.sum(jnp.stack([jnp.log(scale).sum() for scale in self.scale.values()]))

    def from_program(self, u: Mapping[str, Array]) -> dict[str, Array]:
        """w from u."""
        v = self.inner.from_program(u)
        return {name: (v[name] - self.centre[name]) / self.scale[name] for name in v}


@partial(
    jax.tree_util.register_dataclass, data_fields=["arrays", "supports", "coordinates"], meta_fields=["call", "batch"]
)
@dataclass(frozen=True)
class Target:
    """The posterior's density in the coordinates w that chains and guides move in."""

    call: Call
    arrays: Sequence[Any]
    supports: dict
    batch: tuple[tuple[str, int], ...]  # of each latent site: how many leading dimensions count its independent copies
    coordinates: Coordinates

    @classmethod
    def of(cls, problem: Problem, coordinates: Coordinates) -> Target:
        """The target of a problem's posterior."""
        batch = tuple((name, len(site.shape) - site.event_dim) for name, site in problem.latent.items())
        return cls(*problem.bound, problem.supports, batch, coordinates)

    def log_density(self, w: Mapping[str, Array]) -> Array:
        """log p(x, theta) with respect to w, ()."""
        u, log_det = self.coordinates.to_program(w)
        return self.call.log_density(self.arrays, u) + log_det

    def log_volume(self, w: Mapping[str, Array]) -> Array:
        """log|d theta / dw|, (): what `log_density` adds to the density of the constrained sites."""
        u, log_det = self.coordinates.to_program(w)
        transforms = {name: biject_to(support) for name, support in self.supports.items()}
        each = [t.log_abs_det_jacobian(u[name], t(u[name])).sum() for name, t in transforms.items()]
        return sum(each, log_det)

    def sites(self, w: Mapping[str, Array]) -> dict[str, Array]:
        """Latent and deterministic sites on their constrained scale."""
        return self.call.constrain(self.arrays, self.coordinates.to_program(w)[0])


@in_float64
def starting_points(
    problem: Problem, key: Array, chains: int, restarts: int, name: str, *, aligned: bool = False
) -> tuple[dict[str, Array], Target]:
    """Starting points, leaves (chains, ...), and the density in the coordinates that they are in.

    With a closed form: draws of q at the modes found, and coordinates in units of q's sds, rounder or, with `aligned`,
    along the program's own unconstrained axes; a mode gets chains in proportion to the softmax of the ELBOs of the distinct
    optima. Else random points, and the program's coordinates.
    """
    if problem.conjugate is None:
        return _random_starts(problem, stream(key, name), chains), Target.of(problem, AsTheyAre())
    modes, best = modes_of_chains(problem.conjugate, key, chains, restarts)
    index = np.r_[np.arange(chains), np.zeros(CLOUD, int)]
    theta = thetas(problem.conjugate, modes, index, stream(key, name))
    u = unconstrained(problem.supports, {name: theta[name] for name in problem.latent})
    first, cloud = ({name: u[name][part] for name in u} for part in (slice(chains), slice(chains, None)))
    inner = AsTheyAre() if aligned else problem.conjugate.coordinates(best)
    start, units = _standardised(inner, cloud, first)
    return start, Target.of(problem, units)


def modes_of_chains(model: Conjugate, key: Array, chains: int, restarts: int) -> tuple[Natural, Natural]:
    """eta of the mode that each chain starts at, leaves (chains, ...), and of the best."""
    optima = CAVI(restarts=restarts).optima(model, stream(key, MODES))
    chosen = optima.allocate(chains, NEGLIGIBLE)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[chosen]), optima.eta), jax.tree.map(jnp.asarray, optima.best())


@jax.jit
def _standardised(
    inner: Coordinates, u: dict[str, Array], points: dict[str, Array]
) -> tuple[dict[str, Array], Standardised]:
    """Points in units of the sds of draws u, and those units; leaves of both (draws, ...)."""
    v = jax.vmap(inner.from_program)(u)
    units = Standardised(inner, jax.tree.map(lambda leaf: leaf.mean(0), v), jax.tree.map(lambda leaf: leaf.std(0), v))
    return jax.vmap(units.from_program)(points), units


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
