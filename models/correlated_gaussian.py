r"""A Gaussian whose coordinates are equally correlated: the smallest model on which mean-field VI is wrong.

    x ~ N(0, Sigma),    Sigma_ii = 1,  Sigma_ij = rho

What is known: everything. Var[x_i] is 1 under p, and 1 / (Sigma^-1)_ii = (1 - rho)(1 + (n - 1) rho) / (1 + (n - 2) rho)
under the best factorised normal q, which is 1 - rho^2 in two dimensions; its means are right. A normal q with a full
covariance is the posterior itself.

Source: Bishop (2006), PRML, section 10.1.2; Turner and Sahani (2011), in Bayesian Time Series Models, chapter 5; Margossian
and Saul (2023), The shrinkage-delinkage trade-off, UAI.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array

from vi_vs_mcmc.errors import SettingError, real, whole
from vi_vs_mcmc.problem import Problem

LARGEST = 2000  # dimension: its covariance, and a sampler's mass matrix, are dense


def gaussian(covariance: Array) -> None:
    """A single site, nothing observed."""
    numpyro.sample("x", dist.MultivariateNormal(np.zeros(len(covariance)), covariance_matrix=covariance))


def correlated_gaussian(data: Any = None, *, dimension: int = 2, correlation: float = 0.9) -> Problem:
    """A Gaussian with equal correlations: what a factorised q loses is known exactly.

    Args:
        data: none; the posterior is the Gaussian itself.
        dimension: number of coordinates, 2 to 2000; default 2.
        correlation: of every pair of coordinates, above -1 / (dimension - 1) and below 1; default 0.9.

    Raises:
        SettingError: data, or a setting out of range.
    """
    if data is not None:
        raise SettingError("correlated_gaussian has no data: leave them out")
    size, rho = whole("dimension", dimension, 2, LARGEST), real("correlation", correlation)
    lowest = -1 / (size - 1)
    if not lowest < rho < 1:
        raise SettingError(f"correlation is {rho:g}; in {size} dimensions want more than {lowest:.4g} and less than 1")
    return Problem(
        gaussian,
        args=(np.where(np.eye(size, dtype=bool), 1.0, rho),),
        dims={"x": ("coordinate",)},
        name="correlated_gaussian",
        settings={"dimension": size, "correlation": rho},
        title=f"Gaussian in {size} dimensions, correlation {rho:g}",
        priors=f"x N(0, Sigma), unit variances, correlation {rho:g}",
    )
