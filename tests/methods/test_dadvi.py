"""DADVI and its linear response: exact on normal laws, finite differences of the optimum, an honest error of the draws."""

import jax
import numpy as np
import pytest
from fixed_laws import COVARIANCE, MEAN, SDS, counts, neck, normal
from numpy.testing import assert_allclose

import vi_vs_mcmc as vm
from vi_vs_mcmc.methods.dadvi import DADVI, fixed_draws

TIGHT = np.array([[1.0, 0.999, 0.99], [0.999, 1.0, 0.995], [0.99, 0.995, 1.0]]) * np.outer(SDS, SDS)


@pytest.mark.parametrize("covariance", [COVARIANCE, TIGHT], ids=["correlated", "nearly collinear"])
def test_of_a_normal_law_the_sds_are_those_of_theory_with_any_draws(covariance):
    problem = normal(covariance)
    alone, corrected = (vm.fit(problem, name, seed=1, draws=10)["variational"] for name in ("dadvi", "dadvi-lr"))
    assert_allclose(alone["mean_x"], MEAN, rtol=1e-6)
    assert_allclose(alone["sd_x"], 1 / np.sqrt(np.diag(np.linalg.inv(covariance))), rtol=1e-6)
    assert_allclose(corrected["sd_x"], SDS, rtol=1e-5)


def test_the_two_share_one_optimum_and_each_has_its_name():
    problem = normal()
    first, second = (vm.fit(problem, name, seed=1, draws=10) for name in ("dadvi", "dadvi-lr"))
    assert_allclose(first["variational"]["mean_x"], second["variational"]["mean_x"], rtol=0)
    assert (first.attrs["method"], second.attrs["method"]) == ("dadvi", "dadvi-lr")
    assert second.attrs["wall_seconds"] > 0.5 * first.attrs["wall_seconds"]  # the search counts for both


def test_fixed_draws_are_symmetric_and_have_the_second_moments_of_the_normal():
    with jax.enable_x64(True):
        z = fixed_draws(jax.random.key(3), 64, 30, 4)
        few = fixed_draws(jax.random.key(3), 1, 6, 9)
    flat = z.reshape(-1, 4)
    assert_allclose(z.mean(1), 0, atol=1e-14)
    assert_allclose(flat.T @ flat / len(flat), np.eye(4), atol=1e-13)
    assert_allclose((few**2).mean(1), 1, rtol=1e-12)
    # 960 pairs: E z^4 = 3 n / (n + 2) = 2.994, and four columns of them have a standard error of sqrt(96 / 3840) = .16
    assert abs((flat**4).mean() - 2.994) < 4 * 0.16


STEP = 0.02


@pytest.mark.slow
def test_linear_response_is_how_the_optimum_moves_under_a_tilt():
    """Sigma_LR[i, j] = d mu_j / d s_i when log p gains s_i u_i: fourth-order differences of the optimum."""
    fixed = DADVI(max_draws=120, location_tol=1e9, scale_tol=1e9)

    def optimum(push):
        found = fixed._optimum(counts(push), jax.random.key(5), None)
        units = [getattr(found.target.coordinates, part) for part in ("centre", "scale")]
        flat = [np.concatenate([np.ravel(unit[name]) for name, _ in found.shape]) for unit in units]
        number = len(flat[0])
        return flat[0] + flat[1] * found.peak.point[:number], found, flat[1]

    with jax.enable_x64(True):
        _, found, scale = optimum((0.0, 0.0, 0.0))
        covariance = found.peak.covariance[:3, :3] * np.outer(scale, scale)
        for i in range(3):
            at = {s: optimum(s * STEP * np.eye(3)[i])[0] for s in (-2, -1, 1, 2)}
            slope = (at[-2] - 8 * at[-1] + 8 * at[1] - at[2]) / (12 * STEP)
            assert_allclose(slope, covariance[i], rtol=2e-3, atol=2e-4)


def test_more_draws_are_taken_until_they_do_not_matter():
    fitted = vm.fit(counts(), DADVI(location_tol=0.01, scale_tol=0.02), seed=2, draws=10)
    assert fitted.attrs["status"] == "converged"
    assert fitted.attrs["location_error"] <= 0.01
    assert fitted.attrs["scale_error"] <= 0.02
    assert "its 30 fixed" not in fitted.attrs["status_sentence"]
    short = vm.fit(counts(), DADVI(location_tol=1e-5, max_draws=60), seed=2, draws=10)
    assert short.attrs["status"] == "not converged"
    assert "1e-05" in short.attrs["status_sentence"]


NECK = np.sqrt(1 / (1 / 9 + 9 / 2))  # sd of v under the best factorised normal of a funnel of nine


