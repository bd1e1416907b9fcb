"""Gibbs sampling: the complete-data density it stands on, a posterior in closed form, and NUTS, with which it shares nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats.base import array_stats
from numpy.testing import assert_allclose

import vi_vs_mcmc as vm
from vi_vs_mcmc import engine

SITES = ("weights", "means", "covariances")


@pytest.fixture
def drawn():
    """A structure in two dimensions, and t at one draw of its prior."""
    with jax.enable_x64(True):
        x = np.random.default_rng(1).standard_normal((11, 2))
        model = vm.load("gmm")(x, components=3).conjugate
        yield model, model.sufficient(model.draw(jax.random.key(2), model.prior))


def test_the_complete_density_summed_over_every_label_is_the_rows_density(drawn):
    model, m = drawn
    every = jax.vmap(lambda z: model.complete(m, z, model.rows))(model.outcomes(model.rows))
    assert_allclose(jax.nn.logsumexp(every, axis=0), model.local(m, model.rows), rtol=1e-12)


def test_the_statistics_of_drawn_labels_are_on_average_the_expected_ones(drawn):
    model, m = drawn
    slope = jax.grad(lambda m, z: model.complete(m, z, model.rows).sum())
    keys = jax.random.split(jax.random.key(3), 4000)
    draws = jax.vmap(lambda key: slope(m, model.draw_local(key, m, model.rows)))(keys)
    expected = engine.total(model, m)[1]
    for found, wanted in zip(jax.tree.leaves(draws), jax.tree.leaves(expected), strict=True):
        error = found.std(0) / np.sqrt(len(found)) + 1e-12
        assert (np.abs(found.mean(0) - wanted) < 5 * error).all()  # 5: of 39 numbers


def test_the_complete_density_is_affine_in_the_statistics(drawn):
    model, m = drawn
    z = model.draw_local(jax.random.key(4), m, model.rows)
    other = jax.tree.map(lambda leaf: leaf + jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), m)
    middle = jax.tree.map(lambda a, b: 0.5 * (a + b), m, other)
    ends = 0.5 * (model.complete(m, z, model.rows) + model.complete(other, z, model.rows))
    assert_allclose(model.complete(middle, z, model.rows), ends, rtol=1e-12)


def test_on_the_lecture_data_it_agrees_with_nuts(lecture):
    gibbs = vm.fit(lecture, "gibbs", seed=5, draws=1000)
    nuts = vm.fit(lecture, "nuts", seed=5, draws=1000)
    assert gibbs.attrs["status"] == "ok"
    for site in SITES:
        a, b = (tree["posterior"][site].values.reshape(4, 1000, -1) for tree in (gibbs, nuts))
        for j in range(a.shape[-1]):
            error = np.hypot(*(array_stats.mcse(x[..., j], chain_axis=0, draw_axis=1, method="mean") for x in (a, b)))
            assert abs(a[..., j].mean() - b[..., j].mean()) < 4 * error, (site, j)
            assert array_stats.rhat(a[..., j], chain_axis=0, draw_axis=1) < 1.02


@pytest.mark.slow
def test_it_can_be_the_reference_and_can_be_judged(lecture):
    found = vm.compare(lecture, methods=["lrvb"], reference="gibbs", seed=6, max_draws=1000)
    assert found.summary["reference"]["status"] == "passed"
    assert found.summary["reference"]["divergences"] is None
    assert found.summary["verdicts"]["lrvb"]["verdict"] != ["overconfident"]


@pytest.mark.slow
def test_linear_response_has_its_sds_on_the_lecture_data(lecture):
    gibbs = vm.fit(lecture, "gibbs", seed=7, draws=25_000)
    response = vm.fit(lecture, "lrvb", seed=7, chains=1, draws=10)["variational"]
    for site in SITES:
        draws = gibbs["posterior"][site].values.reshape(4, 25_000, -1)
        ratio = response[f"sd_{site}"].values.ravel() / draws.std((0, 1))
        influence = 0.5 * ((draws - draws.mean((0, 1))) ** 2 / draws.var((0, 1)) - 1)  # of log sd
        columns = np.moveaxis(influence, -1, 0)
        error = [array_stats.mcse(x, chain_axis=0, draw_axis=1, method="mean") for x in columns]
        assert (np.abs(ratio - 1) < 0.025 + 4 * np.array(error)).all(), (site, ratio)


def test_a_model_without_closed_form_is_refused():
    import numpyro
    import numpyro.distributions as dist

    with pytest.raises(vm.SettingError, match="gibbs needs a closed-form structure"):
        vm.fit(vm.Problem(lambda: numpyro.sample("x", dist.Normal())), "gibbs")
