"""The machine: what everything below ran on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ..peers import versions
from ..rows import Context, Row, Section
from ..timing import dgemm_rate, span
from ..worker import Worker

OURS = ("vi-vs-mcmc", "jax", "numpyro", "numpy", "scikit-learn", "arviz-stats")


def run(context: Context) -> Iterator[Row]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Row("Processor", f"{_processor()}, {cores} cores that may be used")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield Row("Memory", f"{memory:.0f} GiB")
    with Worker("ours") as ours:
        devices = ours("platforms")
    yield Row("Devices that JAX sees", "; ".join(f"{kind}: {name}" for kind, name in devices))
    size = context.pick(500, 2000)
    rates = [dgemm_rate(size, 5) for _ in range(5)]
    what = f"numpy's float64 matrix product, {size} square, best of 5, five times"
    yield Row(what, span(rates, "Gflop/s", 1e-9), numbers={"flops": float(np.median(rates))})
    packages = ", ".join(f"{name} {version(name)}" for name in OURS)
    yield Row("Versions", f"Python {platform.python_version()}, {packages}")
    other = versions(context.peers)
    if other:
        yield Row("The peers' environment", ", ".join(f"{name} {value}" for name, value in other.items()))
    else:
        yield Row("The peers' environment", f"not installed: {context.peers.reason}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names and names[0] != "unknown" else platform.machine()


SECTION = Section(
    "machine",
    0,
    "The machine",
    "What everything below ran on. The rate of numpy's matrix product is taken as the machine's limit.",
    run,
)
