"""Laplace: exact where log p is quadratic, the curvature by hand where it is not, and honest where there is no mode."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from fixed_laws import COVARIANCE, MEAN, SDS, bottomless, normal, rate
from numpy.testing import assert_allclose

import vi_vs_mcmc as vm
from vi_vs_mcmc.methods import newton


def test_a_normal_law_is_found_to_its_last_digits():
    fitted = vm.fit(normal(), "laplace", seed=1, draws=1000)
    of = fitted["variational"]
    assert fitted.attrs["status"] == "converged"
    assert_allclose(of["mean_x"], MEAN, rtol=1e-6, atol=1e-6 * SDS[0])
    assert_allclose(of["sd_x"], SDS, rtol=1e-6)
    stats = fitted["sample_stats"]  # q is p, so log p - log q is the log of the law's mass
    assert_allclose((stats["log_p"] - stats["log_q"]).values, 0.0, atol=1e-6)
    draws = fitted["posterior"]["x"].values.reshape(-1, 3)
    correlation = np.corrcoef(draws.T)  # standard error (1 - rho^2) / sqrt(4000)
    wanted = COVARIANCE / np.outer(SDS, SDS)
    assert np.all(np.abs(correlation - wanted) <= 4 * (1 - wanted**2) / np.sqrt(4000) + 1e-12)


def test_a_positive_site_has_the_log_normal_law_of_its_mode_and_curvature():
    # log Gamma(5, 2) of u = log rate is 5 u - 2 e^u + const: mode log(5/2), curvature 5
    of = vm.fit(rate(), "laplace", seed=1, draws=10)["variational"]
    mean = 2.5 * np.exp(0.5 / 5)
    assert_allclose(of["mean_rate"], mean, rtol=1e-6)
    assert_allclose(of["sd_rate"], mean * np.sqrt(np.expm1(1 / 5)), rtol=1e-6)
    # shifted = 2 + e^u: -(2 + e^u)^2 / 2 + u has its top where e^u (2 + e^u) = 1, curvature 2 e^u + 2 e^2u
    top = np.sqrt(2.0) - 1
    variance = 1 / (2 * top + 2 * top**2)
    mean = top * np.exp(variance / 2)
    assert_allclose(of["mean_shifted"], 2 + mean, rtol=1e-6)
    assert_allclose(of["sd_shifted"], mean * np.sqrt(np.expm1(variance)), rtol=1e-6)


def test_a_density_without_a_mode_is_not_converged():
    fitted = vm.fit(bottomless(), "laplace", seed=1, draws=10)
    assert fitted.attrs["status"] == "not converged"
    assert "still rising" in fitted.attrs["status_sentence"] or "no strict maximum" in fitted.attrs["status_sentence"]


def _two_modes(_, part, x):
    return jnp.logaddexp(jnp.log(0.9) - 0.5 * (x[0] + 30) ** 2, jnp.log(0.1) - 0.5 * (x[0] - 30) ** 2)


def _rounded(_, part, x):
    return -jnp.cosh(x - jnp.arange(3.0)).sum()


def test_the_last_steps_are_newtons_to_rounding():
    with jax.enable_x64(True):
        peak = newton.climb(newton.Surface(_rounded, None), np.array([1.4, -0.8, 3.3]), max_steps=50)
    assert_allclose(peak.point, np.arange(3.0), atol=1e-9)  # the trust region alone stops at slopes below 1e-4
    assert_allclose(peak.covariance, np.eye(3), atol=1e-9)
    assert peak.left < 1e-5


def test_another_mode_is_told_and_the_higher_one_is_taken():
    with jax.enable_x64(True):
        surface = newton.Surface(_two_modes, None)
        peaks = [newton.climb(surface, np.array([x]), max_steps=50) for x in (29.0, -28.0, -31.0)]
    best, reached, sentence = newton.best_of(peaks, "log p", 50)
    assert reached
    assert_allclose(best.point, -30.0, atol=1e-6)
    assert_allclose(best.covariance, 1.0, rtol=1e-9)
    assert "2 of 3 starts" in sentence
    assert "another one is 2.2 nats lower" in sentence  # log 9


def test_a_climb_that_found_no_number_does_not_hide_one_that_did():
    with jax.enable_x64(True):
        surface = newton.Surface(_two_modes, None)
        good = newton.climb(surface, np.array([-28.0]), max_steps=50)
    lost = newton.Peak(np.array([np.nan]), np.nan, None, np.inf, 3)
    for peaks in ([lost, good], [good, lost]):
        assert newton.best_of(peaks, "log p", 50)[1]


def test_a_climb_that_was_cut_short_says_so():
    with jax.enable_x64(True):
        peak = newton.climb(newton.Surface(_two_modes, None), np.array([-1.0]), max_steps=2)
    _, reached, sentence = newton.best_of([peak], "log p", 2)
    assert not reached
    assert "still rising" in sentence


def test_the_hessian_is_that_of_finite_differences():
    with jax.enable_x64(True):
        parts = np.array([[1.0, 2.0], [3.0, 0.5], [9.0, 9.0]])  # room for three, two of them count
        surface = newton.Surface(_quartic, None, parts, 2)
        x, step = np.array([0.3, -0.7]), 1e-5
        slopes = [[(surface.slope(x + s * step * e)[1]) for s in (1, -1)] for e in np.eye(2)]
        wanted = -np.array([(up - down) / (2 * step) for up, down in slopes])
        assert_allclose(surface.curvature(x), wanted, rtol=1e-7)
        assert_allclose(surface.product(x, np.array([2.0, -1.0])), -wanted @ [2.0, -1.0], rtol=1e-7)


def _quartic(_, weights, x):
    return -(weights * x**4).sum() + x[0] * x[1]


def test_a_covariance_too_large_to_keep_is_refused():
    wide = vm.Problem(lambda: numpyro.sample("x", dist.Normal(0.0, 1.0).expand([2001]).to_event(1)))
    with pytest.raises(vm.SettingError, match="2001 of them; want 2000 at most"):
        vm.fit(wide, "laplace", seed=0)
