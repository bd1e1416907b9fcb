"""Posteriors for methods that climb: a normal law known exactly, counts, a neck, a density without a mode."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

import vi_vs_mcmc as vm

SDS = np.array([1e-2, 1.0, 30.0])
MEAN = np.array([1.0, -3.0, 400.0])
CORRELATION = np.array([[1.0, 0.9, 0.5], [0.9, 1.0, 0.8], [0.5, 0.8, 1.0]])
COVARIANCE = CORRELATION * np.outer(SDS, SDS)


def _normal(mean, covariance):
    numpyro.sample("x", dist.MultivariateNormal(mean, covariance))


def normal(covariance: np.ndarray = COVARIANCE, mean: np.ndarray = MEAN) -> vm.Problem:
    """N(mean, covariance) of three coordinates in units that differ by thousands."""
    return vm.Problem(_normal, args=(mean, covariance))


def _counts(x, y, push, by_size):
    """Few counts: the posterior of the rates' logarithms is skewed. `push` and `by_size` tilt it."""
    beta = numpyro.sample("beta", dist.Normal(0.0, 2.0).expand([2]).to_event(1))
    size = numpyro.sample("size", dist.Gamma(2.0, 1.0))
    numpyro.factor("push", push[0] * beta[0] + push[1] * beta[1] + push[2] * jnp.log(size) + by_size * size)
    with numpyro.plate("row", len(y)):
        numpyro.sample("y", dist.GammaPoisson(size, size / jnp.exp(x @ beta)), obs=y)


def counts(push=(0.0, 0.0, 0.0), by_size: float = 0.0) -> vm.Problem:
    x = np.stack([np.ones(8), np.linspace(-1.0, 1.5, 8)], 1)
    return vm.Problem(_counts, args=(x, np.array([0, 1, 0, 2, 0, 3, 5, 4]), np.asarray(push), by_size))


def _rate(shape, rate):
    numpyro.sample("rate", dist.Gamma(shape, rate))
    numpyro.sample("shifted", dist.TruncatedNormal(0.0, 1.0, low=2.0))


def rate(shape: float = 5.0) -> vm.Problem:
    return vm.Problem(_rate, args=(shape, 2.0))


def _neck():
    v = numpyro.sample("v", dist.Normal(0.0, 3.0))
    numpyro.sample("x", dist.Normal(0.0, jnp.exp(v / 2)).expand([9]).to_event(1))


def neck() -> vm.Problem:
    return vm.Problem(_neck)


def _bottomless():
    v = numpyro.sample("v", dist.Laplace(0.0, 1.0))  # log p rises by 3.5 nats for each unit that v falls, at x = 0
    numpyro.sample("x", dist.Normal(0.0, jnp.exp(v / 2)).expand([9]).to_event(1))


def bottomless() -> vm.Problem:
    return vm.Problem(_bottomless)
