"""What a row enters the mixture's log density by, component by component: f(x) = [1, x, vech(x x')], rows side by side."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array


def features(x: Array) -> Array:
    """f(x) of each row of (N, D) as a column: (1 + D + D (D + 1) / 2, N); sums over rows run in memory order."""
    row, column = np.tril_indices(x.shape[1])
    with_one = jnp.concatenate([jnp.ones_like(x[:, :1].T), x.T])
    left, right = np.r_[: len(with_one), row + 1], np.r_[np.zeros(len(with_one), int), column + 1]
    return with_one[left] * with_one[right]
