"""Random streams by name: whatever else is run beside it, a part of a run draws the same numbers from the same seed."""

from __future__ import annotations

import zlib

import jax
import numpy as np
from jax import Array

MODES = "modes"  # the search for modes, one for all methods of a run


def stream(key: Array, name: str) -> Array:
    """The run's key as one part of the run uses it."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def of_key(key: Array) -> bytes:
    """What tells a key from others."""
    return bytes(np.asarray(jax.random.key_data(key)))
