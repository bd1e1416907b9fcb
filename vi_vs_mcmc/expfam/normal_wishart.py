"""Normal-Wishart over K pairs (mu_k, Lambda_k) in D dimensions."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import digamma, gammaln

from vi_vs_mcmc.expfam.matrices import log_det, symmetric

LEAST = np.sqrt(np.finfo(float).tiny)  # a smaller precision has no square


class NormalWishart(NamedTuple):
    """One shape for eta, t and E[t] of K normal-Wishart factors.

    | leaf        | shape     | eta                  | t                  |
    |-------------|-----------|----------------------|--------------------|
    | `log_det`   | (K,)      | nu - D               | log|Lambda| / 2    |
    | `quadratic` | (K,)      | beta                 | -mu' Lambda mu / 2 |
    | `linear`    | (K, D)    | beta m               | Lambda mu          |
    | `matrix`    | (K, D, D) | W^-1 + beta m m'     | -Lambda / 2        |
    """

    log_det: Array
    quadratic: Array
    linear: Array
    matrix: Array


class NormalWishartParameters(NamedTuple):
    """The familiar parameters: mu | Lambda ~ N(m, (beta Lambda)^-1), Lambda ~ Wishart(W, nu)."""

    mean_precision: Array  # beta, (K,)
    mean: Array  # m, (K, D)
    scale_inverse: Array  # W^-1, (K, D, D)
    degrees_of_freedom: Array  # nu, (K,)


def normal_wishart_natural(p: NormalWishartParameters) -> NormalWishart:
    """eta from (beta, m, W^-1, nu)."""
    dimension = p.mean.shape[-1]
    outer = p.mean[:, :, None] * p.mean[:, None, :]
    return NormalWishart(
        p.degrees_of_freedom - dimension,
        p.mean_precision,
        p.mean_precision[:, None] * p.mean,
        p.scale_inverse + p.mean_precision[:, None, None] * outer,
    )


def normal_wishart_parameters(eta: NormalWishart) -> NormalWishartParameters:
    """(beta, m, W^-1, nu) from eta: the inverse of `normal_wishart_natural`."""
    mean = eta.linear / eta.quadratic[:, None]
    outer = mean[:, :, None] * mean[:, None, :]
    scale_inverse = symmetric(eta.matrix) - eta.quadratic[:, None, None] * outer
    return NormalWishartParameters(eta.quadratic, mean, scale_inverse, eta.log_det + mean.shape[-1])


def wishart_expected_log_det(scale_inverse: Array, degrees_of_freedom: Array) -> Array:
    """E[log|Lambda_k|] = sum_i digamma((nu_k + 1 - i) / 2) + D log 2 + log|W_k|, (K,): the derivative of A by hand."""
    dimension = scale_inverse.shape[-1]
    half = 0.5 * (degrees_of_freedom[:, None] - jnp.arange(dimension))
    return digamma(half).sum(-1) + dimension * jnp.log(2.0) - log_det(scale_inverse)


def normal_wishart_log_normaliser(eta: NormalWishart) -> Array:
    """A = sum_k nu/2 (D log 2 + log|W|) + log Gamma_D(nu/2) + D/2 log(2 pi / beta), () (PRML B.79 and the Gaussian's).

    Not finite outside the family: unless beta > 0, nu > D - 1 and W is positive definite.
    """
    beta, mean, scale_inverse, nu = normal_wishart_parameters(eta)
    dimension = mean.shape[-1]
    log_gamma = gammaln(0.5 * (nu[:, None] - jnp.arange(dimension))).sum(-1)
    log_gamma += 0.25 * dimension * (dimension - 1) * np.log(np.pi)
    wishart = 0.5 * nu * (dimension * np.log(2.0) - log_det(scale_inverse)) + log_gamma
    value = (wishart + 0.5 * dimension * jnp.log(2.0 * np.pi / beta)).sum()
    return jnp.where((nu > dimension - 1.0).all(), value, jnp.inf)


def normal_wishart_sufficient(means: Array, precisions: Array) -> NormalWishart:
    """t(mu, Lambda) for means (K, D) and precisions (K, D, D)."""
    linear = jnp.einsum("kij,kj->ki", precisions, means)
    return NormalWishart(0.5 * log_det(precisions), -0.5 * (linear * means).sum(-1), linear, -0.5 * precisions)


def normal_wishart_mode(eta: NormalWishart) -> dict[str, Array]:
    """argmax of <eta, t(mu, Lambda)>: mu = m, Lambda = (nu - D) W; means, precisions and their inverses, covariances.

    Precisions and covariances are nan unless each pair has nu > D, beta > 0 and a positive definite W: else there is no
    highest point.
    """
    beta, mean, scale_inverse, _ = normal_wishart_parameters(eta)
    cholesky = jnp.linalg.cholesky(scale_inverse)  # nan where it is not positive definite
    identity = jnp.broadcast_to(jnp.eye(mean.shape[-1]), scale_inverse.shape)
    root = jax.vmap(lambda c, i: solve_triangular(c, i, lower=True))(cholesky, identity)
    factor = eta.log_det[:, None, None]  # nu - D
    exists = (eta.log_det > LEAST).all() & (beta > 0.0).all() & jnp.isfinite(cholesky).all()
    return {
        "means": mean,
        "precisions": jnp.where(exists, factor * (jnp.swapaxes(root, -1, -2) @ root), jnp.nan),
        "covariances": jnp.where(exists, scale_inverse / factor, jnp.nan),
    }


def normal_wishart_draw(key: Array, eta: NormalWishart) -> dict[str, Array]:
    """One draw of means (K, D), precisions and covariances (K, D, D)."""
    key_gamma, key_rest = jax.random.split(key)
    return _by_bartlett(jax.random.split(key_rest), eta, jax.random.loggamma(key_gamma, _halves(eta)))


def dirichlet_normal_wishart_draw(key: Array, eta_weights: Array, eta: NormalWishart) -> dict[str, Array]:
    """The same, with a draw of weights (..., K), a Dirichlet for each row of `eta_weights`.

    Weights are normalised gammas; they are drawn together with the chi2, since a gamma sampler is what takes longest to compile.
    """
    key_gamma, *keys = jax.random.split(key, 3)
    halves, number = _halves(eta), eta_weights.size
    log_gammas = jax.random.loggamma(key_gamma, jnp.concatenate([eta_weights.ravel() + 1.0, halves.ravel()]))
    weights = jax.nn.softmax(log_gammas[:number].reshape(eta_weights.shape))
    return {"weights": weights, **_by_bartlett(jnp.stack(keys), eta, log_gammas[number:].reshape(halves.shape))}


def _halves(eta: NormalWishart) -> Array:
    """(nu - i) / 2 of each pair and i < D, (K, D)."""
    dimension = eta.linear.shape[-1]
    return 0.5 * ((eta.log_det + dimension)[:, None] - jnp.arange(dimension))


def _by_bartlett(keys: Array, eta: NormalWishart, log_gammas: Array) -> dict[str, Array]:
    """Means, precisions and covariances from the logarithms of gammas of shape (nu - i) / 2, (K, D), by Bartlett's decomposition.

    With C C' = W^-1 and B lower triangular (B_ii^2 ~ chi2(nu - i), B_ij ~ N(0, 1)): Lambda = T T', T = C^-T B.
    """
    beta, mean, scale_inverse, _ = normal_wishart_parameters(eta)
    components, dimension = mean.shape
    key_below, key_mean = keys
    below = jnp.tril(jax.random.normal(key_below, (components, dimension, dimension)), -1)
    bartlett = below + jax.vmap(jnp.diag)(jnp.sqrt(2.0 * jnp.exp(log_gammas)))
    cholesky = jnp.linalg.cholesky(scale_inverse)
    root = jax.vmap(lambda c, b: solve_triangular(c, b, lower=True, trans=1))(cholesky, bartlett)
    root_inverse = jax.vmap(lambda c, b: solve_triangular(b, c.T, lower=True))(cholesky, bartlett)
    noise = jax.random.normal(key_mean, (components, dimension))
    return {
        "means": mean + jnp.einsum("kji,kj->ki", root_inverse, noise) / jnp.sqrt(beta)[:, None],
        "precisions": root @ jnp.swapaxes(root, -1, -2),
        "covariances": jnp.swapaxes(root_inverse, -1, -2) @ root_inverse,
    }


def normal_wishart_moments(eta: NormalWishart) -> dict[str, tuple[Array, Array]]:
    """Mean and variance of means, precisions and covariances.

    A variance that does not exist is nan or infinite: that of a mean for nu <= D + 1, of a covariance for nu <= D + 3.

    Source: Anderson (2003), Multivariate Statistical Analysis, 7.7; von Rosen (1988), moments of the inverted Wishart.
    """
    beta, mean, scale_inverse, nu = normal_wishart_parameters(eta)
    dimension = mean.shape[-1]
    scale = jnp.linalg.inv(scale_inverse)
    nu_ = nu[:, None, None]
    excess = nu_ - dimension - 1.0  # E[Sigma] = W^-1 / excess
    finite = lambda exists, value: jnp.where(exists, value, jnp.inf)
    covariance = jnp.where(excess > 0, scale_inverse / jnp.where(excess > 0, excess, 1.0), jnp.nan)
    spread = ((excess + 2.0) * scale_inverse**2 + excess * _diagonal_products(scale_inverse)) / (
        (excess + 1.0) * excess**2 * (excess - 2.0)
    )
    diagonal = jnp.diagonal(covariance, axis1=-2, axis2=-1)
    return {
        "means": (mean, finite(excess[..., 0] > 0, diagonal / beta[:, None])),
        "precisions": (nu_ * scale, nu_ * (scale**2 + _diagonal_products(scale))),
        "covariances": (covariance, finite(excess > 2, spread)),
    }


def _diagonal_products(matrix: Array) -> Array:
    diagonal = jnp.diagonal(matrix, axis1=-2, axis2=-1)
    return diagonal[..., :, None] * diagonal[..., None, :]
