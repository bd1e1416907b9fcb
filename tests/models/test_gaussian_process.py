"""Gaussian process regression: SciPy's density, and the moments of a quadrature over its three scales."""

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import vi_vs_mcmc as vm

MODEL = vm.load("gaussian_process")
SITES = ("lengthscale", "amplitude", "noise")


def quadrature(problem) -> dict[str, tuple[float, float]]:
    """Means and sds on a grid of the log scales; one eigendecomposition for each lengthscale serves all other values."""
    distances, y = problem.args
    ends = ((-2, 3.2, 105), (-2, 1.6, 91), (-1.2, 0.3, 61))
    lengths, heights, noises = (np.exp(np.linspace(*of)) for of in ends)
    log_p = np.empty((len(lengths), len(heights), len(noises)))
    for i, length in enumerate(lengths):
        values, vectors = np.linalg.eigh(np.exp(-0.5 * distances / length**2))
        variance = heights[:, None, None] ** 2 * values.clip(0) + noises[:, None] ** 2
        log_p[i] = -0.5 * (np.log(variance) + (vectors.T @ y) ** 2 / variance).sum(-1)
    grids = dict(zip(SITES, np.meshgrid(lengths, heights, noises, indexing="ij"), strict=True))
    log_p += stats.invgamma(5, scale=5).logpdf(grids["lengthscale"])
    log_p += stats.halfnorm.logpdf(grids["amplitude"]) + stats.halfnorm.logpdf(grids["noise"])
    p = np.exp(log_p - log_p.max()) * np.prod(list(grids.values()), 0)  # d theta = theta d log theta
    assert all(max(np.take(p, end, axis).max() for end in (0, -1)) < 1e-4 * p.max() for axis in range(3))
    mean = lambda f: float((p * f).sum() / p.sum())
    return {name: (mean(f), np.sqrt(mean(f**2) - mean(f) ** 2)) for name, f in grids.items()}


def test_the_density_is_scipys():
    problem = MODEL()
    distances, y = problem.args
    theta = {"lengthscale": 1.3, "amplitude": 0.8, "noise": 0.6}
    with jax.enable_x64(True):
        call, arrays = problem.bound
        found = call.log_density(arrays, {name: jnp.log(value) for name, value in theta.items()})
    covariance = 0.8**2 * np.exp(-0.5 * distances / 1.3**2) + 0.6**2 * np.eye(len(y))
    wanted = stats.multivariate_normal(np.zeros(len(y)), covariance).logpdf(y) + stats.invgamma(5, scale=5).logpdf(1.3)
    wanted += stats.halfnorm.logpdf([0.8, 0.6]).sum() + np.log(list(theta.values())).sum()
    assert_allclose(found, wanted, rtol=1e-10)


def test_the_built_in_data_are_the_cars():
    speed, distance = MODEL().table.values.T
    slope, intercept = np.polyfit(speed, distance, 1)
    assert_allclose([intercept, slope], [-17.5791, 3.9324], atol=5e-5)  # as printed wherever R's lm(dist ~ speed) is


def test_columns_are_standardised_and_any_of_them_explained():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(5, 3, (12, 3)), columns=list("abc"))
    distances, y = MODEL(rows, target="b").args
    standard = ((rows - rows.mean()) / rows.std(ddof=0)).to_numpy()
    assert_allclose(y, standard[:, 1])
    assert_allclose(distances[3, 7], ((standard[3] - standard[7])[[0, 2]] ** 2).sum())


@pytest.mark.slow  # 50 rows, of which a gradient costs the cube
def test_nuts_has_the_moments_of_the_quadrature():
    problem = MODEL()
    draws = vm.fit(problem, "nuts", seed=0)["posterior"]
    for name, (mean, sd) in quadrature(problem).items():
        mcse = lambda method, of=draws[name].values: float(arviz_stats.mcse(of, method=method))
        assert abs(float(draws[name].mean()) - mean) < 4 * mcse("mean"), name
        assert abs(float(draws[name].std()) - sd) < 4 * mcse("sd"), name


@pytest.mark.slow  # and a fit of a guide
def test_a_factorised_guide_is_too_narrow_for_lengthscale_and_amplitude():
    problem = MODEL()
    draws = vm.fit(problem, "svi:AutoNormal", seed=0, draws=5000)["posterior"]
    wanted = quadrature(problem)
    ratio = [float(draws[name].std()) / wanted[name][1] for name in ("lengthscale", "amplitude")]
    # the sds of 20 000 draws of lognormal laws, with a kurtosis of 5 at most, have relative errors of .007; SVI stops within .02
    assert_allclose(ratio, [0.85, 0.93], atol=0.02 + 4 * 0.007)


ROWS = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [0.0, 1.0, 1.0], "c": [5.0, 5.0, 5.0]})


@pytest.mark.parametrize(
    ("data", "settings", "error", "words"),
    [
        (ROWS, {"target": "d"}, vm.SettingError, "no column of frame is called 'd'"),
        (ROWS[["a"]], {}, vm.DataError, "no column but 'a'"),
        (ROWS, {}, vm.DataError, "column 'c' of frame is constant"),
        (ROWS[["a", "b"]][:2], {}, vm.DataError, "want at least 3"),
    ],
)
def test_what_is_wrong_is_said(data, settings, error, words):
    with pytest.raises(error, match=words):
        MODEL(data, **settings)
