"""The exact posterior of tiny mixtures against a sum that shares no code with it; Gibbs and NUTS against the exact posterior."""

import itertools

import jax
import numpy as np
import pytest
from arviz_stats.base import array_stats
from numpy.testing import assert_allclose
from scipy.special import gammaln, logsumexp, multigammaln

import vi_vs_mcmc as vm
from vi_vs_mcmc import evidence
from vi_vs_mcmc.metrics.health import health
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.streams import MODES, stream

SITES = ("weights", "means", "covariances")


def tiny(seed: int) -> vm.Problem:
    """A random mixture with priors that tell its components apart: K^N at most 2^16."""
    rng = np.random.default_rng(seed)
    dimension = 1 + seed % 2
    components, rows = ((2, 14), (3, 9), (4, 7))[seed % 3]
    centres = 2.0 * rng.standard_normal((components, dimension))
    x = centres[rng.integers(components, size=rows)] + rng.standard_normal((rows, dimension))
    return vm.load("gmm")(
        x,
        components=components,
        concentration=rng.uniform(0.5, 3.0, components),
        mean=centres + 0.5 * rng.standard_normal((components, dimension)),
        mean_precision=rng.uniform(0.3, 2.0, components),
        degrees_of_freedom=dimension + 5.0,
    )


def log_evidence_of_cluster(x, m0, b0, w, nu) -> float:
    """log p of rows that share one normal-Wishart component (Murphy 2007, Conjugate Bayesian analysis, 266)."""
    n, dimension = x.shape
    mean = x.mean(0) if n else m0
    scatter = (x - mean).T @ (x - mean)
    b, v = b0 + n, nu + n
    w_inverse = np.linalg.inv(w) + scatter + b0 * n / b * np.outer(mean - m0, mean - m0)
    return (
        -0.5 * n * dimension * np.log(np.pi)
        + multigammaln(v / 2, dimension)
        - multigammaln(nu / 2, dimension)
        - 0.5 * nu * np.linalg.slogdet(w)[1]
        - 0.5 * v * np.linalg.slogdet(w_inverse)[1]
        + 0.5 * dimension * np.log(b0 / b)
    )


def brute(problem: vm.Problem) -> tuple[float, np.ndarray]:
    """log evidence, and the probability that two rows share a component, by the Dirichlet's and the cluster's closed forms."""
    x, prior = problem.args[0], {name: np.asarray(value) for name, value in problem.kwargs.items()}
    alpha, count = prior["concentration"], len(x)
    joint, same = [], []
    for z in itertools.product(range(len(alpha)), repeat=count):
        z = np.array(z)
        sizes = np.bincount(z, minlength=len(alpha))
        value = gammaln(alpha.sum()) - gammaln(alpha.sum() + count) + (gammaln(alpha + sizes) - gammaln(alpha)).sum()
        for k in range(len(alpha)):
            of = (prior[n][k] for n in ("mean", "mean_precision", "scale", "degrees_of_freedom"))
            value += log_evidence_of_cluster(x[z == k], *of)
        joint.append(value)
        same.append(z[:, None] == z[None])
    total = logsumexp(joint)
    return float(total), np.einsum("a,aij->ij", np.exp(np.array(joint) - total), np.array(same, float))


