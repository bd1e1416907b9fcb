"""Every metric of one method against the reference, as rows of `comparison.csv`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vi_vs_mcmc.metrics import METRICS
from vi_vs_mcmc.metrics.health import Health
from vi_vs_mcmc.metrics.marginals import Marginals, limits, simultaneous

QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
JUDGED_METRICS = ("sd_ratio", "bias")  # what a verdict looks at: their limits also come simultaneously


def rows(name: str, method: Marginals, reference: Marginals, judged: np.ndarray, health: Health) -> pd.DataFrame:
    """One row per distinct scalar: columns as in `comparison.csv`.

    `_low`, `_high` are pointwise 95 % Monte Carlo limits; `_lowest`, `_highest` hold for every judged sd and mean at once.

    Args:
        name: the method's.
        method: its marginals.
        reference: the reference's, in the same order of parameters.
        judged: (parameter,) bool, False where left out of the verdict.
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
        for metric, measure in METRICS.items():
            found = measure(method, reference)
            out[metric] = found["value"].values
            low, high = limits(found)
            if metric.startswith("coverage"):
                low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
            if np.isfinite(found["error"].values).any():
                out[f"{metric}_low"], out[f"{metric}_high"] = low, high
            if metric in JUDGED_METRICS:
                together[f"{metric}_lowest"], together[f"{metric}_highest"] = limits(found, z)
    for prefix, of in (("", method), ("reference_", reference)):
        for column, level in QUANTILES.items():
            out[prefix + column] = np.quantile(of.draws.values, level, axis=(0, 1))
    return pd.DataFrame(
        out
        | together
        | {
            "judged": judged,
            "reference_rhat": health.rhat,
            "reference_ess_bulk": health.ess_bulk,
            "reference_ess_tail": health.ess_tail,
        }
    )
