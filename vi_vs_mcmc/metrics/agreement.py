"""Whether two samplers that share no code agree: z-scores of every mean and sd, by their Monte Carlo errors.

    z_mean = (mean_a - mean_b) / error,    z_sd = log(sd_a / sd_b) / error

with the errors of both posteriors in the denominator, as the table has them. If both are right, all |z| stay below the
simultaneous 95 % limit (Sidak) in 19 of 20 comparisons.

Source: Cook, Gelman and Rubin (2006) for the use; Sidak (1967), JASA 62.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .marginals import POINTWISE, simultaneous


def agreement(rows: pd.DataFrame, method: str) -> dict[str, Any] | None:
    """z-scores of one method's judged rows against the reference; None where nothing is judged.

    Args:
        rows: the comparison table.
        method: another sampler, judged like a method.

    Returns:
        The entry `agreement` of `summary.json`: other, rows, parameter, which, z, limit, passed.
    """
    own = rows.loc[(rows["method"] == method) & rows["judged"]]
    if own.empty:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        of_mean = 2 * POINTWISE * own["bias"].to_numpy() / (own["bias_high"] - own["bias_low"]).to_numpy()
        ratio = np.log(own["sd_ratio"].to_numpy())
        of_sd = 2 * POINTWISE * ratio / np.log((own["sd_ratio_high"] / own["sd_ratio_low"]).to_numpy())
    z = np.stack([of_mean, of_sd], 1)
    at, which = np.unravel_index(int(np.nanargmax(np.abs(z))), z.shape)
    limit = simultaneous(z.size)
    names = own["parameter"].tolist()
    return {
        "other": method,
        "rows": [
            {"parameter": p, "z_mean": float(m), "z_sd": float(s)}
            for p, m, s in zip(names, of_mean, of_sd, strict=True)
        ],
        "parameter": names[at],
        "which": ("mean", "sd")[which],
        "z": float(z[at, which]),
        "limit": limit,
        "passed": bool(np.abs(z[at, which]) <= limit),
    }
