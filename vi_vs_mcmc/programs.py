"""Compiled programs and the memory maps they hold."""

from __future__ import annotations

from pathlib import Path

import jax

MAPS, LIMIT = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")


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
