"""SVI on targets whose optimum is known, on targets where it must not say that it converged, and with every autoguide."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import vi_vs_mcmc as vm
from vi_vs_mcmc.coordinates import AsTheyAre
from vi_vs_mcmc.methods import svi
from vi_vs_mcmc.methods.optimum import from_optimum
from vi_vs_mcmc.methods.starts import Starts
from vi_vs_mcmc.methods.target import Target

CHAINS, DRAWS = 4, 2500


def normal(mean, covariance):
    numpyro.sample("x", dist.MultivariateNormal(mean, covariance))


def target() -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance in five dimensions: a random one, correlations up to .9, sds from .4 to 3."""
    rng = np.random.default_rng(5)
    root = rng.normal(size=(5, 5))
    return rng.normal(scale=3, size=5), root @ root.T + 0.1 * np.eye(5)


def target_of(problem):
    return Target.of(problem, AsTheyAre())


def fit(problem: vm.Problem, guide: str, **settings):
    return vm.fit(problem, vm.SVI(guide=guide, **settings), seed=0, chains=CHAINS, draws=DRAWS)


@pytest.fixture(scope="module")
def factorised():
    return fit(vm.Problem(normal, args=target()), "AutoNormal")


@pytest.fixture(scope="module")
def full():
    return fit(vm.Problem(normal, args=target()), "AutoMultivariateNormal")


def x_of(tree) -> np.ndarray:
    return tree["posterior"]["x"].values.reshape(CHAINS * DRAWS, -1)


