"""NUTS: its own checks on the lecture's mixture, a Gaussian whose truth is known, going on where it stopped, compilations."""

from pathlib import Path
from types import SimpleNamespace

import arviz_stats  # noqa: F401 - registers what array_stats needs
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from arviz_stats.base import array_stats
from numpy.testing import assert_allclose
from numpyro.distributions import biject_to, constraints
from vi_vs_mcmc.models.gmm.coordinates import WhitenedMeans

import vi_vs_mcmc as vm
from vi_vs_mcmc import posterior
from vi_vs_mcmc.call import unconstrain
from vi_vs_mcmc.errors import NumericalError
from vi_vs_mcmc.methods import blocks, nuts
from vi_vs_mcmc.methods.cavi import Optima
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.metrics.occupancy import OCCUPIED, occupancy

DATA = Path(__file__).parents[2] / "models" / "data"
MEAN = np.array([1.0, -20.0])
SD = np.array([0.1, 30.0])
RHO = 0.8


def correlated(mean, covariance, *, times: int = 1, kind: str = "normal"):
    """A bivariate normal, by a program whose arguments are arrays, a number and a word."""
    if kind != "normal" or times != 1:
        raise ValueError("arguments that are not arrays must arrive as they were given")
    numpyro.sample("x", dist.MultivariateNormal(mean, covariance))


def gaussian(mean=MEAN, sd=SD, **kwargs) -> vm.Problem:
    correlation = np.array([[1, RHO], [RHO, 1]])
    return vm.Problem(
        correlated, args=(mean, np.outer(sd, sd) * correlation), kwargs={"times": 1, "kind": "normal", **kwargs}
    )


def flat(tree) -> tuple[np.ndarray, list[str]]:
    values = posterior.scalars(tree)
    return values.values, list(values.parameter.values)


def of_each(function, values: np.ndarray, **kwargs) -> np.ndarray:
    return np.array(
        [float(function(values[..., j], chain_axis=0, draw_axis=1, **kwargs)) for j in range(values.shape[-1])]
    )


@pytest.fixture(scope="module")
def sampled(lecture):
    return vm.fit(lecture, "nuts", seed=0)


def test_on_the_lecture_data_every_scalar_passes_its_checks(sampled):
    values, labels = flat(sampled)
    assert values.shape == (4, 1000, 3 + 6 + 9 + 9)
    rhat, ess = of_each(array_stats.rhat, values), of_each(array_stats.ess, values, method="bulk")
    assert (rhat < 1.01).all(), dict(zip(labels, rhat, strict=True))
    assert (ess > 1000).all(), dict(zip(labels, ess, strict=True))
    assert not sampled["sample_stats"]["diverging"].any()


def test_draws_are_float64_numpy_arrays_and_covariances_invert_precisions(sampled):
    for site in sampled["posterior"].values():
        assert type(site.values) is np.ndarray
        assert site.dtype == np.float64
    assert not jax.config.jax_enable_x64
    product = sampled["posterior"]["precisions"].values @ sampled["posterior"]["covariances"].values
    assert_allclose(product, np.broadcast_to(np.eye(2), product.shape), atol=1e-9)


def test_lp_is_the_programs_unnormalised_density_in_the_samplers_coordinates(sampled, lecture):
    with jax.enable_x64(True):
        call, arrays = lecture.bound
        lp = sampled["sample_stats"]["lp"].values[0, :50]
        theta = {site: jnp.asarray(sampled["posterior"][site].values[0, :50]) for site in lecture.latent}
        density = np.asarray(
            jax.jit(jax.vmap(lambda t: call.log_density(arrays, unconstrain(lecture.supports, t)[0])))(theta)
        )
        roots = np.linalg.cholesky(sampled["posterior"]["precisions"].values[0, :50])
        log_det = -np.log(np.diagonal(roots, axis1=-2, axis2=-1)).sum((-1, -2))
    assert_allclose(lp - (density + log_det), np.mean(lp - (density + log_det)), atol=1e-7)


@pytest.mark.slow
def test_with_empty_components_the_occupied_ones_pass_their_checks():
    # With the smaller steps that a reference with more divergences than this begins again with: at the first step size,
    # of 40 seeds 35 have no more than 4 of 4000 (the most: 27), at this one all 40 have none.
    problem = vm.load("gmm")(components=6)
    tree = vm.fit(problem, nuts.NUTS().careful(), seed=0)
    occupied = occupancy(problem, tree) > OCCUPIED
    assert occupied.sum() == 3
    values, labels = flat(tree)
    judged = [j for j, label in enumerate(labels) if occupied[int(label.split("[")[1].split(",")[0].rstrip("]"))]]
    assert (of_each(array_stats.rhat, values[..., judged]) < 1.01).all()
    assert (of_each(array_stats.ess, values[..., judged], method="bulk") > 400).all()
    assert tree["sample_stats"]["diverging"].mean() <= 0.001


