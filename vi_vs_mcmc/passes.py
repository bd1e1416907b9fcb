"""A pass over the rows by all cores, or by several devices: each sums its own share, and only the sums are put together."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from vi_vs_mcmc import engine
from vi_vs_mcmc.conjugate import Conjugate, Natural

Device = Any  # a jax.Device
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
    """The rows in as many parts as there are workers: a model over each part, its device, and how many rows count."""

    parts: tuple[tuple[Conjugate, Device, int], ...]

    def __call__(self, m: Natural) -> tuple[Array, Natural]:
        """sum_n l_n(m) and its gradient for each m, leaves (R, ...); all workers at once."""
        home = self.parts[0][1]
        sums = pool(len(self.parts)).map(lambda part: _sum(part[0], part[1], part[2], m, home), self.parts)
        return jax.tree.map(lambda *each: sum(each[1:], each[0]), *sums)


def shards(model: Conjugate, starts: int) -> Shards | None:
    """The rows of a model over this process' workers; None where one is as good."""
    devices = workers()
    rows = len(jax.tree.leaves(model.rows)[0])
    shapes = jax.eval_shape(model.coefficients, model.prior)
    products = rows * starts * sum(leaf.size for leaf in jax.tree.leaves(shapes))
    if len(devices) == 1 or products < WORTH:
        return None
    size = engine.tile_size(shapes)
    each = -(-rows // len(devices) // size) * size  # whole tiles: nothing is padded at each pass
    parts = []
    for number, device in enumerate(devices):
        count = min(max(rows - number * each, 0), each)
        if count:
            own = jax.tree.map(lambda leaf, at=number * each, n=count: _filled(leaf[at : at + n], each), model.rows)
            parts.append((jax.device_put(model.over(own), device), device, count))
    return Shards(tuple(parts))


def _sum(model: Conjugate, device: Device, count: int, m: Natural, home: Device) -> tuple[Array, Natural]:
    with jax.enable_x64(True):  # a setting of each thread
        found = _total(model, jax.device_put(m, device), count)
        return jax.block_until_ready(jax.device_put(found, home))


def _filled(rows: Array, size: int) -> Array:
    """`size` rows, the last ones copies of the first."""
    return jnp.concatenate([rows, jnp.repeat(rows[:1], size - len(rows), 0)])


@jax.jit
def _total(model: Conjugate, m: Natural, count: Array) -> tuple[Array, Natural]:
    return engine.side_by_side(lambda one: engine.total(model, one, count), m)
