"""k-hat, reweighted moments and their errors, on Gaussians whose ratios have a known law."""

import time

import numpy as np
import pytest
from pareto_seen import error, seen, with_prior
from scipy import integrate, stats
from xarray import Dataset, DataTree

from vi_vs_mcmc.metrics.importance import corrected, khat, khat_of, log_ratio
from vi_vs_mcmc.psis import FEW, smoothed

TIMES = 40  # independent replicates of an estimate


def narrow(draws: np.ndarray, s: float) -> np.ndarray:
    """log p - log q, up to a constant, p = N(0, I) and q = N(0, s^2 I), summed over the last axis."""
    return 0.5 * (s**-2 - 1) * (draws**2).sum(-1)


def tree_of(log_p: np.ndarray, log_q: np.ndarray) -> DataTree:
    stats = {"log_p": (("chain", "draw"), log_p), "log_q": (("chain", "draw"), log_q)}
    return DataTree.from_dict(
        {"/posterior": Dataset({"x": (("chain", "draw"), log_p)}), "/sample_stats": Dataset(stats)}
    )


@pytest.mark.parametrize("s", [0.6, 0.8])
def test_khat_is_1_minus_s_squared_where_the_ratios_are_exactly_pareto(s):
    # In two dimensions |x|^2 / s^2 is chi-squared with 2, an exponential, and so w a Pareto variable of shape 1 - s^2.
    size, rng = 40_000, np.random.default_rng(0)
    true = 1 - s**2
    found = [smoothed(narrow(s * rng.standard_normal((size, 2)), s)).khat for _ in range(TIMES)]
    # 600 in the tail: the prior moves .64 to .638; one estimate's error (1 + k) / sqrt(600) = .067, the average's .011
    assert abs(np.mean(found) - with_prior(true, size)) < 4 * error(true, size) / np.sqrt(TIMES)
    assert np.std(found) == pytest.approx(error(true, size), rel=4 / np.sqrt(2 * TIMES))


def test_in_one_dimension_khat_is_what_the_tail_looks_like_from_100_000_draws():
    # P(w > t) = t^(-1 / k) / sqrt(log t) times a constant, k = 1 - s^2 = .64: the root in the way makes the tail look
    # lighter at any t that draws reach: .601 from 1e5 draws, .614 from 1e9.
    s, size, rng = 0.6, 100_000, np.random.default_rng(1)
    ratio = lambda share: np.exp(narrow(s * stats.norm.isf(share / 2)[..., None], s))
    true = seen(ratio, size)
    assert true == pytest.approx(0.601, abs=1e-3)
    assert true < seen(ratio, 10**9) < seen(ratio, 10**14) < 1 - s**2
    found = [smoothed(narrow(s * rng.standard_normal((size, 1)), s)).khat for _ in range(TIMES)]
    # 948 in the tail: one estimate's error is .052, the average's .0082
    assert abs(np.mean(found) - with_prior(true, size)) < 4 * error(true, size) / np.sqrt(TIMES)


def test_the_corrected_moments_of_a_gaussian_lie_within_their_stated_errors():
    # p = N(0, 1), q = N(.2, .9^2): k = 1 - .81 = .19, the ratios have five moments
    seeds, size, rng = 200, 2000, np.random.default_rng(2)
    z = []
    for _ in range(seeds):
        x = 0.2 + 0.9 * rng.standard_normal(size)
        found = corrected(x[:, None], smoothed(stats.norm.logpdf(x) - stats.norm.logpdf(x, 0.2, 0.9)))
        z.append([found.mean[0] / found.mean_error[0], (found.sd[0] - 1) / found.sd_error[0]])
    z = np.array(z)
    assert (np.abs(z) < 4).all()  # 400 intervals of 4 errors: one is missed in 40 such tests
    covered = (np.abs(z) < 1.96).mean(0)  # of 95 %, the share has a standard error of 1.5 %
    assert ((covered >= 0.90) & (covered <= 0.99)).all(), covered
    assert np.abs(z.mean(0)).max() < 4 / np.sqrt(seeds)


