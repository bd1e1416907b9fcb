"""Logistic regression: the data are the published ones, the density SciPy's, the moments those of a quadrature."""

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, stats
from scipy.special import log_expit

import vi_vs_mcmc as vm

MODEL = vm.load("logistic_regression")


def log_joint(problem, intercept, slope) -> np.ndarray:
    """By NumPy, for arrays of intercepts and slopes of one column."""
    x, y, scale = problem.args
    eta = intercept[..., None] + slope[..., None] * x[:, 0]
    prior = stats.norm(0, scale).logpdf(intercept) + stats.norm(0, scale).logpdf(slope)
    return prior + (y * log_expit(eta) + (1 - y) * log_expit(-eta)).sum(-1)


def quadrature(problem) -> dict[str, tuple[float, float]]:
    """Means and sds by the trapezoid rule on a grid that holds all but 1e-9 of the posterior."""
    a, b = np.meshgrid(np.linspace(-8, 5, 261), np.linspace(-10, 4, 281), indexing="ij")
    log_p = log_joint(problem, a, b)
    p = np.exp(log_p - log_p.max())
    assert max(p[0].max(), p[-1].max(), p[:, 0].max(), p[:, -1].max()) < 1e-9
    mean = lambda f: float((p * f).sum() / p.sum())
    return {n: (mean(f), np.sqrt(mean(f**2) - mean(f) ** 2)) for n, f in (("intercept", a), ("coefficients", b))}


def test_the_built_in_data_have_the_published_maximum_likelihood_line():
    problem = MODEL()
    degrees, damage = problem.table.values.T
    loss = lambda theta: -log_expit((2 * damage - 1) * (theta[0] + theta[1] * (degrees - 70))).sum()
    intercept, slope = optimize.minimize(loss, [0.0, 0.0], tol=1e-10).x
    assert_allclose([intercept - 70 * slope, slope], [15.043, -0.2322], atol=5e-4)


def test_the_density_is_scipys():
    problem = MODEL(scale=1.5)
    theta = {"intercept": np.array(-0.7), "coefficients": np.array([-1.3])}
    with jax.enable_x64(True):
        call, arrays = problem.bound
        found = call.log_density(arrays, jax.tree.map(jnp.asarray, theta))
    assert_allclose(found, log_joint(problem, theta["intercept"], theta["coefficients"][0]), rtol=1e-12)


def test_nuts_has_the_moments_of_the_quadrature():
    problem = MODEL()
    draws = vm.fit(problem, "nuts", seed=0)["posterior"]
    for name, (mean, sd) in quadrature(problem).items():
        values = draws[name].values.reshape(4, -1)
        mcse = lambda method, of=values: float(arviz_stats.mcse(of, method=method))
        assert abs(values.mean() - mean) < 4 * mcse("mean"), name
        assert abs(values.std() - sd) < 4 * mcse("sd"), name


def factorised(problem) -> tuple[np.ndarray, np.ndarray]:
    """Means and sds of the factorised normal of highest ELBO, whose expectation is a Gauss-Hermite sum, by SciPy."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    e = np.meshgrid(nodes, nodes, indexing="ij")

    def loss(u: np.ndarray) -> float:
        log_s, at = u[2:], [u[i] + np.exp(u[2 + i]) * e[i] for i in range(2)]
        return -float((weights * log_joint(problem, *at)).sum()) - log_s.sum()

    u = optimize.minimize(loss, [-1.0, -1.0, -1.0, -1.0], tol=1e-10).x
    return u[:2], np.exp(u[2:])


def test_the_best_factorised_normal_is_a_little_too_narrow():
    problem = MODEL()
    wanted = np.array([sd for _, sd in quadrature(problem).values()])
    assert_allclose(factorised(problem)[1] / wanted, [0.95, 0.90], atol=5e-3)


@pytest.mark.slow  # a fit of a guide
def test_svi_finds_the_best_factorised_normal():
    problem = MODEL()
    draws = vm.fit(problem, "svi:AutoNormal", seed=0, draws=5000)["posterior"]
    means, sds = factorised(problem)
    for name, mean, sd in zip(("intercept", "coefficients"), means, sds, strict=True):
        # an sd of 20 000 draws has a relative error of .005, a mean one of .007 sds; SVI stops within .02 and .05
        assert abs(float(draws[name].std()) / sd - 1) < 0.02 + 4 * 0.005, name
        assert abs(float(draws[name].mean()) - mean) / sd < 0.05 + 4 * 0.007, name


def test_columns_are_standardised_and_named():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"won": rng.integers(0, 2, 50), "age": rng.normal(40, 9, 50), "height": rng.normal(2, 0.1, 50)})
    problem = MODEL(rows, target="won")
    x, y, scale = problem.args
    assert_allclose(x.mean(0), 0, atol=1e-12)
    assert_allclose(x.std(0), 1)
    assert_allclose(y, rows["won"])
    assert scale == 2.5
    assert problem.coords["column"] == ["age", "height"]
    assert problem.site_dims("coefficients") == ("column",)


ROWS = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 1.0], "c": [5.0, 5.0, 5.0]})


@pytest.mark.parametrize(
    ("data", "settings", "error", "words"),
    [
        (ROWS, {"target": "d"}, vm.SettingError, "no column of frame is called 'd'"),
        (ROWS[["b", "a"]], {}, vm.DataError, "column 'a' of frame, the response, holds 2; want 0 and 1"),
        (ROWS[["b"]], {}, vm.DataError, "no column but 'b'"),
        (ROWS, {"target": "b"}, vm.DataError, "column 'c' of frame is constant"),
        (None, {"scale": 0}, vm.SettingError, "want a number above 0"),
    ],
)
def test_what_is_wrong_is_said(data, settings, error, words):
    with pytest.raises(error, match=words):
        MODEL(data, **settings)
