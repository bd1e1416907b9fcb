"""Predictions between sweeps: the same fixed point from fewer looks, never lower, and passes that all cores share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import vi_vs_mcmc as vm
from vi_vs_mcmc import ascent, climber, engine, passes
from vi_vs_mcmc.expfam import dirichlet_log_normaliser


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def overlapping():
    """Three components 1.5 sds apart: the fixed point is nearly flat, and plain sweeps are many."""
    rng = np.random.default_rng(0)
    centres = 1.5 * np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.9]])
    return vm.load("gmm")(centres[rng.integers(3, size=2000)] + rng.normal(size=(2000, 2)), components=3).conjugate


@pytest.mark.slow  # both ascents are compiled for themselves
def test_predictions_reach_the_same_bound_in_a_fifth_of_the_looks_and_never_fall(overlapping, monkeypatch):
    starts = engine.starts(overlapping, jax.random.key(0), 4)
    climb = lambda: ascent.ascend(overlapping, starts, tol=1e-8, max_sweeps=20_000)
    quick = climb()
    monkeypatch.setattr(climber, "PLAIN", 10**9)
    jax.clear_caches()
    plain = climb()
    jax.clear_caches()
    assert plain.converged.all()
    assert quick.converged.all()
    assert np.median(plain.sweeps) > 300
    assert 5 * np.median(quick.sweeps) < np.median(plain.sweeps)
    assert_allclose(quick.elbo.max(), plain.elbo.max(), rtol=1e-8)
    steps = np.diff(quick.trace, axis=1)
    assert (steps[~np.isnan(steps)] >= -ascent.ROUNDING * (1 + np.abs(quick.elbo).max())).all()


def test_a_prediction_answers_the_latest_bend_with_the_step_that_made_it():
    """The secant equation: whatever else is remembered, the matrix of a quasi-Newton method takes y to s."""
    rng = np.random.default_rng(1)
    size = 7
    root = rng.normal(size=(size, size))
    curvature, fisher = root @ root.T + np.eye(size), np.diag(rng.uniform(0.5, 2.0, size))
    steps = rng.normal(size=(climber.STEPS, size))
    bends = steps @ curvature
    turns = np.linalg.solve(fisher, bends.T).T
    for known in (1, 3, climber.STEPS):
        at = climber.begin(jnp.zeros(size))._replace(
            steps=jnp.asarray(steps), bends=jnp.asarray(bends), turns=jnp.asarray(turns), known=jnp.asarray(known)
        )
        way = climber.predicted(at._replace(slope=jnp.asarray(bends[0]), move=jnp.asarray(turns[0])))
        assert_allclose(way, steps[0], rtol=1e-9)


def test_a_step_that_leaves_the_family_is_halved_until_it_does_not():
    inside = lambda t: dirichlet_log_normaliser(jnp.array([0.5, 1.0]) - 10.0 * t)
    length = float(climber._longest(inside, jnp.asarray(True)))
    assert np.isfinite(float(inside(length)))
    assert not np.isfinite(float(inside(2 * length)))
    assert float(climber._longest(inside, jnp.asarray(False))) == 1.0


@pytest.mark.parametrize("starts", [1, 3])
def test_devices_sum_together_what_one_sums_alone(overlapping, monkeypatch, starts):
    eta = engine.starts(overlapping, jax.random.key(1), starts)
    sums = jax.jit(lambda tiles, model, eta: passes.over_tiles(_sums, tiles, model, eta))
    wanted = sums(engine.tiled(overlapping), overlapping, eta)
    monkeypatch.setattr(passes, "WORTH", 0)
    monkeypatch.setattr(
        engine, "tile_size", lambda model, starts=1: 256
    )  # the last device has fewer rows than the others
    model, tiles = passes.laid_out(overlapping, starts)
    assert tiles.spread == (len(jax.local_devices()) > 1)
    assert len(model.rows) == (1 if tiles.spread else len(overlapping.rows))
    assert int(tiles.weight.sum()) == len(overlapping.rows)
    for a, b in zip(jax.tree.leaves(sums(tiles, model, eta)), jax.tree.leaves(wanted), strict=True):
        assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())


def _sums(tiles, model, eta):
    return jax.vmap(lambda one: engine.bound_and_map(model, one, tiles))(eta)


def test_an_ascent_on_several_devices_ends_where_one_on_one_ends(overlapping, monkeypatch):
    starts = engine.starts(overlapping, jax.random.key(2), 2)
    alone = ascent.ascend(overlapping, starts, tol=1e-10, max_sweeps=2000)
    monkeypatch.setattr(passes, "WORTH", 0)
    together = ascent.ascend(overlapping, starts, tol=1e-10, max_sweeps=2000)
    assert together.converged.all()
    assert together.path is not None
    assert_allclose(np.sort(together.elbo), np.sort(alone.elbo), rtol=1e-9)


def test_an_ascent_of_many_chunks_is_compiled_once(overlapping):
    starts = engine.starts(overlapping, jax.random.key(0), 3)
    before = ascent._chunk._cache_size()
    found = ascent.ascend(overlapping, starts, tol=1e-8, max_sweeps=2000)
    assert found.sweeps.max() > 3 * ascent.CHUNK
    assert ascent._chunk._cache_size() == before + 1


def test_methods_of_one_run_share_the_search_and_each_counts_its_time(monkeypatch):
    from vi_vs_mcmc.methods import cavi

    problem, calls = vm.load("gmm")(components=3), []
    original = cavi.ascend
    monkeypatch.setattr(cavi, "ascend", lambda *args, **kwargs: calls.append(1) or original(*args, **kwargs))
    first = vm.fit(problem, "cavi", seed=3, draws=10)
    seconds = problem.memory.clock()
    vm.CAVI().search(problem, jax.random.key(3))
    took = seconds()
    second = vm.fit(problem, "lrvb", seed=3, draws=10)
    assert len(calls) == 1
    assert 0 < took <= first.attrs["wall_seconds"]
    assert second.attrs["wall_seconds"] > took
    vm.fit(problem, "cavi", seed=4, draws=10)
    assert len(calls) == 2
