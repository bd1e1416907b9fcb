"""Gibbs sampling: conditionals by hand, two posteriors in closed form, and NUTS, with which it shares nothing.

That the complete-data density and its draws belong to the model is checked in `test_conformance`, for every model.
"""

from dataclasses import replace

import jax
import numpy as np
import numpyro
import pytest
from arviz_stats.base import array_stats
from numpy.testing import assert_allclose
from regressions import exact, linear

import vi_vs_mcmc as vm
from vi_vs_mcmc.methods import gibbs

SITES = ("weights", "means", "covariances")


@pytest.fixture(scope="module")
def regression():
    """With a site that no block determines alone: the share of the mean square of y that the line explains."""
    problem = linear()

    def program(x, y, **prior):
        with numpyro.handlers.trace() as found:
            problem.program(x, y, **prior)
        signal = ((x @ found["beta"]["value"]) ** 2).mean()
        numpyro.deterministic("explained", signal / (signal + 1 / found["tau"]["value"]))

    return replace(problem, program=program)


@pytest.fixture(scope="module")
def drawn(regression):
    return vm.fit(regression, vm.Gibbs(warmup=100, thin=1, restarts=1), seed=1, draws=5000)["posterior"]


def test_each_block_is_drawn_from_the_conditional_of_the_textbook(regression):
    (x, y), prior = regression.args, regression.kwargs
    tau, beta = 0.07, np.array([5.0, 0.3, -1.2, 2.0])

    @jax.jit
    def found(model, theta):
        m = model.sufficient(theta)
        z = model.draw_local(jax.random.key(0), m, model.rows)
        of_beta, of_tau = (gibbs.conditional(model, block, m, z) for block in model.blocks)
        return of_beta, of_tau, model.parameters({**of_beta, **of_tau})

    with jax.enable_x64(True):
        of_beta, of_tau, q = jax.tree.map(np.asarray, found(regression.conjugate, {"beta": beta, "tau": tau}))
    assert list(of_beta) == ["beta"]
    assert list(of_tau) == ["tau"]
    of_prior = np.diag(prior["scale"] ** -2.0)
    covariance = np.linalg.inv(tau * (x.T @ x + of_prior))
    assert_allclose(q["covariance"], covariance, rtol=1e-10, atol=1e-12)
    assert_allclose(q["mean"], covariance @ (tau * (x.T @ y + of_prior @ prior["mean"])), rtol=1e-11)
    off, apart = y - x @ beta, beta - prior["mean"]
    assert_allclose(q["shape"], prior["shape"] + (len(y) + len(beta)) / 2, rtol=1e-12)
    assert_allclose(q["rate"], prior["rate"] + (off @ off + apart @ of_prior @ apart) / 2, rtol=1e-11)


def test_two_blocks_have_the_exact_posterior(regression, drawn):
    truth = exact(regression)
    centre, precision = truth.centre, truth.precision
    beta, tau = (drawn[site].values for site in ("beta", "tau"))
    judged = [(beta[..., i], truth.beta.mean()[i], truth.beta.std()[i]) for i in range(len(centre))]
    judged.append((tau, truth.tau.mean(), truth.tau.std()))
    # tau (beta - mu)' P (beta - mu) ~ chi2(D). Of two blocks drawn each from the other's old value every marginal is right;
    # the mean of this would be larger by 1 / (a_N - 1), 14 %, where its error is near 1 %
    offset = beta - centre
    square = tau * np.einsum("cdi,ij,cdj->cd", offset, precision, offset)
    judged.append((square, len(centre), np.sqrt(2 * len(centre))))
    for draws, mean, sd in judged:
        for kind, found, wanted in (("mean", draws.mean(), mean), ("sd", draws.std(), sd)):
            error = array_stats.mcse(draws, chain_axis=0, draw_axis=1, method=kind)
            assert error < 0.05 * sd
            assert abs(found - wanted) < 4 * error, (kind, (found - wanted) / error)  # 12 numbers


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
