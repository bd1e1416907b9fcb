"""The hidden Markov model as a NumPyro program, its paths summed out."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpyro.distributions import constraints

from vi_vs_mcmc.expfam import NormalWishart

from ..gmm.mixture import coefficients
from ..gmm.prior import MeanGivenPrecision, Precision, image, log_det
from .forward import log_emissions, log_evidence


class HiddenMarkovNormal(dist.Distribution):
    """Sequences x (S, T, D) of which only the steps that are `real` (S, T) count: batch (S,), event (T, D).

    z_1 ~ initial (K,), z_t ~ transition[z_{t-1}] (K, K), x_t ~ N(means[z_t], precisions[z_t]^-1), z summed out.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "initial": constraints.simplex,
        "transition": constraints.independent(constraints.simplex, 1),
        "means": constraints.real_matrix,
        "precisions": constraints.independent(constraints.positive_definite, 1),
        "real": constraints.real_matrix,
    }
    support = constraints.real_matrix  # pyright: ignore[reportAssignmentType] - so do NumPyro's own
    pytree_data_fields = ("initial", "transition", "means", "precisions", "real")

    def __init__(
        self,
        initial: Array,
        transition: Array,
        means: Array,
        precisions: Array,
        real: Array,
        *,
        validate_args: bool | None = None,
    ):
        self.initial, self.transition = initial, transition
        self.means, self.precisions, self.real = means, precisions, real
        super().__init__(real.shape[:1], (*real.shape[1:], *means.shape[-1:]), validate_args=validate_args)

    def log_prob(self, value: Array, intermediates=None) -> Array:
        """log p(x) of each sequence, (S,). Rows are centred first: squares of far-off numbers would cancel."""
        centre = jax.lax.stop_gradient(value.mean((0, 1)))
        means = self.means - centre
        linear = image(self.precisions, means)
        components = NormalWishart(
            0.5 * log_det(self.precisions), -0.5 * (linear * means).sum(-1), linear, -0.5 * self.precisions
        )
        emissions = log_emissions(coefficients(jnp.zeros(len(self.initial)), components), value - centre)
        return log_evidence(jnp.log(self.initial), jnp.log(self.transition), emissions, self.real)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw paths, then points; padded steps are drawn too."""
        shape, steps = (*sample_shape, self.real.shape[0]), self.real.shape[1]
        key_first, key_rest, key_point = jax.random.split(key, 3)
        first = jax.random.categorical(key_first, jnp.log(self.initial), shape=shape)

        def step(z: Array, key: Array) -> tuple[Array, Array]:
            z = jax.random.categorical(key, jnp.log(self.transition)[z])
            return z, z

        rest = jax.lax.scan(step, first, jax.random.split(key_rest, steps - 1))[1]
        path = jnp.moveaxis(jnp.concatenate([first[None], rest]), 0, -1)
        root = dist.MultivariateNormal(self.means, precision_matrix=self.precisions).scale_tril
        noise = jax.random.normal(key_point, (*path.shape, self.means.shape[-1]))
        return self.means[path] + jnp.einsum("...ij,...j->...i", root[path], noise)


def program(
    x: Array,
    real: Array,
    initial_concentration: Array,
    transition_concentration: Array,
    mean: Array,
    mean_precision: Array,
    scale: Array,
    degrees_of_freedom: Array,
) -> None:
    """The joint density of a first state's law, transitions, emissions and sequences.

    initial ~ Dirichlet(initial_concentration); transition_k ~ Dirichlet(transition_concentration_k);
    precisions_k ~ Wishart(scale_k, degrees_of_freedom_k); means_k | precisions_k ~ N(mean_k, (mean_precision_k precisions_k)^-1).

    Args:
        x: sequences (S, T, D), padded at their ends.
        real: which steps are not padding, (S, T).
        initial_concentration: (K,).
        transition_concentration: (K, K).
        mean: (K, D).
        mean_precision: (K,).
        scale: (K, D, D).
        degrees_of_freedom: (K,).
    """
    initial = numpyro.sample("initial", dist.Dirichlet(initial_concentration))
    with numpyro.plate("state", len(initial_concentration)):
        transition = numpyro.sample("transition", dist.Dirichlet(transition_concentration))
        precisions = numpyro.sample("precisions", Precision(degrees_of_freedom, scale))
        means = numpyro.sample("means", MeanGivenPrecision(mean, mean_precision, precisions))
    numpyro.deterministic("covariances", jnp.linalg.inv(precisions))
    with numpyro.plate("sequence", len(x)):
        numpyro.sample("x", HiddenMarkovNormal(initial, transition, means, precisions, real), obs=x)
