"""The engine on the mixture: hand-written derivatives against autodiff, tiles, restarts, the rising ELBO, invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from vi_vs_mcmc.models.gmm import structure as gmm_structure
from vi_vs_mcmc.models.gmm.mixture import coefficients, features

import vi_vs_mcmc as vm
from vi_vs_mcmc import engine
from vi_vs_mcmc.ascent import ascend
from vi_vs_mcmc.errors import NumericalError

EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def small(
    rows: int, components: int, dimension: int, seed: int, *, spread: float = 1.0
) -> gmm_structure.MixtureStructure:
    """Rows in loose clumps, and a prior that differs between components in every parameter."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=3.0, size=(components, dimension))
    x = spread * (centres[rng.integers(components, size=rows)] + rng.normal(size=(rows, dimension)))
    root = rng.normal(size=(components, dimension, dimension))
    return gmm_structure.mixture_structure(
        x,
        concentration=rng.uniform(0.2, 3.0, components),
        mean=spread * rng.normal(size=(components, dimension)),
        mean_precision=rng.uniform(0.05, 5.0, components),
        scale=(root @ root.swapaxes(1, 2) + 0.1 * np.eye(dimension)) / spread**2,
        degrees_of_freedom=dimension - 1 + rng.uniform(0.5, 8.0, components),
        exchangeable=False,
    )


def expected(model, key):
    """Expected statistics at a start."""
    return jax.jit(lambda model: jax.grad(model.log_normaliser)(model.start(key)))(model)


def same(found, expected, **tolerance) -> None:
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert_allclose(a, b, **tolerance)


def plain_local(m, x):
    """l_n by its definition: no custom derivative, so that autodiff goes through it."""
    return jax.nn.logsumexp(coefficients(m["weights"], m["components"]) @ features(x), axis=0)


def plain_elbo(model, eta):
    m = jax.grad(model.log_normaliser)(eta)
    kl = sum(jnp.sum((e - p) * v) for e, p, v in zip(*map(jax.tree.leaves, (eta, model.prior, m)), strict=True))
    evidence = plain_local(m, model.rows).sum() - model.rows.shape[0] * jnp.log(model.spread).sum()
    return model.log_normaliser(eta) - model.log_normaliser(model.prior) - kl + evidence


@pytest.mark.parametrize(("dimension", "weighted"), [(1, False), (3, False), (3, True)])
def test_the_gradient_written_by_hand_is_autodiff_of_the_logsumexp(key, dimension, weighted):
    model = small(40, 3, dimension, seed=1)
    m = expected(model, key)
    weight = jax.random.uniform(key, 40) * 3 if weighted else jnp.ones(40)
    gradient = lambda local: jax.jit(jax.grad(lambda m: weight @ local(m, model.rows)))(m)
    same(
        gradient(lambda m, x: gmm_structure.log_evidence_of_rows(model.coefficients(m), x)),
        gradient(plain_local),
        **EXACT,
    )


def test_the_gradient_of_the_elbo_is_the_curvature_of_a_times_the_step_of_coordinate_ascent(key):
    model = small(30, 3, 3, seed=2)

    @jax.jit
    def both(eta):
        elbo, image = engine.bound_and_map(model, eta)
        step = jax.tree.map(jnp.subtract, image, eta)
        curved = jax.jvp(jax.grad(model.log_normaliser), (eta,), (step,))[1]
        return (
            (elbo, curved),
            jax.value_and_grad(plain_elbo, argnums=1)(model, eta),
            jax.grad(lambda e: engine.bound_and_map(model, e)[0])(eta),
        )

    (elbo, curved), (plain, gradient), through_the_engine = both(jax.jit(model.start)(key))
    assert_allclose(elbo, plain, rtol=1e-12)
    same(gradient, curved, rtol=1e-8, atol=1e-8)
    same(through_the_engine, curved, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("rows", "tile"), [(20, 7), (5, 1)])
def test_tiles_do_not_change_the_totals(key, monkeypatch, rows, tile):
    model = small(rows, 2, 2, seed=3)
    m = expected(model, key)
    whole = lambda m: plain_local(m, model.rows).sum() - rows * jnp.log(model.spread).sum()
    monkeypatch.setattr(engine, "tile_size", lambda model, starts=1: tile)
    same(jax.jit(engine.total)(model, m), jax.jit(jax.value_and_grad(whole))(m), **EXACT)


def test_padding_counts_no_row_twice(monkeypatch):
    model = small(5, 2, 2, seed=3)
    monkeypatch.setattr(engine, "tile_size", lambda model, starts=1: 2)
    tiles = engine.tiled(model, 4)
    assert tiles.rows.shape == (2, 3, 2)
    assert_allclose(tiles.rows.reshape(2, 6).T[:5], model.rows)
    assert_allclose(engine.over_rows(lambda batch, weight: weight @ batch, jnp.zeros(2), tiles), model.rows[:4].sum(0))
    assert tiles.weight.tolist() == [[1, 1], [1, 1], [0, 0]]


def test_every_device_gets_as_many_tiles(monkeypatch):
    model = small(5, 2, 2, seed=3)
    monkeypatch.setattr(engine, "tile_size", lambda model, starts=1: 2)
    tiles = engine.tiled(model, devices=2)
    assert tiles.spread
    assert tiles.weight.tolist() == [[1, 1], [1, 1], [1, 0], [0, 0]]


