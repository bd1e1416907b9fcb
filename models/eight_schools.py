r"""Eight schools: effects that share a population, each known with an error of its own.

    tau ~ half-Cauchy(5),  mu ~ N(0, 5^2),  theta_j ~ N(mu, tau^2),  y_j ~ N(theta_j, sigma_j^2)

Written as it stands (centred), theta's width is tau, and where tau is small lies a neck that no step size fits: NUTS diverges
there and fails its checks, and a factorised normal q has a k-hat of .84 to 1.02. With theta_j = mu + tau z_j, z_j ~ N(0, 1), the
same posterior is nearly round: NUTS passes, and that k-hat is .59 to .60.

What is known: means, sds and quantiles from 10 000 draws of posteriordb's reference posterior.

Source: Rubin (1981), Journal of Educational Statistics 6; Gelman et al., Bayesian Data Analysis, section 5.5; Papaspiliopoulos,
Roberts and Skoeld (2007) on (non-)centring.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array

from vi_vs_mcmc import data as tables
from vi_vs_mcmc.errors import DataError, SettingError
from vi_vs_mcmc.problem import Problem

NECK = (
    "Centred, the effects\u2019 width is tau: where tau is small lies a neck.",
    "No step size of NUTS fits neck and mouth, so that it diverges and fails its checks; and a normal law, of one width for "
    "every tau, lies outside of the posterior there: hence a high k-hat.",
    "--set parameters=noncentred",
)
EFFECTS = (28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0)  # points gained in a test, schools A to H
ERRORS = (15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0)


def centred(y: Array, sigma: Array) -> None:
    """theta itself is a parameter."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    with numpyro.plate("school", len(y)):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def noncentred(y: Array, sigma: Array) -> None:
    """theta = mu + tau z, and z is a parameter."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    with numpyro.plate("school", len(y)):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
        theta = numpyro.deterministic("theta", mu + tau * z)
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def eight_schools(data: Any = None, *, parameters: str = "noncentred") -> Problem:
    """Eight schools: a hierarchical normal, written with or without a funnel.

    Args:
        data: a table with columns y and sigma, one row for each school; None for Rubin's eight.
        parameters: noncentred (theta = mu + tau z) or centred; the posterior of theta, mu and tau is the same.

    Raises:
        SettingError: other parameters.
        DataError: no such columns, or an error that is not above 0.
    """
    programs = {"centred": centred, "noncentred": noncentred}
    if parameters not in programs:
        raise SettingError(f"parameters is {parameters!r}; want {' or '.join(programs)}")
    y, sigma, table = np.array(EFFECTS), np.array(ERRORS), None
    if data is not None:
        table = tables.read(data, distances=False)
        if missing := {"y", "sigma"} - set(table.columns):
            raise DataError(f"{table.name} has no column {min(missing)!r}; want y and sigma, an effect and its error")
        y, sigma = (table.values[:, table.columns.index(name)] for name in ("y", "sigma"))
        if not (sigma > 0).all():
            raise DataError(f"{table.name} has an error sigma of {sigma.min():g}; want more than 0")
    return Problem(
        programs[parameters],
        args=(y, sigma),
        sites=("mu", "tau", "theta"),
        dims={"theta": ("school",)},
        name="eight_schools",
        settings={"parameters": parameters},
        table=table,
        title=f"eight schools, {parameters}",
        priors="mu, the population's mean, N(0, 5^2); tau, its sd, half-Cauchy(5); theta, the effects, N(mu, tau^2)",
        cautions=(NECK,) if parameters == "centred" else (),
    )
