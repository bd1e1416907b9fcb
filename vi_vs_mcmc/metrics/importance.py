"""k-hat: how heavy the tail of the importance ratios p / q is. Source: Vehtari et al. (2024), Pareto smoothed IS, JMLR 25."""

from __future__ import annotations

import numpy as np
from arviz_stats.base.array import array_stats
from xarray import Dataset, DataTree

FEW = 100  # draws below which a tail cannot be fitted


def khat(tree: DataTree) -> tuple[float, float] | None:
    """The generalised Pareto shape of the largest ratios and the threshold min(1 - 1 / log10 S, 0.7).

    None where the method has no density: no `log_p` and `log_q` in `sample_stats`.
    """
    stats = tree["sample_stats"].to_dataset() if "sample_stats" in tree.children else Dataset()
    if not {"log_p", "log_q"} <= set(stats.data_vars):
        return None
    log_ratio = (stats["log_p"] - stats["log_q"]).values.ravel()
    if log_ratio.size < FEW or not np.isfinite(log_ratio).all() or not np.ptp(log_ratio) > 0:
        return None
    shape = float(array_stats.psislw(-log_ratio)[1])  # ArviZ takes negative log ratios
    return shape, float(min(1.0 - 1.0 / np.log10(log_ratio.size), 0.7))