@pytest.mark.slow
def test_where_few_draws_are_biased_more_are_taken():
    """A funnel, v ~ N(0, 9), nine x_i ~ N(0, e^v): under the best factorised normal the sd of v is known in closed form.

    By Opper and Archambeau its precision is E_q[-d2 log p / dv2] = 1/9 + sum_i E_q[x_i^2 e^-v] / 2, and at the optimum of
    x_i's sd that expectation is 1.
    """
    for seed in range(4):
        fitted = vm.fit(neck(), "dadvi", seed=seed, draws=10)
        assert fitted.attrs["status"] == "converged"
        assert_allclose(fitted["variational"]["sd_v"], NECK, rtol=0.05)  # scale_tol .03, and the check's noise


@pytest.mark.slow
def test_eight_schools_is_fitted_as_svi_fits_it():
    """tau is where few matched draws put the log-sd .09 off. SVI stops within .02; a doubling may move DADVI by .03."""
    problem = vm.load("eight_schools")()
    svi, dadvi = vm.fit(problem, "svi:AutoNormal", seed=0, draws=10_000), vm.fit(problem, "dadvi", seed=0, draws=10)
    u = np.log(svi["posterior"]["tau"].values)
    mean, sd = (float(dadvi["variational"][f"{what}_tau"]) for what in ("mean", "sd"))
    log_sd = np.sqrt(np.log1p((sd / mean) ** 2))
    assert_allclose(log_sd, u.std(), rtol=0.07)
    assert abs(np.log(mean) - log_sd**2 / 2 - u.mean()) < 0.15 * u.std()


@pytest.mark.slow
def test_a_positive_sites_sd_is_the_response_of_its_mean():
    """d E_q[size] / d s when log p gains s size, by fourth-order differences of the optimum: the tilt is by the site itself."""
    fixed = DADVI(max_draws=120, location_tol=1e9, scale_tol=1e9, corrected=True)

    def mean(by: float) -> float:
        return float(vm.fit(counts(by_size=by), fixed, seed=5, draws=10)["variational"]["mean_size"])

    step = 0.01
    slope = (mean(-2 * step) - 8 * mean(-step) + 8 * mean(step) - mean(2 * step)) / (12 * step)
    sd = float(vm.fit(counts(), fixed, seed=5, draws=10)["variational"]["sd_size"])
    assert_allclose(sd**2, slope, rtol=0.05)  # the fixed draws' E[size] is not the law's


def test_of_dadvi_lr_the_means_are_dadvis():
    problem = counts()
    plain, corrected = (vm.fit(problem, name, seed=2, draws=10)["variational"] for name in ("dadvi", "dadvi-lr"))
    assert_allclose(corrected["mean_size"], plain["mean_size"], rtol=1e-12)
    assert (corrected["sd_beta"].values > plain["sd_beta"].values).all()


def test_draws_are_of_the_law_that_is_told():
    fitted = vm.fit(counts(), "dadvi", seed=2, draws=2500)
    for site in ("beta", "size"):
        x = fitted["posterior"][site].values.reshape(10_000, -1)
        mean, sd = (fitted["variational"][f"{what}_{site}"].values.ravel() for what in ("mean", "sd"))
        assert np.all(np.abs(x.mean(0) - mean) < 4 * sd / 100)
        error = ((x - mean) ** 2).std(0) / 100
        assert np.all(np.abs(((x - mean) ** 2).mean(0) - sd**2) < 4 * error)
    corrected = vm.fit(counts(), "dadvi-lr", seed=2, draws=2500)
    x, of = corrected["posterior"]["beta"].values.reshape(10_000, -1), corrected["variational"]
    assert np.all(np.abs(x.mean(0) - of["mean_beta"].values) < 4 * of["sd_beta"].values / 100)
    assert_allclose(x.std(0), of["sd_beta"], rtol=4 / np.sqrt(20_000))


@pytest.mark.slow
def test_it_is_svis_optimum():
    """AutoNormal stops within .05 sd and .02 of a log-scale; DADVI's own draws move it by less."""
    problem = counts()
    svi, dadvi = vm.fit(problem, "svi:AutoNormal", seed=3, draws=10_000), vm.fit(problem, "dadvi", seed=3, draws=10)
    of = dadvi["variational"]
    for site in ("beta", "size"):
        x, sd = svi["posterior"][site].values.reshape(40_000, -1), of[f"sd_{site}"].values.ravel()
        assert np.all(np.abs(x.mean(0) - of[f"mean_{site}"].values.ravel()) < 0.1 * sd)
        assert_allclose(x.std(0), sd, rtol=0.05)


def test_it_says_where_it_cannot_be_used():
    with pytest.raises(vm.SettingError, match="location_tol is 0"):
        DADVI(location_tol=0)
    for wrong in ({"draws": 0}, {"scale_tol": "3"}, {"corrected": "no"}, {"max_draws": 10**11}):
        with pytest.raises(vm.SettingError, match=next(iter(wrong))):
            DADVI(**wrong)
    assert DADVI(draws=30.0).draws == 30
    found = vm.fit(neck(), "dadvi", seed=1, draws=10)  # the neck has a best factorised law
    assert np.isfinite(found["variational"]["sd_x"].values).all()
