"""Exponential families: derivatives of A against draws, against digamma functions by hand, and against SciPy's densities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from vi_vs_mcmc import expfam
from vi_vs_mcmc.expfam import NormalWishartParameters

DRAWS = 100_000
ALPHA = np.array([2.5, 0.7, 6.0])


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def familiar(dimension: int, components: int = 3, seed: int = 0) -> NormalWishartParameters:
    """Components that differ in everything; nu is large enough for covariances to have a fourth moment's worth of tail."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(components, dimension, dimension))
    return NormalWishartParameters(
        jnp.asarray(rng.uniform(0.3, 4.0, components)),
        jnp.asarray(rng.normal(scale=2.0, size=(components, dimension))),
        jnp.asarray(root @ root.swapaxes(1, 2) + np.eye(dimension)),
        jnp.asarray(dimension + 14.0 + rng.uniform(0.0, 20.0, components)),
    )


def draw(key, eta):
    return expfam.dirichlet_normal_wishart_draw(key, jnp.asarray(ALPHA) - 1, eta)


@pytest.fixture(scope="module", params=[pytest.param(1, marks=pytest.mark.slow), 3], ids=lambda d: f"D={d}")
def drawn(request):
    """(eta, draws of it by site)."""
    with jax.enable_x64(True):
        eta = expfam.normal_wishart_natural(familiar(request.param))
        draws = jax.jit(jax.vmap(lambda k: draw(k, eta)))(jax.random.split(jax.random.key(20), DRAWS))
        return eta, {site: np.asarray(value) for site, value in draws.items()}


def within_4_standard_errors(values: np.ndarray, truth: np.ndarray) -> None:
    """Independent draws: the mean's standard error is sd / sqrt(draws)."""
    error = values.std(0, ddof=1) / np.sqrt(len(values))
    z = (values.mean(0) - truth) / error
    assert np.abs(z).max() < 4, z


