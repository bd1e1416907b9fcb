"""Every method against every truth that applies to it.

Two correlated Gaussians: x ~ Normal(0, [[1, rho], [rho, 1]]). Truth: each sd is 1, and sqrt(1 - rho^2) under the best
factorised q (PRML 10.1.2).

One component: the posterior is normal-Wishart, so that coordinate ascent is exact, its ELBO is the log evidence and a mean is
Student's t.
"""

import arviz_stats  # noqa: F401 - registers what array_stats needs
import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from arviz_stats.base import array_stats
from numpy.testing import assert_allclose
from scipy import stats

import vi_vs_mcmc as vm
from vi_vs_mcmc import posterior

RHO = 0.9
METHODS = {
    "nuts": vm.NUTS(),
    "svi:AutoNormal": vm.SVI(guide="AutoNormal"),
    "svi:AutoMultivariateNormal": vm.SVI(guide="AutoMultivariateNormal"),
    "cavi": vm.CAVI(),
}
EXACT_DRAWS = ("nuts",)  # their sds are wrong by Monte Carlo only; an optimiser's by its tolerance of .02 too
DRAWS = 2500


def gaussians(covariance):
    numpyro.sample("x", dist.MultivariateNormal(covariance_matrix=covariance))


@pytest.fixture(scope="module")
def one_component():
    return vm.load("gmm")(
        np.random.default_rng(1).normal(size=(30, 2)) @ np.array([[1.0, 0.0], [0.7, 0.5]]), components=1
    )


def scalar_draws(problem: vm.Problem, method: str) -> tuple[np.ndarray, list[str]]:
    values = posterior.scalars(vm.fit(problem, METHODS[method], seed=0, draws=DRAWS), problem.compared)
    return values.values, list(values.parameter.values)


def errors(values: np.ndarray, method: str, kind: str) -> np.ndarray:
    """Monte Carlo standard errors of means or sds; draws of a VI method are independent."""
    if method not in EXACT_DRAWS:
        values = values.reshape(1, -1, values.shape[-1])
    return np.array(
        [
            float(array_stats.mcse(values[..., j], chain_axis=0, draw_axis=1, method=kind))
            for j in range(values.shape[-1])
        ]
    )


@pytest.mark.parametrize(
    ("method", "sd"),
    [
        ("nuts", 1.0),
        pytest.param("svi:AutoMultivariateNormal", 1.0, marks=pytest.mark.slow),
        ("svi:AutoNormal", np.sqrt(1 - RHO**2)),
    ],
)
def test_two_correlated_gaussians(method, sd):
    values, _ = scalar_draws(vm.Problem(gaussians, args=(np.array([[1, RHO], [RHO, 1]]),)), method)
    slack = 0.0 if method in EXACT_DRAWS else 0.03
    assert (np.abs(values.std((0, 1)) - sd) < 4 * errors(values, method, "sd") + slack * sd).all()
    assert (np.abs(values.mean((0, 1))) < 4 * errors(values, method, "mean") + slack).all()


def of_one_component(problem: vm.Problem) -> dict[str, tuple[float, float]]:
    """Mean and sd of each scalar, by SciPy: a mean is Student's t, the covariance inverse Wishart."""
    x, prior = problem.args[0], {name: value[0] for name, value in problem.kwargs.items()}
    rows, dimension = x.shape
    centre = x.mean(0)
    beta, nu = prior["mean_precision"] + rows, prior["degrees_of_freedom"] + rows
    mean = (prior["mean_precision"] * prior["mean"] + rows * centre) / beta
    pull = centre - prior["mean"]
    inverse = np.linalg.inv(prior["scale"]) + rows * np.cov(x.T, bias=True)
    inverse = inverse + prior["mean_precision"] * rows / beta * np.outer(pull, pull)
    freedom = nu - dimension + 1
    covariance = stats.invwishart(nu, inverse)
    out = {"weights[0]": (1.0, 0.0)}
    for i in range(dimension):
        t = stats.t(freedom, mean[i], np.sqrt(inverse[i, i] / (beta * freedom)))
        out[f"means[0, {i}]"] = (t.mean(), t.std())
        for j in range(i + 1):
            out[f"covariances[0, {i}, {j}]"] = (covariance.mean()[i, j], np.sqrt(covariance.var()[i, j]))
    return out


@pytest.mark.parametrize("method", ["nuts", "cavi"])
@pytest.mark.slow
def test_one_component(one_component, method):
    values, labels = scalar_draws(one_component, method)
    truth = of_one_component(one_component)
    assert set(labels) == set(truth)
    wanted = np.array([truth[label] for label in labels])
    judged = wanted[:, 1] > 0
    assert judged.sum() == 5
    for kind, found, true in (("mean", values.mean((0, 1)), wanted[:, 0]), ("sd", values.std((0, 1)), wanted[:, 1])):
        error = errors(values[..., judged], method, kind)
        assert (np.abs(found - true)[judged] < 4 * error).all(), (kind, (found - true)[judged] / error)


@pytest.mark.slow
def test_one_component_in_closed_form(one_component):
    fitted = vm.fit(one_component, "cavi", seed=0, draws=10)["variational"]
    found = {kind: posterior.scalar_values(fitted[f"{kind}_means"]) for kind in ("mean", "sd")}
    truth = of_one_component(one_component)
    for place, kind in enumerate(found):
        values = [truth[label.replace(f"{kind}_", "")][place] for label in found[kind][1]]
        assert_allclose(found[kind][0], values, rtol=1e-9)


def log_evidence(x, mean, mean_precision, scale, degrees_of_freedom) -> float:
    """log p(x) of one normal-Wishart component, row by row: each is Student's t given those before it."""
    total, dimension = 0.0, x.shape[1]
    m, beta, inverse, nu = mean, mean_precision, np.linalg.inv(scale), degrees_of_freedom
    for row in x:
        freedom = nu - dimension + 1
        total += stats.multivariate_t(m, inverse * (beta + 1) / (beta * freedom), df=freedom).logpdf(row)
        offset = row - m
        inverse = inverse + beta / (beta + 1) * np.outer(offset, offset)
        m, beta, nu = (beta * m + row) / (beta + 1), beta + 1, nu + 1
    return total


def test_with_one_component_the_elbo_is_the_log_evidence():
    dimension = 3
    rng = np.random.default_rng(dimension)
    root = rng.normal(size=(dimension, dimension))
    prior = {
        "mean": rng.normal(size=dimension),
        "mean_precision": 0.3,
        "scale": root @ root.T + 0.1 * np.eye(dimension),
        "degrees_of_freedom": dimension + 1.5,
    }
    x = 2 + rng.normal(size=(40, dimension)) @ root
    problem = vm.load("gmm")(x, components=1, **{k: np.asarray(v).tolist() for k, v in prior.items()})
    with jax.enable_x64(True):
        optima = vm.CAVI(restarts=1).optima(problem.conjugate, jax.random.key(0))
    assert_allclose(optima.ascent.elbo[0], log_evidence(x, **prior), atol=1e-8)
    assert optima.ascent.sweeps[0] <= 3  # one sweep reaches it


def test_with_one_component_the_elbo_of_the_lecture_data_is_the_log_evidence(lecture):
    problem = vm.load("gmm")(components=1)
    with jax.enable_x64(True):
        elbo = vm.CAVI(restarts=1).optima(problem.conjugate, jax.random.key(0)).ascent.elbo
    assert_allclose(
        elbo, log_evidence(lecture.table.values, lecture.table.values.mean(0), 1.0, 0.1 * np.eye(2), 2.0), atol=1e-8
    )
