"""Every metric of one method against the reference, as rows of `comparison.csv`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from vi_vs_mcmc.metrics import METRICS
from vi_vs_mcmc.metrics.health import Health
from vi_vs_mcmc.metrics.marginals import Marginals, limits, simultaneous
from vi_vs_mcmc.metrics.robust import robust_bias, robust_ratio, tail_index, tail_index_error

NO_VARIANCE = 0.5  # tail index from which on a law has none
SURE = 2.0  # standard errors of the tail index by which it must lie beyond
SAMPLE_OF_TAIL = 4_000  # draws that the tail index is read from, at most
QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
JUDGED_METRICS = ("sd_ratio", "bias")  # what a verdict looks at: their limits also come simultaneously


def rows(
    name: str, method: Marginals, reference: Marginals, judged: np.ndarray, heavy: np.ndarray, health: Health
) -> pd.DataFrame:
    """One row per distinct scalar: columns as in `comparison.csv`.

    Where the reference has no variance, `sd_ratio` is the ratio of the half-widths of the
    central 68 % and `bias` the distance of the medians in such half-widths; `scale` says so.

    `_low`, `_high` are pointwise 95 % Monte Carlo limits; `_lowest`, `_highest` hold for every judged sd and mean at once;
    `_own` is the share of their variance that the method's draws bring, not the reference's.

    Args:
        name: the method's.
        method: its marginals.
        reference: the reference's, in the same order of parameters.
        judged: (parameter,) bool, False where left out of the verdict.
        heavy: (parameter,) bool, where the reference has no variance: `heavy_tailed`.
        health: of the reference.
    """
    out = {
        "method": name,
        "parameter": method.parameters,
        "mean": method.mean,
        "sd": method.sd,
        "reference_mean": reference.mean,
        "reference_sd": reference.sd,
    }
    z = simultaneous(len(JUDGED_METRICS) * int(judged.sum()))
    together = {}
    with np.errstate(divide="ignore", invalid="ignore"):  # constant scalars divide by 0; they are not judged
        robust = {"sd_ratio": robust_ratio, "bias": robust_bias} if heavy.any() else {}
        for metric, measure in METRICS.items():
            found = measure(method, reference)
            if metric in robust:
                found = found.where(xr.DataArray(~heavy, dims="parameter"), robust[metric](method, reference))
            out[metric] = found["value"].values
            low, high = limits(found)
            if metric.startswith("coverage"):
                low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
            if np.isfinite(found["error"].values).any():
                out[f"{metric}_low"], out[f"{metric}_high"] = low, high
            if metric in JUDGED_METRICS:
                together[f"{metric}_lowest"], together[f"{metric}_highest"] = limits(found, z)
                together[f"{metric}_own"] = np.nan_to_num((found["own"] / found["error"]).values) ** 2
    out["wasserstein1"] = np.nan  # its place among the columns; `deeper` measures it, once
    for prefix, of in (("", method), ("reference_", reference)):
        for column, level in QUANTILES.items():
            out[prefix + column] = np.quantile(of.draws.values, level, axis=(0, 1))
    return pd.DataFrame(
        out
        | together
        | {
            "judged": judged,
            "scale": np.where(heavy, "central 68 %", "sd"),
            "reference_rhat": health.rhat,
            "reference_ess_bulk": health.ess_bulk,
            "reference_ess_tail": health.ess_tail,
        }
    )


def heavy_tailed(of: Marginals) -> np.ndarray:
    """Which scalars surely have no variance, (parameter,) bool: the Pareto shape of their tails is beyond NO_VARIANCE."""
    draws = of.draws.values
    step = max(1, -(-draws.shape[0] * draws.shape[1] // SAMPLE_OF_TAIL))
    index = tail_index(draws[:, ::step])
    error = tail_index_error(index, draws[:, ::step].shape[0] * draws[:, ::step].shape[1])
    return np.isfinite(index) & (index - SURE * error > NO_VARIANCE)
