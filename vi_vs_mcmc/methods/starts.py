"""Where chains and optimisers start: at the modes that coordinate ascent finds, else at the best of many random points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from numpyro.distributions import biject_to
from numpyro.infer.util import log_density

from vi_vs_mcmc.conjugate import Conjugate, Coordinates, Natural
from vi_vs_mcmc.methods.cavi import CAVI
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Call, Problem, unconstrain
from vi_vs_mcmc.streams import stream

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

    def to_sites(self, w: Mapping[str, Array]) -> tuple[dict[str, Array], Array] | None:
        """theta, and log|d theta / dw|, (), where the inner coordinates know a short way there."""
        to_sites = getattr(self.inner, "to_sites", None)
        if to_sites is None:
            return None
        theta, log_det = to_sites({name: self.centre[name] + self.scale[name] * w[name] for name in w})
        return theta, log_det + jnp.sum(jnp.stack([jnp.log(scale).sum() for scale in self.scale.values()]))

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
        short = self.coordinates.to_sites(w) if isinstance(self.coordinates, Standardised) else None
        if short is not None:
            args, kwargs = self.call.arguments(self.arrays)
            return log_density(self.call.program, args, kwargs, short[0])[0] + short[1]
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
) -> tuple[dict[str, Array], Target, float]:
    """Starting points, leaves (chains, ...), the density in their coordinates, and seconds saved by an earlier search.

    With a closed form: draws of q at the modes found, and coordinates in units of q's sds, rounder or, with `aligned`,
    along the program's own unconstrained axes; a mode gets chains in proportion to the softmax of the ELBOs of the distinct
    optima. Else random points, and the program's coordinates.
    """
    if problem.conjugate is None:
        return _random_starts(problem, stream(key, name), chains), Target.of(problem, AsTheyAre()), 0.0
    modes, best, saved = modes_of_chains(problem, key, chains, restarts)
    start, units = _from_q(problem.conjugate, problem.supports, modes, best, stream(key, name), aligned=aligned)
    return start, Target.of(problem, units), saved


def modes_of_chains(problem: Problem, key: Array, chains: int, restarts: int) -> tuple[Natural, Natural, float]:
    """eta of the mode that each chain starts at, leaves (chains, ...), of the best, and seconds saved by an earlier search."""
    optima = CAVI(restarts=restarts).search(problem, key)
    chosen = optima.allocate(chains, NEGLIGIBLE)
    of_chains = jax.tree.map(lambda leaf: jnp.asarray(leaf[chosen]), optima.eta)
    return of_chains, jax.tree.map(jnp.asarray, optima.best()), optima.saved


@partial(jax.jit, static_argnames="aligned")
def _from_q(
    model: Conjugate, supports: dict, modes: Natural, best: Natural, key: Array, *, aligned: bool
) -> tuple[dict[str, Array], Standardised]:
    """A draw at each chain's mode, leaves (chains, ...), in units of the sds of CLOUD draws at the best; and those units."""
    inner = AsTheyAre() if aligned else model.coordinates(best)

    def drawn(key: Array, eta: Natural) -> dict[str, Array]:
        return unconstrain(supports, model.draw(key, eta))[0]

    chains = len(jax.tree.leaves(modes)[0])
    eta = jax.tree.map(lambda one, a: jnp.concatenate([a, jnp.broadcast_to(one, (CLOUD, *one.shape))]), best, modes)
    u = jax.vmap(drawn)(jax.random.split(key, chains + CLOUD), eta)  # in one go: a sampler of gammas is long to compile
    cloud = jax.vmap(inner.from_program)(jax.tree.map(lambda leaf: leaf[chains:], u))
    units = Standardised(inner, *(jax.tree.map(lambda leaf, of=of: of(leaf, 0), cloud) for of in (jnp.mean, jnp.std)))
    return jax.vmap(units.from_program)(jax.tree.map(lambda leaf: leaf[:chains], u)), units


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
