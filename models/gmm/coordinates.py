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
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular
from numpyro.distributions.transforms import LowerCholeskyTransform

from .prior import SMALL


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

    def to_sites(self, v: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """The sites on their constrained scale, and log|d theta / dv|, (): by way of u, without making it."""
        root, log_diagonal = _roots(v["precisions"], self.mean.shape[-1])
        log_weights, log_det = _log_shares(v["weights"])
        step = _against_transpose(root, v["means"])
        # |d Lambda / d L| = 2^D prod L_ii^(D + 1 - i), dL_ii / d log L_ii = L_ii, |d mu / d v| = prod 1 / L_ii
        powers = self.mean.shape[-1] - jnp.arange(self.mean.shape[-1])
        log_det += (powers * log_diagonal).sum() + log_diagonal.size * jnp.log(2.0)
        log_det -= 0.5 * self.mean.shape[-1] * jnp.log(self.mean_precision).sum()
        return {
            "weights": jnp.exp(log_weights),
            "precisions": _square(root),
            "means": self.mean + step / jnp.sqrt(self.mean_precision)[:, None],
        }, log_det

    def from_program(self, u: Mapping[str, Array]) -> dict[str, Array]:
        """v from u."""
        root = LowerCholeskyTransform()(u["precisions"])
        step = (u["means"] - self.mean) * jnp.sqrt(self.mean_precision)[:, None]
        return {**u, "means": jnp.einsum("kji,kj->ki", root, step)}


def _log_shares(sticks: Array) -> tuple[Array, Array]:
    """log weights (K,) from their unconstrained sticks (K - 1,), and log|d weights / d sticks|, (), as NumPyro breaks them."""
    count = sticks.shape[-1]
    taken = jax.nn.log_sigmoid(sticks - jnp.log(jnp.arange(count, 0, -1)))
    left = jax.nn.log_sigmoid(jnp.log(jnp.arange(count, 0, -1)) - sticks)
    before = jnp.tril(jnp.ones((count + 1, count)), -1)
    log_weights = jnp.concatenate([taken, jnp.zeros(1)]) + (before * left).sum(-1)
    return log_weights, log_weights[:-1].sum() + left.sum()


def _roots(entries: Array, dimension: int) -> tuple[Array, Array]:
    """L (K, D, D) from its unconstrained entries, and the log of its diagonal, (K, D)."""
    log_diagonal = entries[..., -dimension:]
    if dimension > SMALL:
        return jnp.asarray(LowerCholeskyTransform()(entries)), log_diagonal
    row, column = np.tril_indices(dimension, -1)
    place = np.zeros((len(row), dimension, dimension))
    place[np.arange(len(row)), row, column] = 1.0
    below = (entries[..., :-dimension, None, None] * place).sum(-3)
    return below + jnp.exp(log_diagonal)[..., None] * np.eye(dimension), log_diagonal


def _square(root: Array) -> Array:
    """L L', (K, D, D); for small L as a sum that the compiler fuses with what is around it."""
    if root.shape[-1] > SMALL:
        return root @ jnp.swapaxes(root, -1, -2)
    return (root[..., :, None, :] * root[..., None, :, :]).sum(-1)


def _against_transpose(root: Array, vectors: Array) -> Array:
    """x with L' x = vectors, (K, D)."""
    dimension = root.shape[-1]
    if dimension > SMALL:
        return jax.vmap(lambda l, x: solve_triangular(l, x, lower=True, trans=1))(root, vectors)
    out: dict[int, Array] = {}
    for i in reversed(range(dimension)):
        rest = vectors[..., i] - sum(root[..., j, i] * out[j] for j in range(i + 1, dimension))
        out[i] = rest / root[..., i, i]
    return jnp.stack([out[i] for i in range(dimension)], -1)
