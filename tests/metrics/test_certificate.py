"""Certified bounds, against Gaussians whose divergences and distances are known in closed form."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm, t

from vi_vs_mcmc.metrics.certificate import Certificate, NoCertificate, certificate

DRAWS = 40000


def renyi(mean: np.ndarray, sd: np.ndarray) -> float:
    """D_2(N(0, 1) || N(mean, sd^2)), summed over coordinates (Gil, Alajaji and Linder 2013)."""
    return float(np.sum(np.log(sd) + 0.5 * np.log(sd**2 / (2 * sd**2 - 1)) + mean**2 / (2 * sd**2 - 1)))


def gaussian(mean, sd, seed=7, draws=DRAWS) -> tuple[np.ndarray, np.ndarray]:
    """Log ratios, off by a constant, and draws of q = N(mean, sd^2) for p = N(0, 1) in each coordinate."""
    mean, sd = np.asarray(mean, float), np.asarray(sd, float)
    x = mean + sd * np.random.default_rng(seed).standard_normal((draws, len(mean)))
    return (norm.logpdf(x) - norm.logpdf(x, mean, sd)).sum(1) - 123.4, x


CASES = {
    "wider": ([0.0, 0.0], [1.1, 1.2]),
    "shifted": ([0.2, 0.0, -0.1], [1.0, 1.0, 1.0]),
    "shifted and wider": ([0.3], [1.3]),
    "a little narrower": ([0.1, 0.0], [0.92, 1.05]),
    "much wider": ([0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    "ten coordinates": ([0.05] * 10, [1.05] * 10),
}


@pytest.mark.parametrize("name", CASES)
def test_the_divergence_is_right_and_every_bound_holds(name):
    mean, sd = (np.array(a) for a in CASES[name])
    found = certificate(*gaussian(mean, sd))
    assert isinstance(found, Certificate)
    true = renyi(mean, sd)
    assert abs(found.divergence - true) < 4 * found.divergence_error
    assert found.divergence_error < 0.03 + 0.1 * true
    assert_allclose(found.log_evidence, -123.4, atol=4 * np.sqrt(np.expm1(true) / DRAWS))  # Var w / n = chi^2 / n
    kl = np.sum(np.log(1 / sd) + (sd**2 + mean**2) / 2 - 0.5)  # KL(q || p)
    assert_allclose(found.elbo, -123.4 - kl, atol=4 * np.sqrt(2 * true / DRAWS) + 0.01)
    assert found.elbo < found.log_evidence < found.cubo
    assert_allclose(found.elbo_bound, true + 2 * kl, atol=4 * found.divergence_error + 0.03)
    distances = np.sqrt(np.sum((mean / sd) ** 2 + (1 - 1 / sd) ** 2))  # W_2 of Gaussians, in q's sds
    assert found.wasserstein2 >= distances
    assert found.wasserstein2 >= found.wasserstein1
    assert found.wasserstein1 >= np.sqrt(np.sum((mean / sd) ** 2))  # W_1 >= |mean_p - mean_q|
    assert (found.mean_error >= np.abs(mean) / sd).all()
    assert (found.sd_error >= np.abs(1 - 1 / sd)).all()


def test_the_bounds_go_to_nothing_as_q_goes_to_p():
    far, near, there = (certificate(*gaussian([m], [1.0])) for m in (0.1, 0.01, 0.0))
    assert isinstance(far, Certificate)
    assert isinstance(near, Certificate)
    assert isinstance(there, Certificate)
    assert_allclose(far.mean_error, 0.1, rtol=0.05)  # chi of a shift d is sqrt(e^(d^2) - 1): sharp
    assert_allclose(near.mean_error, 0.01, rtol=0.05)
    assert far.sd_error[0] < 0.08  # sqrt(2) chi / 2
    assert there.wasserstein2 < 1e-3
    assert there.mean_error[0] < 1e-3


def test_coordinates_are_standardised_so_that_their_units_do_not_matter():
    log_ratio, x = gaussian([0.1, 0.0], [1.1, 1.2])
    plain, scaled = certificate(log_ratio, x), certificate(log_ratio, 5 + x * [1e-3, 1e4])
    assert isinstance(plain, Certificate)
    assert isinstance(scaled, Certificate)
    assert_allclose(scaled.wasserstein2, plain.wasserstein2, rtol=1e-8)
    assert_allclose(scaled.sd_error, plain.sd_error, rtol=1e-8)


def test_a_constant_in_the_log_ratios_does_not_matter_however_large():
    log_ratio, x = gaussian([0.1], [1.1])
    a, b = certificate(log_ratio, x), certificate(log_ratio - 1e5, x)
    assert isinstance(a, Certificate)
    assert isinstance(b, Certificate)
    assert_allclose(b.divergence_bound, a.divergence_bound, atol=1e-8)


def test_the_upper_limit_of_the_divergence_holds_the_truth_in_95_percent_of_seeds():
    mean, sd = np.array([0.0, 0.1]), np.array([1.1, 0.95])
    found = [certificate(*gaussian(mean, sd, seed, 2000)) for seed in range(100)]
    held = [c.divergence_bound > renyi(mean, sd) for c in found if isinstance(c, Certificate)]
    assert len(held) > 90
    assert np.mean(held) > 0.975 - 3 * np.sqrt(0.975 * 0.025 / 100)  # .93


@pytest.mark.parametrize("sd", [0.6, 0.75])
def test_a_q_that_is_too_narrow_gets_no_certificate(sd):
    found = certificate(*gaussian([0.0], [sd]))  # k of the squared ratios is 2 (1 - sd^2) = 1.28, .875
    assert isinstance(found, NoCertificate)
    assert "tail index" in found.reason


def test_a_normal_q_of_a_heavy_tailed_p_gets_no_certificate():
    x = np.random.default_rng(7).standard_normal((DRAWS, 1))
    found = certificate((t(3).logpdf(x) - norm.logpdf(x)).ravel(), x)
    assert isinstance(found, NoCertificate)


def test_what_no_bound_can_be_made_of_is_refused_with_a_reason():
    log_ratio, x = gaussian([0.0], [1.1])
    broken = log_ratio.copy()
    broken[3] = -np.inf
    for arguments, word in (
        ((log_ratio[:50], x[:50]), "too few"),
        ((broken, x), "infinite"),
        ((log_ratio, np.where(np.arange(DRAWS)[:, None] == 5, np.nan, x)), "not numbers"),
        ((np.zeros(DRAWS), np.ones((DRAWS, 1))), "does not move"),
    ):
        found = certificate(*arguments)
        assert isinstance(found, NoCertificate)
        assert word in found.reason
