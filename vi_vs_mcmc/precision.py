"""Everything compared runs in float64, whatever the caller's JAX is set to."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax


def in_float64[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` under `jax.enable_x64`; it must let no `jax.Array` out, which float32 code would truncate on use."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return wrapped
