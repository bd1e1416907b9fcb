r"""Gaussian process regression: a smooth function without a formula, summed out, and the three scales that describe it.

    y_n = f(x_n) + e_n,    e_n ~ N(0, noise^2),    f ~ GP(0, amplitude^2 exp(-|x - x'|^2 / (2 lengthscale^2)))
    lengthscale ~ inverse Gamma(5, 5),    amplitude, noise ~ half-normal(1)

x and y are standardised: a lengthscale of 1 is an sd of x, an amplitude of 1 an sd of y. With f summed out, y is normal with
covariance K + noise^2 I. The built-in data are 50 cars of the 1920s: speed (mph), and distance to stop (feet).

What is known: the posterior of the three scales by quadrature over a grid. A function that bends less may also reach further,
so lengthscale and amplitude are tied and skewed: a factorised normal has .85 of the lengthscale's sd, .93 of the amplitude's.

Source: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, section 2.2 and equation 5.8; the Stan
User's Guide, Gaussian processes (the prior, which keeps the lengthscale from 0). Data: Ezekiel (1930), Methods of Correlation
Analysis, as `cars` in R's `datasets` (facts of 1930, in the public domain).
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array

from vi_vs_mcmc import data as tables
from vi_vs_mcmc.problem import Problem

from ._design import column, others, vary

SPEED = (
    *(4, 4, 7, 7, 8, 9, 10, 10, 10, 11, 11, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 16, 16),
    *(17, 17, 17, 18, 18, 18, 18, 19, 19, 19, 20, 20, 20, 20, 20, 22, 23, 24, 24, 24, 24, 25),
)
DISTANCE = (
    *(2, 10, 4, 22, 16, 10, 18, 26, 34, 17, 28, 14, 20, 24, 28, 26, 34, 34, 46, 26, 36, 60, 80, 20, 26, 54, 32),
    *(40, 32, 40, 50, 42, 56, 76, 84, 36, 46, 68, 32, 48, 52, 56, 64, 66, 54, 70, 92, 93, 120, 85),
)


def process(square_distances: Array, y: Array) -> None:
    """Squared distances of rows (N, N); y (N,). f is summed out."""
    lengthscale = numpyro.sample("lengthscale", dist.InverseGamma(5.0, 5.0))
    amplitude = numpyro.sample("amplitude", dist.HalfNormal(1.0))
    noise = numpyro.sample("noise", dist.HalfNormal(1.0))
    smooth = amplitude**2 * jnp.exp(-0.5 * square_distances / lengthscale**2)
    covariance = smooth + noise**2 * jnp.eye(len(y))
    numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(len(y)), covariance_matrix=covariance), obs=y)


def gaussian_process(data: Any = None, *, target: str | None = None) -> Problem:
    """Gaussian process regression with the function summed out; built in, the stopping distances of 50 cars.

    Args:
        data: a table of a few hundred rows at most, for a step costs their cube; None for 50 cars.
        target: the column that is explained; default the last. The distance of rows is that of all others, standardised.

    Raises:
        SettingError: no such column.
        DataError: fewer than three rows, no column left to explain with, or one that is constant.
    """
    if data is None:
        import pandas as pd

        data = pd.DataFrame({"speed": SPEED, "distance": DISTANCE})
    table = tables.read(data, distances=False, minimum_rows=3)
    at, spread = column(table, target), table.values.std(0)
    others(table, at)
    vary(table, range(len(table.columns)), spread)
    standard = (table.values - table.values.mean(0)) / spread
    x, y = np.delete(standard, at, 1), standard[:, at]
    return Problem(
        process,
        args=(((x[:, None] - x[None]) ** 2).sum(-1), y),
        name="gaussian_process",
        settings={"target": table.columns[at]},
        table=table,
        title=f"Gaussian process of {table.columns[at]}",
        priors="lengthscale inverse Gamma(5, 5); amplitude and noise half-normal(1); columns standardised",
    )
