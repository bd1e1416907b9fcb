"""What a row enters the mixture's log density by, component by component: f(x) = [1, x, vech(x x')], rows side by side."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array


def feature_columns(x: Array) -> Array:
    """[1, x, vech(x x')] of each row of (N, D) as a column: (1 + D + D (D + 1) / 2, N); sums over rows run in memory order."""
    dimension = x.shape[1]
    row, column = np.tril_indices(dimension)
    with_one = jnp.concatenate([jnp.ones_like(x[:, :1]), x], 1).T
    left, right = np.r_[0 : dimension + 1, row + 1], np.r_[np.zeros(dimension + 1, int), column + 1]
    return with_one[left] * with_one[right]
