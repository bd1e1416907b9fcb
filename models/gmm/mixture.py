"""A Gaussian mixture with its labels summed out: one matrix product, then a logsumexp.

The log joint of row x and component k is linear in the features f(x) = [1, x, vech(x x')]:

    log w_k + log N(x | mu_k, Lambda_k^-1) = f(x) . c_k

so all rows and components are one product f(X) C'. Equal to NumPyro's `MixtureSameFamily` to rounding, and faster.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import Array
from numpyro.distributions import constraints

from vi_vs_mcmc.expfam import NormalWishart, symmetric

from .features import features
from .prior import image, log_det


def coefficients(log_weights: Array, components: NormalWishart) -> Array:
    """c_k from t(theta), or from its expectation: (K, 1 + D + D (D + 1) / 2). Off-diagonal products count twice."""
    dimension = components.linear.shape[-1]
    row, column = np.tril_indices(dimension)
    constant = log_weights + components.log_det + components.quadratic - 0.5 * dimension * np.log(2.0 * np.pi)
    quadratic = symmetric(components.matrix)[:, row, column] * np.where(row == column, 1.0, 2.0)
    return jnp.concatenate([constant[:, None], components.linear, quadratic], 1)


@jax.custom_jvp
def log_sum(logits: Array) -> Array:
    """log sum_k exp l_k of each row, (K, rows) -> (rows,): rows lie side by side in memory, where a processor's vectors are."""
    return _log_sum(logits)[0]


@log_sum.defjvp
def _(at, along):
    value, share = _log_sum(at[0])
    return value, (share * along[0]).sum(0)


def _log_sum(logits: Array) -> tuple[Array, Array]:
    """The log of the sum, and each term's share in it, its slope."""
    highest = logits.max(0)
    terms = jnp.exp(logits - highest)
    total = terms.sum(0)
    return highest + jnp.log(total), terms * (1.0 / total)


class GaussianMixture(dist.Distribution):
    """x ~ sum_k w_k N(mu_k, Lambda_k^-1), for weights (K,), means (K, D), precisions (K, D, D); event (D,)."""

    arg_constraints: ClassVar[dict[str, Any]] = {
        "weights": constraints.simplex,
        "means": constraints.real_matrix,
        "precisions": constraints.independent(constraints.positive_definite, 1),
    }
    support = constraints.real_vector  # pyright: ignore[reportAssignmentType] - so do NumPyro's own
    pytree_data_fields = ("weights", "means", "precisions")

    def __init__(self, weights: Array, means: Array, precisions: Array, *, validate_args: bool | None = None):
        self.weights, self.means, self.precisions = weights, means, precisions
        super().__init__((), means.shape[-1:], validate_args=validate_args)

    def log_prob(self, value: Array, intermediates=None) -> Array:
        """log p(x), value.shape[:-1]. Rows are centred first: squares of far-off numbers would cancel."""
        rows = value.reshape(-1, value.shape[-1])
        centre = jax.lax.stop_gradient(rows.mean(0))
        means = self.means - centre
        linear = image(self.precisions, means)
        components = NormalWishart(
            0.5 * log_det(self.precisions), -0.5 * (linear * means).sum(-1), linear, -0.5 * self.precisions
        )
        logits = coefficients(jnp.log(self.weights), components) @ features(rows - centre)
        return log_sum(logits).reshape(value.shape[:-1])

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw a component, then a point of it."""
        key_label, key_point = jax.random.split(key)
        label = jax.random.categorical(key_label, jnp.log(self.weights), shape=sample_shape)
        component = dist.MultivariateNormal(self.means, precision_matrix=self.precisions)
        noise = jax.random.normal(key_point, (*sample_shape, self.means.shape[-1]))
        return self.means[label] + jnp.einsum("...ij,...j->...i", component.scale_tril[label], noise)