def test_with_nearly_equal_weights_the_moments_and_errors_are_the_plain_ones():
    rng = np.random.default_rng(3)
    x = rng.gamma(3.0, size=(1000, 2))
    found = corrected(x, smoothed(1e-5 * rng.standard_normal(1000)))
    np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.sd, x.std(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(found.mean_error, x.std(0) / np.sqrt(1000), rtol=1e-4)
    fourth = ((x - x.mean(0)) ** 4).mean(0)
    np.testing.assert_allclose(found.sd_error, np.sqrt((fourth - x.var(0) ** 2) / 1000) / (2 * x.std(0)), rtol=1e-2)


def test_a_constant_scalar_keeps_its_value_without_error():
    rng = np.random.default_rng(4)
    found = corrected(np.full((1000, 1), 3.0), smoothed(rng.standard_normal(1000)))
    assert found.mean[0] == pytest.approx(3)
    assert [float(of[0]) for of in found[1:]] == pytest.approx([0, 0, 0], abs=1e-12)


def test_the_effective_size_is_what_the_ratios_law_says():
    # p = N(0, 1), q = N(m, 1): E w = 1, E w^2 = exp(m^2); k = 0, so that smoothing changes little
    m, size, rng = 0.5, 40_000, np.random.default_rng(5)
    second = integrate.quad(lambda x: stats.norm.pdf(x) ** 2 / stats.norm.pdf(x, m), -12, 12)[0]
    assert second == pytest.approx(np.exp(m**2))
    x = m + rng.standard_normal(size)
    found = smoothed(stats.norm.logpdf(x) - stats.norm.logpdf(x, m))
    assert np.exp(found.log_weight).sum() == pytest.approx(1)
    # the error of log sum w^2 - 2 log sum w: that of w^2 / E w^2 - 2 w, by the sample
    w = np.exp(stats.norm.logpdf(x) - stats.norm.logpdf(x, m))
    spread = (w**2 / second - 2 * w).std() / np.sqrt(size)
    assert abs(np.log(size / found.ess) - m**2) < 4 * spread
    assert found.reliable
    assert found.threshold == pytest.approx(0.7)  # 1 - 1 / log10(40 000) = .78
    assert smoothed(narrow(rng.standard_normal((300, 2)), 0.9)).threshold == pytest.approx(1 - 1 / np.log10(300))


def test_khat_per_expectation_sees_a_heavy_scalar_and_leaves_a_light_one():
    # q = N(0, s^2 I) in two dimensions, s = .9: the ratios have k = .19; exp(|x|^2 / 4) times them is Pareto with
    # k = 1 - s^2 + s^2 / 2 = .595; the angle's cosine is bounded and knows nothing of |x|: it stays at .19.
    s, size, rng = 0.9, 40_000, np.random.default_rng(6)
    found = []
    for _ in range(TIMES):
        x = s * rng.standard_normal((size, 2))
        square = (x**2).sum(1)
        scalars = np.stack([np.exp(square / 4), x[:, 0] / np.sqrt(square), np.ones(size)], 1)
        found.append(khat_of(scalars, narrow(x, s)))
    heavy, light, constant = np.mean(found, 0)
    of = lambda k: error(k, size) / np.sqrt(TIMES)  # .0103 and .0077
    assert abs(heavy - with_prior(0.595, size)) < 4 * of(0.595)
    # the larger of three estimates is high by 0 to .85 of one's error, .049
    low = with_prior(0.19, size)
    assert low - 4 * of(0.19) < light < low + 0.85 * error(0.19, size) + 4 * of(0.19)
    assert np.isnan(constant)


@pytest.mark.parametrize("scale", [300, 1e4])
def test_khat_per_expectation_is_no_lighter_than_the_ratios_where_one_draw_has_all_the_weight(scale):
    # that draw is then the mean itself, and its own term vanishes or underflows
    rng = np.random.default_rng(7)
    ratios, x = scale * rng.standard_normal(2000), rng.standard_normal((2000, 6))
    weights = smoothed(ratios)
    assert (khat_of(x, ratios) >= weights.khat).all()
    assert weights.khat > 1


def test_khat_per_expectation_of_60_scalars_and_40_000_draws_takes_under_two_seconds():
    x = np.random.default_rng(8).standard_normal((40_000, 60))
    began = time.process_time()
    assert np.isfinite(khat_of(x, narrow(x[:, :2], 0.9))).all()
    assert time.process_time() - began < 2  # .25 s of one core


@pytest.mark.parametrize("scale", [30, 300, 1000, 1e5])
def test_ratios_beyond_the_floating_point_numbers_have_a_finite_khat_that_refuses_them(scale):
    found = smoothed(scale * np.random.default_rng(9).standard_normal(4000))
    assert np.isfinite(found.khat)
    assert found.khat > 5
    assert not found.reliable
    assert np.isfinite(found.log_weight).all()
    assert found.ess == pytest.approx(1, abs=0.5)


NORMAL = np.random.default_rng(10).standard_normal((4, 500))


@pytest.mark.parametrize(
    "ratios",
    [
        NORMAL.ravel()[: FEW - 1],
        np.append(NORMAL.ravel(), np.inf),
        np.append(NORMAL.ravel(), np.nan),
        np.full(2000, 3.2),
        1e5 + 1e-9 * NORMAL.ravel(),  # what is left of exact draws in two log densities of 1e5
        np.minimum(NORMAL.ravel(), 1),  # a sixth of the draws share the largest ratio
    ],
    ids=["few", "infinite", "nan", "equal", "equal up to rounding", "tied"],
)
def test_where_a_tail_has_no_meaning_nothing_is_said(ratios):
    assert smoothed(ratios) is None
    assert khat_of(np.ones((ratios.size, 2)), ratios) is None
    assert khat(tree_of(ratios[None], np.zeros((1, ratios.size)))) is None


def test_a_method_without_a_density_gets_no_khat():
    tree = tree_of(NORMAL, np.zeros_like(NORMAL))
    assert khat(tree.drop_nodes("sample_stats")) is None
    tree["sample_stats"] = DataTree(tree["sample_stats"].to_dataset().drop_vars("log_q"))
    assert log_ratio(tree) is None
    assert khat(tree) is None


def test_khat_of_a_posterior_is_that_of_its_ratios():
    weights = smoothed(2 * NORMAL.ravel())
    assert khat(tree_of(3 * NORMAL, NORMAL)) == pytest.approx((weights.khat, weights.threshold))
