r"""The forward algorithm in logarithms, and paths drawn backward.

    alpha_1k = log pi_k + e_1k
    alpha_tk = log sum_j exp(alpha_{t-1,j} + log P_jk) + e_tk          log p(x) = log sum_k exp alpha_Tk

with e_tk = log p(x_t | z_t = k). The same recursion at expected logarithms gives l; its gradient, by automatic differentiation,
is the backward algorithm: expected first states, expected transitions and responsibilities.

Sequences lie side by side, padded at their ends to one length; a step that is not real leaves alpha as it is.
Source: Rabiner (1989), Proceedings of the IEEE 77; MacKay (1997), Ensemble learning for hidden Markov models.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from ..gmm.features import features
from ..gmm.mixture import log_sum

UNROLLED = 8  # steps that are compiled as one


def log_emissions(coefficients: Array, x: Array) -> Array:
    """e of each step, (T, K, S), for x (S, T, D) and coefficients (K, P) of the features: one matrix product."""
    sequences, steps, dimension = x.shape
    flat = coefficients @ features(x.reshape(-1, dimension))
    return jnp.moveaxis(flat.reshape(-1, sequences, steps), 2, 0)


def forward(initial: Array, transition: Array, emissions: Array, real: Array) -> Array:
    """alpha of each step, (T, K, S).

    Args:
        initial: log pi, (K,).
        transition: log P, from row to column, (K, K).
        emissions: e, (T, K, S).
        real: which steps are, (S, T); the first always is.
    """

    def step(alpha: Array, seen: tuple[Array, Array]) -> tuple[Array, Array]:
        emission, here = seen
        new = log_sum(alpha[:, None, :] + transition[:, :, None]) + emission
        alpha = jnp.where(here, new, alpha)
        return alpha, alpha

    first = initial[:, None] + emissions[0]
    rest = jax.lax.scan(step, first, (emissions[1:], real.T[1:] > 0), unroll=UNROLLED)[1]
    return jnp.concatenate([first[None], rest])


def log_evidence(initial: Array, transition: Array, emissions: Array, real: Array) -> Array:
    """log p(x) of each sequence, (S,)."""
    return log_sum(forward(initial, transition, emissions, real)[-1])


def draw_paths(key: Array, transition: Array, alpha: Array, real: Array) -> Array:
    """z ~ p(z | x) of each sequence, (S, T): the last state by alpha, then each before it given the one after."""
    steps = alpha.shape[0]
    keys = jax.random.split(key, steps)
    last = jax.random.categorical(keys[-1], alpha[-1], axis=0)

    def step(after: Array, seen: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        key, alpha, followed = seen
        z = jax.random.categorical(key, alpha + jnp.where(followed, transition[:, after], 0.0), axis=0)
        return z, z

    before = jax.lax.scan(step, last, (keys[:-1], alpha[:-1], real.T[1:] > 0), reverse=True)[1]
    return jnp.concatenate([before, last[None]]).T