@pytest.fixture(scope="module")
def small() -> vm.Problem:
    """Seven rows, two components, two dimensions: 128 assignments."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((7, 2)) + np.array([[-1.5, 0.0]] * 3 + [[1.5, 1.0]] * 4)
    return vm.load("gmm")(x, components=2, concentration=[1.0, 2.0], mean=[[-1.0, 0.0], [1.0, 1.0]])


@pytest.fixture(scope="module")
def exact(small):
    return vm.fit(small, "exact", seed=1, draws=5000)


def test_evidence_and_co_clustering_are_those_of_a_sum_by_hand(small, exact):
    log_evidence, together = brute(small)
    assert_allclose(exact.attrs["log_evidence"], log_evidence, rtol=1e-12)
    assert_allclose(exact["variational"]["co_clustering"], together, atol=1e-12)


def test_its_draws_have_its_moments(exact):
    closed = exact["variational"].to_dataset()
    for site in ("weights", "means"):
        draws = exact["posterior"][site].values.reshape(20_000, -1)
        mean, sd = closed[f"mean_{site}"].values.ravel(), closed[f"sd_{site}"].values.ravel()
        assert (np.abs(draws.mean(0) - mean) < 4 * sd / np.sqrt(20_000)).all()
        error = ((draws - mean) ** 2).std(0) / np.sqrt(20_000)
        assert (np.abs(draws.var(0) - sd**2) < 4 * error).all()


@pytest.mark.slow
def test_the_elbo_is_below_and_log_p_minus_log_q_is_the_evidence(small, exact):
    cavi = vm.fit(small, "cavi", seed=1, draws=100)
    assert cavi.attrs["elbo"] < cavi.attrs["elbo_marginal"] < exact.attrs["log_evidence"]
    assert exact.attrs["elbo_marginal_se"] < 1e-10
    assert_allclose(exact.attrs["elbo_marginal"], exact.attrs["log_evidence"], rtol=1e-12)


@pytest.mark.slow
def test_where_labels_are_exchangeable_only_what_needs_no_label_is_kept():
    x = np.random.default_rng(0).standard_normal((6, 1))
    tree = vm.fit(vm.load("gmm")(x, components=2), "exact", seed=0, draws=500)
    assert set(tree["variational"].data_vars) == {"co_clustering"}


def test_more_than_a_million_assignments_are_refused(lecture):
    with pytest.raises(vm.SettingError, match=r"exact sums over 3\^500 assignments; want 1048576 at most"):
        vm.fit(lecture, "exact")


@pytest.mark.parametrize("name", ["hidden_markov", "ppca"])
def test_local_variables_that_cannot_be_listed_are_refused(name):
    problem = vm.load(name)()
    with pytest.raises(vm.SettingError, match=r"too many to list, or a|in one block"):
        vm.fit(problem, "exact")


def z_scores(tree, closed) -> np.ndarray:
    """(mean - exact) / MCSE and (sd - exact) / MCSE of every weight and mean, and the means of covariances."""
    out = []
    for site in SITES:
        draws = tree["posterior"][site].values
        flat = draws.reshape(*draws.shape[:2], -1)
        for j in range(flat.shape[-1]):
            x, mean, sd = flat[..., j], closed[f"mean_{site}"].values.ravel()[j], closed[f"sd_{site}"].values.ravel()[j]
            error = lambda values: float(array_stats.mcse(values, chain_axis=0, draw_axis=1, method="mean"))
            out.append((x.mean() - mean) / error(x))
            if site != "covariances":  # whose squares have no variance to take an error from
                square = (x - mean) ** 2
                out.append((square.mean() - sd**2) / error(square))
    return np.array(out)


@in_float64
def sampled_evidence(problem: vm.Problem, seed: int) -> evidence.Estimate:
    key = jax.random.key(seed)
    return evidence.importance(problem, vm.CAVI().optima(problem.conjugate, stream(key, MODES)), key)


@pytest.mark.slow
def test_gibbs_nuts_and_importance_sampling_are_exact_on_twenty_random_problems():
    passed = 0
    for seed in sorted(range(20), key=lambda seed: seed % 6):  # shape by shape: each is compiled once
        problem = tiny(seed)
        closed = vm.fit(problem, "exact", seed=seed, draws=10)
        bound = vm.fit(problem, "cavi", seed=seed, draws=100).attrs["elbo"]
        assert bound < closed.attrs["log_evidence"]
        sampled = sampled_evidence(problem, seed)
        assert abs(sampled.log_evidence - closed.attrs["log_evidence"]) < 4 * sampled.error, seed
        moments = closed["variational"].to_dataset()
        gibbs = vm.fit(problem, vm.Gibbs(thin=20), seed=seed, draws=5000)
        assert np.abs(z_scores(gibbs, moments)).max() < 4, seed
        nuts = vm.fit(problem, "nuts", seed=seed, draws=4000)
        truth = marginals(nuts, problem.compared)
        if health(nuts, truth, np.ones(len(truth.parameters), bool)).passed:
            passed += 1
            assert np.abs(z_scores(nuts, moments)).max() < 4, seed
    assert passed >= 15
