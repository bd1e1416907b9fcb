"""Probabilistic PCA: its likelihood by SciPy, its covariance against the maximum in closed form, markers that change nothing."""

from functools import partial

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpy.testing import assert_allclose
from numpyro.infer import Trace_ELBO
from scipy import stats
from test_conformance import ppca_guide

import vi_vs_mcmc as vm

MODEL = vm.load("ppca")
PRIOR = ("loading_sd", "intercept_sd", "mean_precision", "scale", "degrees_of_freedom", "shape", "rate")


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def near_a_plane(rows: int, columns: int = 4, latent: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (
        10
        + rng.normal(size=(rows, latent)) @ rng.normal(size=(latent, columns))
        + 0.5 * rng.normal(size=(rows, columns))
    )


def maximum_likelihood(x: np.ndarray, latent: int) -> tuple[np.ndarray, float]:
    """C and the noise variance (Tipping and Bishop 1999, equations 7 and 8)."""
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    noise = values[:-latent].mean()
    leading = vectors[:, -latent:]
    return leading @ np.diag(values[-latent:] - noise) @ leading.T + noise * np.eye(len(values)), noise


def test_l_at_parameters_is_scipys_normal_with_the_covariance_of_the_program():
    problem = MODEL(near_a_plane(9))
    model, x = problem.conjugate, problem.args[0]

    @jax.jit
    def one(key):
        theta = model.draw(key, model.start(key))
        return theta, model.local(model.coefficients(model.sufficient(theta)), model.rows)

    theta, found = jax.tree.map(np.asarray, one(jax.random.key(0)))
    wanted = stats.multivariate_normal(theta["mean"], theta["covariance"]).logpdf(x)
    assert_allclose(found, wanted, rtol=1e-10)
    values = np.linalg.eigvalsh(theta["covariance"])
    assert_allclose(values[:2], 1 / theta["tau"], rtol=1e-9)  # rank 2 and round noise


def test_markers_are_the_pivots_of_the_covariance_and_can_be_chosen():
    assert MODEL().settings["markers"] == ["petal_length", "sepal_length"]
    chosen = MODEL(markers=["sepal_width", "petal_width"])
    assert chosen.settings["markers"] == ["sepal_width", "petal_width"]
    assert list(chosen.args[1]) == [1, 3, 0, 2]
    assert MODEL().compared == ("mean", "covariance", "tau")


def test_settings_and_data_that_do_not_fit_are_refused():
    x = near_a_plane(9)
    with pytest.raises(vm.DataError, match="has 4 columns; want more than the 4 latent dimensions"):
        MODEL(x, latent=4)
    with pytest.raises(vm.SettingError, match="want 2 of the columns x0, x1, x2, x3"):
        MODEL(x, markers=["x0", "x7"])
    with pytest.raises(vm.SettingError, match="want 2 of the columns"):
        MODEL(x, markers=["x0"])
    with pytest.raises(vm.SettingError, match="rate is -1"):
        MODEL(x, rate=-1.0)
    with pytest.raises(vm.SettingError, match="not positive definite"):
        MODEL(x, scale=[[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(vm.DataError, match="constant"):
        MODEL(np.ones((5, 3)))


@pytest.mark.slow
def test_at_many_rows_the_covariance_is_the_maximum_likelihoods():
    x = near_a_plane(20_000)
    covariance, noise = maximum_likelihood(x, 2)
    tree = vm.fit(MODEL(x), "cavi", seed=0, draws=1000)
    # posterior means are off by some 1 / N of themselves, draws by an sd of some sqrt(2 / N) / sqrt(4000)
    assert_allclose(tree["posterior"]["covariance"].mean(("chain", "draw")), covariance, rtol=1e-3, atol=1e-3)
    assert_allclose(1 / tree["variational"]["mean_tau"], noise, rtol=1e-3)
    assert_allclose(tree["posterior"]["mean"].mean(("chain", "draw")), x.mean(0), atol=1e-3)


@pytest.mark.slow
def test_other_markers_are_the_same_model_but_for_the_prior():
    x, found = near_a_plane(20_000), []
    for markers in (["x0", "x1"], ["x2", "x3"]):
        found.append(vm.fit(MODEL(x, markers=markers, loading_sd=10.0), "lrvb", seed=0, draws=1000)["posterior"])
    each = ("chain", "draw")
    first, second = (np.stack([of["covariance"].mean(each), of["covariance"].std(each)]) for of in found)
    # the prior, that of a few rows, shifts a mean by some 1 / sqrt(N) sds (.17 at 2000); 4000 draws add 4 errors of .022
    assert (np.abs(first[0] - second[0]) < 0.15 * first[1]).all()
    assert_allclose(second[1] / first[1], 1.0, atol=0.065)  # 4 errors of 1 / sqrt(4000)


@pytest.fixture(scope="module")
def gibbs():
    return vm.fit(MODEL(), "gibbs", seed=1, draws=4000)


@pytest.mark.slow
def test_gibbs_and_nuts_agree(gibbs):
    nuts = vm.fit(MODEL(), "nuts", seed=1, draws=2000)
    for site in ("mean", "covariance", "tau", "loadings", "latent_precision"):
        for index in np.ndindex(gibbs["posterior"][site].shape[2:]):
            a, b = (tree["posterior"][site].values[(..., *index)] for tree in (gibbs, nuts))
            for of, moment in (("mean", np.mean), ("sd", np.std)):
                error = np.hypot(*(float(arviz_stats.mcse(draws, method=of)) for draws in (a, b)))
                assert abs(moment(a) - moment(b)) < 4 * error, (site, index, of)


@pytest.mark.slow
def test_linear_response_has_the_sds_of_gibbs_which_mean_field_has_not(gibbs):
    lrvb, cavi = (vm.fit(MODEL(), method, seed=1, draws=2000) for method in ("lrvb", "cavi"))
    of = lambda tree, site: tree["posterior"][site].std(("chain", "draw")).values
    sd = float(of(gibbs, "tau"))
    assert abs(float(lrvb["variational"]["sd_tau"]) / sd - 1) < 0.03
    assert float(cavi["variational"]["sd_tau"]) / sd < 0.8
    for site in ("mean", "covariance"):  # by draws: errors of .01 on either side
        assert_allclose(of(lrvb, site) / of(gibbs, site), 1.0, atol=0.05)


@pytest.mark.slow
def test_rows_that_are_streamed_give_the_fit_of_rows_in_memory(tmp_path):
    import pandas as pd

    x = near_a_plane(3000)
    pd.DataFrame(x, columns=list("abcd")).to_parquet(tmp_path / "x.parquet")
    whole = vm.fit(MODEL(x, markers=["x0", "x1"]), "cavi", seed=0, draws=10)
    streamed = vm.fit(MODEL(vm.stream(tmp_path / "x.parquet"), markers=["a", "b"]), "cavi", seed=0, draws=10)
    assert_allclose(streamed.attrs["elbo"], whole.attrs["elbo"], rtol=1e-9)
    assert_allclose(streamed["variational"]["mean_loadings"], whole["variational"]["mean_loadings"], rtol=1e-6)
    assert jnp.isfinite(streamed.attrs["elbo"])


@pytest.mark.slow
def test_both_bounds_are_numpyros():
    """Keeping z, as coordinate ascent does, and with z summed out, as the program has it: Monte Carlo means of NumPyro's ELBO."""
    problem = MODEL(near_a_plane(40))
    fitted = vm.fit(problem, "cavi", seed=0, draws=2000)
    names = [n for n in fitted["variational"].data_vars if n.startswith("q_")]
    q = {n.removeprefix("q_"): jnp.asarray(fitted["variational"][n].values) for n in names}
    (x, order, centre), of = problem.args, problem.kwargs
    loading_sd, intercept_sd, mean_precision, scale, freedom, shape, rate = (of[n] for n in PRIOR)
    rows, latent = jnp.asarray((x - centre)[:, order]), len(scale)
    markers, others = rows[:, :latent], rows[:, latent:]

    def keeping():
        tau = numpyro.sample("tau", dist.Gamma(shape, rate))
        precision = numpyro.sample("latent_precision", dist.Wishart(freedom, scale_matrix=scale))
        strength = mean_precision * precision
        nu = numpyro.sample("latent_mean", dist.MultivariateNormal(jnp.zeros(latent), precision_matrix=strength))
        with numpyro.plate("other", others.shape[1]):
            b = numpyro.sample("loadings", dist.Normal(0.0, loading_sd).expand([latent]).to_event(1))
            mu = numpyro.sample("intercepts", dist.Normal(0.0, intercept_sd))
        with numpyro.plate("observation", len(rows)):
            z = numpyro.sample("z", dist.MultivariateNormal(nu, precision_matrix=precision))
            middle = jnp.concatenate([z, z @ b.T + mu], 1)
            numpyro.sample("x", dist.Normal(middle, 1 / jnp.sqrt(tau)).to_event(1), obs=rows)

    mean, second = q["loadings_mean"], q["loadings_covariance"]
    products = (second + mean[:, :, None] * mean[:, None, :]).sum(0)
    tau, psi = q["shape"] / q["rate"], q["degrees_of_freedom"] * q["scale"]
    given = tau * (jnp.eye(latent) + products[:latent, :latent]) + psi
    linear = tau * (markers + others @ mean[:, :latent] - products[:latent, latent]) + psi @ q["mean"]

    def guide():
        ppca_guide(q)
        with numpyro.plate("observation", len(rows)):
            middle = jnp.linalg.solve(given, linear.T).T
            numpyro.sample("z", dist.MultivariateNormal(middle, precision_matrix=given))

    def bound(program, guide, *args):
        run = lambda key: Trace_ELBO().loss(key, {}, program, guide, *args)
        return -np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 4000)))

    found = bound(keeping, guide)
    assert abs(found.mean() - fitted.attrs["elbo"]) < 4 * found.std() / np.sqrt(found.size)
    found = bound(partial(problem.program, **of), lambda *_: ppca_guide(q), *problem.args)
    error = np.hypot(found.std() / np.sqrt(found.size), fitted.attrs["elbo_marginal_se"])
    assert abs(found.mean() - fitted.attrs["elbo_marginal"]) < 4 * error
    assert fitted.attrs["elbo"] < fitted.attrs["elbo_marginal"]
