"""What a factorised Gaussian must give, against closed forms and against the best one found by brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

from vi_vs_mcmc.metrics.coverage import held
from vi_vs_mcmc.metrics.factorised import predicted_ratio, shrinkage_delinkage


def exact(covariance: np.ndarray, rng: np.random.Generator, draws: int = 100) -> np.ndarray:
    """Draws (4, draws, U) whose covariance is exactly this one (with 1/n)."""
    x = rng.standard_normal((4 * draws, len(covariance)))
    x -= x.mean(0)
    white = x @ np.linalg.inv(np.linalg.cholesky(x.T @ x / len(x))).T
    return (white @ np.linalg.cholesky(covariance).T).reshape(4, draws, -1)


def equicorrelated(n: int, rho: float) -> np.ndarray:
    return np.full((n, n), rho) + (1 - rho) * np.eye(n)


def kl_of_gaussians(q: np.ndarray, p: np.ndarray) -> float:
    """KL(N(0, q) || N(0, p))."""
    return 0.5 * (np.trace(np.linalg.solve(p, q)) - len(p) + np.linalg.slogdet(p)[1] - np.linalg.slogdet(q)[1])


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def covariance(rng):
    """A dense one of five coordinates on very different scales."""
    a = rng.standard_normal((5, 8))
    scale = 10.0 ** np.arange(-2, 3)
    return scale[:, None] * (a @ a.T) * scale


@pytest.mark.parametrize(("n", "ratio"), [(2, 0.75), (10, 0.55), (100, 0.505)])
def test_equicorrelated_coordinates_give_the_variance_ratios_of_margossian_and_saul(n, ratio, rng):
    x = exact(equicorrelated(n, 0.5), rng)
    found = predicted_ratio(x, x)
    assert_allclose(found.ratio**2, ratio, atol=6e-4)  # .5045 is printed as .505
    assert_allclose(found.explained, 1.0)


def test_a_correlation_of_09_leaves_19_percent_of_the_variance_and_61_percent_coverage(rng):
    x = exact(equicorrelated(2, 0.9), rng)
    ratio = predicted_ratio(x, x).ratio[0]
    assert_allclose(ratio**2, 0.19)
    quantiles = norm.ppf((np.arange(20000) + 0.5) / 20000)[:, None]
    assert_allclose(held(ratio * quantiles, quantiles, np.array([0.95])), 0.607, atol=5e-4)


def test_the_ratio_of_a_coordinate_is_that_of_its_conditional_to_its_marginal_sd(covariance, rng):
    x = exact(covariance, rng)
    want = 1 / np.sqrt(np.diag(covariance) * np.diag(np.linalg.inv(covariance)))
    assert_allclose(predicted_ratio(x, x).ratio, want, rtol=1e-8)


@pytest.mark.parametrize("blocks", [None, [[0, 1]], [[4, 0], [1, 3]], [[0, 1, 2, 3, 4]]])
def test_a_linear_scalar_has_the_sd_that_the_best_gaussian_of_those_blocks_gives_it(blocks, covariance, rng):
    x = exact(covariance, rng)
    weights = rng.standard_normal((3, 5)) / np.sqrt(np.diag(covariance))
    precision, q = np.linalg.inv(covariance), np.zeros((5, 5))
    named = blocks or []
    for block in named + [[j] for j in range(5) if not any(j in b for b in named)]:
        q[np.ix_(block, block)] = np.linalg.inv(precision[np.ix_(block, block)])
    for _ in range(50):  # no other Gaussian of those blocks is nearer
        other = q + np.where(q != 0, 0.01 * rng.standard_normal() * q, 0)
        assert kl_of_gaussians(other, covariance) >= kl_of_gaussians(q, covariance)
    variance = lambda s: np.einsum("hj,jk,hk->h", weights, s, weights)
    found = predicted_ratio(x @ weights.T, x, blocks)
    assert_allclose(found.ratio, np.sqrt(variance(q) / variance(covariance)), rtol=1e-8)
    split = shrinkage_delinkage(x, blocks)
    assert_allclose(split.kl, kl_of_gaussians(q, covariance), atol=1e-8)


def test_what_is_not_linear_in_the_coordinates_is_reported_as_unexplained(rng):
    x = exact(np.eye(2), rng)
    found = predicted_ratio(x[..., :1] ** 2 + x[..., :1], x)
    assert_allclose(found.explained, 1 / 3, atol=0.1)  # Var x = 1, Var x^2 = 2


def test_shrinkage_less_delinkage_is_the_kl_divergence(covariance, rng):
    found = shrinkage_delinkage(exact(covariance, rng))
    precision = np.linalg.inv(covariance)
    best = np.diag(1 / np.diag(precision))
    assert_allclose(found.kl, kl_of_gaussians(best, covariance), atol=1e-8)
    sds = np.sqrt(np.diag(covariance))
    assert_allclose(found.shrinkage, 0.5 * np.log(np.diag(covariance) * np.diag(precision)).sum(), atol=1e-8)
    assert_allclose(found.delinkage, -0.5 * np.linalg.slogdet(covariance / np.outer(sds, sds))[1], atol=1e-8)
    assert min(found) > 0


def test_independent_coordinates_lose_nothing(rng):
    x = exact(np.diag([1.0, 4.0, 1e-6]), rng)
    assert_allclose(predicted_ratio(x, x).ratio, 1.0)
    assert_allclose(shrinkage_delinkage(x), 0.0, atol=1e-8)


def test_the_error_is_that_seen_over_seeds_for_autocorrelated_chains(rng):
    seeds, phi, root = 200, 0.5, np.linalg.cholesky(equicorrelated(3, 0.8))
    noise = rng.standard_normal((1000, seeds, 4, 3))
    x = noise.copy()
    for t in range(1, 1000):
        x[t] = phi * x[t - 1] + np.sqrt(1 - phi**2) * noise[t]
    chains = np.moveaxis(x @ root.T, 0, 2)  # (seed, chain, draw, .)
    found = [predicted_ratio(c, c) for c in chains]
    seen = np.log([f.ratio for f in found]).std(0)
    given = np.sqrt(np.mean([f.error**2 for f in found], 0))
    # a sd from 200 seeds is known to 5 %, the mean square of 200 errors with 19 degrees of freedom to 2 %: three times that
    assert_allclose(given / seen, 1.0, atol=0.17)
    truth = np.log(1 / np.sqrt(np.diag(np.linalg.inv(equicorrelated(3, 0.8)))))
    assert_allclose(np.log([f.ratio for f in found]).mean(0), truth, atol=3 * seen.max() / np.sqrt(seeds) + 0.001)


def test_what_does_not_move_is_passed_over_and_collinear_coordinates_give_nan(rng):
    x = exact(equicorrelated(3, 0.6), rng)
    still = np.concatenate([x, np.full((*x.shape[:2], 1), 7.3)], -1)
    found, plain = predicted_ratio(still, still), predicted_ratio(x, x)
    assert_allclose(found.ratio, [*plain.ratio, np.nan])
    assert_allclose(found.error, [*plain.error, np.nan])
    assert_allclose(shrinkage_delinkage(still), shrinkage_delinkage(x))
    collinear = np.concatenate([x, 1e3 * (x[..., :1] - 2 * x[..., 1:2]) + 5], -1)
    assert all(np.isnan(part).all() for part in predicted_ratio(x, collinear))
    assert np.isnan(shrinkage_delinkage(collinear)).all()
    few = x[:, :1]  # four draws of three coordinates, and three when one is left out
    assert np.isnan(predicted_ratio(few, few).error).all()
