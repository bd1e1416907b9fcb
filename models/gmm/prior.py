"""The normal-Wishart prior as two NumPyro distributions that share one Cholesky factor of each precision.

NumPyro's `Wishart` and `MultivariateNormal` factorise and invert several matrices for each value; these need log|Lambda| and
products only, and are equal to them to rounding. A gradient of the mixture's joint costs a third as much.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import Array
from jax.scipy.special import multigammaln
from numpyro.distributions import constraints

SMALL = 4  # dimensions up to which a factorisation is written out entry by entry: the compiler then fuses it


def log_det(precisions: Array) -> Array:
    """log|Lambda| of positive definite matrices (..., D, D); nan of others."""
    if precisions.shape[-1] > SMALL:
        return 2.0 * jnp.log(jnp.diagonal(jnp.linalg.cholesky(precisions), axis1=-2, axis2=-1)).sum(-1)
    root: dict[tuple[int, int], Array] = {}
    total = jnp.zeros(())
    for i in range(precisions.shape[-1]):
        for j in range(i):
            root[i, j] = (precisions[..., i, j] - sum(root[i, k] * root[j, k] for k in range(j))) / root[j, j]
        root[i, i] = jnp.sqrt(precisions[..., i, i] - sum(root[i, k] ** 2 for k in range(i)))
        total += 2.0 * jnp.log(root[i, i])
    return total


def image(matrices: Array, vectors: Array) -> Array:
    """Products (..., D) of matrices (..., D, D) and vectors, as a sum that the compiler fuses with what is around it."""
    return (matrices * vectors[..., None, :]).sum(-1)


class Precision(dist.Distribution):
    """Lambda ~ Wishart(W, nu): batch (K,), event (D, D); W positive definite, nu > D - 1."""

    arg_constraints = {"degrees_of_freedom": constraints.positive, "scale": constraints.positive_definite}  # noqa: RUF012
    support = constraints.positive_definite  # pyright: ignore[reportAssignmentType] - as NumPyro's own classes do
    pytree_data_fields = ("degrees_of_freedom", "scale")

    def __init__(self, degrees_of_freedom: Array, scale: Array, *, validate_args: bool | None = None):
        self.degrees_of_freedom, self.scale = degrees_of_freedom, scale
        super().__init__(degrees_of_freedom.shape, scale.shape[-2:], validate_args=validate_args)

    def log_prob(self, value: Array, intermediates=None) -> Array:
        """(nu - D - 1)/2 log|Lambda| - tr(W^-1 Lambda)/2 - log Z, (K,)."""
        nu, dimension = self.degrees_of_freedom, self.scale.shape[-1]
        trace = (jnp.linalg.inv(self.scale) * value).sum((-2, -1))
        log_z = 0.5 * nu * (dimension * np.log(2.0) + log_det(self.scale)) + multigammaln(0.5 * nu, dimension)
        return 0.5 * (nu - dimension - 1.0) * log_det(value) - 0.5 * trace - log_z

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """NumPyro's draw."""
        return dist.Wishart(self.degrees_of_freedom, scale_matrix=self.scale).sample(key, sample_shape)


class MeanGivenPrecision(dist.Distribution):
    """mu | Lambda ~ N(m, (beta Lambda)^-1): batch (K,), event (D,)."""

    arg_constraints = {  # noqa: RUF012
        "mean_vector": constraints.real_vector,
        "mean_precision": constraints.positive,
        "precision": constraints.positive_definite,
    }
    support = constraints.real_vector  # pyright: ignore[reportAssignmentType] - as NumPyro's own classes do
    pytree_data_fields = ("mean_vector", "mean_precision", "precision")

    def __init__(
        self, mean_vector: Array, mean_precision: Array, precision: Array, *, validate_args: bool | None = None
    ):
        self.mean_vector, self.mean_precision, self.precision = mean_vector, mean_precision, precision
        super().__init__(mean_precision.shape, mean_vector.shape[-1:], validate_args=validate_args)

    def log_prob(self, value: Array, intermediates=None) -> Array:
        """D/2 log(beta / 2 pi) + log|Lambda|/2 - beta/2 (mu - m)' Lambda (mu - m), (K,)."""
        offset = value - self.mean_vector
        square = (image(jnp.asarray(self.precision), offset) * offset).sum(-1)
        constant = 0.5 * value.shape[-1] * jnp.log(self.mean_precision / (2.0 * np.pi))
        return constant + 0.5 * log_det(self.precision) - 0.5 * self.mean_precision * square

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """NumPyro's draw."""
        matrix = self.mean_precision[..., None, None] * self.precision
        return dist.MultivariateNormal(self.mean_vector, precision_matrix=matrix).sample(key, sample_shape)
