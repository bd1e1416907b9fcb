"""A pass over the rows by all cores, or by several devices: each sums its own share, and only the sums are put together."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vi_vs_mcmc import engine
from vi_vs_mcmc.conjugate import Conjugate

Device = Any  # a jax.Device
Part = tuple[Conjugate, engine.Tiles, Device]  # a model over its first row, its tiles, and where they are
WORTH = 2e6  # products of a row with a coefficient, in a pass; fewer are done before a second worker has begun


def workers() -> list[Device]:
    """The device of each worker: all that there are, or the only CPU once for each core."""
    devices = jax.local_devices()
    if len(devices) > 1 or devices[0].platform != "cpu":
        return devices
    return devices * (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@cache
def pool(number: int) -> ThreadPoolExecutor:
    """Threads for so many workers; what one thread asks of XLA's CPU runs one after the other."""
    return ThreadPoolExecutor(number, "pass")


@dataclass(frozen=True)
class Shards:
    """The rows in as many parts as there are workers."""

    parts: tuple[Part, ...]

    def __call__(self, coefficients: Any) -> tuple[np.ndarray, Any]:
        """sum_n l_n and its slope in the coefficients, leaves (R, ...); all workers at once."""
        sums = pool(len(self.parts)).map(lambda part: _sum(part, coefficients), self.parts)
        return jax.tree.map(lambda *each: sum(each[1:], each[0]), *sums)


def shards(model: Conjugate, starts: int) -> Shards | None:
    """The rows of a model over this process' workers; None where one is as good."""
    devices = workers()
    rows = len(jax.tree.leaves(model.rows)[0])
    products = (
        rows * starts * sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(model.coefficients, model.prior)))
    )
    if len(devices) == 1 or products < WORTH:
        return None
    size = engine.tile_size(model)
    each = -(-rows // len(devices) // size) * size  # parts of one shape: one compilation serves them all
    first = model.over(jax.tree.map(lambda leaf: leaf[:1], model.rows))
    parts = []
    for number, device in enumerate(devices):
        count = min(max(rows - number * each, 0), each)
        if count:
            own = jax.tree.map(lambda leaf, at=number * each, n=count: _filled(leaf[at : at + n], each), model.rows)
            parts.append((*jax.device_put((first, _tiled(model.over(own), count)), device), device))
    return Shards(tuple(parts))


def _sum(part: Part, coefficients: Any) -> tuple[np.ndarray, Any]:
    model, tiles, device = part
    with jax.enable_x64(True):  # a setting of each thread
        return jax.tree.map(np.asarray, _summed(model, jax.device_put(coefficients, device), tiles))


def _filled(rows: Array, size: int) -> Array:
    """`size` rows, the last ones copies of the first."""
    return jnp.concatenate([rows, jnp.repeat(rows[:1], size - len(rows), 0)])


@jax.jit
def _tiled(model: Conjugate, count: Array) -> engine.Tiles:
    return engine.tiled(model, count)


@jax.jit
def _summed(model: Conjugate, coefficients: Any, tiles: engine.Tiles) -> tuple[Array, Any]:
    return engine.side_by_side(lambda one: engine.summed(model, one, tiles), coefficients)
