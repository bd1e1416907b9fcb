"""Linear regression: against the exact normal-gamma posterior, NIST's certified fit, and samplers where nothing is exact."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import regressions
from arviz_stats.base import array_stats
from jax.flatten_util import ravel_pytree
from numpy.testing import assert_allclose
from numpyro.infer import Trace_ELBO

import vi_vs_mcmc as vm
from vi_vs_mcmc import engine, evidence, response
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.streams import MODES, stream

MODEL = vm.load("linear_regression")
LONGLEY = Path(__file__).parents[1] / "truth" / "longley.csv"
# certified by NIST, Statistical Reference Datasets, in the units of the file
SLOPES = [
    0.0150618722713733,
    -0.0358191792925910,
    -0.0202022980381683,
    -0.0103322686717359,
    -0.0511041056535807,
    1.82915146461355,
]
SDS = [
    0.0849149257747669,
    0.0334910077722432,
    0.00488399681651699,
    0.00214274163161675,
    0.226073200069370,
    0.455478499142212,
]
RESIDUAL_SQUARES = 0.836424055505915


@pytest.fixture(scope="module")
def problem():
    return regressions.linear()


@pytest.fixture(scope="module")
def fitted(problem):
    return vm.fit(problem, "cavi", seed=0, draws=2000)


def test_means_are_exact_and_covariances_fall_short_by_the_theorys_factors(problem, fitted):
    found, truth = fitted["variational"], regressions.exact(problem)
    a, number = problem.kwargs["shape"] + len(problem.args[1]) / 2, len(truth.centre)
    assert_allclose(found["mean_beta"], truth.centre, rtol=1e-8)
    assert_allclose(found["mean_tau"], truth.tau.mean(), rtol=1e-7)
    assert_allclose(found["sd_beta"] / truth.beta.std(), np.full(number, np.sqrt((a - 1) / a)), rtol=1e-7)
    assert_allclose(found["sd_tau"] / truth.tau.std(), np.sqrt(a / (a + number / 2)), rtol=1e-7)
    assert_allclose(found["q_covariance"], np.linalg.inv(truth.precision) / truth.tau.mean(), rtol=1e-7, atol=1e-13)


def test_the_elbo_is_numpyros_and_below_the_evidence(problem, fitted):
    """There is no z: NumPyro's program and CAVI's bound are of the same joint density."""
    found = fitted["variational"]
    q = {name: jnp.asarray(found[f"q_{name}"].values) for name in ("mean", "covariance", "shape", "rate")}
    guide = partial(regressions.linear_guide, q)

    @jax.jit
    def losses(keys):
        loss = lambda key: Trace_ELBO().loss(
            key, {}, problem.program, lambda *_, **__: guide(), *problem.args, **problem.kwargs
        )
        return jax.vmap(loss)(keys)

    with jax.enable_x64(True):
        bound = -np.asarray(losses(jax.random.split(jax.random.key(0), 4000)))
    assert abs(bound.mean() - fitted.attrs["elbo"]) < 4 * bound.std() / np.sqrt(bound.size)
    assert fitted.attrs["elbo"] < regressions.exact(problem).log_evidence < fitted.attrs["elbo"] + 1.0
    assert (np.diff(found["elbo"]) > -1e-11 * (1 + abs(fitted.attrs["elbo"]))).all()


@pytest.mark.slow
def test_under_a_prior_that_says_nothing_it_is_nists_certified_fit():
    tree = vm.fit(MODEL(LONGLEY, strength=1e-9, rate=1e-12), "cavi", seed=0, draws=10)
    assert tree.attrs["status"] == "converged"
    found, half = tree["variational"], RESIDUAL_SQUARES / 2
    # the smallest eigenvalue of X'X, in units of sds, is .006: the prior's 1e-9 rows move no slope by more than 2e-7 of its size
    assert_allclose(found["mean_beta"][1:], SLOPES, rtol=1e-5)
    assert_allclose(found["mean_tau"], (1 + 16 / 2) / half, rtol=1e-6)
    # NIST divides by 16 - 7 degrees of freedom, q by 2 a_N = 2 + 16
    assert_allclose(found["sd_beta"][1:] * np.sqrt(18 / 9), SDS, rtol=1e-5)


def test_an_offset_of_ten_thousand_sds_moves_the_intercept_and_nothing_else():
    near = regressions.table()
    far = near + 1e4 * near.std()
    found, moved = (vm.fit(MODEL(table, rate=1.0), "cavi", seed=0, draws=10)["variational"] for table in (near, far))
    assert_allclose(moved["mean_beta"][0] - found["mean_beta"][0], 1e4 * near["y"].std(), rtol=1e-12)
    assert_allclose(moved["mean_beta"][1:], found["mean_beta"][1:], rtol=1e-8)  # the table itself is known to 1e-12
    for name in ("sd_beta", "mean_tau", "sd_tau"):
        assert_allclose(moved[name], found[name], rtol=1e-7)  # to which coordinate ascent went on
    assert_allclose(moved["elbo"][-1], found["elbo"][-1], rtol=1e-9)


@pytest.mark.slow
def test_the_spectral_radius_is_that_of_the_dense_matrix(problem, fitted):
    """Two blocks that answer each other: eigenvalues in pairs, +r and -r."""
    model = problem.conjugate

    @jax.jit
    def both(model, key):
        eta = model.start(key)
        for _ in range(60):
            eta = engine.sweep(model, eta)[2]
        flat, shaped = ravel_pytree(eta)
        image = lambda at: ravel_pytree(engine.bound_and_map(model, shaped(at))[1])[0]
        direction = jax.tree.map(jnp.ones_like, eta)
        return jax.jacfwd(image)(flat), response.spectral_radius(model, eta, direction)

    with jax.enable_x64(True):
        dense, radius = jax.tree.map(np.asarray, both(model, jax.random.key(0)))
    wanted = np.linalg.eigvals(dense).real.max()
    assert wanted > 0.1
    assert_allclose(radius, wanted, rtol=1e-6)


def test_names_of_columns_are_names_of_coefficients():
    of = MODEL(regressions.table(), target="x1")
    assert of.site_dims("beta") == ("coefficient",)
    assert of.coords["coefficient"] == ("intercept", "x0", "x2", "y")
    assert MODEL(regressions.table(), intercept=False, ard=True).coords["slope"] == ("x0", "x1", "x2")
    assert MODEL().table.name == "cement"


def test_what_is_wrong_is_said():
    rows = regressions.table()
    with pytest.raises(vm.SettingError, match="no column of frame is called 'z'"):
        MODEL(rows, target="z")
    with pytest.raises(vm.SettingError, match="ard is 1; want true or false"):
        MODEL(rows, ard=1)
    with pytest.raises(vm.SettingError, match="intercept is 'no'; want true or false"):
        MODEL(rows, intercept="no")
    with pytest.raises(vm.SettingError, match="relevance_rate is -1; want a number above 0"):
        MODEL(rows, ard=True, relevance_rate=-1)
    with pytest.raises(vm.DataError, match="no column but 'y'"):
        MODEL(rows, columns=["y"])
    with pytest.raises(vm.DataError, match="'one' of frame is constant, which the intercept says already"):
        MODEL(rows.assign(one=1.0)[["one", "x0", "y"]])
    with pytest.raises(vm.SettingError, match="in one block"):
        vm.fit(MODEL(rows), "exact")


@pytest.mark.slow
def test_linear_response_has_the_exact_sd_of_tau_and_leaves_the_tails_of_beta(problem, fitted):
    """Tilted by s tau, E[tau] is a_N / (b_N - s), whose slope is the exact variance; E[beta] does not know of tau at all."""
    found = vm.fit(problem, "lrvb", seed=0, draws=500)["variational"]
    assert_allclose(found["sd_tau"], regressions.exact(problem).tau.std(), rtol=1e-6)
    assert_allclose(found["sd_beta"], fitted["variational"]["sd_beta"], rtol=1e-6)


@pytest.mark.slow
@in_float64
def test_the_evidence_by_importance_sampling_is_the_exact_one():
    """The prior is in no part of the proposal, since it ties beta and tau: the error rests on the ratios' own tail."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 2))
    rows = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x @ [1.0, -0.5] + rng.normal(size=40)})
    problem = MODEL(rows, **regressions.SETTINGS)
    optima = vm.CAVI().optima(problem.conjugate, stream(jax.random.key(0), MODES))
    found = [evidence.importance(problem, optima, jax.random.key(i), proposals=4000) for i in range(20)]
    z = np.array([(e.log_evidence - regressions.exact(problem).log_evidence) / e.error for e in found])
    assert np.isfinite([e.error for e in found]).all()
    assert np.abs(z).max() < 4
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / 20)


