"""Passes over the data: the ELBO and the coordinate-ascent map of any conjugate model, restarts side by side.

One pass gives ELBO(eta) and F(eta) together; `jax.vmap` over eta lets one pass serve all restarts. Rows are cut into
tiles so that no (rows, latent states) array is kept; padding repeats a real row with weight 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vi_vs_mcmc.conjugate import Conjugate, Natural, Rows
from vi_vs_mcmc.errors import SettingError

TILE = 4096  # rows of a tile, at most, and at least so many
LEAST = 128
CELLS = 2**15  # numbers that a tile's rows are expanded into: a quarter of what a core keeps in its own cache
LARGE = 2**26  # likewise on an accelerator, which wants much to do at once
DEVICES = "devices"  # the axis along which tiles are spread


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tiles:
    """Rows in tiles of equal size, each number of a row beside that of the next row: what runs along them reads in order.

    Columns that lie so in a file are tiles without a copy.
    """

    rows: Rows  # leaves (..., tiles, size)
    weight: Array  # (tiles, size), 0 for padding
    spread: bool = field(
        default=False, metadata={"static": True}
    )  # over devices: each has its own, and sums are added up


def inner(a: Natural, b: Natural) -> Array:
    """<a, b>: the sum of elementwise products over all leaves, ()."""
    return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, a, b)), jnp.zeros(()))


def side_by_side(function, *trees):
    """`function` of each entry along the leading axis of the trees; a single one needs no batched products."""
    if jax.tree.leaves(trees)[0].shape[0] > 1:
        return jax.vmap(function)(*trees)
    alone = function(*jax.tree.map(lambda leaf: leaf[0], trees))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], alone)


def tile_size(model: Conjugate, starts: int = 1) -> int:
    """Rows of a tile, a power of two: so many that what they are expanded into stays in cache.

    That is, to meet the coefficients, a number for each along their longest axis, and by meeting them, one for each along
    their last axis and of the starts that share a pass.
    """
    coefficients = jax.tree.leaves(jax.eval_shape(model.coefficients, model.prior))
    width = max(max((*leaf.shape, starts * leaf.shape[-1])) if leaf.ndim else starts for leaf in coefficients)
    cells, most = (CELLS, TILE) if jax.default_backend() == "cpu" else (LARGE, LARGE)
    return max(LEAST, min(most, 2 ** int(np.log2(cells / width))))


def tiled(model: Conjugate, count: Array | int | None = None, *, starts: int = 1, devices: int = 1) -> Tiles:
    """The rows of a model in tiles, as many for each of the devices; of the rows the first `count` count, or all."""
    total = jax.tree.leaves(model.rows)[0].shape[0]
    size = min(tile_size(model, starts), max(-(-total // devices), 1))
    number = -(-total // (size * devices)) * devices
    padding = number * size - total

    def cut(array: Array) -> Array:
        if padding:
            array = jnp.concatenate([array, jnp.repeat(array[:1], padding, 0)])
        return jnp.moveaxis(array, 0, -1).reshape(*array.shape[1:], number, size)

    weight = jnp.arange(number * size) < (total if count is None else count)
    return Tiles(jax.tree.map(cut, model.rows), weight.astype(float).reshape(number, size), devices > 1)


def in_float32(tiles: Tiles) -> Tiles:
    """The tiles in single precision: products take half the time, and a sum over one tile is known to six digits."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tiles)


def over_rows[T](function: Callable[[Rows, Array], T], zero: T, tiles: Tiles) -> T:
    """zero + the sum of `function(batch, weight)` over the tiles, and over devices where they are spread.

    A batch is the rows of one tile as a model takes them, leaves (size, ...), its weight (size,).
    """

    def body(sums: T, number: Array) -> tuple[T, None]:
        tile = jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, number, leaf.ndim - 2, False), tiles)
        batch = jax.tree.map(lambda array: jnp.moveaxis(array, -1, 0), tile.rows)
        return jax.tree.map(jnp.add, sums, function(batch, tile.weight)), None

    sums = jax.lax.scan(body, zero, jnp.arange(len(tiles.weight)))[0]
    return jax.lax.psum(sums, DEVICES) if tiles.spread else sums


def total(model: Conjugate, m: Natural, tiles: Tiles | None = None) -> tuple[Array, Natural]:
    """sum_n l_n(m) and its gradient, the expected statistics, in one pass over the tiles, or over all rows.

    A row sees m through its coefficients c(m), so that the slope in c is summed over rows and pulled back to m once.
    """
    coefficients, back = jax.vjp(model.coefficients, m)
    value, slope = summed(model, coefficients, tiled(model) if tiles is None else tiles)
    return value, back(slope)[0]


