"""Equally correlated Gaussians: what a factorised q loses is the formula's, and a full one loses nothing."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import vi_vs_mcmc as vm

MODEL = vm.load("correlated_gaussian")
DRAWS = 20_000  # of q: an sd's relative Monte Carlo error is 1 / sqrt(40 000) = .005
OPTIMUM = 0.02  # how far SVI lets a log-scale be from where it settles


def lost(size: int, rho: float) -> float:
    """The best factorised normal's variance, in the docstring's form."""
    return (1 - rho) * (1 + (size - 1) * rho) / (1 + (size - 2) * rho)


@pytest.mark.parametrize(
    ("size", "rho", "variance"),
    [(2, 0.5, 0.75), (10, 0.5, 0.55), (100, 0.5, 0.505), (2, 0.9, 0.19), (3, -0.4, None)],
)
def test_the_factorised_variance_is_one_over_the_precisions_diagonal(size, rho, variance):
    covariance = MODEL(dimension=size, correlation=rho).args[0]
    assert_allclose(1 / np.linalg.inv(covariance).diagonal(), lost(size, rho), rtol=1e-12)
    assert variance is None or np.isclose(lost(size, rho), variance, atol=5e-4)  # three digits are printed


@pytest.mark.parametrize(
    ("guide", "variance"),
    [
        ("AutoNormal", lost(3, 0.7)),
        pytest.param("AutoMultivariateNormal", 1.0, marks=pytest.mark.slow),  # another fit
    ],
)
def test_a_normal_guide_has_the_sds_of_its_familys_optimum(guide, variance):
    tree = vm.fit(MODEL(dimension=3, correlation=0.7), f"svi:{guide}", seed=0, chains=1, draws=DRAWS)
    draws = tree["posterior"]["x"].values[0]
    assert_allclose(draws.std(0) / np.sqrt(variance), 1, atol=OPTIMUM + 4 * 0.005)
    assert_allclose(draws.mean(0), 0, atol=0.05 + 4 / np.sqrt(DRAWS))  # .05 of an sd is what SVI lets a location be off


def test_the_default_is_two_coordinates_correlated_by_nine_tenths():
    problem = MODEL()
    assert problem.site_dims("x") == ("coordinate",)
    assert_allclose(problem.args[0], [[1, 0.9], [0.9, 1]])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dimension": 1}, "want a whole number, 2 to 2000"),
        ({"correlation": 1}, "correlation is 1; in 2 dimensions want more than -1 and less than 1"),
        ({"dimension": 5, "correlation": -0.25}, "want more than -0.25"),
        ({"correlation": "high"}, "want a number"),
        ({"data": [[1.0]]}, "has no data"),
    ],
)
def test_what_is_wrong_is_said(settings, words):
    with pytest.raises(vm.SettingError, match=words):
        MODEL(**settings)
