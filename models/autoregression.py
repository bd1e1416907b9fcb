r"""Autoregression: each value of a series by the ones before it, with a noise that is not known.

    y_t ~ N(intercept + sum_k coefficients_k y_{t-k}, noise^2),   t = K + 1, ..., T, given the first K
    p(intercept, coefficients, noise) = 1 / noise

y is the series less its mean. The built-in one is the level of Lake Huron, in feet, from 1875 to 1972.

Given the first K values it is a regression. With rows z_t = (1, y_{t-1}, ..., y_{t-K}), n of them, p = K + 1, the
least-squares b and the sum s of its squared residuals,

    (intercept, coefficients) ~ Student t(n - p; b, s / (n - p) (Z'Z)^-1),    s / noise^2 ~ chi2(n - p)

What is known: all of it: intercept and coefficients are Student t, and the noise is scaled chi. Neighbouring coefficients are
strongly tied: of Lake Huron's two, a q that factorises has .55 of the sds.

Source: Gelman et al. (2013), Bayesian Data Analysis, section 14.2 (the posterior); Brockwell and Davis (1991), Time Series:
Theory and Methods, appendix A (the series, of the United States government's, in the public domain).
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array

from vi_vs_mcmc import data as tables
from vi_vs_mcmc.errors import DataError
from vi_vs_mcmc.problem import Problem

from ._design import column as position
from ._settings import how_many

FEET = (  # above sea level, 1875 to 1972, less 570
    *(10.38, 11.86, 10.97, 10.80, 9.79, 10.39, 10.42, 10.82, 11.40, 11.32, 11.44, 11.68, 11.17, 10.53, 10.01),
    *(9.91, 9.14, 9.16, 9.55, 9.67, 8.44, 8.24, 9.10, 9.09, 9.35, 8.82, 9.32, 9.01, 9.00, 9.80, 9.83, 9.72, 9.89),
    *(10.01, 9.37, 8.69, 8.19, 8.67, 9.55, 8.92, 8.09, 9.37, 10.13, 10.14, 9.51, 9.24, 8.66, 8.86, 8.05, 7.79),
    *(6.75, 6.75, 7.82, 8.64, 10.58, 9.48, 7.38, 6.90, 6.94, 6.24, 6.84, 6.85, 6.90, 7.79, 8.18, 7.51, 7.23, 8.42),
    *(9.61, 9.05, 9.26, 9.22, 9.38, 9.10, 7.95, 8.12, 9.75, 10.85, 10.41, 9.96, 9.61, 8.76, 8.18, 7.21, 7.13),
    *(9.10, 8.25, 7.91, 6.89, 5.96, 6.80, 7.68, 8.38, 8.52, 9.74, 9.31, 9.89, 9.96),
)


def autoregressive(lags: Array, y: Array) -> None:
    """Rows lags (T - K, K), the latest first; y (T - K,)."""
    flat = lambda name: numpyro.sample(name, dist.ImproperUniform(dist.constraints.real, (), ()))
    intercept, log_noise = flat("intercept"), flat("log_noise")
    with numpyro.plate("lag", lags.shape[1]):
        coefficients = numpyro.sample("coefficients", dist.ImproperUniform(dist.constraints.real, (), ()))
    noise = numpyro.deterministic("noise", jnp.exp(log_noise))
    with numpyro.plate("time", len(y)):
        numpyro.sample("y", dist.Normal(intercept + lags @ coefficients, noise), obs=y)


def autoregression(data: Any = None, *, order: int = 2, column: str | None = None) -> Problem:
    """Autoregression of a series, with flat priors: its posterior is known exactly; built in, the level of Lake Huron.

    Args:
        data: a table, its rows in order of time; None for Lake Huron.
        order: how many values before it a value depends on, K, 1 or more; default 2.
        column: which column is the series; default the last.

    Raises:
        SettingError: no such column, or no order.
        DataError: a series that is constant, or too short: 2 K + 2 values give one degree of freedom.
    """
    lag = how_many("order", order)
    builtin = data is None
    table = tables.read(np.array(FEET)[:, None] if builtin else data, distances=False)
    at = position(table, column)
    wanted, series = table.columns[at], table.values[:, at]
    if len(series) < 2 * lag + 2 or not np.ptp(series) > 0:
        has = "is constant" if len(series) >= 2 * lag + 2 else f"has {len(series)} values"
        raise DataError(f"the series {wanted!r} of {table.name} {has}; want {2 * lag + 2} or more that differ")
    y = series - series.mean()
    lags = np.column_stack([y[lag - k : len(y) - k] for k in range(1, lag + 1)])
    return Problem(
        autoregressive,
        args=(lags, y[lag:]),
        sites=("intercept", "coefficients", "noise"),
        dims={"coefficients": ("lag",)},
        coords={"lag": range(1, lag + 1)},
        name="autoregression",
        settings={"order": lag, "column": wanted},
        table=table,
        title=f"autoregression of order {lag}",
        priors="flat on the intercept, the coefficients and the log noise",
    )
