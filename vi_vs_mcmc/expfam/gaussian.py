"""Gaussian over K vectors of D coordinates: t = (x, -x x' / 2), eta = (J mu, J), J the precision."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from vi_vs_mcmc.expfam.matrices import inverse, log_det, symmetric


class Gaussian(NamedTuple):
    """One shape for eta, t and E[t] of K Gaussian factors.

    | leaf     | shape     | eta  | t           |
    |----------|-----------|------|-------------|
    | `linear` | (K, D)    | J mu | x           |
    | `matrix` | (K, D, D) | J    | -x x' / 2   |
    """

    linear: Array
    matrix: Array


def gaussian_natural(mean: Array, precision: Array) -> Gaussian:
    """eta from the mean mu (K, D) and the precision J (K, D, D)."""
    return Gaussian(jnp.einsum("kij,kj->ki", precision, mean), precision)


def gaussian_parameters(eta: Gaussian) -> tuple[Array, Array]:
    """Mean mu (K, D) and covariance J^-1 (K, D, D) from eta."""
    covariance = inverse(symmetric(eta.matrix))
    return jnp.einsum("kij,kj->ki", covariance, eta.linear), covariance


def gaussian_log_normaliser(eta: Gaussian) -> Array:
    """A = sum_k mu' J mu / 2 - log|J| / 2 + D/2 log 2 pi, (); nan unless every J is positive definite."""
    mean, _ = gaussian_parameters(eta)
    square = (eta.linear * mean).sum()
    return 0.5 * (square - log_det(symmetric(eta.matrix)).sum() + eta.linear.size * np.log(2.0 * np.pi))


def gaussian_sufficient(x: Array) -> Gaussian:
    """t(x) for vectors x (K, D)."""
    return Gaussian(x, -0.5 * x[:, :, None] * x[:, None, :])


def gaussian_draw(key: Array, eta: Gaussian) -> Array:
    """One draw of each vector, (K, D): with C C' = J, x = C^-T (C^-1 J mu + noise)."""
    root = jnp.linalg.cholesky(symmetric(eta.matrix))
    noise = jax.random.normal(key, eta.linear.shape)

    def one(root: Array, linear: Array, noise: Array) -> Array:
        return solve_triangular(root, solve_triangular(root, linear, lower=True) + noise, lower=True, trans=1)

    return jax.vmap(one)(root, eta.linear, noise)


def gaussian_moments(eta: Gaussian) -> tuple[Array, Array]:
    """Mean and variance of each coordinate, (K, D) both."""
    mean, covariance = gaussian_parameters(eta)
    return mean, jnp.diagonal(covariance, axis1=-2, axis2=-1)


def gaussian_mode(eta: Gaussian) -> Array:
    """argmax of <eta, t(x)>: the mean, (K, D); nan where J is not positive definite: then there is none."""
    return gaussian_parameters(eta)[0]