def summed(
    model: Conjugate, coefficients: Any, tiles: Tiles, encode: Callable[[Rows], Rows] = lambda rows: rows
) -> tuple[Array, Any]:
    """sum_n l_n and its slope in the coefficients, over the tiles: in their precision within a tile, in float64 over tiles.

    `encode` makes of a tile's rows what the model takes, where they are not so already.
    """
    seen = jax.tree.map(lambda leaf: leaf.astype(tiles.weight.dtype), coefficients)

    def weighted(seen: Any, batch: Rows, weight: Array) -> Array:
        return jnp.sum(weight * model.local(seen, encode(batch)))

    zero = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, coefficients))
    with jax.default_matmul_precision("highest"):  # an accelerator would multiply float32 with three digits
        return over_rows(lambda batch, weight: jax.value_and_grad(weighted)(seen, batch, weight), zero, tiles)


@jax.jit
def log_normaliser(model: Conjugate, eta: Natural) -> Array:
    """A(eta), (); traced once for all who differentiate it."""
    return model.log_normaliser(eta)


def bound_and_map(model: Conjugate, eta: Natural, tiles: Tiles | None = None) -> tuple[Array, Natural]:
    """(ELBO(eta), F(eta)). One pass over the data."""
    level, m = jax.value_and_grad(log_normaliser, argnums=1)(model, eta)
    return assembled(model, eta, level, m, *total(model, m, tiles))


def assembled(
    model: Conjugate, eta: Natural, log_normaliser: Array, m: Natural, local: Array, statistics: Natural
) -> tuple[Array, Natural]:
    """(ELBO(eta), F(eta)) from A(eta), its slope m and what a pass at m summed: the one place where both are written."""
    linked, tie = jax.value_and_grad(model.linked)(m)
    step = jax.tree.map(lambda e, p: e - p, eta, model.prior)
    elbo = log_normaliser - model.prior_log_normaliser - inner(step, m) + linked + local
    return elbo, jax.tree.map(lambda p, s, t: p + s + t, model.prior, statistics, tie)


def replaced(block: tuple[str, ...], eta: Natural, image: Natural, residual: Array) -> tuple[Array, Natural]:
    """The larger of `residual` and |image - eta| / (1 + |eta|) over a block of factors, and eta with the block's image."""
    for factor in block:
        moved = jax.tree.map(lambda f, e: jnp.max(jnp.abs(f - e) / (1.0 + jnp.abs(e))), image[factor], eta[factor])
        residual = jnp.max(jnp.stack([residual, *jax.tree.leaves(moved)]))
    return residual, {**eta, **{factor: image[factor] for factor in block}}


@jax.jit
def residual(model: Conjugate, eta: Natural) -> Array:
    """The largest |F(eta) - eta| / (1 + |eta|), ()."""
    return replaced(tuple(eta), eta, bound_and_map(model, eta)[1], jnp.zeros(()))[0]


def sweep(model: Conjugate, eta: Natural, tiles: Tiles | None = None) -> tuple[Array, Array, Natural]:
    """Update the blocks in turn: (ELBO(eta), residual, new eta); one pass for each block.

    The residual is the largest |F(eta) - eta| / (1 + |eta|), block by block.
    """
    elbo, residual = None, jnp.zeros(())
    for block in model.blocks:
        value, image = bound_and_map(model, eta, tiles)
        elbo = value if elbo is None else elbo
        residual, eta = replaced(block, eta, image, residual)
    if elbo is None:
        raise SettingError("a model without blocks of factors has nothing to fit")
    return elbo, residual, eta


@partial(jax.jit, static_argnames="number")
def starts(model: Conjugate, key: Array, number: int) -> Natural:
    """`number` random starts, leaves (number, ...)."""
    return jax.vmap(model.start)(jax.random.split(key, number))


def log_p(model: Conjugate, theta: dict[str, Array]) -> Array:
    """log p(x, theta), (), z summed out, with respect to the sites' own constrained coordinates."""
    m = model.sufficient(theta)
    return (
        total(model, m)[0] + inner(model.prior, m) + model.linked(m) - model.prior_log_normaliser + model.log_jacobian()
    )


def log_q(model: Conjugate, eta: Natural, theta: dict[str, Array]) -> Array:
    """log q(theta), (), with respect to the sites' own constrained coordinates."""
    return inner(eta, model.sufficient(theta)) - model.log_normaliser(eta) + model.log_jacobian()
