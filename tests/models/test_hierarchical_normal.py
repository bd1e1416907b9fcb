"""The hierarchical normal against quadrature: given tau all is normal, so its posterior is a one-dimensional integral."""

from functools import partial

import jax
import numpy as np
import pandas as pd
import pytest
import test_conformance
from arviz_stats.base import array_stats
from numpy.testing import assert_allclose
from numpyro.infer.util import log_density
from scipy import stats
from scipy.special import logsumexp

import vi_vs_mcmc as vm
from vi_vs_mcmc import evidence
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.streams import MODES, stream

MODEL = vm.load("hierarchical_normal")
SITES = ("mu", "tau", "population_sd", "theta")
DRAWS = 4000


def exact(problem: vm.Problem) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], float]:
    """{site: (mean, sd)} and the log evidence, by a sum over 4001 values of log tau; NumPy and SciPy alone.

    Given tau: y_j ~ N(mu, sigma_j^2 + 1/tau), so mu is normal, and theta_j given mu and y_j is. The integrand is smooth and gone
    at both ends, where an equidistant sum is exact to rounding.
    """
    (y, sigma), prior = problem.args, problem.kwargs
    log_tau = np.linspace(-30, 30, 4001)
    tau = np.exp(log_tau)[:, None]
    total = sigma**2 + 1 / tau  # (grid, J)
    precision = (1 / total).sum(1) + prior["mean_sd"] ** -2.0
    mean = ((y / total).sum(1) + prior["mean"] * prior["mean_sd"] ** -2.0) / precision
    # p(y | tau) = p(y | mu) p(mu) / p(mu | y) at any mu
    joint = stats.norm(mean[:, None], np.sqrt(total)).logpdf(y).sum(1) + stats.norm(
        prior["mean"], prior["mean_sd"]
    ).logpdf(mean)
    joint -= stats.norm(mean, precision**-0.5).logpdf(mean)
    joint += stats.gamma(prior["shape"], scale=1 / prior["rate"]).logpdf(tau[:, 0]) + log_tau
    log_z = logsumexp(joint)
    weight = np.exp(joint - log_z)
    shrunk = tau * sigma**2 / (1 + tau * sigma**2)  # of theta_j towards mu
    theta = (1 - shrunk) * y + shrunk * mean[:, None]
    variance = sigma**2 * (1 - shrunk) + shrunk**2 / precision[:, None]
    given = {
        "mu": (mean, 1 / precision),
        "tau": (tau[:, 0], 0 * mean),
        "population_sd": (tau[:, 0] ** -0.5, 0 * mean),
        "theta": (theta, variance),
    }
    out = {}
    for site, (m, v) in given.items():
        average = weight @ m
        out[site] = (average, np.sqrt(weight @ (v + m**2) - average**2))
    return out, float(log_z + np.log(log_tau[1] - log_tau[0]))


def many(groups: int = 40) -> vm.Problem:
    """Groups enough for a posterior near a normal law."""
    rng = np.random.default_rng(1)
    sigma = rng.uniform(0.3, 0.9, groups)
    y = 5.0 + 1.2 * rng.normal(size=groups) + sigma * rng.normal(size=groups)
    return MODEL(pd.DataFrame({"sigma": sigma, "y": y}))


@pytest.fixture(scope="module")
def schools() -> vm.Problem:
    return MODEL()


@pytest.fixture(scope="module")
@in_float64
def found(schools):
    return vm.CAVI(restarts=4).optima(schools.conjugate, stream(jax.random.key(1), MODES))


def test_the_elbo_is_numpyros_by_monte_carlo(schools, found):
    """There is no z: the mean of NumPyro's log p - log q over draws is the bound itself."""
    with jax.enable_x64(True):
        model, eta = schools.conjugate, found.best()
        guide = partial(test_conformance.hierarchical_guide, model.parameters(eta))

        def one(key):
            theta = {name: model.draw(key, eta)[name] for name in schools.latent}
            p = log_density(schools.program, schools.args, dict(schools.kwargs), theta)[0]
            return p - log_density(guide, (), {}, theta)[0]

        ratio = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), DRAWS)))
    assert abs(ratio.mean() - found.ascent.elbo[0]) < 4 * ratio.std() / np.sqrt(DRAWS)
    assert found.ascent.elbo[0] < exact(schools)[1]


