"""The mixture as a problem: its joint density in three ways, the lecture's data, what the settings do to the labels."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpy.testing import assert_allclose
from numpyro.infer.util import log_density
from scipy import stats
from scipy.special import logsumexp

import vi_vs_mcmc as vm
from vi_vs_mcmc import engine, flat
from vi_vs_mcmc.call import unconstrain

DRAWS = 8


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def textbook(x, concentration, mean, mean_precision, scale, degrees_of_freedom):
    """The mixture as one would write it first, with NumPyro's own distributions only."""
    weights = numpyro.sample("weights", dist.Dirichlet(concentration))
    with numpyro.plate("component", len(concentration)):
        precisions = numpyro.sample("precisions", dist.Wishart(degrees_of_freedom, scale_matrix=scale))
        means = numpyro.sample(
            "means", dist.MultivariateNormal(mean, precision_matrix=mean_precision[:, None, None] * precisions)
        )
    with numpyro.plate("observation", len(x)):
        law = dist.MultivariateNormal(means, precision_matrix=precisions)
        numpyro.sample("x", dist.MixtureSameFamily(dist.Categorical(weights), law), obs=x)


def uneven(dimension: int, components: int, rows: int, seed: int = 0) -> vm.Problem:
    """A problem whose priors differ between components, on rows far from the origin and of unequal spread."""
    rng = np.random.default_rng(seed)
    spread = 10.0 ** rng.uniform(-2, 2, dimension)
    root = rng.normal(size=(components, dimension, dimension)) / spread
    return vm.load("gmm")(
        50 + spread * rng.normal(size=(rows, dimension)),
        components=components,
        concentration=rng.uniform(0.5, 3, components).tolist(),
        mean=(50 + spread * rng.normal(size=(components, dimension))).tolist(),
        mean_precision=rng.uniform(0.1, 2, components).tolist(),
        scale=(root.swapaxes(1, 2) @ root + np.diag(0.2 / spread**2)).tolist(),
        degrees_of_freedom=(dimension + rng.uniform(0, 5, components)).tolist(),
    )


def plausible(problem: vm.Problem, number: int = DRAWS) -> dict:
    """Values of every site that the data do not rule out, (number, ...): draws of the prior at the data's degrees of freedom."""
    rng = np.random.default_rng(1)
    prior, x = problem.kwargs, problem.args[0]
    components, dimension = prior["mean"].shape
    scale = np.linalg.inv(np.cov(x.T).reshape(dimension, dimension)) / 20
    precisions = (
        stats.wishart(20, scale)
        .rvs((number, components), random_state=rng)
        .reshape(number, components, dimension, dimension)
    )
    return {
        "weights": rng.dirichlet(np.full(components, 3.0), number),
        "precisions": precisions,
        "means": x[rng.integers(len(x), size=(number, components))]
        + 0.3 * x.std(0) * rng.normal(size=(number, components, dimension)),
        "covariances": np.linalg.inv(precisions),
    }


def latent(problem: vm.Problem, theta: dict) -> dict:
    return {site: theta[site] for site in problem.latent}


@pytest.mark.parametrize("dimension", [1, 2, pytest.param(5, marks=pytest.mark.slow)])
def test_the_joint_density_is_that_of_the_textbook_program_and_of_the_closed_form(dimension):
    problem = uneven(dimension, components=3, rows=20)
    theta = plausible(problem)
    x = jnp.asarray(problem.args[0])

    def each(theta):
        own, textbooks = (
            log_density(p, (x,), dict(problem.kwargs), latent(problem, theta))[0] for p in (problem.program, textbook)
        )
        return own, textbooks, engine.log_p(problem.conjugate, theta)

    own, textbooks, closed = jax.jit(jax.vmap(each))(theta)
    assert_allclose(own, textbooks, rtol=1e-12, atol=1e-10)
    assert_allclose(closed, own, rtol=0, atol=1e-8)


@pytest.mark.parametrize("components", [1, 3])
def test_the_joint_density_is_the_sum_over_all_allocations_of_the_program_that_keeps_them(components):
    problem = uneven(2, components, rows=5)
    theta = {site: jnp.asarray(value[0]) for site, value in latent(problem, plausible(problem)).items()}
    everything = jnp.array(list(itertools.product(range(components), repeat=5)))
    joint = lambda z: log_density(
        problem.program, problem.args, {**problem.kwargs, "allocations": True}, {**theta, "z": z}
    )[0]
    summed = logsumexp(np.asarray(jax.jit(jax.vmap(joint))(everything)))
    marginal = jax.jit(lambda theta: log_density(problem.program, problem.args, dict(problem.kwargs), theta)[0])(theta)
    assert len(everything) == components**5
    assert_allclose(marginal, summed, atol=1e-10)


def test_the_joint_density_is_scipys():
    problem = uneven(2, components=2, rows=6)
    theta = {site: np.asarray(value[0]) for site, value in plausible(problem).items()}
    prior = problem.kwargs
    expected = stats.dirichlet(prior["concentration"]).logpdf(theta["weights"])
    for k in range(2):
        precision = theta["precisions"][k]
        expected += stats.wishart(prior["degrees_of_freedom"][k], prior["scale"][k]).logpdf(precision)
        expected += stats.multivariate_normal(
            prior["mean"][k], np.linalg.inv(prior["mean_precision"][k] * precision)
        ).logpdf(theta["means"][k])
    rows = [
        np.log(theta["weights"][k])
        + stats.multivariate_normal(theta["means"][k], theta["covariances"][k]).logpdf(problem.args[0])
        for k in range(2)
    ]
    expected += logsumexp(rows, axis=0).sum()
    assert_allclose(jax.jit(engine.log_p)(problem.conjugate, theta), expected, atol=1e-9)


