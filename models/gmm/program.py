"""The full Bayesian mixture as a NumPyro program, with z as a discrete site or summed out."""

from __future__ import annotations

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array

from .mixture import GaussianMixture
from .prior import MeanGivenPrecision, Precision


def mixture(
    x: Array,
    concentration: Array,
    mean: Array,
    mean_precision: Array,
    scale: Array,
    degrees_of_freedom: Array,
    *,
    allocations: bool = False,
) -> None:
    """The mixture's joint density of weights, means, precisions and rows.

    weights ~ Dirichlet(concentration); precisions_k ~ Wishart(scale_k, degrees_of_freedom_k);
    means_k | precisions_k ~ N(mean_k, (mean_precision_k precisions_k)^-1); z_n ~ weights; x_n ~ N(means, precisions^-1)[z_n].

    Args:
        x: rows (N, D).
        concentration: (K,).
        mean: (K, D).
        mean_precision: (K,).
        scale: (K, D, D).
        degrees_of_freedom: (K,).
        allocations: keep z as a discrete site; by default it is summed out, which is what NUTS and SVI run.

    Source: Bishop (2006), PRML, section 10.2.
    """
    weights = numpyro.sample("weights", dist.Dirichlet(concentration))
    with numpyro.plate("component", len(concentration)):
        precisions = numpyro.sample("precisions", Precision(degrees_of_freedom, scale))
        means = numpyro.sample("means", MeanGivenPrecision(mean, mean_precision, precisions))
    numpyro.deterministic("covariances", jnp.linalg.inv(precisions))
    with numpyro.plate("observation", len(x)):
        if allocations:
            z = numpyro.sample("z", dist.CategoricalProbs(weights))
            point = dist.MultivariateNormal(jnp.asarray(means)[z], precision_matrix=jnp.asarray(precisions)[z])
            numpyro.sample("x", point, obs=x)
        else:
            numpyro.sample("x", GaussianMixture(weights, means, precisions), obs=x)
