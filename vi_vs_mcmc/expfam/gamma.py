"""Gamma over K positive numbers: t = (log x, -x), eta = (a - 1, b), shape a and rate b."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln


class Gamma(NamedTuple):
    """One shape for eta, t and E[t] of K gamma factors.

    | leaf    | shape | eta   | t     |
    |---------|-------|-------|-------|
    | `log`   | (K,)  | a - 1 | log x |
    | `value` | (K,)  | b     | -x    |
    """

    log: Array
    value: Array


def gamma_natural(shape: Array, rate: Array) -> Gamma:
    """eta from shape a and rate b, (K,) both."""
    return Gamma(shape - 1.0, rate)


def gamma_parameters(eta: Gamma) -> tuple[Array, Array]:
    """Shape a and rate b from eta, (K,) both."""
    return eta.log + 1.0, eta.value


def gamma_log_normaliser(eta: Gamma) -> Array:
    """A = sum_k log Gamma(a_k) - a_k log b_k, (); inf unless every a and b is above 0."""
    shape, rate = gamma_parameters(eta)
    inside = (shape > 0.0) & (rate > 0.0)
    value = gammaln(jnp.where(inside, shape, 1.0)) - shape * jnp.log(jnp.where(inside, rate, 1.0))
    return jnp.where(inside.all(), value.sum(), jnp.inf)


def gamma_sufficient(x: Array) -> Gamma:
    """t(x) for positive numbers x (K,)."""
    return Gamma(jnp.log(x), -x)


def gamma_draw(key: Array, eta: Gamma) -> Array:
    """One draw of each number, (K,)."""
    shape, rate = gamma_parameters(eta)
    return jax.random.gamma(key, shape) / rate


def gamma_moments(eta: Gamma) -> tuple[Array, Array]:
    """Mean a/b and variance a/b^2 of each number, (K,) both."""
    shape, rate = gamma_parameters(eta)
    return shape / rate, shape / rate**2


def gamma_mode(eta: Gamma) -> Array:
    """argmax of <eta, t(x)>: (a - 1) / b, (K,); nan unless a > 1 and b > 0: then there is none above 0."""
    return jnp.where((eta.log > 0.0) & (eta.value > 0.0), eta.log / eta.value, jnp.nan)
