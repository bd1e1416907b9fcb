r"""The structure of any density of n numbers to a product of Gaussians, q = prod_i N(x_i; mu_i, s_i^2), as the engine wants it.

    t = (x_i, x_i^2)      eta_i = (mu_i / s_i^2, -1 / (2 s_i^2))      A = sum_i (mu_i^2 / s_i^2 + log 2 pi s_i^2) / 2
    local(m) = E_q[log p] at m = E_q[t]

so that F(eta) = grad local is where q's best update goes, and ELBO(eta) = A - <eta, m> + local is minus KL(q || p).
eta, m and t are {factor: (2, numbers of the factor)}.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vi_vs_mcmc import response


class Factorised:
    """What the engine and linear response ask of a model, for q a product of Gaussians; a target adds `expected_log_p`."""

    factors: tuple[tuple[int, ...], ...]  # which numbers are updated together

    prior_log_normaliser = 0.0
    rows = np.zeros(1)  # there are no data: one row stands for the density

    @abstractmethod
    def expected_log_p(self, mean: Array, variance: Array) -> Array:
        """E_q[log p], ()."""

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        return tuple((str(k),) for k in range(len(self.factors)))

    @property
    def prior(self) -> dict[str, Array]:
        return {str(k): jnp.zeros((2, len(factor))) for k, factor in enumerate(self.factors)}

    def log_normaliser(self, eta: dict[str, Array]) -> Array:
        linear, quadratic = self.joined(eta)
        return jnp.sum(-0.25 * linear**2 / quadratic + 0.5 * jnp.log(-jnp.pi / quadratic))

    def coefficients(self, m: dict[str, Array]) -> dict[str, Array]:
        return m

    def local(self, m: dict[str, Array], batch: Array) -> Array:
        first, second = self.joined(m)
        return jnp.full(batch.shape, self.expected_log_p(first, second - first**2))

    def linked(self, m: dict[str, Array]) -> Array:
        del m
        return jnp.zeros(())

    def joined(self, of: dict[str, Array]) -> Array:
        """(2, n)."""
        return jnp.concatenate([of[str(k)] for k in range(len(self.factors))], 1)

    def natural(self, mean, variance) -> dict[str, Array]:
        """eta of given means and variances, (n,) each."""
        mean, variance = jnp.asarray(mean), jnp.asarray(variance)
        whole = jnp.stack([mean / variance, -0.5 / variance])
        return {str(k): whole[:, np.array(factor)] for k, factor in enumerate(self.factors)}

    def moments(self, eta: dict[str, Array]) -> tuple[Array, Array]:
        """Means and variances, (n,) each."""
        linear, quadratic = self.joined(eta)
        return -0.5 * linear / quadratic, -0.5 / quadratic

    def covariance(self, eta: dict[str, Array]) -> tuple[np.ndarray, response.Response]:
        """Cov(x_i, x_j) by linear response, (n, n), and how it was found."""
        found = response.respond(self, eta, jax.jacrev(lambda eta: self.moments(eta)[0])(eta))  # pyright: ignore
        return np.diag(self.moments(eta)[1]) + np.asarray(found.added), found


@partial(jax.tree_util.register_dataclass, data_fields=["mean", "precision"], meta_fields=["factors"])
@dataclass(frozen=True)
class Gaussian(Factorised):
    """p = N(mean, precision^-1), normalised."""

    mean: Array
    precision: Array
    factors: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, mean: np.ndarray, covariance: np.ndarray, factors: tuple[tuple[int, ...], ...] | None = None) -> Any:
        one_by_one = tuple((i,) for i in range(len(mean)))
        return cls(jnp.asarray(mean), jnp.asarray(np.linalg.inv(covariance)), factors or one_by_one)

    def expected_log_p(self, mean: Array, variance: Array) -> Array:
        off = mean - self.mean
        square = off @ self.precision @ off + jnp.diag(self.precision) @ variance
        return 0.5 * (jnp.linalg.slogdet(self.precision)[1] - len(off) * jnp.log(2.0 * jnp.pi) - square)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["weights", "locations", "precision", "tilt", "nodes", "masses"],
    meta_fields=["factors"],
)
@dataclass(frozen=True)
class Mixture(Factorised):
    """p = sum_k weights_k N(locations_k, precision^-1), times exp(tilt x_0), in two dimensions; E_q by Gauss and Hermite."""

    weights: Array
    locations: Array  # (K, 2)
    precision: Array  # (2, 2)
    tilt: Array  # ()
    nodes: Array  # (points, 2), of the standard normal
    masses: Array  # (points,)
    factors: tuple[tuple[int, ...], ...] = ((0,), (1,))

    def log_p(self, x: Array) -> Array:
        """(points,)."""
        off = x[:, None] - self.locations
        square = jnp.einsum("nki,ij,nkj->nk", off, self.precision, off)
        scale = 0.5 * jnp.linalg.slogdet(self.precision)[1] - jnp.log(2.0 * jnp.pi)
        return jax.nn.logsumexp(jnp.log(self.weights) - 0.5 * square, axis=1) + scale + self.tilt * x[:, 0]

    def expected_log_p(self, mean: Array, variance: Array) -> Array:
        return self.masses @ self.log_p(mean + jnp.sqrt(variance) * self.nodes)
