"""KL divergences from draws, against closed forms and quadrature, where the method is too narrow above all."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.special import expit
from xarray import DataArray

from vi_vs_mcmc.metrics import density
from vi_vs_mcmc.metrics.divergence import kl_from_method, kl_from_reference
from vi_vs_mcmc.metrics.marginals import Marginals

SEEDS = 12
CHAINS, DRAWS, METHOD_DRAWS, PHI = 4, 1000, 10000, 0.5


class TwoModes:
    """An even mixture of N(-1.5, .5^2) and N(1.5, .5^2)."""

    parts = stats.norm(-1.5, 0.5), stats.norm(1.5, 0.5)

    def logpdf(self, x):
        return np.logaddexp(*(part.logpdf(x) for part in self.parts)) - np.log(2)

    def rvs(self, size, random_state):
        return 1.5 * random_state.choice([-1, 1], size) + 0.5 * random_state.standard_normal(size)

    def ppf(self, u):
        x = np.linspace(-8, 8, 20001)
        return np.interp(u, sum(part.cdf(x) for part in self.parts) / 2, x)

    def isf(self, u):
        return -self.ppf(u)


N = stats.norm
LAWS = {  # reference, method
    "normal, .3 of the sd": (N(), N(0, 0.3)),
    "normal, .6 of the sd": (N(), N(0, 0.6)),
    "normal, equal": (N(), N()),
    "normal, 1.5 of the sd": (N(), N(0, 1.5)),
    "normal, shifted and narrow": (N(), N(0.5, 0.6)),
    "normal, shifted by two sds": (N(), N(2, 1)),
    "gamma, narrower": (stats.gamma(4), stats.gamma(8, scale=0.5)),
    "log-normal, narrower": (stats.lognorm(0.5), stats.lognorm(0.3)),
    "skewed against gamma": (stats.lognorm(0.8), stats.gamma(4, scale=0.25)),
    "inverse gamma, narrower": (stats.invgamma(5), stats.invgamma(10, scale=2.2)),
    "beta, narrower": (stats.beta(2, 5), stats.beta(4, 10)),
    "Student-t against normal": (stats.t(5), N()),
    "Student-t, both": (stats.t(5), stats.t(10, scale=0.7)),
    "two modes against one": (TwoModes(), N(1.5, 0.5)),
    "two modes against wide": (TwoModes(), N(0, 1.6)),
}


def kl(p, q) -> float:
    """Quadrature over logit of p's own probability, in 50 panels; each half starts from the end that is near."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    a = np.concatenate([0.5 * (nodes + 1) + start for start in range(25)])
    u = expit(-a)
    sides = [p.logpdf(x) - q.logpdf(x) for x in (p.ppf(u), p.isf(u))]
    return float(0.5 * np.tile(weights, 25) @ (sum(sides) * u * expit(a)))


def as_marginals(draws: np.ndarray, *, independent: bool) -> Marginals:
    array = DataArray(
        draws,
        dims=("chain", "draw", "parameter"),
        coords={"parameter": [str(j) for j in range(draws.shape[-1])]},
    )
    flat = (0, 1)
    return Marginals(array, draws.mean(flat), draws.std(flat, ddof=1), np.zeros(draws.shape[-1], bool), independent)


def drawn(law, rng: np.random.Generator, draws: int, columns: int = SEEDS) -> Marginals:
    return as_marginals(law.rvs(size=(CHAINS, draws, columns), random_state=rng), independent=True)


@pytest.mark.parametrize("name", LAWS)
def test_the_kl_of_known_laws_is_right_within_3_percent_or_a_hundredth_of_a_nat(name):
    reference, method = LAWS[name]
    rng = np.random.default_rng(7)
    p, q = drawn(reference, rng, DRAWS), drawn(method, rng, METHOD_DRAWS)
    for found, true in (
        (kl_from_reference(q, p), kl(reference, method)),
        (kl_from_method(q, p), kl(method, reference)),
    ):
        value = found["value"].values
        # 3 standard errors of the mean over the seeds, and the bias that the module owns to
        assert abs(value.mean() - true) < 3 * value.std() / np.sqrt(SEEDS) + max(0.01, 0.03 * true), (
            true,
            value.mean(),
        )
        # the error given is that seen: a sd from 12 seeds is known to 1/sqrt(24) = 20 %, three times that
        if name != "normal, equal" and "two modes against wide" not in name:
            assert 0.5 < np.median(found["error"]) / value.std(ddof=1) < 2.5