def test_mean_sd_and_correlation_of_a_gaussian_are_within_4_standard_errors():
    values, _ = flat(vm.fit(gaussian(), "nuts", seed=0, chains=2, draws=4000))
    z = (values - MEAN) / SD
    product = z[..., :1] * z[..., 1:]
    for draws, truth in ((z, 0.0), (z**2, 1.0), (product, RHO)):
        error = of_each(array_stats.mcse, draws, method="mean")
        assert (np.abs(draws.mean((0, 1)) - truth) < 4 * error).all()
    assert (of_each(array_stats.rhat, values) < 1.01).all()


def test_going_on_from_200_to_500_draws_gives_what_500_at_once_give(key):
    at_once = nuts.NUTS().fit(gaussian(), key, chains=2, draws=500)
    sampler = nuts.NUTS().begin(gaussian(), key, chains=2)
    sampler.sample(200)
    first = sampler.result()
    sampler.sample(500)
    second = sampler.result()
    whole = at_once["posterior"]["x"].values
    assert whole.shape == (2, 500, 2)
    assert (first["posterior"]["x"].values == whole[:, :200]).all()
    assert (second["posterior"]["x"].values == whole).all()
    assert (second["sample_stats"]["lp"].values == at_once["sample_stats"]["lp"].values).all()


def test_a_chains_draws_do_not_depend_on_what_runs_beside_it(key, monkeypatch):
    drawn = {}
    for groups in (1, 2):
        monkeypatch.setattr("vi_vs_mcmc.groups.cores", lambda groups=groups: groups)
        drawn[groups] = nuts.NUTS().fit(gaussian(), key, chains=4, draws=100)["posterior"]["x"].values
    # the same leapfrog steps in programs of two shapes: rounding grows along a chain, and 50 draws are far from its end
    assert_allclose(drawn[2][:, :50], drawn[1][:, :50], rtol=1e-6)


def test_no_start_that_is_finite_is_an_error(key):
    def nowhere():
        numpyro.factor("never", 0.0 * numpyro.sample("x", dist.Normal(0, 1)) + jnp.nan)

    with pytest.raises(NumericalError, match="not finite at a chain's start"):
        nuts.NUTS().fit(vm.Problem(nowhere), key, chains=2, draws=10)


def test_the_metric_takes_out_units_and_correlations():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6)) * np.logspace(-3, 3, 6)[:, None]
    covariance = root @ root.T
    problem = vm.Problem(correlated, args=(np.zeros(6), covariance))
    tree = vm.fit(problem, "nuts", seed=0, draws=2000)
    # a standard normal in six dimensions needs three or seven steps
    assert tree["sample_stats"]["n_steps"].mean() < 8
    z = np.linalg.solve(np.linalg.cholesky(covariance), tree["posterior"]["x"].values.reshape(-1, 6).T).T
    for draws, truth in ((z, 0.0), (z**2, 1.0)):
        error = of_each(array_stats.mcse, draws.reshape(4, -1, 6), method="mean")
        assert (np.abs(draws.mean(0) - truth) < 4.5 * error).all()


def test_a_number_of_draws_that_is_no_multiple_of_the_chunk_is_kept(key):
    assert nuts.NUTS().fit(gaussian(), key, chains=2, draws=130)["posterior"].sizes["draw"] == 130


def test_two_data_sets_of_one_shape_compile_once(key):
    method = nuts.NUTS()
    run = lambda problem: method.fit(problem, key, chains=2, draws=100)["posterior"]["x"].values
    one = run(gaussian())
    compiled = blocks._block._cache_size()
    other = run(gaussian(mean=MEAN + 5))
    assert blocks._block._cache_size() == compiled
    assert np.abs(one.mean((0, 1)) - other.mean((0, 1)))[0] > 4
    again = run(gaussian())
    assert (one == again).all()


def test_arguments_that_are_not_arrays_reach_the_program(key):
    with pytest.raises(ValueError, match="as they were given"):
        nuts.NUTS(warmup=100).fit(gaussian(kind="other"), key, chains=2, draws=100)


