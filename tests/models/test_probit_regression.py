"""Probit regression: tails, the published fit of Bliss' beetles, both bounds by NumPyro, and two samplers."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import regressions
from arviz_stats.base import array_stats
from numpy.testing import assert_allclose
from numpyro.infer import Trace_ELBO
from scipy import optimize, stats
from vi_vs_mcmc.models.probit_regression import FAR, beyond

import vi_vs_mcmc as vm

MODEL = vm.load("probit_regression")


@pytest.fixture(scope="module")
def problem():
    return MODEL(regressions.table(binary=True))


@pytest.fixture(scope="module")
def fitted(problem):
    return vm.fit(problem, "cavi", seed=0, draws=2000)


def test_draws_beyond_a_point_have_the_truncated_normals_moments():
    a = np.array([-9.0, -1.0, 2.0, 9.0, FAR - 0.1, FAR + 0.1, 50.0, 1000.0])
    draws = 20_000
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(beyond)(jax.random.key(0), jnp.broadcast_to(a, (draws, a.size))))
    assert (found >= a).all()
    assert np.isfinite(found).all()
    # of the distance beyond a, in units of about its sd, (1, 1 / a); SciPy's moments have no digits left far out, its law has
    share = np.exp(stats.norm.logsf(found) - stats.norm.logsf(a))  # uniform on (0, 1)
    assert (np.abs(share.mean(0) - 0.5) < 5 * np.sqrt(1 / 12 / draws)).all()
    assert (np.abs(share.var(0) - 1 / 12) < 5 * np.sqrt(1 / 180 / draws)).all()
    for j in range(a.size):
        assert stats.kstest(share[:, j], "uniform").pvalue > 1e-5


def test_the_programs_tails_are_scipys():
    rows = regressions.table(binary=True)
    problem = MODEL(rows, scale=100.0)
    x, y = problem.args
    for beta in (np.array([0.3, 0.2, -0.1, 0.4]), np.array([20.0, -30.0, 10.0, 2.0])):
        u = np.where(y == 1, 1.0, -1.0) * (x @ beta)
        wanted = stats.norm.logcdf(u).sum() + stats.norm(0, problem.kwargs["scale"]).logpdf(beta).sum()
        with jax.enable_x64(True):
            call, arrays = problem.bound
            density = jax.value_and_grad(lambda b: call.log_density(arrays, {"beta": b}))  # noqa: B023
            value, slope = density(jnp.asarray(beta))
        assert_allclose(value, wanted, rtol=1e-12)
        assert np.isfinite(slope).all()


def bound(program, guide, problem, number: int) -> np.ndarray:
    """One draw's ELBO by NumPyro, `number` times."""
    run = lambda key: Trace_ELBO().loss(key, {}, program, guide, *problem.args, **problem.kwargs)
    with jax.enable_x64(True):
        return -np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), number)))


def test_both_bounds_are_numpyros(problem, fitted):
    """Keeping z, as coordinate ascent does (w = sigma z is above 0), and with z summed out, as the program has it."""
    mean, covariance = (jnp.asarray(fitted["variational"][f"q_{name}"].values) for name in ("mean", "covariance"))
    q = {"mean": mean, "covariance": covariance}

    def keeping(x, y, scale):
        beta = numpyro.sample("beta", dist.Normal(0.0, scale).to_event(1))
        with numpyro.plate("observation", len(y)):
            numpyro.sample("w", dist.Normal(jnp.where(y == 1, 1.0, -1.0) * (x @ jnp.asarray(beta)), 1.0))

    def guide(x, y, scale):
        regressions.probit_guide(q)
        with numpyro.plate("observation", len(y)):
            numpyro.sample("w", dist.TruncatedNormal(jnp.where(y == 1, 1.0, -1.0) * (x @ mean), 1.0, low=0.0))

    found = bound(keeping, guide, problem, 4000)
    assert abs(found.mean() - fitted.attrs["elbo"]) < 4 * found.std() / np.sqrt(found.size)
    found = bound(problem.program, lambda *_, **__: regressions.probit_guide(q), problem, 4000)
    error = np.hypot(found.std() / np.sqrt(found.size), fitted.attrs["elbo_marginal_se"])
    assert abs(found.mean() - fitted.attrs["elbo_marginal"]) < 4 * error
    assert fitted.attrs["elbo"] < fitted.attrs["elbo_marginal"]
    assert (np.diff(fitted["variational"]["elbo"]) > -1e-11 * (1 + abs(fitted.attrs["elbo"]))).all()


def test_what_is_wrong_is_said(problem):
    with pytest.raises(vm.SettingError, match="those of 'probit_regression' are too many to list, or a continuum"):
        vm.fit(problem, "exact")
    with pytest.raises(vm.DataError, match="the response, holds 2; want 0 and 1"):
        MODEL(regressions.table(binary=True).replace({"y": {1.0: 2.0}}))
    with pytest.raises(vm.SettingError, match="scale is nan; want a number above 0"):
        MODEL(scale=float("nan"))


@pytest.mark.slow
def test_under_a_flat_prior_the_mode_is_the_published_fit():
    problem = MODEL(scale=1e5)
    tree = vm.fit(problem, "em", seed=0, draws=4)
    x, y = problem.args
    sign = np.where(y == 1, 1.0, -1.0)
    found = optimize.minimize(lambda b: -stats.norm.logcdf(sign * (x @ b)).sum(), [0.5, 19.0], method="BFGS", tol=1e-9)
    mode = tree["posterior"]["beta"].values[0, 0]
    assert_allclose(mode, found.x, rtol=1e-5)
    dose = problem.table.mean[0]
    assert_allclose([mode[0] - mode[1] * dose, mode[1]], [-34.94, 19.73], atol=0.01)  # as printed
    steps = tree["variational"]
    assert (steps["kl"].values >= 0).all()
    assert_allclose(steps["log_joint"], steps["elbo"] + steps["kl"], atol=1e-9)


@pytest.fixture(scope="module")
def sampled():
    return vm.fit(MODEL(), vm.Gibbs(thin=10), seed=1, draws=5000)["posterior"]["beta"].values


@pytest.mark.slow
def test_gibbs_agrees_with_nuts(sampled):
    other = vm.fit(MODEL(), "nuts", seed=2, draws=4000)["posterior"]["beta"].values
    for j in range(sampled.shape[-1]):
        for kind, of in (("mean", np.mean), ("sd", np.std)):
            error = [array_stats.mcse(a[..., j], chain_axis=0, draw_axis=1, method=kind) for a in (sampled, other)]
            assert abs(of(sampled[..., j]) - of(other[..., j])) < 4 * np.hypot(*error), (j, kind)


@pytest.mark.slow
def test_linear_response_has_the_sds_of_gibbs_and_coordinate_ascent_has_not(sampled):
    cavi, lrvb = (
        vm.fit(MODEL(), method, seed=3, draws=500)["variational"]["sd_beta"].values for method in ("cavi", "lrvb")
    )
    sd = sampled.std((0, 1))
    columns = np.moveaxis(sampled, -1, 0)
    error = np.array([array_stats.mcse(a, chain_axis=0, draw_axis=1, method="sd") for a in columns]) / sd
    assert (np.abs(lrvb / sd - 1) < 0.03 + 4 * error).all(), lrvb / sd
    assert (cavi / sd < 0.65).all()
