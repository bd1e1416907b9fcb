"""The data that all contenders get."""

from __future__ import annotations

import numpy as np


def clusters(rows: int, columns: int, components: int, *, apart: float = 2.0, seed: int = 0) -> np.ndarray:
    """Rows (N, D) of `components` normals of unit scale and random shape, whose centres are N(0, apart^2)."""
    rng = np.random.default_rng(seed)
    centres = apart * rng.normal(size=(components, columns))
    roots = np.eye(columns) + 0.3 * rng.normal(size=(components, columns, columns)) / np.sqrt(columns)
    label = rng.integers(components, size=rows)
    noise = rng.normal(size=(rows, columns))
    out = np.empty((rows, columns))
    for k in range(components):
        own = label == k
        out[own] = centres[k] + noise[own] @ roots[k].T
    return out


def overlapping(rows: int, separation: float, seed: int = 0) -> np.ndarray:
    """Rows (N, 2) of three normals, neighbours about `separation` sds apart; their shapes differ, which tells them apart.

    Sds along (x, y): (1, 1), (0.7, 1.3), (1.3, 0.7); weights 0.3, 0.4, 0.3; centres (-s, 0), (0, s / 2), (s, 0).
    """
    rng = np.random.default_rng(seed)
    s = separation
    centres = np.array([[-s, 0.0], [0.0, 0.5 * s], [s, 0.0]])
    sds = np.array([[1.0, 1.0], [0.7, 1.3], [1.3, 0.7]])
    label = rng.choice(3, size=rows, p=[0.3, 0.4, 0.3])
    return centres[label] + sds[label] * rng.normal(size=(rows, 2))