def test_six_scalars_of_a_too_narrow_method_sum_to_the_known_divergence():
    rng = np.random.default_rng(7)
    p, q = drawn(N(), rng, DRAWS, 6), drawn(N(0, 0.6), rng, METHOD_DRAWS, 6)
    for found, true in ((kl_from_reference(q, p), 2.268), (kl_from_method(q, p), 1.145)):
        error = np.sqrt((found["error"].values ** 2).sum())  # about .05 and .017
        assert abs(float(found["value"].sum()) - true) < 3 * error < 0.08 * true
        assert_allclose(kl(N(), N(0, 0.6)) * 6, 2.268, atol=5e-4)


@pytest.mark.slow
def test_the_95_percent_limits_hold_the_truth_for_an_autocorrelated_reference():
    rng = np.random.default_rng(7)
    columns = 100
    noise = rng.standard_normal((DRAWS, CHAINS, columns))
    x = noise.copy()
    for t in range(1, DRAWS):
        x[t] = PHI * x[t - 1] + np.sqrt(1 - PHI**2) * noise[t]
    p = as_marginals(x.swapaxes(0, 1), independent=False)
    q = as_marginals(0.3 + 0.6 * rng.standard_normal((CHAINS, DRAWS, columns)), independent=True)
    for measure, true in ((kl_from_reference, kl(N(), N(0.3, 0.6))), (kl_from_method, kl(N(0.3, 0.6), N()))):
        found = measure(q, p)
        held = np.abs(found["value"].values - true) < 1.96 * found["error"].values
        assert 0.88 <= held.mean() <= 0.995, held.mean()  # .95 +- 3 sqrt(.95 .05 / 100) = .065


def test_the_kl_does_not_depend_on_location_and_scale():
    rng = np.random.default_rng(7)
    p, q = rng.standard_normal((2, 500, 1)), 0.5 * rng.standard_normal((2, 500, 1))
    plain = kl_from_reference(as_marginals(q, independent=True), as_marginals(p, independent=False))
    moved = kl_from_reference(
        as_marginals(1e6 + 1e-3 * q, independent=True), as_marginals(1e6 + 1e-3 * p, independent=False)
    )
    assert_allclose(moved["value"], plain["value"], rtol=1e-4)
    assert_allclose(moved["error"], plain["error"], rtol=1e-4)


def test_no_kl_is_given_where_there_is_no_density():
    rng = np.random.default_rng(7)
    shape = (2, 500, 1)
    p = rng.standard_normal((2, 500, 3))
    q = np.concatenate([np.ones(shape), rng.poisson(3, shape), np.where(rng.random(shape) < 0.1, 0.5, p[..., :1])], -1)
    found = kl_from_reference(as_marginals(q, independent=True), as_marginals(p, independent=False))
    assert np.isnan(found["value"]).all()
    assert np.isnan(found["error"]).all()


def test_draws_that_no_density_fits_give_numbers_and_no_warning():
    rng = np.random.default_rng(7)
    normal = rng.standard_normal((2, 500, 4))
    far = normal + np.array([0.0, 1e4, 0.0, 0.0])
    far[0, 0, 2], far[..., 3] = 1e8, 100 * rng.integers(0, 2, (2, 500)) + normal[..., 3]
    for a, b in ((far, normal), (normal, far), (rng.standard_cauchy(normal.shape), normal)):
        found = kl_from_reference(as_marginals(a, independent=True), as_marginals(b, independent=False))
        assert np.isfinite(found["value"]).all()
        assert (found["error"] >= 0).all()


@pytest.mark.parametrize("law", [density.FULL, *density.OTHERS], ids=lambda law: law.log_density.__name__)
def test_a_law_has_the_slopes_and_the_probability_of_its_density(law):
    theta = np.array(law.start) + 0.2 + 0.1 * np.arange(len(law.start))
    at = lambda values, t: float(law.log_density(values, np.array([t]))[0])
    for t in (-1.3, 0.4, 2.0):
        numeric = approx_fprime(theta, lambda values, t=t: at(values, t), 1e-6)
        assert_allclose(law.slopes(theta, np.array([t]))[:, 0], numeric, atol=1e-4)
    area = quad(lambda t: np.exp(at(theta, t)), -40, 0.7)[0]
    assert_allclose(law.probability(theta, np.array([0.7]))[0], area, atol=1e-7)
