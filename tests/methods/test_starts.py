"""Where chains of a program without a closed form begin: by laws found uphill from random points, in units of their sds."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpy.testing import assert_allclose

import vi_vs_mcmc as vm
from vi_vs_mcmc.methods import path, starts
from vi_vs_mcmc.methods.blocks import Blocks

SDS = np.logspace(-3, 3, 8)
REAL = dist.constraints.real


def normal():
    """A law whose sds differ by a million and whose mean is ten sds off; correlations up to .9."""
    root = np.random.default_rng(2).normal(size=(8, 8))
    covariance = root @ root.T + 0.1 * np.eye(8)
    scale = SDS / np.sqrt(np.diag(covariance))
    return 10 * SDS, covariance * np.outer(scale, scale)


def program(mean, covariance):
    numpyro.sample("x", dist.MultivariateNormal(mean, covariance))


def slope_of(log_p):
    def slope(point):
        with jax.enable_x64(True):
            value, gradient = jax.value_and_grad(log_p)(jnp.asarray(point))
            return float(value), np.asarray(gradient)

    return slope


def climbed(slope, start, seed=4):
    noise = np.random.default_rng(seed).normal(size=(path.DRAWS, len(start)))
    return path.climb(slope, lambda rows: np.array([slope(row)[0] for row in rows]), start, noise)


@pytest.mark.parametrize("middle", [0.0, 10.0])
def test_of_a_normal_law_the_law_itself_is_found_whatever_its_units(middle):
    _, covariance = normal()
    mean, precision = middle * SDS, np.linalg.inv(covariance)
    highest = 3.0 - 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]  # the law, times e^3
    start = np.random.default_rng(1).uniform(-2, 2, 8)
    found = climbed(lambda x: (highest - 0.5 * (x - mean) @ precision @ (x - mean), -precision @ (x - mean)), start)
    assert found is not None
    shares = np.linalg.eigvalsh(found.root.T @ precision @ found.root)
    # ELBO = 3 - KL, and KL of the two laws from their parameters
    kl = 0.5 * ((found.mean - mean) @ precision @ (found.mean - mean) + (shares - 1 - np.log(shares)).sum())
    assert kl < 0.5
    assert_allclose(found.elbo, 3.0 - kl, atol=0.5)


def test_after_as_many_conjugate_steps_as_coordinates_the_curvature_is_known():
    """With exact line searches on a quadratic form, BFGS has its inverse after P steps (Nocedal and Wright, theorem 6.4)."""
    curvature = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, 0.3], [0.5, 0.3, 1.0]])
    point, covariance = np.array([1.0, -2.0, 0.5]), np.zeros((0, 0))
    for _ in range(3):
        slope = -curvature @ point
        way = covariance @ slope if covariance.size else slope
        step = (slope @ way) / (way @ curvature @ way) * way
        covariance, point = path.updated(covariance, step, curvature @ step), point + step
    assert_allclose(covariance, np.linalg.inv(curvature), rtol=1e-9, atol=1e-12)


def test_the_update_is_bfgs_in_its_product_form():
    rng = np.random.default_rng(0)
    root, s, y = rng.normal(size=(3, 3)), np.array([1.0, 0.5, -0.2]), np.array([0.8, 0.7, 0.1])
    before, turn = root @ root.T, np.eye(3) - np.outer(s, y) / (s @ y)
    assert_allclose(path.updated(before, s, y), turn @ before @ turn.T + np.outer(s, s) / (s @ y), rtol=1e-12)


def test_a_step_against_the_curvature_tells_nothing():
    before = np.eye(2)
    assert path.updated(before, np.array([1.0, 0.0]), np.array([-1.0, 0.0])) is before


def test_in_a_funnel_the_law_is_one_from_before_the_neck():
    def log_p(v):
        of = lambda x, sd: -0.5 * (x / sd) ** 2 - jnp.log(sd * jnp.sqrt(2 * jnp.pi))
        return of(v[0], 3.0) + of(v[1:], jnp.exp(v[0] / 2)).sum()

    rng = np.random.default_rng(0)
    slope = slope_of(jax.jit(log_p))
    found = [climbed(slope, rng.uniform(-2, 2, 10), seed) for seed in range(8)]
    assert all(law is not None for law in found)
    # p is normalised; the highest density is at v = -40, where the ELBO is about -100
    assert np.median([law.elbo for law in found]) > -30
    assert np.median([abs(law.mean[0]) for law in found]) < 6


def test_a_density_that_is_not_a_number_has_no_law():
    assert climbed(lambda x: (np.nan, x * np.nan), np.ones(2)) is None


@pytest.mark.parametrize("middle", [0.0, 10.0])
def test_coordinates_are_in_units_of_the_posteriors_sds(middle):
    _, covariance = normal()
    found = starts.starting_points(
        vm.Problem(program, args=(middle * SDS, covariance)), jax.random.key(0), 4, 1, "start"
    )
    assert found.roots is not None
    assert_allclose(found.target.coordinates.scale["x"], SDS, rtol=0.5)
    points = np.asarray(found.points["x"])
    assert np.abs(points).max() < 6
    assert len(np.unique(points[:, 0])) == 4
    implied = SDS[:, None] * np.asarray(found.roots[0])
    shares = np.linalg.eigvals(np.linalg.solve(covariance, implied @ implied.T)).real
    assert shares.min() > 0.4
    assert shares.max() < 2.5


def test_methods_share_the_climbs_and_more_are_made_when_more_are_asked_for(monkeypatch):
    problem, made = vm.Problem(program, args=normal()), []
    climb = path.climb
    monkeypatch.setattr(path, "climb", lambda *arguments: made.append(1) or climb(*arguments))
    two = starts.starting_points(problem, jax.random.key(0), 2, 1, "svi", aligned=True)
    four = starts.starting_points(problem, jax.random.key(0), 4, 1, "nuts")
    assert len(made) == 4
    place = lambda found: found.target.coordinates.to_program({"x": found.points["x"][0]})[0]["x"]
    with jax.enable_x64(True):
        assert_allclose(place(two), place(four), rtol=1e-9, atol=1e-9)


def test_where_no_law_fits_chains_start_at_random_points():
    def nowhere():
        x = numpyro.sample("x", dist.Normal())
        numpyro.factor("wall", jnp.where(jnp.abs(x) > 2.0, jnp.nan, -1e6 * x))  # its law lies beyond the wall

    found = starts.starting_points(vm.Problem(nowhere), jax.random.key(0), 3, 1, "start")
    assert found.roots is None
    assert np.abs(np.asarray(found.points["x"])).max() <= 2.0


def test_more_coordinates_than_bfgs_is_for_start_at_random_points(monkeypatch):
    monkeypatch.setattr(path, "LARGEST", 7)
    found = starts.starting_points(vm.Problem(program, args=normal()), jax.random.key(0), 2, 1, "start")
    assert found.roots is None


def test_a_start_without_a_density_takes_a_draw_of_anothers_law_and_one_without_a_law_stays(monkeypatch):
    law = path.Law(np.full(2, 5.0), np.diag([2.0, 4.0]), -1.0, 5.0 + np.arange(16.0).reshape(8, 2))
    climbs = [(np.zeros(2), law), (np.full(2, np.nan), None), (np.ones(2), None)]
    monkeypatch.setattr(starts, "_climbed", lambda *_: climbs)
    problem = vm.Problem(lambda: numpyro.sample("x", dist.Normal().expand([2]).to_event(1)))
    found = starts.starting_points(problem, jax.random.key(0), 3, 1, "start")
    place = 5.0 + np.array([2.0, 4.0]) * np.asarray(found.points["x"])
    assert_allclose(place, [law.draws[0], law.draws[1], [1.0, 1.0]])
    assert_allclose(found.roots, [np.eye(2)] * 3)


def test_each_start_keeps_its_own_mode():
    def two():
        x = numpyro.sample("x", dist.ImproperUniform(REAL, (), ()))
        parts = jnp.stack([dist.Normal(-1.5, 0.3).log_prob(x), dist.Normal(1.5, 0.3).log_prob(x)])
        numpyro.factor("density", jax.nn.logsumexp(parts))

    found = starts.starting_points(vm.Problem(two), jax.random.key(1), 12, 1, "start")
    units = found.target.coordinates
    place = np.asarray(units.centre["x"] + units.scale["x"] * found.points["x"])
    assert 0 < (place > 0).sum() < 12  # all on one side: 1 in 2000
    assert len(np.unique(place)) == 12


@pytest.mark.parametrize("dense", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_badly_scaled_posterior_is_warmed_up_in_few_steps_and_right(dense, monkeypatch):
    """sds of 1e-3 to 1e3 around zero, which takes 75 000 steps without a first metric."""
    turns, run = [], Blocks.run

    def counted(self, *, adapting):
        turns.append(self._turns if adapting else 0)
        return run(self, adapting=adapting)

    monkeypatch.setattr(Blocks, "run", counted)
    problem = vm.Problem(program, args=(0 * SDS, np.diag(SDS**2)))
    sampler = vm.NUTS(dense_mass=dense).begin(problem, jax.random.key(3), chains=4)
    assert sum(turns) < 10_000
    sampler.sample(1000)
    tree = sampler.result()
    assert tree["sample_stats"]["n_steps"].mean() < 10  # a standard normal takes 7
    x = tree["posterior"]["x"].values.reshape(-1, 8)
    assert_allclose(x.std(0), SDS, rtol=0.1)  # 4000 draws: 4 / sqrt(8000) = .045 if they were independent
    assert (np.abs(x.mean(0)) < 0.1 * SDS).all()


@pytest.mark.slow  # 20 000 steps of a guide
def test_a_guide_of_a_badly_scaled_posterior_ends_at_its_optimum():
    tree = vm.fit(vm.Problem(program, args=(0 * SDS, np.diag(SDS**2))), "svi:AutoNormal", seed=0, chains=4, draws=2000)
    assert tree.attrs["status"] == "converged"
    assert_allclose(tree["posterior"]["x"].values.reshape(-1, 8).std(0), SDS, rtol=0.1)