def test_the_quadrature_is_that_of_a_finer_grid_in_another_variable(schools):
    """Over the population's sd s on a uniform grid, theta_0 and mu as moments of normals; against `exact`."""
    from scipy.integrate import quad

    (y, sigma), prior = schools.args, schools.kwargs

    def density(s: float) -> float:
        covariance = np.diag(sigma**2 + s**2) + prior["mean_sd"] ** 2
        p = stats.multivariate_normal(np.full(len(y), prior["mean"]), covariance).pdf(y)
        return 1e13 * p * stats.gamma(prior["shape"], scale=1 / prior["rate"]).pdf(s**-2.0) * 2 * s**-3.0

    mass = quad(density, 1e-3, 200, limit=500)[0]
    assert_allclose(np.log(mass) - 13 * np.log(10), exact(schools)[1], rtol=1e-7)
    mean = quad(lambda s: s * density(s), 1e-3, 2000, limit=500)[0] / mass
    assert_allclose(mean, exact(schools)[0]["population_sd"][0], rtol=1e-6)


def test_the_eight_schools_are_the_default_and_units_change_nothing():
    schools = MODEL()
    assert schools.table is not None
    assert schools.table.name == "eight schools"
    y, sigma = schools.args
    other = MODEL(pd.DataFrame({"y": 1000 * y, "sigma": 1000 * sigma}), mean=0.0, mean_sd=5000.0, shape=2.0, rate=50e6)
    for a, b in zip(schools.conjugate.rows, other.conjugate.rows, strict=True):
        assert_allclose(a, b, rtol=1e-12)
    for a, b in zip(jax.tree.leaves(schools.conjugate.prior), jax.tree.leaves(other.conjugate.prior), strict=True):
        assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rate": 0.0}, "rate is 0; want a number above 0"),
        ({"mean_sd": -1.0}, "mean_sd is -1"),
        ({"shape": "big"}, "shape is 'big'; want a number"),
        ({"mean": float("nan")}, "mean is nan; want a finite number"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, said):
    with pytest.raises(vm.SettingError, match=said):
        MODEL(**settings)


def test_data_that_are_no_measurements_are_refused():
    with pytest.raises(vm.DataError, match="no column 'sigma'"):
        MODEL(pd.DataFrame({"y": [1.0, 2.0], "s": [1.0, 3.0]}))
    with pytest.raises(vm.DataError, match="want more than 0"):
        MODEL(pd.DataFrame({"y": [1.0, 2.0], "sigma": [1.0, 0.0]}))
    with pytest.raises(vm.DataError, match="too few rows"):
        MODEL(pd.DataFrame({"y": [1.0], "sigma": [1.0]}))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["nuts", "gibbs"])
def test_a_sampler_has_the_means_and_sds_of_the_quadrature(schools, method):
    tree, truth = vm.fit(schools, method, seed=3, draws=5000), exact(schools)[0]
    error = lambda of, which: float(array_stats.mcse(of, chain_axis=0, draw_axis=1, method=which))
    for site in SITES:
        draws = tree["posterior"][site].values
        flat, (mean, sd) = draws.reshape(*draws.shape[:2], -1), (np.ravel(part) for part in truth[site])
        for j in range(flat.shape[-1]):
            of = flat[..., j]
            assert abs(of.mean() - mean[j]) < 4 * error(of, "mean"), (site, j)
            assert abs(of.std() - sd[j]) < 4 * error(of, "sd"), (site, j)


def test_what_is_said_of_the_eight_schools_sds_is_so(schools):
    truth = exact(schools)[0]
    for method, said in (
        ("cavi", {"mu": (0.505, 0.51), "tau": (0.525, 0.535), "population_sd": (0.635, 0.645), "theta": (0.78, 0.85)}),
        (
            "lrvb",
            {"mu": (0.985, 0.995), "tau": (0.865, 0.875), "population_sd": (0.985, 0.995), "theta": (0.945, 0.985)},
        ),
    ):
        of = vm.fit(schools, method, seed=0, draws=10)["variational"]
        for site, (low, high) in said.items():
            ratio = np.asarray(of[f"sd_{site}"]) / truth[site][1]
            assert low < ratio.min() <= ratio.max() < high, (method, site, ratio)


@pytest.mark.slow
def test_linear_response_has_the_sds_of_the_quadrature_where_the_posterior_is_nearly_normal():
    problem = many()
    truth, fitted = exact(problem)[0], vm.fit(problem, "lrvb", seed=0, draws=100)["variational"]
    cavi = vm.fit(problem, "cavi", seed=0, draws=100)["variational"]
    for site in ("mu", "population_sd", "theta"):
        assert_allclose(fitted[f"sd_{site}"], truth[site][1], rtol=0.03)
    assert cavi["sd_mu"] / truth["mu"][1] < 0.95  # what there is to mend


@pytest.mark.slow
def test_importance_sampling_has_the_evidence_of_the_quadrature_though_theta_has_no_prior_of_its_own(schools):
    optima = in_float64(lambda: vm.CAVI().optima(schools.conjugate, stream(jax.random.key(1), MODES)))()
    found = evidence.importance(schools, optima, jax.random.key(2), None)
    assert abs(found.log_evidence - exact(schools)[1]) < 4 * found.error
    assert found.error < 0.05
