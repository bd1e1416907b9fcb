"""Coordinates in which the mixture's posterior is nearly round: each mean in units of its own conditional sd.

    v_k = sqrt(beta_k) L_k' (mu_k - m_k),    L_k L_k' = Lambda_k,

with beta_k and m_k of the fitted q. Given Lambda_k, v_k is standard normal under q: for an occupied component that takes
out the posterior's width, for an empty one it is the prior's non-centred form, without which the pair (mu, Lambda) is a
funnel that no step size fits.

Source: Papaspiliopoulos, Roberts and Skoeld (2007), Statistical Science 22, on (non-)centring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import solve_triangular
from numpyro.distributions.transforms import LowerCholeskyTransform


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class WhitenedMeans:
    """v in place of the program's `means`; weights and precisions stay as NumPyro's bijections have them."""

    mean: Array  # (K, D)
    mean_precision: Array  # (K,)

    def to_program(self, v: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """The program's unconstrained coordinates u, and log|du / dv|, ()."""
        root = LowerCholeskyTransform()(v["precisions"])
        step = jax.vmap(lambda l, x: solve_triangular(l, x, lower=True, trans=1))(root, v["means"])
        means = self.mean + step / jnp.sqrt(self.mean_precision)[:, None]
        log_det = -jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)).sum()
        log_det -= 0.5 * self.mean.shape[-1] * jnp.log(self.mean_precision).sum()
        return {**v, "means": means}, log_det

    def from_program(self, u: Mapping[str, Array]) -> dict[str, Array]:
        """v from u."""
        root = LowerCholeskyTransform()(u["precisions"])
        step = (u["means"] - self.mean) * jnp.sqrt(self.mean_precision)[:, None]
        return {**u, "means": jnp.einsum("kji,kj->ki", root, step)}
