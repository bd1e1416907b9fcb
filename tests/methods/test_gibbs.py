"""Gibbs sampling: conditionals by hand, two posteriors in closed form, and NUTS, with which it shares nothing.

That the complete-data density and its draws belong to the model is checked in `test_conformance`, for every model.
"""

import jax
import numpy as np
import pytest
from arviz_stats.base import array_stats
from linear_regression import RATE, SHAPE, STRENGTH, exact, linear_regression
from numpy.testing import assert_allclose

import vi_vs_mcmc as vm
from vi_vs_mcmc.methods import gibbs

SITES = ("weights", "means", "covariances")


@pytest.fixture(scope="module")
def regression():
    return linear_regression()


@pytest.fixture(scope="module")
def drawn(regression):
    return vm.fit(regression, vm.Gibbs(warmup=100, thin=1, restarts=1), seed=1, draws=5000)["posterior"]


def test_each_block_is_drawn_from_the_conditional_of_the_textbook(regression):
    x, y = regression.args[:2]
    (rows, dimension), tau, beta = x.shape, 0.7, np.array([0.3, -1.2, 2.0])

    @jax.jit
    def found(model, theta):
        m = model.sufficient(theta)
        z = model.draw_local(jax.random.key(0), m, model.rows)
        return [gibbs.conditional(model, block, m, z) for block in model.blocks]

    with jax.enable_x64(True):
        of_beta, of_tau = jax.tree.map(np.asarray, found(regression.conjugate, {"beta": beta, "tau": tau}))
    assert list(of_beta) == ["beta"]
    assert list(of_tau) == ["tau"]
    assert_allclose(of_beta["beta"].matrix, tau * (x.T @ x + STRENGTH * np.eye(dimension)), rtol=1e-12, atol=1e-12)
    assert_allclose(of_beta["beta"].linear, tau * x.T @ y, rtol=1e-12)
    residuals = y - x @ beta
    assert_allclose(of_tau["tau"].log + 1, SHAPE + (rows + dimension) / 2, rtol=1e-12)
    assert_allclose(of_tau["tau"].value, RATE + (residuals @ residuals + STRENGTH * beta @ beta) / 2, rtol=1e-12)


def test_two_blocks_have_the_exact_posterior(regression, drawn):
    truth, centre, precision = exact(regression)
    beta, tau = (drawn[site].values for site in ("beta", "tau"))
    judged = [(beta[..., i], *(moment[i] for moment in truth["beta"])) for i in range(len(centre))]
    judged.append((tau, *truth["tau"]))
    # tau (beta - mu)' P (beta - mu) ~ chi2(D). Of two blocks drawn each from the other's old value every marginal is right;
    # the mean of this would be larger by 1 / (a_N - 1), 14 %, where its error is near 1 %
    offset = beta - centre
    square = tau * np.einsum("cdi,ij,cdj->cd", offset, precision, offset)
    judged.append((square, len(centre), np.sqrt(2 * len(centre))))
    for draws, mean, sd in judged:
        for kind, found, wanted in (("mean", draws.mean(), mean), ("sd", draws.std(), sd)):
            error = array_stats.mcse(draws, chain_axis=0, draw_axis=1, method=kind)
            assert error < 0.05 * sd
            assert abs(found - wanted) < 4 * error, (kind, (found - wanted) / error)  # 10 numbers


def test_a_site_of_several_blocks_comes_from_the_program(regression, drawn):
    signal = ((drawn["beta"].values @ regression.args[0].T) ** 2).mean(-1)
    assert_allclose(drawn["explained"], signal / (signal + 1 / drawn["tau"].values), rtol=1e-12)


@pytest.mark.slow
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
