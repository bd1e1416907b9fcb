"""Probabilistic PCA as a NumPyro program, its latent positions summed out."""

from __future__ import annotations

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array

from vi_vs_mcmc.expfam import symmetric


def program(
    x: Array,
    order: Array,
    centre: Array,
    loading_sd: float,
    intercept_sd: float,
    mean_precision: float,
    scale: Array,
    degrees_of_freedom: float,
    shape: float,
    rate: float,
) -> None:
    """Rows x (N, D) around `centre` (D,), z summed out; `order` has the columns, markers first; scale is (Q, Q)."""
    tau = numpyro.sample("tau", dist.Gamma(shape, rate))
    precision = numpyro.sample("latent_precision", dist.Wishart(degrees_of_freedom, scale_matrix=scale))
    latent_mean = numpyro.sample(
        "latent_mean", dist.MultivariateNormal(jnp.zeros(len(scale)), precision_matrix=mean_precision * precision)
    )
    with numpyro.plate("other", x.shape[1] - len(scale)):
        loadings = numpyro.sample("loadings", dist.Normal(0.0, loading_sd).expand([len(scale)]).to_event(1))
        intercepts = numpyro.sample("intercepts", dist.Normal(0.0, intercept_sd))
    mean, covariance = implied(loadings, intercepts, latent_mean, precision, tau, jnp.argsort(order))
    mean = numpyro.deterministic("mean", centre + mean)
    numpyro.deterministic("covariance", covariance)
    with numpyro.plate("observation", len(x)):
        numpyro.sample("x", dist.MultivariateNormal(mean, covariance), obs=x)


def implied(loadings, intercepts, latent_mean, latent_precision, tau, place) -> tuple[Array, Array]:
    """Mean (D,) and covariance (D, D) of a row; column d of the table is number `place[d]` with markers first."""
    all_loadings = jnp.concatenate([jnp.eye(len(latent_mean)), loadings])
    mean = all_loadings @ latent_mean + jnp.concatenate([jnp.zeros_like(latent_mean), intercepts])
    covariance = all_loadings @ jnp.linalg.inv(latent_precision) @ all_loadings.T
    covariance = symmetric(covariance) + jnp.eye(len(mean)) / tau
    return mean[place], covariance[place][:, place]
