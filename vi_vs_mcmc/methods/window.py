"""A window of an optimiser's averaged iterates, and whether its halves agree."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np


@dataclass(frozen=True)
class Window:
    """What a stretch of iterates, averaged, says of q."""

    location: np.ndarray  # (starts, P)
    log_scale: np.ndarray  # (starts, P)
    rhat: float
    elbo: float
    noise: float  # standard error of elbo


def split_rhat(means: list, squares: list, starts: int) -> float:
    """The largest split R-hat over parameters and starts, from block means and mean squares: two halves of the window."""
    half = len(means) // 2
    if half == 0:
        return float("inf")  # one block has no halves
    flat = lambda trees: np.stack(
        [np.concatenate([np.reshape(v, (starts, -1)) for v in jax.tree.leaves(t)], 1) for t in trees]
    )
    mean, square = flat(means), flat(squares)
    halves = np.stack([mean[:half].mean(0), mean[half:].mean(0)])
    variance = np.stack([square[:half].mean(0), square[half:].mean(0)]) - halves**2
    within, between = variance.mean(0), halves.var(0, ddof=1)
    ratio = between / np.where(within > 0, within, np.inf)
    return float(np.sqrt(1.0 + ratio.max()))
