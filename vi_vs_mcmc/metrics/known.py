"""A posterior beside means and sds that are known, such as a reference posterior's: how far off, in Monte Carlo errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from vi_vs_mcmc.errors import DataError
from vi_vs_mcmc.metrics.marginals import Marginals


class Summary(Protocol):
    """What is known of one scalar; errors are 0 where it is exact."""

    @property
    def mean(self) -> float: ...
    @property
    def sd(self) -> float: ...
    @property
    def mcse_mean(self) -> float: ...
    @property
    def mcse_sd(self) -> float: ...


def against_known(of: Marginals, known: Mapping[str, Summary]) -> pd.DataFrame:
    """One row for each scalar: parameter, mean, known_mean, mean_z, sd, known_sd, sd_ratio, sd_z.

    `mean_z` is (mean - known_mean) over the root of both squared errors, `sd_z` likewise; `sd_ratio` is sd / known_sd.

    Args:
        of: the marginals of a posterior.
        known: what is known, by the same labels.

    Raises:
        DataError: the two do not have the same scalars.
    """
    if odd := set(known) ^ set(of.parameters):
        where = "what is known" if min(odd) in known else "the posterior"
        raise DataError(f"only {where} has {min(odd)!r}; want the same scalars in both")
    column = lambda name: np.array([getattr(known[label], name) for label in of.parameters], float)
    mean, sd = column("mean"), column("sd")
    own_mean = np.where(of.exact, 0.0, of.error(of.draws.values - of.mean))
    own_sd = np.where(of.exact, 0.0, of.error(0.5 * of.sd * (of.standardised() ** 2 - 1.0)))
    return pd.DataFrame(
        {
            "parameter": of.parameters,
            "mean": of.mean,
            "known_mean": mean,
            "mean_z": (of.mean - mean) / np.hypot(own_mean, column("mcse_mean")),
            "sd": of.sd,
            "known_sd": sd,
            "sd_ratio": of.sd / sd,
            "sd_z": (of.sd - sd) / np.hypot(own_sd, column("mcse_sd")),
        }
    )