def test_the_closed_form_is_the_programs_density_on_the_unconstrained_scale_too():
    problem = uneven(2, components=3, rows=20)
    call, arrays = problem.bound
    supports = problem.supports

    def each(theta):
        u, log_volume = unconstrain(supports, theta)
        back = call.constrain(arrays, u)
        return call.log_density(arrays, u), engine.log_p(problem.conjugate, theta) + log_volume, back

    theta = plausible(problem)
    program, closed, back = jax.jit(jax.vmap(each))(theta)
    assert_allclose(closed, program, rtol=0, atol=1e-8)
    for site, value in theta.items():  # there and back, `covariances` included
        assert_allclose(back[site], value, rtol=1e-9)


def test_the_built_in_data_are_numpys_legacy_generator_run_as_in_the_lecture(lecture):
    state = np.random.get_state()
    try:
        np.random.seed(42)
        rows = []
        for _ in range(500):
            z = np.random.choice(3, p=[0.3, 0.4, 0.3])
            mean = [[0, 0], [3, 3], [0, 4]][z]
            covariance = [[[0.5, 0.2], [0.2, 0.5]], [[0.8, -0.1], [-0.1, 0.8]], [[0.6, 0.3], [0.3, 0.6]]][z]
            rows.append(np.random.multivariate_normal(mean, covariance))
    finally:
        np.random.set_state(state)
    assert (lecture.table.values == np.array(rows)).all()


def test_the_built_in_example_has_the_lectures_priors(lecture):
    prior, x = lecture.kwargs, lecture.table.values
    assert_allclose(prior["concentration"], [1, 1, 1])
    assert_allclose(prior["mean_precision"], [1, 1, 1])
    assert_allclose(prior["mean"], np.tile(x.mean(0), (3, 1)))
    assert_allclose(prior["scale"], np.tile(0.1 * np.eye(2), (3, 1, 1)))
    assert_allclose(prior["degrees_of_freedom"], [2, 2, 2])


def test_default_priors_follow_the_units_of_the_data():
    rng = np.random.default_rng(0)
    x, scale, shift = rng.normal(size=(50, 2)), np.array([1e-3, 40.0]), np.array([7.0, -2.0])
    one, other = (vm.load("gmm")(rows, components=4).kwargs for rows in (x, x * scale + shift))
    assert_allclose(other["mean"], one["mean"] * scale + shift, rtol=1e-10)
    assert_allclose(other["scale"], one["scale"] / np.outer(scale, scale), rtol=1e-10)
    # E[Sigma] = W^-1 / (nu - D - 1) = diag(var x) / K^(2 / D), and the mean's variance E[Sigma] / beta is that of the data
    expected = np.linalg.inv(one["scale"][0]) / (one["degrees_of_freedom"][0] - 3)
    assert_allclose(expected, np.diag(x.var(0)) / 4, rtol=1e-10, atol=1e-15)
    assert_allclose(np.diag(expected) / one["mean_precision"][0], x.var(0), rtol=1e-10)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("concentration", [1, 1, 2]),
        ("mean", [[0, 0], [0, 0], [0, 1]]),
        ("mean_precision", [1, 1, 2]),
        ("scale", [np.eye(2).tolist(), np.eye(2).tolist(), (2 * np.eye(2)).tolist()]),
        ("degrees_of_freedom", [4, 4, 5]),
    ],
)
def test_labels_are_not_exchangeable_once_one_components_prior_differs(setting, value):
    assert vm.load("gmm")(**{setting: value}).exchangeable is None
    same = [value[0]] * 3
    assert vm.load("gmm")(**{setting: same}).exchangeable == "component"


def test_one_component_has_no_labels_to_exchange():
    assert vm.load("gmm")(components=1).exchangeable is None


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_components_with_priors_of_their_own_are_found_in_their_own_order(order):
    # 500 rows, and a prior mean that counts for 5: each labelling is an optimum of its own, and only one is the best
    wanted = np.array([[0.0, 0.0], [3.0, 3.0], [0.0, 4.0]])[list(order)]
    model = vm.load("gmm")(mean=wanted.tolist(), mean_precision=5.0).conjugate
    found = model.parameters(vm.CAVI().optima(model, jax.random.key(0)).best())["mean"]
    assert np.abs(found - wanted).max() < 0.5, found


@pytest.mark.slow
def test_one_component_s_weights_have_no_coordinate_and_draws_go_there_and_back():
    problem = vm.load("gmm")(np.random.default_rng(0).normal(size=(9, 2)), components=1)
    tree = vm.fit(problem, "cavi", seed=0, chains=2, draws=20)
    theta = {name: value.values.reshape(40, *value.shape[2:]) for name, value in tree["posterior"].data_vars.items()}
    u = flat.rows(problem, theta)
    assert u.shape == (40, 5)
    back, log_p = flat.evaluated(problem, u)
    for site, value in back.items():
        assert_allclose(value, theta[site], rtol=1e-9, atol=1e-12)
    assert_allclose(log_p, tree["sample_stats"]["log_p"].values.ravel(), atol=1e-8)
