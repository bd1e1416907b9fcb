r"""Two normals in one dimension, told apart by the order of their means: 1000 simulated values.

    y_n ~ theta N(mu_1, sigma_1^2) + (1 - theta) N(mu_2, sigma_2^2),   mu_1 < mu_2

Source: Stan's statistical computation benchmarks; posteriordb for data and reference draws.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpyro.distributions import constraints

from .entry import Entry, flat


def two_normals(y: Array) -> None:
    """theta is the share of the one with the smaller mean."""
    mu = numpyro.sample("mu", flat(constraints.ordered_vector, 2))
    numpyro.factor("mu_prior", dist.Normal(0.0, 2.0).log_prob(mu).sum())
    sigma = numpyro.sample("sigma", dist.HalfNormal(2.0).expand([2]).to_event(1))
    theta = numpyro.sample("theta", dist.Beta(5.0, 5.0))
    shares = jnp.stack([theta, 1.0 - theta])
    with numpyro.plate("row", len(y)):
        mixture = dist.MixtureSameFamily(dist.Categorical(probs=shares), dist.Normal(mu, sigma))
        numpyro.sample("y", mixture, obs=y)


POSTERIORS = (
    Entry(
        "low_dim_gauss_mix-low_dim_gauss_mix",
        two_normals,
        lambda d: (d["y"],),
        ("mu", "sigma", "theta"),
        "mu N(0, 2^2), ascending; sigma half-normal(2); theta beta(5, 5)",
    ),
)
