"""Dirichlet over K weights: t = log w, eta = concentration - 1, both (K,)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import digamma, gammaln


def dirichlet_log_normaliser(eta: Array) -> Array:
    """A = sum_k log Gamma(alpha_k) - log Gamma(sum_k alpha_k), alpha = eta + 1, shape (K,) -> (); inf unless all alpha_k > 0."""
    alpha = eta + 1.0
    return jnp.where((alpha > 0.0).all(), gammaln(alpha).sum() - gammaln(alpha.sum()), jnp.inf)


def dirichlet_expected_log(alpha: Array) -> Array:
    """E[log w_k] = digamma(alpha_k) - digamma(sum_j alpha_j): the derivative of A by hand."""
    return digamma(alpha) - digamma(alpha.sum())


def dirichlet_moments(eta: Array) -> tuple[Array, Array]:
    """Mean alpha_k / alpha_0 and variance p_k (1 - p_k) / (alpha_0 + 1) of each weight."""
    alpha = eta + 1.0
    total = alpha.sum()
    share = alpha / total
    return share, share * (1.0 - share) / (total + 1.0)


def dirichlet_mode(eta: Array) -> Array:
    """argmax of <eta, log w> on the simplex: w_k = eta_k / sum_j eta_j, (K,); nan if an eta_k < 0: then it has no bound.

    At eta_k = 0 the argmax is on the edge, w_k = 0: the smallest positive number stands for it, so that log w is finite.
    """
    share = jnp.maximum(eta / eta.sum(), np.finfo(float).tiny)
    return jnp.where((eta >= 0.0).all(), share, jnp.nan)
