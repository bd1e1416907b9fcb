r"""Gaussian processes on eleven points, with the covariance  alpha^2 exp(-(x - x')^2 / (2 rho^2)).

    gp_regr       y ~ N(0, K + sigma I)                (sigma is a variance: so does the Stan program have it)
    gp_pois_regr  f = L f_tilde,  L L' = K + 1e-10 I,  f_tilde ~ N(0, I),  k_n ~ Poisson(exp f_n)

Source: Stan User's Guide, chapter on Gaussian processes; posteriordb for data and reference draws.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array

from .entry import Entry

JITTER = 1e-10


def normal_observations(x: Array, y: Array) -> None:
    """The function itself is integrated out."""
    rho: Any = numpyro.sample("rho", dist.Gamma(25.0, 4.0))
    alpha: Any = numpyro.sample("alpha", dist.HalfNormal(2.0))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    covariance = squared_exponential(x, alpha, rho) + sigma * jnp.eye(len(x))
    numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(len(x)), covariance), obs=y)


def counts(x: Array, k: Array) -> None:
    """The function's values at x, by independent standard normals."""
    rho: Any = numpyro.sample("rho", dist.Gamma(25.0, 4.0))
    alpha: Any = numpyro.sample("alpha", dist.HalfNormal(2.0))
    f_tilde = numpyro.sample("f_tilde", dist.Normal(0.0, 1.0).expand([len(x)]).to_event(1))
    factor = jnp.linalg.cholesky(squared_exponential(x, alpha, rho) + JITTER * jnp.eye(len(x)))
    f = numpyro.deterministic("f", factor @ f_tilde)
    with numpyro.plate("point", len(x)):
        numpyro.sample("k", dist.Poisson(jnp.exp(f)), obs=k)


def squared_exponential(x: Array, alpha: Array, rho: Array) -> Array:
    """Covariance of the function's values, (N, N)."""
    x = jnp.asarray(x)
    return alpha**2 * jnp.exp(-0.5 * ((x[:, None] - x) / rho) ** 2)


POSTERIORS = (
    Entry(
        "gp_pois_regr-gp_regr",
        normal_observations,
        lambda d: (np.asarray(d["x"], float), d["y"]),
        ("rho", "alpha", "sigma"),
        "rho gamma(25, 4); alpha half-normal(2); sigma half-normal(1)",
    ),
    Entry(
        "gp_pois_regr-gp_pois_regr",
        counts,
        lambda d: (np.asarray(d["x"], float), d["k"]),
        ("rho", "alpha", "f"),
        "rho gamma(25, 4); alpha half-normal(2)",
    ),
)