def variance_within_4_standard_errors(values: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> None:
    """The mean of (value - true mean)^2 is the variance, without a degree of freedom lost."""
    within_4_standard_errors((values - mean) ** 2, variance)


def test_the_gradient_of_the_normal_wishart_normaliser_is_the_mean_of_the_statistics_over_draws(drawn):
    eta, theta = drawn
    t = jax.jit(jax.vmap(expfam.normal_wishart_sufficient))(theta["means"], theta["precisions"])
    for values, truth in zip(t, jax.jit(jax.grad(expfam.normal_wishart_log_normaliser))(eta), strict=True):
        within_4_standard_errors(np.asarray(values), np.asarray(truth))


@pytest.mark.parametrize("dimension", [1, 2, 3, 7])
def test_the_gradient_of_the_normal_wishart_normaliser_is_the_digamma_form_written_by_hand(dimension):
    p = familiar(dimension)
    scale = np.linalg.inv(p.scale_inverse)
    found = jax.jit(jax.grad(expfam.normal_wishart_log_normaliser))(expfam.normal_wishart_natural(p))
    nu, beta, mean = (np.asarray(v) for v in (p.degrees_of_freedom, p.mean_precision, p.mean))
    log_det = expfam.wishart_expected_log_det(p.scale_inverse, p.degrees_of_freedom)
    square = np.einsum("ki,kij,kj->k", mean, scale, mean)
    tight = {"rtol": 1e-12, "atol": 1e-12}
    assert_allclose(found.log_det, log_det / 2, **tight)
    assert_allclose(found.quadratic, -(dimension / beta + nu * square) / 2, **tight)
    assert_allclose(found.linear, nu[:, None] * np.einsum("kij,kj->ki", scale, mean), **tight)
    assert_allclose(found.matrix, -nu[:, None, None] * scale / 2, **tight)


def test_the_log_determinant_has_the_slopes_of_any_order_that_a_factorisation_by_lu_has():
    root = np.random.default_rng(5).normal(size=(2, 3, 3))
    matrix = jnp.asarray(root @ root.swapaxes(1, 2) + np.eye(3))
    step = jnp.asarray(root + root.swapaxes(1, 2))
    along = lambda of: [jet(of, matrix, step, order) for order in range(4)]
    jet = lambda of, at, d, order: of(at) if order == 0 else jax.jvp(lambda x: jet(of, x, d, order - 1), (at,), (d,))[1]
    for found, wanted in zip(along(expfam.log_det), along(lambda m: jnp.linalg.slogdet(m)[1]), strict=True):
        assert_allclose(found, wanted, rtol=1e-10)
    assert_allclose(jax.grad(lambda m: expfam.log_det(m).sum())(matrix), np.linalg.inv(matrix), rtol=1e-10)
    assert np.isnan(expfam.log_det(-matrix)).all()


def test_the_expected_log_determinant_of_one_dimension_is_that_of_a_gamma():
    # Wishart(W, nu) in one dimension is Gamma(nu / 2, rate 1 / (2 W)): E log = digamma(nu / 2) + log(2 W)
    p = familiar(1)
    nu, scale = np.asarray(p.degrees_of_freedom), 1 / np.asarray(p.scale_inverse)[:, 0, 0]
    by_quadrature = [stats.gamma(a / 2, scale=2 * w).expect(np.log) for a, w in zip(nu, scale, strict=True)]
    assert_allclose(expfam.wishart_expected_log_det(p.scale_inverse, p.degrees_of_freedom), by_quadrature, rtol=1e-7)


def test_the_gradient_of_the_dirichlet_normaliser_is_the_mean_log_weight_over_draws_and_by_hand(drawn):
    found = jax.grad(expfam.dirichlet_log_normaliser)(jnp.asarray(ALPHA) - 1)
    assert_allclose(found, expfam.dirichlet_expected_log(jnp.asarray(ALPHA)), rtol=1e-12, atol=1e-12)
    within_4_standard_errors(np.log(drawn[1]["weights"]), np.asarray(found))


def test_mean_and_variance_of_weights_are_those_of_draws_and_of_scipy(drawn):
    mean, variance = map(np.asarray, expfam.dirichlet_moments(jnp.asarray(ALPHA) - 1))
    within_4_standard_errors(drawn[1]["weights"], mean)
    variance_within_4_standard_errors(drawn[1]["weights"], mean, variance)
    assert_allclose(mean, stats.dirichlet(ALPHA).mean(), rtol=1e-13)
    assert_allclose(variance, stats.dirichlet(ALPHA).var(), rtol=1e-13)


def test_weights_and_components_are_drawn_independently(drawn):
    # they share one call of a gamma sampler; a correlation's standard error is 1 / sqrt(draws) = .003
    weights = np.log(drawn[1]["weights"])
    log_det = np.linalg.slogdet(drawn[1]["precisions"])[1]
    correlation = np.corrcoef(weights.T, log_det.T)[: len(ALPHA), len(ALPHA) :]
    assert np.abs(correlation).max() < 4 / np.sqrt(DRAWS)


@pytest.mark.parametrize("site", ["means", "precisions", "covariances"])
def test_mean_and_variance_are_those_of_draws(drawn, site):
    eta, theta = drawn
    mean, variance = map(np.asarray, expfam.normal_wishart_moments(eta)[site])
    values = theta[site]
    within_4_standard_errors(values, mean)
    variance_within_4_standard_errors(values, mean, variance)


def test_mean_and_variance_of_precisions_and_covariances_are_scipys():
    p = familiar(3)
    moments = expfam.normal_wishart_moments(expfam.normal_wishart_natural(p))
    for k in range(3):
        nu, scale_inverse = float(p.degrees_of_freedom[k]), np.asarray(p.scale_inverse[k])
        wishart, inverse = stats.wishart(nu, np.linalg.inv(scale_inverse)), stats.invwishart(nu, scale_inverse)
        for site, law in (("precisions", wishart), ("covariances", inverse)):
            assert_allclose(moments[site][0][k], law.mean(), rtol=1e-11)
            assert_allclose(moments[site][1][k], law.var(), rtol=1e-11)


def test_a_moment_that_does_not_exist_is_not_finite():
    p = familiar(2)._replace(degrees_of_freedom=jnp.array([2.5, 3.5, 5.5]))  # D + 1 = 3 and D + 3 = 5
    moments = expfam.normal_wishart_moments(expfam.normal_wishart_natural(p))
    finite = lambda values: np.isfinite(np.asarray(values)).reshape(3, -1)
    for values, exists in (
        (moments["means"][1], [False, True, True]),
        (moments["covariances"][0], [False, True, True]),
        (moments["covariances"][1], [False, False, True]),
        (moments["precisions"][1], [True, True, True]),
    ):
        assert (finite(values) == np.array(exists)[:, None]).all()


def test_covariances_drawn_are_the_inverses_of_the_precisions_drawn(drawn):
    product = drawn[1]["precisions"] @ drawn[1]["covariances"]
    assert_allclose(product, np.broadcast_to(np.eye(product.shape[-1]), product.shape), atol=1e-10)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_natural_and_familiar_parameters_are_inverse(dimension):
    p = familiar(dimension)
    eta = expfam.normal_wishart_natural(p)
    for there_and_back, start in (
        (expfam.normal_wishart_parameters(eta), p),
        (expfam.normal_wishart_natural(expfam.normal_wishart_parameters(eta)), eta),
    ):
        for found, given in zip(there_and_back, start, strict=True):
            assert_allclose(found, given, rtol=1e-12, atol=1e-12)


def test_the_density_is_scipys_wishart_times_normal(drawn):
    eta, theta = drawn
    p = expfam.normal_wishart_parameters(eta)
    means, precisions = theta["means"][0], theta["precisions"][0]
    t = expfam.normal_wishart_sufficient(means, precisions)
    found = sum(float(jnp.vdot(a, b)) for a, b in zip(eta, t, strict=True)) - float(
        expfam.normal_wishart_log_normaliser(eta)
    )
    expected = 0.0
    for k in range(len(means)):
        scale = np.linalg.inv(p.scale_inverse[k])
        covariance = np.linalg.inv(float(p.mean_precision[k]) * precisions[k])
        expected += stats.wishart(float(p.degrees_of_freedom[k]), scale).logpdf(np.asarray(precisions[k]).squeeze())
        expected += stats.multivariate_normal(np.asarray(p.mean[k]), covariance).logpdf(np.asarray(means[k]))
    assert_allclose(found, expected, atol=1e-10)


def test_the_density_of_weights_is_scipys_dirichlet():
    weights, eta = jnp.array([0.5, 0.2, 0.3]), jnp.asarray(ALPHA) - 1
    found = jnp.vdot(eta, jnp.log(weights)) - expfam.dirichlet_log_normaliser(eta)
    assert_allclose(found, stats.dirichlet(ALPHA).logpdf(np.asarray(weights)), atol=1e-10)


def test_a_derivative_with_respect_to_a_symmetric_matrix_is_symmetric():
    eta = expfam.normal_wishart_natural(familiar(3))
    step = jax.tree.map(jnp.ones_like, eta)
    curvature = jax.jit(lambda eta: jax.jvp(jax.grad(expfam.normal_wishart_log_normaliser), (eta,), (step,))[1])
    curved = curvature(eta).matrix
    assert_allclose(curved, jnp.swapaxes(curved, 1, 2), rtol=1e-12, atol=1e-14)


def some_gaussian() -> expfam.Gaussian:
    rng = np.random.default_rng(7)
    root = rng.normal(size=(2, 3, 3))
    precision = jnp.asarray(root @ root.swapaxes(1, 2) + np.eye(3))
    return expfam.gaussian_natural(jnp.asarray(rng.normal(scale=2.0, size=(2, 3))), precision)


GAMMA = (np.array([0.6, 3.0]), np.array([2.0, 0.4]))  # shapes and rates
SIMPLE = {  # name: (eta, A, t, draw, moments, SciPy's log density)
    "gaussian": (
        some_gaussian,
        expfam.gaussian_log_normaliser,
        expfam.gaussian_sufficient,
        expfam.gaussian_draw,
        expfam.gaussian_moments,
        lambda eta, x: sum(
            stats.multivariate_normal(m, c).logpdf(v)
            for m, c, v in zip(*map(np.asarray, expfam.gaussian_parameters(eta)), x, strict=True)
        ),
    ),
    "gamma": (
        lambda: expfam.gamma_natural(*map(jnp.asarray, GAMMA)),
        expfam.gamma_log_normaliser,
        expfam.gamma_sufficient,
        expfam.gamma_draw,
        expfam.gamma_moments,
        lambda eta, x: stats.gamma(GAMMA[0], scale=1 / GAMMA[1]).logpdf(x).sum(),
    ),
}


@pytest.mark.parametrize("family", SIMPLE)
def test_a_family_has_scipys_density_and_draws_with_its_expectations(family):
    make, log_normaliser, sufficient, draw, moments, log_density = SIMPLE[family]
    eta = make()
    x = np.asarray(jax.jit(jax.vmap(lambda key: draw(key, eta)))(jax.random.split(jax.random.key(21), DRAWS)))
    t = jax.vmap(sufficient)(x)
    for values, truth in zip(t, jax.grad(log_normaliser)(eta), strict=True):
        within_4_standard_errors(np.asarray(values), np.asarray(truth))
    mean, variance = map(np.asarray, moments(eta))
    within_4_standard_errors(x, mean)
    variance_within_4_standard_errors(x, mean, variance)
    for one in x[:3]:
        inner = sum(float((a * b).sum()) for a, b in zip(eta, sufficient(one), strict=True))
        assert_allclose(inner - log_normaliser(eta), log_density(eta, one), rtol=1e-11)


def test_the_mode_of_a_gamma_and_of_a_gaussian_is_where_the_slope_is_zero():
    eta = expfam.gamma_natural(jnp.array([3.0]), jnp.array([0.4]))
    slope = jax.grad(lambda x: sum((a * b).sum() for a, b in zip(eta, expfam.gamma_sufficient(x), strict=True)))
    assert_allclose(slope(expfam.gamma_mode(eta)), 0, atol=1e-13)
    gaussian = some_gaussian()
    slope = jax.grad(lambda x: sum((a * b).sum() for a, b in zip(gaussian, expfam.gaussian_sufficient(x), strict=True)))
    assert_allclose(slope(expfam.gaussian_mode(gaussian)), 0, atol=1e-11)


def test_outside_the_family_there_is_no_normaliser_and_no_mode():
    one = jnp.ones(1)
    assert expfam.gamma_log_normaliser(expfam.Gamma(-one, one)) == np.inf
    assert expfam.gamma_log_normaliser(expfam.Gamma(one, -one)) == np.inf
    assert np.isnan(expfam.gamma_mode(expfam.Gamma(-0.5 * one, one))).all()
    assert np.isnan(expfam.gaussian_log_normaliser(expfam.Gaussian(jnp.ones((1, 2)), -jnp.eye(2)[None])))
    assert np.isnan(expfam.gaussian_mode(expfam.Gaussian(jnp.ones((1, 2)), -jnp.eye(2)[None]))).all()
