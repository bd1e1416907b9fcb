"""The linear regression's joint density as a NumPyro program."""

from __future__ import annotations

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array


def regression(
    x: Array,
    y: Array,
    mean: Array,
    scale: Array,
    shape: float,
    rate: float,
    relevance_shape: Array | None = None,
    relevance_rate: Array | None = None,
) -> None:
    """The joint density of coefficients, precisions and response, in the data's units.

    Args:
        x: design matrix (N, K), columns about their means.
        y: response (N,).
        mean: of each coefficient a priori, (K,).
        scale: its prior sd is scale / sqrt(tau), or scale / sqrt(alpha) for a slope that has an alpha, (K,).
        shape: of tau's gamma.
        rate: of tau's gamma.
        relevance_shape: of each alpha's gamma, (D,); None for no alpha.
        relevance_rate: likewise.
    """
    tau = numpyro.sample("tau", dist.Gamma(shape, rate))
    precision = jnp.broadcast_to(tau, scale.shape)
    if relevance_shape is not None:
        with numpyro.plate("slope", len(relevance_shape)):
            alpha = numpyro.sample("alpha", dist.Gamma(relevance_shape, relevance_rate))
        precision = jnp.concatenate([precision[: len(scale) - len(relevance_shape)], jnp.asarray(alpha)])
    beta = numpyro.sample("beta", dist.Normal(mean, scale / jnp.sqrt(precision)).to_event(1))
    with numpyro.plate("observation", len(y)):
        numpyro.sample("y", dist.Normal(x @ jnp.asarray(beta), 1.0 / jnp.sqrt(tau)), obs=y)
