"""A pass over the rows by all devices: each sums its own share in one program, and only the sums travel."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from vi_vs_mcmc import engine
from vi_vs_mcmc.conjugate import Conjugate
from vi_vs_mcmc.programs import cores

WORTH = 2e6  # products of a row with a coefficient, in a pass; fewer are done before a second device has begun


def laid_out(model: Conjugate, starts: int) -> tuple[Conjugate, engine.Tiles]:
    """The model and its rows in tiles; where a pass is worth it, over all devices of this process, and the model over one row."""
    rows = len(jax.tree.leaves(model.rows)[0])
    coefficients = jax.tree.leaves(jax.eval_shape(model.coefficients, model.prior))
    much = rows * starts * sum(leaf.size for leaf in coefficients) >= WORTH
    if much:
        tell_of_one_core(rows)
    tiles = _tiled(model, starts, len(jax.local_devices()) if much else 1)
    if not tiles.spread:
        return model, tiles
    where = jax.tree.map(lambda spec: NamedSharding(_mesh(), spec), _of_tiles(tiles))
    return model.over(jax.tree.map(lambda leaf: leaf[:1], model.rows)), jax.device_put(tiles, where)


def tell_of_one_core(rows: int) -> None:
    """A warning where passes over so many rows will leave cores idle."""
    devices = jax.local_devices()
    if devices[0].platform == "cpu" and len(devices) == 1 < cores():
        warnings.warn(
            f"passes over {rows} rows will use one of {cores()} cores, for JAX began with one device: call "
            "vi_vs_mcmc.use_every_core() before anything is computed",
            stacklevel=3,
        )


def over_tiles[R](function: Callable[..., R], tiles: engine.Tiles, *same: Any) -> R:
    """`function(tiles, *same)`; where tiles are spread, by every device with its own, and all must come to the same."""
    return _everywhere(function, tiles, _of_tiles(tiles), P(), same) if tiles.spread else function(tiles, *same)


def apart[R](function: Callable[..., R], shares: Any, *same: Any) -> R:
    """`function(share, *same)` by every device with its part of the leading axes of `shares`; results along leading axes."""
    return _everywhere(function, shares, P(engine.DEVICES), P(engine.DEVICES), same)


def _everywhere(function: Callable[..., Any], shares: Any, into: Any, out: P, same: tuple[Any, ...]) -> Any:
    specs = (into, *(P() for _ in same))
    return jax.shard_map(function, mesh=_mesh(), in_specs=specs, out_specs=out, check_vma=False)(shares, *same)


def _of_tiles(tiles: engine.Tiles) -> Any:
    return jax.tree.map(lambda leaf: P(*[None] * (leaf.ndim - 2), engine.DEVICES), tiles)


def placed(parts: Sequence[np.ndarray]) -> Array:
    """Arrays of one shape, one for each device, as one array with its leading axis over the devices."""
    each = [jax.device_put(part[None], device) for part, device in zip(parts, jax.local_devices(), strict=True)]
    where = NamedSharding(_mesh(), P(engine.DEVICES))
    return jax.make_array_from_single_device_arrays((len(parts), *parts[0].shape), where, each)


@cache
def _mesh() -> Mesh:
    return Mesh(np.array(jax.local_devices()), (engine.DEVICES,))


@partial(jax.jit, static_argnums=(1, 2))
def _tiled(model: Conjugate, starts: int, devices: int) -> engine.Tiles:
    return engine.tiled(model, starts=starts, devices=devices)
