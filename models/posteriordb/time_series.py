r"""Time series: autoregression, ARMA(1, 1) and GARCH(1, 1), each on 200 simulated values.

    arK      y_t ~ N(alpha + sum_k beta_k y_{t-k}, sigma^2),  t > K = 5
    arma11   y_t = nu_t + e_t,  nu_t = mu + phi y_{t-1} + theta e_{t-1},  e_t ~ N(0, sigma^2),  nu_1 = mu + phi mu
    garch11  y_t ~ N(mu, v_t),  v_t = alpha0 + alpha1 (y_{t-1} - mu)^2 + beta1 v_{t-1},  alpha1 + beta1 < 1

Source: Stan User's Guide, chapter on time series; posteriordb for data and reference draws.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpyro.distributions import constraints

from .entry import Data, Entry, flat


def autoregression(lagged: Array, y: Array) -> None:
    """Values y (T - K,) by those before them, lagged (T - K, K), the last first."""
    alpha = numpyro.sample("alpha", dist.Normal(0.0, 10.0))
    beta = numpyro.sample("beta", dist.Normal(0.0, 10.0).expand([lagged.shape[1]]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    with numpyro.plate("time", len(y)):
        numpyro.sample("y", dist.Normal(alpha + lagged @ beta, sigma), obs=y)


def moving_average(y: Array) -> None:
    """ARMA(1, 1). What comes before the first value is mu, without an error."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 10.0))
    phi = numpyro.sample("phi", dist.Normal(0.0, 2.0))
    theta = numpyro.sample("theta", dist.Normal(0.0, 2.0))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    before = jnp.concatenate([jnp.atleast_1d(mu), jnp.asarray(y)[:-1]])

    def step(error: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        value, last = now
        error = value - (mu + phi * last + theta * error)
        return error, error

    errors = jax.lax.scan(step, jnp.zeros_like(mu), (jnp.asarray(y), before))[1]
    # y and the errors differ by a triangular map of determinant 1.
    numpyro.factor("y", dist.Normal(0.0, sigma).log_prob(errors).sum())


def volatility(y: Array, first: Array) -> None:
    """GARCH(1, 1), flat where it is stationary; `first` is the sd of the first value.

    beta1's range ends at 1 - alpha1. Its share of that range is the parameter, in (0, 1), and the factor is d beta1 / d share.
    """
    mu: Any = numpyro.sample("mu", flat())
    alpha0: Any = numpyro.sample("alpha0", flat(constraints.positive))
    alpha1: Any = numpyro.sample("alpha1", dist.Uniform(0.0, 1.0))
    share = numpyro.sample("beta1_share", dist.Uniform(0.0, 1.0))
    beta1: Any = numpyro.deterministic("beta1", share * (1.0 - alpha1))
    numpyro.factor("beta1_range", jnp.log1p(-alpha1))

    def step(variance: Array, last: Array) -> tuple[Array, Array]:
        now = alpha0 + alpha1 * (last - mu) ** 2 + beta1 * variance
        return now, now

    start = jnp.asarray(first) ** 2
    later = jax.lax.scan(step, start, jnp.asarray(y)[:-1])[1]
    with numpyro.plate("time", len(y)):
        numpyro.sample("y", dist.Normal(mu, jnp.sqrt(jnp.append(start, later))), obs=y)


def lagged(d: Data) -> tuple[np.ndarray, np.ndarray]:
    """For each value that has K before it: these, the last first, and itself."""
    y, order = d["y"], int(d["K"])
    return np.column_stack([y[order - k : len(y) - k] for k in range(1, order + 1)]), y[order:]


POSTERIORS = (
    Entry(
        "arK-arK",
        autoregression,
        lagged,
        ("alpha", "beta", "sigma"),
        "alpha N(0, 10^2); beta N(0, 10^2); sigma half-Cauchy(2.5)",
    ),
    Entry(
        "arma-arma11",
        moving_average,
        lambda d: (d["y"],),
        ("mu", "phi", "theta", "sigma"),
        "mu N(0, 10^2); phi, theta N(0, 2^2); sigma half-Cauchy(2.5)",
    ),
    Entry(
        "garch-garch11",
        volatility,
        lambda d: (d["y"], np.asarray(d["sigma1"], float)),
        ("mu", "alpha0", "alpha1", "beta1"),
        "flat where alpha0 > 0 and alpha1 + beta1 < 1",
    ),
)
