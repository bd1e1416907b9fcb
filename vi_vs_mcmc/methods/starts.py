"""Where chains and optimisers start: at the modes that coordinate ascent finds, else uphill from random points."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vi_vs_mcmc.call import Call, unconstrain
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.coordinates import AsTheyAre, Standardised
from vi_vs_mcmc.errors import NumericalError
from vi_vs_mcmc.flat import coordinate_shapes
from vi_vs_mcmc.methods import newton, path
from vi_vs_mcmc.methods.cavi import CAVI
from vi_vs_mcmc.methods.target import LogDensity, Shape, Target, shape_of, tree_of
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import of_key, stream

TRIES = 100  # random starts tried for each chain of a model without a closed form
CLOUD = 500  # draws of q that its sds are read from
NEGLIGIBLE = 0.05  # ELBO weight below which a mode gets no chain


class Starts(NamedTuple):
    """Where to begin."""

    points: dict[str, Array]  # leaves (number, ...)
    target: Target  # the density in their coordinates
    roots: np.ndarray | None  # (number, P, P), of the covariance around each; None where coordinates are in its units


@in_float64
def starting_points(
    problem: Problem, key: Array, number: int, restarts: int, name: str, *, aligned: bool = False
) -> Starts:
    """Starting points, and coordinates in units of what is known of the posterior's sds.

    With a closed form: draws of q at the modes found, and coordinates in units of q's sds, rounder or, with `aligned`,
    along the program's own unconstrained axes; a mode gets chains in proportion to the softmax of the ELBOs of the distinct
    optima. Else each climbs from a random point, and starts at a draw of the normal law that fits best on its way; where none
    does, it stays at the random point.
    """
    if problem.conjugate is None:
        return _by_climbing(problem, stream(key, "climbs"), number)
    modes, best = modes_of_chains(problem, key, number, restarts)
    points, units = _from_q(problem.conjugate, problem.supports, modes, best, stream(key, name), aligned=aligned)
    return Starts(points, Target.of(problem, units), None)


def starting_rows(
    problem: Problem, key: Array, number: int, restarts: int, name: str
) -> tuple[np.ndarray, Shape, Target]:
    """Starting points along the program's own axes as rows (number, P), what a row holds, and the target.

    Raises:
        NumericalError: none has a finite density.
    """
    starts = starting_points(problem, key, number, restarts, f"{name} start", aligned=True)
    shape = shape_of(coordinate_shapes(problem))
    rows = np.concatenate([np.reshape(starts.points[coordinate], (number, -1)) for coordinate, _ in shape], 1)
    rows = rows[np.isfinite(rows).all(1)]
    if not len(rows):
        raise NumericalError(f"{name}: log p is not finite at any of the starts; check the data and the prior")
    return rows, shape, starts.target


def random_rows(problem: Problem, key: Array, number: int) -> tuple[np.ndarray, Shape, Target]:
    """Random points in the program's own coordinates as rows (number, P), what a row holds, and the target."""
    target, shapes = Target.of(problem, AsTheyAre()), coordinate_shapes(problem)
    points = [_best_of(target.call, shapes, target.arrays, own) for own in jax.random.split(key, number)]
    shape = shape_of(shapes)
    return np.stack([np.concatenate([np.ravel(point[name]) for name, _ in shape]) for point in points]), shape, target


def modes_of_chains(problem: Problem, key: Array, chains: int, restarts: int) -> tuple[Natural, Natural]:
    """eta of the mode that each chain starts at, leaves (chains, ...), and of the best."""
    optima = CAVI(restarts=restarts).search(problem, key)
    chosen = optima.allocate(chains, NEGLIGIBLE)
    of_chains = jax.tree.map(lambda leaf: jnp.asarray(leaf[chosen]), optima.eta)
    return of_chains, jax.tree.map(jnp.asarray, optima.best())


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


def _by_climbing(problem: Problem, key: Array, number: int) -> Starts:
    """Each at its own law, with a spread of its own, so that chains which do not meet show it."""
    target = Target.of(problem, AsTheyAre())
    found = _climbed(problem, target, key, number)
    shape = shape_of(coordinate_shapes(problem))
    trees = lambda many: {
        name: jnp.stack([tree_of(shape, jnp.asarray(one))[name] for one in many]) for name, _ in shape
    }
    best = max((law for _, law in found if law is not None), key=lambda law: law.elbo, default=None)
    if best is None:
        return Starts(trees([row for row, _ in found]), target, None)
    sds = np.linalg.norm(best.root, axis=1)
    points, roots = [], []
    for i, (row, law) in enumerate(found):
        own = law if np.isfinite(row).all() else best
        points.append(((row if own is None else own.draws[i % path.DRAWS]) - best.mean) / sds)
        roots.append(np.eye(row.size) if own is None else own.root / sds[:, None])
    centre, scale = ({name: leaf[0] for name, leaf in trees([of]).items()} for of in (best.mean, sds))
    units = Standardised(AsTheyAre(), centre, scale)
    return Starts(trees(points), replace(target, coordinates=units), np.stack(roots))


def _climbed(problem: Problem, target: Target, key: Array, number: int) -> list[tuple[np.ndarray, path.Law | None]]:
    """Random points (P,), not a number where all tries have no density, and the law found uphill of each.

    All methods of a run share them.
    """
    shapes = coordinate_shapes(problem)
    shape = shape_of(shapes)
    log_density = LogDensity(shape)

    def slope(row: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = newton.slope(log_density, target, None, 1, row)
        return float(value), np.asarray(gradient)

    def climbed(own: Array) -> tuple[np.ndarray, path.Law | None]:
        point = _best_of(target.call, shapes, target.arrays, own)
        row = np.concatenate([np.ravel(point[name]) for name, _ in shape])
        if not np.isfinite(slope(row)[0]):
            return row * np.nan, None
        if row.size > path.LARGEST:
            return row, None
        noise = np.asarray(jax.random.normal(jax.random.fold_in(own, 1), (path.DRAWS, row.size)))
        return row, path.climb(slope, lambda rows: np.asarray(_heights(log_density, target, rows)), row, noise)

    keys = [jax.random.fold_in(key, i) for i in range(number)]
    return [problem.memory.once(("climb", of_key(own)), lambda own=own: climbed(own)) for own in keys]


@partial(jax.jit, static_argnums=0)
def _heights(log_density: LogDensity, target: Target, rows: Array) -> Array:
    return jax.vmap(lambda row: log_density(target, None, row))(rows)


@partial(jax.jit, static_argnums=(0, 1))
def _best_of(call: Call, sizes: tuple, arrays, key: Array) -> dict[str, Array]:
    """The best of TRIES uniform points on (-2, 2), by log density: most are far from all mass."""

    def point(key: Array) -> dict[str, Array]:
        parts = jax.random.split(key, len(sizes))
        return {
            n: jax.random.uniform(k, shape, minval=-2.0, maxval=2.0) for k, (n, shape) in zip(parts, sizes, strict=True)
        }

    points = jax.vmap(point)(jax.random.split(key, TRIES))
    density = jax.vmap(lambda u: call.log_density(arrays, u))(points)
    best = jnp.argmax(jnp.where(jnp.isnan(density), -jnp.inf, density))
    return jax.tree.map(lambda leaf: leaf[best], points)
