"""Compiled programs: how long they take to make, and the memory maps they hold."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import jax
from threadpoolctl import ThreadpoolController

from vi_vs_mcmc.errors import SettingError

SET = "xla_force_host_platform_device_count"  # by which `XLA_FLAGS` says how many devices a CPU is
MAPS, LIMIT = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")


def compile_quickly() -> None:
    """Ask XLA's CPU compiler for its first level of optimisation; to be called before the first array is made.

    The higher levels take half as long again to compile and gain nothing here: a pass over the data, NUTS and SVI ran as fast
    at the first level, and Gibbs faster. Nothing is changed where `XLA_FLAGS` is set, or where JAX has an accelerator's plugin.
    """
    if not entry_points(group="jax_plugins"):
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # see single_threaded_blas


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_every_core() -> None:
    """A CPU device for each core, so that one program passes over many rows on all of them; the command line does so itself.

    To be called before the first array is made. Nothing is changed where `JAX_NUM_CPU_DEVICES` or `XLA_FLAGS` says how many.

    Raises:
        SettingError: JAX has begun, with another number.
    """
    if jax.config.jax_num_cpu_devices >= 0 or SET in os.environ.get("XLA_FLAGS", ""):
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores())
    except RuntimeError as error:
        raise SettingError(
            "use_every_core() comes too late: JAX has begun with one CPU device; call it before any array is made"
        ) from error


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def single_threaded_blas() -> AbstractContextManager:
    """While this lasts, BLAS uses one thread.

    JAX factorises matrices on a CPU by OpenBLAS, whose threads go on spinning after each call and keep the cores from the
    pass over the data: at D = 32 a sweep took 97 ms with them and 59 without.
    """
    return _libraries().limit(limits=1, user_api="blas")


def make_room() -> bool:
    """Forget compiled programs once they hold half of the memory maps that the kernel allows this process.

    JAX keeps every program it compiles, and on a CPU each holds a dozen maps: data of twenty shapes in one process would
    come to Linux' usual limit of 65 530, where the compiler crashes. What is forgotten is compiled again when needed.

    Returns:
        Whether programs were forgotten; never so where the system shows no maps.
    """
    if not MAPS.exists() or not LIMIT.exists():
        return False
    with MAPS.open("rb") as lines:
        held = sum(1 for _ in lines)
    if held < int(LIMIT.read_text()) / 2:
        return False
    jax.clear_caches()
    return True
