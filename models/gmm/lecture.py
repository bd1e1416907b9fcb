"""The lecture's data: 500 points from three Gaussians, seed 42, one choice and one draw a point."""

from __future__ import annotations

import numpy as np

WEIGHTS = np.array([0.3, 0.4, 0.3])
MEANS = np.array([[0.0, 0.0], [3.0, 3.0], [0.0, 4.0]])
COVARIANCES = np.array([[[0.5, 0.2], [0.2, 0.5]], [[0.8, -0.1], [-0.1, 0.8]], [[0.6, 0.3], [0.3, 0.6]]])


def lecture_data(rows: int = 500, seed: int = 42) -> np.ndarray:
    """Rows (rows, 2). NumPy's legacy generator, so that these are the lecture's very points."""
    generator = np.random.RandomState(seed)
    points = []
    for _ in range(rows):
        k = generator.choice(len(WEIGHTS), p=WEIGHTS)
        points.append(generator.multivariate_normal(MEANS[k], COVARIANCES[k]))
    return np.array(points)