def refined(tree) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of a normal q, from log q being exactly quadratic in its draws; no Monte Carlo error."""
    x, log_q = x_of(tree), tree["sample_stats"]["log_q"].values.ravel()
    centre, scale = x.mean(0), x.std(0)
    z = (x - centre) / scale
    row, column = np.tril_indices(x.shape[1])
    basis = np.concatenate([np.ones((len(z), 1)), z, z[:, row] * z[:, column]], 1)
    solution, *_ = np.linalg.lstsq(basis, log_q)
    assert_allclose(basis @ solution, log_q, atol=1e-7)
    precision = np.zeros((x.shape[1], x.shape[1]))
    precision[row, column] = -solution[1 + x.shape[1] :]
    precision = precision + precision.T
    covariance = np.linalg.inv(precision)
    return centre + scale * (covariance @ solution[1 : 1 + x.shape[1]]), covariance * np.outer(scale, scale)


@pytest.mark.parametrize("guide", ["factorised", "full"])
def test_on_a_gaussian_the_sds_are_the_conditional_ones_or_the_marginal_ones(request, guide):
    tree = request.getfixturevalue(guide)
    mean, covariance = target()
    conditional = 1 / np.sqrt(np.diag(np.linalg.inv(covariance)))
    sd = {"factorised": conditional, "full": np.sqrt(np.diag(covariance))}[guide]
    found_mean, found_covariance = refined(tree)
    assert tree.attrs["status"] == "converged", tree.attrs["status_sentence"]
    assert_allclose(np.sqrt(np.diag(found_covariance)), sd, rtol=0.03)
    assert (np.abs(found_mean - mean) < 0.05 * np.sqrt(np.diag(covariance))).all()


@pytest.mark.parametrize("guide", ["factorised", "full"])
def test_log_p_and_log_q_are_densities_that_scipy_agrees_with(request, guide):
    tree = request.getfixturevalue(guide)
    log_p, log_q = (tree["sample_stats"][name].values.ravel() for name in ("log_p", "log_q"))
    assert_allclose(log_p, stats.multivariate_normal(*target()).logpdf(x_of(tree)), atol=1e-8)
    assert_allclose(log_q, stats.multivariate_normal(*refined(tree)).logpdf(x_of(tree)), atol=1e-6)


def test_the_elbo_is_minus_the_divergence_where_the_log_evidence_is_zero(factorised, full):
    _, covariance = target()
    # at the optimum KL(q || p) = (log|Sigma| - sum log of conditional variances) / 2 (Margossian and Saul 2023)
    divergence = 0.5 * (np.linalg.slogdet(covariance)[1] + np.log(np.diag(np.linalg.inv(covariance))).sum())
    found, error = factorised.attrs["elbo_marginal"], factorised.attrs["elbo_marginal_se"]
    # five log-sds and five means within their tolerances of .02 and .05 cost at most 5 (.02^2 + .05^2 / 2) = .008 nats
    assert abs(found + divergence) < 4 * error + 0.008
    assert found < 0
    assert abs(full.attrs["elbo_marginal"]) < 4 * full.attrs["elbo_marginal_se"] + 0.02


def test_the_trace_of_the_elbo_ends_near_the_elbo(factorised):
    trace, steps = (factorised["variational"][name].values for name in ("elbo", "elbo_step"))
    assert (np.diff(steps) == svi.PIECE).all()
    last = trace[-40:]  # 50 steps of 16 draws each
    assert abs(last.mean() - factorised.attrs["elbo"]) < 4 * np.hypot(last.std(), factorised.attrs["elbo_marginal_se"])


def mixed(scale):
    """Independent sites on two supports: a normal q on the unconstrained scale is exact."""
    numpyro.sample("a", dist.Normal(1.0, scale))
    numpyro.sample("s", dist.LogNormal(0.5, 0.3))


@pytest.mark.slow
def test_densities_are_with_respect_to_the_unconstrained_scale():
    tree = fit(vm.Problem(mixed, args=(np.array(2.0),)), "AutoNormal")
    a, s = (tree["posterior"][site].values.ravel() for site in ("a", "s"))
    expected = stats.norm(1, 2).logpdf(a) + stats.norm(0.5, 0.3).logpdf(np.log(s))
    log_p, log_q = (tree["sample_stats"][name].values.ravel() for name in ("log_p", "log_q"))
    assert_allclose(log_p, expected, atol=1e-8)
    u = np.stack([a, np.log(s)], 1)
    design = np.concatenate([np.ones((len(u), 1)), u, u**2], 1)
    solution, *_ = np.linalg.lstsq(design, log_q)
    assert_allclose(design @ solution, log_q, atol=1e-7)  # normal in u, not in (a, s)
    sd = np.sqrt(-0.5 / solution[3:])
    assert_allclose(sd, [2, 0.3], rtol=0.03)
    assert_allclose(
        solution[0], stats.norm(0, sd).logpdf(solution[1:3] * sd**2).sum(), atol=1e-6
    )  # it integrates to one


def test_a_hundredth_of_the_steps_it_needs_is_not_convergence(factorised):
    needed = int(factorised.attrs["work"].split(" of ")[1].split()[0])
    tree = fit(vm.Problem(normal, args=target()), "AutoNormal", max_steps=needed // 100)
    assert tree.attrs["status"] == "not converged"
    assert "max_steps" in tree.attrs["status_sentence"]


@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.99])
def test_the_optimum_of_a_normal_is_known_from_any_place_on_a_gaussian(correlation):
    rng, covariance = np.random.default_rng(0), np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)
    precision = np.linalg.inv(covariance)
    sd = np.exp(rng.normal(size=3)) / np.sqrt(np.diag(precision))
    w = rng.normal(size=(4000, 3)) * sd + 0.5 * sd  # half an sd off in location, wrong in scale
    off = from_optimum(w, -w @ precision, factorised=True)
    assert_allclose(off.location, -0.5, atol=4 * off.location_error.max())
    assert_allclose((1 + off.scale) * sd * np.sqrt(np.diag(precision)), 1, atol=4 * np.sqrt(0.5 / 4000))
    narrow = rng.multivariate_normal(np.zeros(3), 0.25 * covariance, size=4000)  # a full q at half its width
    off = from_optimum(narrow, -narrow @ precision, factorised=False)
    assert_allclose(off.location, 0, atol=4 * off.location_error.max())
    assert_allclose(off.scale, 1, atol=4 * off.scale_error.max())


def test_the_errors_of_the_distance_are_right_where_log_p_is_not_gaussian():
    """log p = -log cosh(w) - w^2 / 4 in one coordinate, q = N(.2, .8^2); the optimum of the local model by quadrature."""
    node, weight = np.polynomial.hermite_e.hermegauss(80)
    mean = lambda f: weight @ f(0.2 + 0.8 * node) / weight.sum()
    slope = lambda w: -np.tanh(w) - 0.5 * w
    curvature = mean(lambda w: 1 / np.cosh(w) ** 2 + 0.5)
    location, scale = mean(slope) / curvature / 0.8, 1 / (0.8 * np.sqrt(curvature)) - 1
    z = []
    for seed in range(100):
        w = 0.2 + 0.8 * np.random.default_rng(seed).normal(size=(500, 1))
        off = from_optimum(w, slope(w), factorised=True)
        z.append([(off.location - location) / off.location_error, (off.scale - scale) / off.scale_error])
    spread = np.mean(np.square(z), axis=0).ravel()
    assert_allclose(spread, 1, atol=4 * np.sqrt(2 / 100))


def test_where_log_p_curves_upwards_no_optimum_is_placed():
    w = np.random.default_rng(0).normal(size=(500, 2))
    assert from_optimum(w, w * [1.0, -1.0], factorised=True) is None


def test_a_fit_says_how_far_its_optimum_is_and_one_that_stopped_short_of_it_is_not_converged(factorised, monkeypatch):
    assert "its optimum is within" in factorised.attrs["status_sentence"]
    # no window, R-hat or second start objects
    monkeypatch.setattr(svi._Climb, "_agree", lambda self, *_: True)
    tree = fit(vm.Problem(normal, args=target()), "AutoNormal", step_size=0.0001)
    assert tree.attrs["status"] == "not converged"
    assert "from its optimum" in tree.attrs["status_sentence"]


def two_modes(distance):
    law = dist.MixtureSameFamily(
        dist.Categorical(jnp.array([0.5, 0.5])), dist.Normal(jnp.stack([-distance, distance]), 1.0)
    )
    numpyro.sample("x", law)


def test_two_starts_that_end_at_two_modes_are_not_convergence(monkeypatch):
    starts = lambda problem, *_, **__: Starts({"x": jnp.array([-4.0, 4.0])}, target_of(problem), None)
    monkeypatch.setattr(svi, "starting_points", starts)
    tree = fit(vm.Problem(two_modes, args=(np.array(5.0),)), "AutoNormal", max_steps=20_000)
    assert tree.attrs["status"] == "not converged"
    assert "second start" in tree.attrs["status_sentence"]
    # the sd is read from 256 probes: its error is 1 / sqrt(512) = .044, four times that .18
    assert_allclose(tree.attrs["second_start_distance"], 10, rtol=0.18)


def broken_above_zero(place):
    """A standard normal around `place`; the density is not a number for x > 0."""
    x = numpyro.sample("x", dist.ImproperUniform(dist.constraints.real, (), ()))
    numpyro.factor("density", jnp.where(x > 0, jnp.nan, dist.Normal(place, 1.0).log_prob(x)))


def test_an_elbo_that_is_never_a_number_is_an_error():
    def broken(x):
        numpyro.sample("x", dist.Normal())
        numpyro.factor("nothing", jnp.nan * x)

    with pytest.raises(vm.NumericalError, match="not finite"):
        fit(vm.Problem(broken, args=(np.array(1.0),)), "AutoNormal", max_steps=500)


def test_a_start_from_which_the_elbo_is_never_a_number_leaves_the_other_one(monkeypatch):
    starts = lambda problem, *_, **__: Starts({"x": jnp.array([-20.0, 20.0])}, target_of(problem), None)
    monkeypatch.setattr(svi, "starting_points", starts)
    tree = fit(vm.Problem(broken_above_zero, args=(np.array(-20.0),)), "AutoNormal", max_steps=3000)
    assert tree.attrs["status"] == "not converged"
    assert np.abs(x_of(tree).mean() + 20) < 0.3
    assert np.isfinite(tree.attrs["elbo"])


@pytest.mark.parametrize("guide", ["AutoDelta", pytest.param("AutoLaplaceApproximation", marks=pytest.mark.slow)])
def test_a_guide_without_a_density_gives_no_log_q(guide):
    mean, covariance = target()
    tree = fit(vm.Problem(normal, args=(mean, covariance)), guide)
    assert "sample_stats" not in tree.children
    assert "elbo_marginal" not in tree.attrs
    assert np.abs((x_of(tree).mean(0) - mean) / np.sqrt(np.diag(covariance))).max() < 0.06
    sd = np.sqrt(np.diag(covariance)) if guide == "AutoLaplaceApproximation" else np.zeros(5)
    assert_allclose(x_of(tree).std(0), sd, rtol=0.04, atol=1e-12)  # 4 / sqrt(2 x 10 000) = .028


def batched(mean, covariance):
    with numpyro.plate("batch", 3):
        numpyro.sample("x", dist.MultivariateNormal(mean, covariance))


@pytest.mark.slow
@pytest.mark.parametrize("guide", svi.guides())
def test_every_autoguide_runs(guide):
    program = (
        batched if guide.startswith("AutoBatched") else normal
    )  # these want a leading dimension that all sites share
    covariance = np.array([[1.0, 0.5], [0.5, 1.0]])
    tree = fit(vm.Problem(program, args=(np.zeros(2), covariance)), guide, max_steps=500, particles=4)
    assert np.isfinite(x_of(tree)).all()
    assert np.isfinite(tree["variational"]["elbo"].values).all()
    assert ("sample_stats" in tree.children) == (guide not in svi.NO_DENSITY)


@pytest.mark.slow
def test_a_guide_that_the_program_does_not_suit_is_refused_by_name():
    with pytest.raises(vm.SettingError, match="AutoBatchedMultivariateNormal"):
        fit(vm.Problem(normal, args=target()), "AutoBatchedMultivariateNormal", max_steps=500)


def test_an_unknown_guide_is_refused_with_the_nearest_name():
    with pytest.raises(vm.SettingError, match="AutoNormal"):
        vm.SVI(guide="AutoNormall")
