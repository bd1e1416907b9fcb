"""The mixture likelihood as one matrix product against NumPyro's MixtureSameFamily; its draws; its features."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpy.testing import assert_allclose
from vi_vs_mcmc.models.gmm.mixture import GaussianMixture, features
from vi_vs_mcmc.models.gmm.prior import MeanGivenPrecision, Precision

DRAWS = 100_000


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def components(dimension: int, count: int = 3) -> tuple[jnp.ndarray, jnp.ndarray, jnp.ndarray]:
    rng = np.random.default_rng(dimension)
    root = rng.normal(size=(count, dimension, dimension))
    precisions = root @ root.swapaxes(1, 2) + 0.2 * np.eye(dimension)
    return (
        jnp.asarray(rng.dirichlet(np.ones(count))),
        jnp.asarray(rng.normal(scale=3, size=(count, dimension))),
        jnp.asarray(precisions),
    )


def numpyros(weights, means, precisions) -> dist.Distribution:
    return dist.MixtureSameFamily(
        dist.Categorical(weights), dist.MultivariateNormal(means, precision_matrix=precisions)
    )


@pytest.mark.parametrize(("dimension", "shift"), [(1, 0.0), (2, 0.0), (5, 0.0), (2, 1e5)])
def test_the_density_is_that_of_mixture_same_family(key, dimension, shift):
    weights, means, precisions = components(dimension)
    x = shift + 4 * jax.random.normal(key, (50, dimension))
    both = jax.jit(lambda *theta: (GaussianMixture(*theta).log_prob(x), numpyros(*theta).log_prob(x)))
    # at a shift of 1e5 the rows themselves keep 11 digits, and precisions of up to 100 square what is lost
    assert_allclose(*both(weights, means + shift, precisions), atol=1e-10 if shift == 0 else 1e-7)


@pytest.mark.parametrize("dimension", [1, 3])
def test_its_gradient_is_that_of_mixture_same_family(key, dimension):
    theta = components(dimension)
    x = 4 * jax.random.normal(key, (50, dimension))
    found, expected = (
        jax.jit(jax.grad(lambda *theta, law=law: law(*theta).log_prob(x).sum(), argnums=(0, 1, 2)))(*theta)
        for law in (GaussianMixture, numpyros)
    )
    # weights are a simplex: only the gradient along it is defined
    along = lambda g: g - g.mean()
    assert_allclose(along(found[0]), along(expected[0]), rtol=1e-9, atol=1e-9)
    assert_allclose(found[1], expected[1], rtol=1e-9, atol=1e-9)
    # of a symmetric argument only the symmetric part of the gradient is defined
    symmetric = lambda g: g + jnp.swapaxes(g, 1, 2)
    assert_allclose(symmetric(found[2]), symmetric(expected[2]), rtol=1e-9, atol=1e-9)


def test_one_row_alone_has_the_density_it_has_among_others(key):
    law = GaussianMixture(*components(2))
    x = jax.random.normal(key, (7, 2))
    assert_allclose(law.log_prob(x[3]), law.log_prob(x)[3], rtol=1e-12)
    assert law.log_prob(x[3]).shape == ()
    assert law.log_prob(x.reshape(7, 1, 2)).shape == (7, 1)


@pytest.mark.parametrize("dimension", [1, 3])
def test_draws_have_the_mixtures_mean_and_covariance(key, dimension):
    weights, means, precisions = map(np.asarray, components(dimension))
    draws = np.asarray(GaussianMixture(weights, jnp.asarray(means), jnp.asarray(precisions)).sample(key, (DRAWS,)))
    mean = weights @ means
    within = np.einsum("k,kij->ij", weights, np.linalg.inv(precisions))
    covariance = within + np.einsum("k,ki,kj->ij", weights, means - mean, means - mean)
    products = (draws - mean)[:, :, None] * (draws - mean)[:, None, :]
    for values, truth in ((draws, mean), (products, covariance)):
        error = values.std(0) / np.sqrt(DRAWS)
        assert (np.abs(values.mean(0) - truth) < 4 * error).all()


def test_features_are_one_the_row_and_its_products_once():
    assert_allclose(features(jnp.array([[2.0, 3.0]])), np.array([[1, 2, 3, 4, 6, 9]]).T)


@pytest.mark.parametrize("dimension", [1, 2, pytest.param(5, marks=pytest.mark.slow)])
def test_the_prior_is_numpyros_wishart_and_normal(dimension):
    rng = np.random.default_rng(dimension)
    root = rng.normal(size=(3, dimension, dimension + 2))
    scale, nu, beta = root @ root.swapaxes(1, 2), dimension + np.array([0.5, 1.0, 4.0]), np.array([0.1, 1.0, 7.0])
    mean, means = rng.normal(size=(2, 3, dimension))
    with jax.enable_x64(True):
        wishart = dist.Wishart(nu, scale_matrix=scale)
        precisions = wishart.sample(jax.random.key(0))
        normal = dist.MultivariateNormal(mean, precision_matrix=beta[:, None, None] * precisions)
        ours = MeanGivenPrecision(jnp.asarray(mean), jnp.asarray(beta), precisions)
        assert_allclose(
            Precision(jnp.asarray(nu), jnp.asarray(scale)).log_prob(precisions),
            wishart.log_prob(precisions),
            rtol=1e-10,
        )
        assert_allclose(ours.log_prob(jnp.asarray(means)), normal.log_prob(means), rtol=1e-9)
        assert ours.sample(jax.random.key(1)).shape == (3, dimension)
        assert Precision(jnp.asarray(nu), jnp.asarray(scale)).sample(jax.random.key(1)).shape == (
            3,
            dimension,
            dimension,
        )
