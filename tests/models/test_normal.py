"""The normal law: mean field at its smallest, against the exact normal-gamma posterior."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from regressions import a_log
from scipy import stats

import vi_vs_mcmc as vm

MODEL = vm.load("normal")


def exact(problem: vm.Problem):
    """(mu, tau) as SciPy's laws, a_N, and the log evidence; Murphy (2007), Conjugate Bayesian analysis, section 3."""
    x, prior = problem.args[0], problem.kwargs
    c = prior["strength"] + len(x)
    a = prior["shape"] + len(x) / 2
    off = prior["strength"] * len(x) * (x.mean() - prior["mean"]) ** 2 / c
    b = prior["rate"] + (((x - x.mean()) ** 2).sum() + off) / 2
    mean = (prior["strength"] * prior["mean"] + x.sum()) / c
    log_evidence = a_log(prior["shape"], prior["rate"]) - a_log(a, b) + np.log(prior["strength"] / c) / 2
    log_evidence -= len(x) / 2 * np.log(2 * np.pi)
    return stats.t(2 * a, mean, np.sqrt(b / (a * c))), stats.gamma(a, scale=1 / b), a, log_evidence


@pytest.fixture(scope="module")
def fitted():
    problem = MODEL(mean=5.0, strength=2.0, shape=1.5, rate=300.0)
    return problem, vm.fit(problem, "cavi", seed=0, draws=5000)


def test_means_are_exact_and_variances_fall_short_by_the_theorys_factors(fitted):
    problem, tree = fitted
    found = tree["variational"]
    mu, tau, a, _ = exact(problem)
    assert_allclose(found["mean_mu"], mu.mean(), rtol=1e-9)
    assert_allclose(found["mean_tau"], tau.mean(), rtol=1e-7)
    assert_allclose(found["sd_mu"] / mu.std(), np.sqrt((a - 1) / a), rtol=1e-7)
    assert_allclose(found["sd_tau"] / tau.std(), np.sqrt(a / (a + 0.5)), rtol=1e-7)


def test_the_bound_is_below_the_evidence_by_what_q_costs(fitted):
    """log Z - ELBO is KL(q || p), whose mean of log q - log p is taken over SciPy's densities at q's draws."""
    problem, tree = fitted
    _, tau, _, log_evidence = exact(problem)
    draws = tree["posterior"]
    mu, precision = (draws[site].values.ravel() for site in ("mu", "tau"))
    of = {name: float(tree["variational"][f"q_{name}"]) for name in ("mean", "sd", "shape", "rate")}
    log_q = stats.norm(of["mean"], of["sd"]).logpdf(mu) + stats.gamma(of["shape"], scale=1 / of["rate"]).logpdf(
        precision
    )
    c = problem.kwargs["strength"] + len(problem.args[0])
    mean = exact(problem)[0].mean()
    log_p = tau.logpdf(precision) + stats.norm(mean, 1 / np.sqrt(c * precision)).logpdf(mu)
    ratio = log_q - log_p
    kl = log_evidence - tree.attrs["elbo"]
    assert kl > 0
    assert abs(ratio.mean() - kl) < 4 * ratio.std() / np.sqrt(ratio.size)


def test_an_offset_of_ten_thousand_sds_moves_the_mean_and_nothing_else():
    x = np.random.default_rng(0).normal(size=(15, 1))
    near, far = (vm.fit(MODEL(x + off), "cavi", seed=0, draws=10)["variational"] for off in (0.0, 1e4))
    assert_allclose(far["mean_mu"] - 1e4, near["mean_mu"], atol=1e-10)
    for name in ("sd_mu", "mean_tau", "sd_tau"):
        assert_allclose(far[name], near[name], rtol=1e-7)  # to which coordinate ascent went on
    assert_allclose(far["elbo"][-1], near["elbo"][-1], rtol=1e-10)


def test_what_is_wrong_is_said():
    with pytest.raises(vm.SettingError, match="strength is 0; want a number above 0"):
        MODEL(strength=0)
    with pytest.raises(vm.SettingError, match="rate is inf"):
        MODEL(rate=float("inf"))
    with pytest.raises(vm.SettingError, match="mean is 'here'; want a number"):
        MODEL(mean="here")
    with pytest.raises(vm.SettingError, match="takes one; say --columns x0"):
        MODEL(np.zeros((3, 2)))
    for method in ("em", "exact"):
        with pytest.raises(vm.SettingError, match="in one block"):
            vm.fit(MODEL(), method)