@pytest.mark.slow
def test_two_mixtures_of_one_shape_compile_once(key):
    x = np.random.default_rng(0).normal(size=(60, 2))
    method = nuts.NUTS(warmup=100)
    compiled = None
    for shift in (0.0, 3.0):
        method.fit(vm.load("gmm")(x + shift, components=2), key, chains=2, draws=100)
        compiled = compiled or blocks._block._cache_size()
    assert blocks._block._cache_size() == compiled


def test_chains_are_given_to_modes_in_proportion_to_their_weight():
    # restarts 0 and 1 found one optimum, restart 2 another with a third of its weight, restart 3 one that weighs nothing
    found = SimpleNamespace(elbo=np.array([-1000.0, -1000.0, -1000.0 - np.log(3), -1100.0]))
    optima = Optima(eta=None, start=None, ascent=found)
    assert optima.distinct().tolist() == [0, 2, 3]
    assert optima.allocate(4, 0.01).tolist() == [0, 0, 0, 2]
    assert optima.allocate(1, 0.01).tolist() == [0]


def a_position(components: int = 3, dimension: int = 2) -> tuple[WhitenedMeans, dict, dict]:
    rng = np.random.default_rng(0)
    coordinates = WhitenedMeans(
        jnp.asarray(rng.normal(size=(components, dimension))), jnp.asarray(rng.uniform(0.5, 40, components))
    )
    at = lambda: {
        "weights": jnp.asarray(rng.normal(size=components - 1)),
        "precisions": jnp.asarray(rng.normal(size=(components, dimension * (dimension + 1) // 2))),
        "means": jnp.asarray(rng.normal(size=(components, dimension))),
    }
    return coordinates, at(), at()


def test_whitened_coordinates_there_and_back_are_where_they_were():
    with jax.enable_x64(True):
        coordinates, v, u = a_position()
        there, back = coordinates.to_program(v)[0], coordinates.from_program(u)
        for site in v:
            assert_allclose(coordinates.from_program(there)[site], v[site], rtol=1e-12, atol=1e-12)
            assert_allclose(coordinates.to_program(back)[0][site], u[site], rtol=1e-12, atol=1e-12)


def test_whitened_coordinates_are_the_means_in_units_of_their_own_sd(lecture):
    with jax.enable_x64(True):
        coordinates, _, u = a_position()
        call, arrays = lecture.bound
        theta = call.constrain(arrays, u)
        root = np.linalg.cholesky(theta["precisions"])
        offset = np.sqrt(coordinates.mean_precision)[:, None] * (theta["means"] - coordinates.mean)
        assert_allclose(coordinates.from_program(u)["means"], np.einsum("kji,kj->ki", root, offset), rtol=1e-10)


@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_the_short_way_to_the_sites_is_the_way_through_the_programs_coordinates(dimension):
    with jax.enable_x64(True):
        coordinates, v, _ = a_position(dimension=dimension)
        short, log_det = coordinates.to_sites(v)
        u, expected = coordinates.to_program(v)
        supports = {
            "weights": constraints.simplex,
            "precisions": constraints.positive_definite,
            "means": constraints.real_matrix,
        }
        for name, support in supports.items():
            transform = biject_to(support)
            theta = transform(u[name])
            expected += transform.log_abs_det_jacobian(u[name], theta).sum()
            assert_allclose(short[name], theta, rtol=1e-12, atol=1e-13)
        assert_allclose(log_det, expected, rtol=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_whitened_coordinates_log_det_is_autodiffs_up_to_a_constant(dimension):
    with jax.enable_x64(True):
        coordinates, one, other = a_position(dimension=dimension)
        vector, restore = jax.flatten_util.ravel_pytree(one)
        jacobian = jax.jit(
            jax.jacobian(lambda w: jax.flatten_util.ravel_pytree(coordinates.to_program(restore(w))[0])[0])
        )
        log_det = lambda v: np.linalg.slogdet(jacobian(jax.flatten_util.ravel_pytree(v)[0]))[1]
        found = coordinates.to_program(one)[1] - coordinates.to_program(other)[1]
        assert len(vector) == 2 + 3 * dimension * (dimension + 3) // 2
        assert_allclose(found, log_det(one) - log_det(other), atol=1e-10)


@pytest.mark.slow
def test_on_the_lecture_data_coordinate_ascents_sds_are_too_small_by_what_is_known(lecture):
    tree = vm.fit(lecture, "nuts", seed=0, draws=15_000)
    fitted = vm.fit(lecture, "cavi", seed=0)["variational"]
    for site, low, high in (("means", 0.83, 0.98), ("weights", 0.91, 1.0)):
        values = tree["posterior"][site].values
        values = values.reshape(*values.shape[:2], -1)
        ess = of_each(array_stats.ess, values, method="sd")
        assert (ess >= 20_000).all(), ess  # an sd's relative standard error is then 1 / sqrt(2 ESS) = .005
        ratio = fitted[f"sd_{site}"].values.ravel() / values.std((0, 1))
        error = 3 * ratio / np.sqrt(2 * ess)
        assert ((low - error < ratio) & (ratio < high + error)).all(), ratio


@pytest.mark.slow
def test_on_old_faithful_nuts_is_what_importance_sampling_from_q_says():
    problem = vm.load("gmm")(DATA / "faithful.csv", components=2)
    tree = vm.fit(problem, "nuts", seed=0, draws=5000)
    q = vm.fit(problem, "cavi", seed=0, draws=60_000)
    log_ratio = (q["sample_stats"]["log_p"] - q["sample_stats"]["log_q"]).values.ravel()
    weight = np.exp(log_ratio - log_ratio.max())
    weight /= weight.sum()
    assert 1 / (weight**2).sum() > 1e5  # effective draws of 240 000
    reference, method = marginals(tree, problem.compared), marginals(q, problem.compared)
    assert list(reference.draws.parameter.values) == list(method.draws.parameter.values)
    nuts_draws, q_draws = reference.draws.values, method.draws.values.reshape(len(weight), -1)

    mean = weight @ q_draws
    deviation = q_draws - mean
    variance = weight @ deviation**2
    mean_error = np.sqrt(weight**2 @ deviation**2)
    sd, sd_error = np.sqrt(variance), np.sqrt(weight**2 @ (deviation**2 - variance) ** 2 / (4 * variance))
    of_nuts = lambda method: of_each(array_stats.mcse, nuts_draws, method=method)
    assert (np.abs(nuts_draws.mean((0, 1)) - mean) < 4 * np.hypot(of_nuts("mean"), mean_error)).all()
    assert (np.abs(nuts_draws.std((0, 1)) - sd) < 4 * np.hypot(of_nuts("sd"), sd_error)).all()
    # the easy case, two clouds far apart: .97 to 1.00 for weights and means, down to .94 for covariances
    ratio = q_draws.std(0) / sd
    assert ((ratio > 0.93) & (ratio < 1.01)).all(), ratio
    assert (ratio[:6] > 0.96).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["nuts", "svi:AutoNormal"])
def test_the_unit_of_the_data_changes_nothing(lecture, method):
    x = lecture.table.values
    metres, microns = (vm.fit(vm.load("gmm")(unit * x), method, seed=1, draws=100) for unit in (1.0, 1e6))
    means = [tree["posterior"]["means"].values for tree in (metres, microns)]
    # in other units rounding differs, and a chain with it: four standard errors of two means of 400 draws, ESS 100 each
    distance = np.abs(means[1].mean((0, 1)) / 1e6 - means[0].mean((0, 1)))
    np.testing.assert_array_less(distance, 4 * np.sqrt(2 / 100) * means[0].std((0, 1)))
    if method == "nuts":
        steps = [tree["sample_stats"]["n_steps"].values.mean() for tree in (metres, microns)]
        assert steps[1] < 1.5 * steps[0]
    else:
        assert metres.attrs["work"] == microns.attrs["work"]


def test_chains_that_share_a_metric_share_a_step_size_and_others_do_not(key):
    sampler = nuts.NUTS().begin(gaussian(), key, chains=4)
    blocks = sampler._blocks
    sizes = lambda: np.concatenate([np.asarray(group.step.size) for group in blocks._groups])
    assert (sizes() == sizes()[0]).all()
    blocks._scale = np.stack([blocks._scale[0] * factor for factor in (1.0, 1.0, 1.0, 2.0)])
    own = iter((0.1, 0.4, 0.2, 0.3))
    for group in blocks._groups:
        group.step.mean[:] = np.log([next(own) for _ in group.step.mean])
    blocks.adapt([np.zeros((1, 2))] * 4, learns=False)
    assert_allclose(sizes(), [0.1, 0.4, 0.2, 0.3])


def test_one_chain_that_is_stuck_does_not_stop_the_others(key):
    """Where a chain's every step fails, its step size shrinks to nothing; the others share theirs with it, not it with them."""
    sampler = nuts.NUTS().begin(gaussian(), key, chains=4)
    blocks = sampler._blocks
    blocks._groups[-1].step.mean[-1] = np.log(1e-90)
    blocks.adapt([np.random.default_rng(i).normal(size=(36, 2)) for i in range(4)], learns=True)
    assert all((np.asarray(group.step.size) > 0.1).all() for group in blocks._groups)