@pytest.mark.slow
def test_rows_that_are_streamed_give_the_same_fit(tmp_path):
    rows = pd.concat([regressions.table(200, seed=i) for i in range(3)])
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    streamed = vm.fit(MODEL(vm.stream(tmp_path / "rows.parquet")), "cavi", seed=0, draws=10)
    held = vm.fit(MODEL(rows), "cavi", seed=0, draws=10)
    for name in ("mean_beta", "sd_beta", "mean_tau", "sd_tau"):
        assert_allclose(streamed["variational"][name], held["variational"][name], rtol=1e-6)
    assert_allclose(streamed.attrs["elbo"], held.attrs["elbo"], rtol=1e-10)


@pytest.fixture(scope="module")
def relevant():
    """Sixty rows, three slopes, one of them nothing."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 3))
    rows = pd.DataFrame(x, columns=["a", "b", "c"]).assign(y=x @ [1.0, 0.4, 0.0] + rng.normal(size=60))
    return MODEL(rows, ard=True, relevance_shape=4.0, relevance_rate=1.0)


@pytest.fixture(scope="module")
def sampled(relevant):
    return vm.fit(relevant, vm.Gibbs(thin=5), seed=3, draws=10_000)


@pytest.mark.slow
def test_with_relevances_gibbs_agrees_with_nuts(relevant, sampled):
    nuts = vm.fit(relevant, "nuts", seed=4, draws=4000)
    for site in relevant.compared:
        a, b = (np.atleast_3d(tree["posterior"][site].values) for tree in (sampled, nuts))
        for j in range(a.shape[-1]):
            for kind, of in (("mean", np.mean), ("sd", np.std)):
                error = [array_stats.mcse(x[..., j], chain_axis=0, draw_axis=1, method=kind) for x in (a, b)]
                assert abs(of(a[..., j]) - of(b[..., j])) < 4 * np.hypot(*error), (site, j, kind)


@pytest.mark.slow
def test_with_relevances_linear_response_has_the_sds_of_gibbs(relevant, sampled):
    """Within 3 % for beta and tau; alpha has a gamma's tail, and its first-order answer is 10 % off at most."""
    found = vm.fit(relevant, "lrvb", seed=5, draws=500)["variational"]
    for site, room in (("beta", 0.03), ("tau", 0.03), ("alpha", 0.1)):
        draws = sampled["posterior"][site].values
        mcse = np.array(
            [
                array_stats.mcse(x, chain_axis=0, draw_axis=1, method="sd")
                for x in np.moveaxis(np.atleast_3d(draws), -1, 0)
            ]
        )
        sd = np.atleast_1d(draws.std((0, 1)))
        ratio = np.atleast_1d(found[f"sd_{site}"].values) / sd
        assert (np.abs(ratio - 1) < room + 4 * mcse / sd).all(), (site, ratio)
