"""Closed-form moments of sites under a normal law of their coordinates, and how linear response moves them."""

import jax
import jax.numpy as jnp
import numpy as np
from fixed_laws import rate
from numpy.testing import assert_allclose

from vi_vs_mcmc.coordinates import AsTheyAre
from vi_vs_mcmc.flat import coordinate_shapes
from vi_vs_mcmc.methods import normal
from vi_vs_mcmc.methods.target import Target, shape_of

NAMES = ("rate", "shifted")  # exp(u) and 2 + exp(u)
BELOW = np.array([0.0, 2.0])


def moments(law, response=None):
    problem = rate()
    with jax.enable_x64(True):
        found = normal.moments(
            problem, Target.of(problem, AsTheyAre()), shape_of(coordinate_shapes(problem)), law, response
        )
    return tuple(np.array([float(found[f"{of}_{name}"]) for name in NAMES]) for of in ("mean", "sd"))


def means(at):
    """E exp(u), u ~ N(m, s^2), of both sites, at (m, log s)."""
    m, log_s = jnp.split(at, 2)
    return BELOW + jnp.exp(m + 0.5 * jnp.exp(2.0 * log_s))


def test_a_positive_site_is_log_normal():
    law = normal.Normal(np.array([0.3, -0.7]), np.array([0.5, 0.9]))
    mean, sd = moments(law)
    assert_allclose(mean, BELOW + np.exp(law.mean + 0.5 * law.sd**2), rtol=1e-12)
    assert_allclose(sd, (mean - BELOW) * np.sqrt(np.expm1(law.sd**2)), rtol=1e-12)


def test_linear_response_is_the_covariance_along_the_slopes_of_the_means():
    """sd^2 = g' C g with g by automatic differentiation, and C any covariance of means and log-sds."""
    law = normal.Normal(np.array([0.3, -0.7]), np.array([0.5, 0.9]))
    half = np.random.default_rng(0).normal(size=(4, 4))
    response = half @ half.T
    with jax.enable_x64(True):
        slope = np.asarray(jax.jacobian(means)(jnp.asarray(np.concatenate([law.mean, np.log(law.sd)]))))
    mean, sd = moments(law, response)
    assert_allclose(mean, moments(law)[0], rtol=1e-12)
    assert_allclose(sd, np.sqrt(np.diag(slope @ response @ slope.T)), rtol=1e-10)
