"""Autoregression: its posterior is that of a regression, known exactly."""

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, stats

import vi_vs_mcmc as vm

MODEL = vm.load("autoregression")
LAKE = (575.96, 578.135, 579.12, 579.875, 581.86)  # quartiles, as R's summary(LakeHuron) has them; its mean is 579.0041


def exact(problem) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Means and sds of (intercept, coefficients) and of the noise, by SciPy's Student t and chi-squared."""
    lags, y = problem.args
    z = np.column_stack([np.ones(len(y)), lags])
    best, (squares,), _, _ = np.linalg.lstsq(z, y)
    freedom = len(y) - z.shape[1]
    width = np.sqrt(squares / freedom * np.linalg.inv(z.T @ z).diagonal())
    theta = stats.t(freedom, best, width)
    noise = lambda power: stats.chi2(freedom).expect(lambda q: (squares / q) ** (power / 2), epsabs=1e-12)
    mean, sd = theta.mean(), theta.std()
    return {
        "intercept": (mean[0], sd[0]),
        "coefficients": (mean[1:], sd[1:]),
        "noise": (noise(1), np.sqrt(noise(2) - noise(1) ** 2)),
    }


def test_the_built_in_series_is_lake_huron():
    values = 570 + MODEL().table.values[:, 0]
    assert len(values) == 98
    assert_allclose([*np.quantile(values, [0, 0.25, 0.5, 0.75, 1]), values.mean()], [*LAKE, 579.0041], atol=5e-3)


def test_the_density_is_the_regressions_under_a_flat_prior():
    problem = MODEL(order=3)
    lags, y = problem.args
    u = {"intercept": np.array(0.1), "coefficients": np.array([1.0, -0.3, 0.1]), "log_noise": np.array(-0.2)}
    with jax.enable_x64(True):
        call, arrays = problem.bound
        found = call.log_density(arrays, jax.tree.map(jnp.asarray, u))
    centre = u["intercept"] + lags @ u["coefficients"]
    assert_allclose(found, stats.norm(centre, np.exp(u["log_noise"])).logpdf(y).sum(), rtol=1e-12)


def test_each_row_holds_the_values_before_its_own_the_latest_first():
    series = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0])
    lags, y = MODEL(series[:, None], order=2).args
    centred = series - series.mean()
    assert_allclose(y, centred[2:])
    assert_allclose(lags, np.column_stack([centred[1:-1], centred[:-2]]))


def test_the_exact_posterior_is_that_of_a_quadrature():
    """Of order 1, by integrating the density over three dimensions."""
    problem = MODEL(order=1)
    lags, y = problem.args
    best, sd = (np.array([exact(problem)[n][i].squeeze() for n in ("intercept", "coefficients")]) for i in (0, 1))
    steps = np.linspace(-9, 9, 121)
    a, b = np.meshgrid(best[0] + sd[0] * steps, best[1] + sd[1] * steps, indexing="ij")
    squares = ((y - a[..., None] - b[..., None] * lags[:, 0]) ** 2).sum(-1)
    noise = np.exp(np.linspace(-1.2, 0.8, 201))
    log_p = -len(y) * np.log(noise) - 0.5 * squares[..., None] / noise**2
    p = np.exp(log_p - log_p.max())  # over log noise, flat
    mean = lambda f: integrate.simpson((p * f).sum((0, 1))) / integrate.simpson(p.sum((0, 1)))
    for name, of in (("intercept", a[..., None]), ("coefficients", b[..., None]), ("noise", noise)):
        wanted = [np.squeeze(moment) for moment in exact(problem)[name]]
        assert_allclose([mean(of), np.sqrt(mean(of**2) - mean(of) ** 2)], wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.slow  # a run of NUTS
def test_nuts_has_the_exact_moments():
    problem = MODEL()
    draws = vm.fit(problem, "nuts", seed=0)["posterior"]
    for name, (mean, sd) in exact(problem).items():
        values = draws[name].values.reshape(4, 1000, -1)
        for j in range(values.shape[-1]):
            mcse = lambda method, of=values[..., j]: float(arviz_stats.mcse(of, method=method))
            assert abs(values[..., j].mean() - np.ravel(mean)[j]) < 4 * mcse("mean"), name
            assert abs(values[..., j].std() - np.ravel(sd)[j]) < 4 * mcse("sd"), name
    assert draws["coefficients"].dims == ("chain", "draw", "lag")
    assert draws["lag"].values.tolist() == [1, 2]


@pytest.mark.slow  # a fit of a guide
def test_a_factorised_guide_loses_what_the_regressions_correlation_says():
    problem = MODEL()
    lags, y = problem.args
    precision = lags.T @ lags - len(y) * np.outer(lags.mean(0), lags.mean(0))
    lost = 1 / np.sqrt(np.linalg.inv(precision).diagonal() * precision.diagonal())
    assert_allclose(lost, 0.55, atol=5e-3)  # as the docstring says
    draws = vm.fit(problem, "svi:AutoNormal", seed=0, draws=5000)["posterior"]["coefficients"]
    ratio = draws.std(("chain", "draw")).values / exact(problem)["coefficients"][1]
    assert_allclose(ratio / lost, 1, atol=0.02 + 4 * 0.005)  # SVI stops within .02; 20 000 draws


ROWS = pd.DataFrame({"year": [1.0, 2, 3, 4, 5, 6], "level": [3.0, 1, 4, 1, 5, 9], "still": [1.0] * 6})


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"column": "height"}, vm.SettingError, "no column of frame is called 'height'"),
        ({"order": 0}, vm.SettingError, "order is 0"),
        ({"order": 3, "column": "level"}, vm.DataError, "'level' of frame has 6 values; want 8 or more"),
        ({"order": 1}, vm.DataError, "'still' of frame is constant"),
    ],
)
def test_what_is_wrong_is_said(settings, error, words):
    with pytest.raises(error, match=words):
        MODEL(ROWS, **settings)