@pytest.mark.slow
def test_restarts_side_by_side_are_each_alone():
    model = small(40, 3, 2, seed=4)
    starts = engine.starts(model, jax.random.key(3), 4)
    together = ascend(model, starts, tol=1e-10, max_sweeps=2000)
    assert together.converged.all()
    last = lambda tree: jax.tree.map(lambda leaf: leaf[-1:], tree)
    alone = ascend(model, last(starts), tol=1e-10, max_sweeps=2000)
    assert alone.sweeps[0] == together.sweeps[-1]
    assert_allclose(alone.elbo[0], together.elbo[-1], rtol=1e-12)
    # both stand within tol / (1 - rate) of one fixed point; the rate here is below .99
    same(alone.eta, last(together.eta), rtol=1e-8, atol=1e-8)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    shape=st.sampled_from([(1, 2), (3, 4)]),  # each is compiled
    seed=st.integers(0, 2**31),
    spread=st.sampled_from([1e-4, 1.0, 1e5]),
)
def test_the_elbo_never_falls(shape, seed, spread):
    dimension, components = shape
    model = small(12, components, dimension, seed, spread=spread)
    values = np.asarray(climbed(model, jax.random.key(seed)))
    assert np.isfinite(values).all()
    assert (np.diff(values) >= -1e-10 * (1 + np.abs(values[:-1]))).all(), np.diff(values).min()


@jax.jit
def climbed(model, key):
    """The ELBO before each of 40 sweeps from a random start."""

    def body(eta, _):
        value, _, eta = engine.sweep(model, eta)
        return eta, value

    return jax.lax.scan(body, model.start(key), None, 40)[1]


def with_components(monkeypatch, change) -> None:
    """Break the update of the components by `change`."""
    right = engine.assembled

    def wrong(*arguments):
        elbo, image = right(*arguments)
        return elbo, {**image, "components": change(image["components"])}

    monkeypatch.setattr(engine, "assembled", wrong)


def test_an_update_that_is_wrong_is_caught(monkeypatch):
    with_components(monkeypatch, lambda c: c._replace(quadratic=0.5 * c.quadratic, linear=0.5 * c.linear))
    model = small(37, 2, 2, seed=6)  # a shape of its own: what is compiled here is wrong for all time
    with pytest.raises(NumericalError, match="ELBO fell by"):
        ascend(model, engine.starts(model, jax.random.key(0), 2), tol=1e-8, max_sweeps=200)


def test_an_update_that_leaves_the_finite_numbers_is_caught(monkeypatch):
    model = small(38, 2, 2, seed=6)
    start = engine.starts(model, jax.random.key(0), 2)
    with_components(monkeypatch, lambda c: c._replace(matrix=-c.matrix))
    with pytest.raises(NumericalError, match="not finite"):
        ascend(model, start, tol=1e-8, max_sweeps=200)


def test_no_more_sweeps_are_made_than_asked_for():
    model = small(40, 3, 2, seed=4)
    ascent = ascend(model, engine.starts(model, jax.random.key(3), 4), tol=1e-12, max_sweeps=5)
    assert (ascent.sweeps <= 5).all()
    assert not ascent.converged.any()


SCALE = np.array([1e-3, 250.0])
SHIFT = 1e6 * SCALE * np.array([1, -1])  # rows keep ten digits of their own spread


def test_shifting_and_scaling_data_and_prior_changes_the_elbo_by_log_scale_and_nothing_else(lecture):
    x = lecture.table.values
    own = lecture.settings
    moved = vm.load("gmm")(
        x * SCALE + SHIFT,
        components=3,
        concentration=own["concentration"],
        mean=np.array(own["mean"]) * SCALE + SHIFT,
        mean_precision=own["mean_precision"],
        scale=np.array(own["scale"]) / np.outer(SCALE, SCALE),
        degrees_of_freedom=own["degrees_of_freedom"],
    )

    @jax.jit
    def described(model, eta, x):
        return model.parameters(eta), model.responsibilities(
            {s: mean for s, (mean, _) in model.moments(eta).items()}, x
        )

    elbo, found, rows = [], [], []
    for problem in (lecture, moved):
        optima = vm.CAVI(restarts=4).optima(problem.conjugate, jax.random.key(1))
        of, r = described(problem.conjugate, optima.best(), problem.table.values)
        elbo.append(optima.ascent.elbo)
        found.append(of)
        rows.append(r)
    assert_allclose(elbo[1] - elbo[0], -len(x) * np.log(SCALE).sum(), rtol=1e-9)
    assert_allclose(found[1]["concentration"], found[0]["concentration"], atol=1e-6)
    assert_allclose((found[1]["mean"] - SHIFT) / SCALE, found[0]["mean"], atol=1e-6)
    assert_allclose(found[1]["scale"] * np.outer(SCALE, SCALE), found[0]["scale"], rtol=1e-6)
    assert_allclose(rows[1], rows[0], atol=1e-6)


def test_products_in_single_precision_keep_their_digits_on_any_device(key):
    model = small(20, 2, 2, seed=3)
    coefficients = model.coefficients(expected(model, key))
    tiles = engine.in_float32(engine.tiled(model))
    text = str(jax.make_jaxpr(lambda c: engine.summed(model, c, tiles))(coefficients))
    assert text.count("dot_general") == 2  # there and back
    assert text.count("Precision.HIGHEST, Precision.HIGHEST") == 2
