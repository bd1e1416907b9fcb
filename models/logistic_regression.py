r"""Logistic regression: how likely an event is, by columns on a common scale.

    intercept ~ N(0, scale^2),  coefficients_j ~ N(0, scale^2),  y_n ~ Bernoulli(1 / (1 + exp(-eta_n)))
    eta_n = intercept + sum_j coefficients_j (x_nj - mean_j) / sd_j

The built-in data are the 23 flights of the space shuttle before Challenger's last, in order of date: the temperature at the
joints of its boosters, and whether any O-ring was damaged. On its last morning it was 31 degrees.

What is known: with one column, every moment by quadrature over two dimensions; the maximum-likelihood line of the built-in
data in degrees, 15.04 - .232 t, is published. Their posterior is skewed more than its coefficients are tied: the best
factorised normal has .95 of the intercept's sd and .90 of the coefficient's, and a k-hat above 1.

Source: Gelman, Jakulin, Pittau and Su (2008), Annals of Applied Statistics 2 (scale 2.5 on standardised columns). Data: Dalal,
Fowlkes and Hoadley (1989), JASA 84, table 1, from the report of the presidential commission (a work of the United States
government, in the public domain).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array

from vi_vs_mcmc import data as tables
from vi_vs_mcmc.problem import Problem

from ._design import column, events, others, vary
from ._settings import positive

TEMPERATURE = (66, 70, 69, 68, 67, 72, 73, 70, 57, 63, 70, 78, 67, 53, 67, 75, 70, 81, 76, 79, 75, 76, 58)  # Fahrenheit
DAMAGE = (0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1)  # to any of six O-rings


def logistic(x: Array, y: Array, scale: float) -> None:
    """Rows x (N, D), standardised; y (N,) of 0 and 1."""
    intercept = numpyro.sample("intercept", dist.Normal(0.0, scale))
    with numpyro.plate("column", x.shape[1]):
        coefficients = numpyro.sample("coefficients", dist.Normal(0.0, scale))
    with numpyro.plate("row", len(y)):
        numpyro.sample("y", dist.Bernoulli(logits=intercept + x @ coefficients), obs=y)


def logistic_regression(data: Any = None, *, target: str | None = None, scale: float = 2.5) -> Problem:
    """Logistic regression on standardised columns; built in, the O-rings of the space shuttle.

    Args:
        data: a table; None for 23 flights of the space shuttle.
        target: the column that is explained, of 0 and 1; default the last. All others explain it.
        scale: prior sd of the intercept and of each coefficient, above 0; default 2.5.

    Raises:
        SettingError: no such column, or a scale that is not above 0.
        DataError: no column left to explain with, one that is constant, or a target of other values than 0 and 1.
    """
    width = positive("scale", scale)
    if data is None:
        import pandas as pd

        data = pd.DataFrame({"temperature": TEMPERATURE, "damage": DAMAGE})
    table = tables.read(data, distances=False, minimum_rows=2)
    at = column(table, target)
    y, explaining = events(table, at), others(table, at)
    vary(table, explaining, table.values.std(0))
    x, wanted = table.values[:, np.array(explaining)], table.columns[at]
    return Problem(
        logistic,
        args=((x - x.mean(0)) / x.std(0), y, width),
        dims={"coefficients": ("column",)},
        coords={"column": [table.columns[j] for j in explaining]},
        name="logistic_regression",
        settings={"target": wanted, "scale": width},
        table=table,
        title=f"logistic regression of {wanted}",
        priors=f"intercept and coefficients N(0, {width:g}^2), columns standardised",
    )
