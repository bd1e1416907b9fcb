"""The log evidence by importance sampling and by bridge sampling against a sum over every assignment."""

import jax
import numpy as np
import pytest
from xarray import DataTree

import vi_vs_mcmc as vm
from vi_vs_mcmc import evidence, labels, posterior
from vi_vs_mcmc.evidence.bridge import _bridged
from vi_vs_mcmc.evidence.importance import _mean
from vi_vs_mcmc.evidence.places import log_labels, spread
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.streams import MODES, stream

KEYS = 40


@in_float64
def optima(problem: vm.Problem, seed: int = 1):
    return vm.CAVI().optima(problem.conjugate, stream(jax.random.key(seed), MODES))


@pytest.fixture(scope="module")
def told_apart() -> vm.Problem:
    """Nine rows, two components whose priors differ: 512 assignments."""
    x = np.random.default_rng(3).standard_normal((9, 1)) + np.array([[-1.0]] * 4 + [[1.0]] * 5)
    return vm.load("gmm")(x, components=2, concentration=[1.0, 2.0], mean=[[-1.0], [1.0]])


@pytest.fixture(scope="module")
def exchangeable() -> vm.Problem:
    """The same rows, labels exchangeable, components that overlap: relabelled modes are not apart."""
    x = np.random.default_rng(3).standard_normal((9, 1)) + np.array([[-1.0]] * 4 + [[1.0]] * 5)
    return vm.load("gmm")(x, components=2)


@pytest.fixture(scope="module", params=["told_apart", "exchangeable"])
def solved(request):
    """(problem, exact log evidence, Gibbs draws in one order, pivot)."""
    problem = request.getfixturevalue(request.param)
    exact = vm.fit(problem, "exact", seed=0, draws=10).attrs["log_evidence"]
    gibbs = vm.fit(problem, "gibbs", seed=1, draws=1000)
    pivot = None if problem.exchangeable is None else labels.pivot_of(gibbs, problem.exchangeable)
    if pivot is not None:
        gibbs = labels.align(gibbs, problem.exchangeable, pivot)[0]
    return problem, exact, gibbs, pivot


@pytest.mark.slow
def test_importance_sampling_has_the_exact_evidence(solved):
    problem, exact, _, pivot = solved
    found = [evidence.importance(problem, optima(problem), key, pivot, 2000) for key in keys()[:3]]
    assert max(abs(e.log_evidence - exact) / e.error for e in found) < 4
    assert max(e.error for e in found) < 0.1


@pytest.mark.slow
def test_the_error_of_importance_sampling_is_right(solved):
    """Independent z-scores: their mean square is 1 within 4 sd of its own error, sqrt(2 / KEYS), and none is beyond 4."""
    problem, exact, _, pivot = solved
    modes = optima(problem)
    found = [evidence.importance(problem, modes, key, pivot, 2000) for key in keys()]
    z = np.array([(e.log_evidence - exact) / e.error for e in found])
    assert np.abs(z).max() < 4
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / KEYS)


@pytest.mark.slow
def test_the_bridge_has_the_exact_evidence_and_a_right_error(solved):
    problem, exact, gibbs, pivot = solved
    found = [evidence.bridge(problem, gibbs, key, pivot) for key in keys()[:10]]
    # the draws are the same for all keys, so their share of the error is common: each is within 4 standard errors
    assert max(abs(e.log_evidence - exact) / e.error for e in found) < 4
    assert max(e.error for e in found) < 0.05


def keys():
    return jax.random.split(jax.random.key(7), KEYS)


def test_labels_count_log_k_factorial_where_they_are_exchangeable(told_apart, exchangeable, lecture):
    assert log_labels(told_apart) == 0
    assert np.isclose(log_labels(exchangeable), np.log(2))
    assert np.isclose(log_labels(lecture), np.log(6))


@pytest.mark.slow
def test_a_method_whose_ratios_are_heavy_gives_no_estimate(told_apart):
    cavi = vm.fit(told_apart, "cavi", seed=1, draws=500)
    assert evidence.reweighted(told_apart, cavi, shape=0.5) is None
    found = evidence.reweighted(told_apart, cavi, shape=0.3)
    assert found is not None
    assert found.how == "importance"


def test_the_parts_of_the_gap_add_up():
    found = evidence.Estimate(-100.0, 0.01, "importance", "")
    parts = evidence.gap(-103.5, -102.4, 0.02, found, labels=np.log(6))
    assert np.isclose(parts["labels"] + parts["local"] + parts["parameters"], parts["total"])
    assert np.isclose(parts["total"], 3.5)
    assert np.isclose(parts["error"], np.hypot(0.01, 0.02))
    assert evidence.gap(-103.5, None, None, found, 0.0)["local"] is None


def test_labels_cost_less_where_draws_have_them_in_several_orders():
    """Three components of six draws each: two of them the same law, or all three apart."""
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(0.0, 0.3, (20, 1)), rng.normal(6.0, 0.3, (20, 1)), rng.normal(12.0, 0.3, (20, 1))]
    problem = vm.load("gmm")(x, components=3)
    centres = np.array([0.0, 6.0, 12.0])

    def drawn(centres) -> DataTree:
        means = centres[:, None] + 0.1 * rng.standard_normal((1, 3000, 3, 1))
        precisions = rng.gamma(50.0, 0.2, (1, 3000, 3, 1, 1))
        sites = {"weights": rng.dirichlet([20, 20, 20], (1, 3000)), "means": means, "precisions": precisions}
        return DataTree.from_dict({"/posterior": posterior.dataset(problem, sites | {"covariances": 1 / precisions})})

    pivot = labels.settle(drawn(centres), "component")
    assert spread(problem, drawn(centres), pivot) == 0
    alike = spread(problem, drawn(np.array([0.0, 6.0, 6.0])), pivot)
    # two orders, each with probability a half to 4 standard errors of 3000 draws: entropy is flat there
    assert np.isclose(alike, np.log(2), atol=4e-3)


def test_a_normal_that_never_reaches_the_posterior_bridges_nothing():
    mine = np.random.default_rng(0).normal(size=(4, 100))
    assert _bridged(mine, np.full(400, -1e5))[1] == np.inf
    assert np.isfinite(_bridged(mine, np.full(400, -3.0))[1])


def test_a_bridge_that_does_not_settle_is_no_estimate():
    mine = np.random.default_rng(0).normal(size=(4, 100))
    assert _bridged(mine + 60.0, mine.ravel() - 60.0)[1] == np.inf


def test_draws_too_few_to_fit_a_normal_bridge_nothing(told_apart):
    tree = vm.fit(told_apart, "cavi", seed=1, chains=2, draws=4)
    assert evidence.bridge(told_apart, tree, jax.random.key(0)) is None


def test_the_best_estimate_has_a_finite_error():
    made = lambda error: evidence.Estimate(-5.0, error, "importance", "")
    assert evidence.best([made(np.nan), made(0.01), made(np.inf)]) == made(0.01)
    assert evidence.best([made(np.inf)]) is None


def test_weights_that_are_all_zero_have_no_finite_error():
    value, error, sentence = _mean(np.full(100, -np.inf))
    assert (value, error) == (-np.inf, np.inf)
    assert "none of them" in sentence
