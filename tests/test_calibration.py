"""Calibration: the test of uniformity against enumeration and simulation, VI against truths that were drawn from its prior."""

import html
import importlib
import itertools
import json

import jax
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import beta, binom, binomtest, invgamma, ks_2samp, norm, t

import vi_vs_mcmc as vm
from vi_vs_mcmc import calibration, uniformity
from vi_vs_mcmc.figures.calibration import calibration as drawn
from vi_vs_mcmc.figures.palette import LIGHT, styles
from vi_vs_mcmc.streams import MODES, stream

GRID = np.arange(1, 100) / 100


def folded(u):
    return np.abs(2 * u - 1)


def near(share: float, expected: float, number: int) -> bool:
    """Within 4 standard errors of a share of `number` trials."""
    return abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / number)


def table(u: np.ndarray, method: str = "cavi") -> pd.DataFrame:
    """u (data sets, scalars) as the table that the study keeps."""
    sets, scalars = u.shape
    rows = [(r, method, f"x[{s}]", u[r, s], True) for r in range(sets) for s in range(scalars)]
    return pd.DataFrame(rows, columns=["replicate", "method", "parameter", "u", "converged"])


# --- the test


def test_one_number_has_the_p_value_of_its_distance_from_the_ends():
    # T = 2 min(z above u, 1 - z below u): below .04 or above .96 with probability .08
    assert_allclose(uniformity.uniformity([0.035]).p_value, 0.08)
    assert_allclose(uniformity.uniformity([0.965]).p_value, 0.08)
    assert_allclose(uniformity.uniformity([0.499]).p_value, 1.0)


def test_the_p_value_of_two_numbers_is_that_of_all_pairs_of_cells():
    middles = (np.arange(100) + 0.5) / 100
    pairs = np.array(list(itertools.product(middles, middles)))  # all equally likely
    counts = (pairs[:, :, None] < GRID).sum(1)
    tails = np.stack([np.minimum(binom.cdf(c, 2, GRID), binom.sf(c - 1, 2, GRID)) for c in range(3)])
    statistic = np.minimum(1, 2 * tails[counts, np.arange(99)]).min(1)
    for at in (3, 215, 1234, 5050, 9897):
        expected = (statistic <= statistic[at] * (1 + 1e-9)).mean()
        assert_allclose(uniformity.uniformity(pairs[at]).p_value, expected, rtol=1e-9)


def test_the_test_rejects_uniform_numbers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for transform in (np.asarray, folded):
        p = np.array([uniformity.uniformity(transform(rng.uniform(size=200))).p_value for _ in range(1000)])
        assert all(near((p <= level).mean(), level, 1000) for level in (0.05, 0.2, 0.5))


def test_curves_leave_the_band_exactly_where_the_test_rejects():
    rng = np.random.default_rng(1)
    low, high = uniformity.band(60)
    left = []
    for _ in range(500):
        u = rng.uniform(size=60)
        curve = uniformity.ecdf(u)
        left.append(((curve < low - 1e-12) | (curve > high + 1e-12)).any())
        assert left[-1] == (uniformity.uniformity(u).p_value <= 0.05)
    assert near(np.mean(left), 0.05, 500)


def test_a_law_too_narrow_is_seen_where_p_against_one_minus_p_sees_nothing():
    rng = np.random.default_rng(2)
    seen, symmetric = [], []
    for _ in range(100):
        u = norm.cdf(rng.standard_normal(400) / 0.8)  # sds 20 % too small: u piles up at both ends alike
        seen.append(uniformity.uniformity(folded(u)))
        symmetric.append(ks_2samp(u, 1 - u, method="asymp").pvalue)
    assert all(test.p_value < 0.01 and test.excess < 0 for test in seen)
    assert np.mean(np.array(symmetric) < 0.05) < 0.3


def test_a_law_too_wide_is_seen_and_on_the_other_side():
    u = norm.cdf(np.random.default_rng(3).standard_normal(400) / 1.25)
    test = uniformity.uniformity(folded(u))
    assert test.p_value < 0.01
    assert test.excess > 0


@pytest.mark.parametrize("bad", [[], [0.5, np.nan], [0.5, 1.2], [-0.1]])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(vm.DataError, match="numbers from 0 to 1"):
        uniformity.uniformity(bad)


# --- shares and sentences


@pytest.mark.parametrize(("hits", "number"), [(81, 100), (0, 30), (30, 30)])
def test_a_share_has_clopper_and_pearsons_interval(hits, number):
    got = uniformity.share(np.arange(number) < hits)
    interval = binomtest(hits, number).proportion_ci(0.95, method="exact")
    assert_allclose(got, (hits / number, *interval))


def test_scalars_that_say_the_same_count_once_and_independent_ones_each():
    rng = np.random.default_rng(4)
    one = rng.uniform(size=(400, 1)) < 0.8
    size = lambda of: of[0] * (1 - of[0]) / ((of[2] - of[1]) / (2 * 1.96)) ** 2
    same = uniformity.share(np.repeat(one, 5, 1))
    assert_allclose(same, uniformity.share(one[:, 0]), atol=1e-3)  # n against n - 1 in a variance
    # the variance of 400 row means has a relative error of sqrt(2 / 400) = .07: 4 of them, and some for the normal approximation
    assert_allclose(size(uniformity.share(rng.uniform(size=(400, 5)) < 0.8)), 2000, rtol=0.35)


def test_exact_posteriors_are_found_at_fault_in_at_most_five_percent_of_studies():
    """theta_j ~ N(0, 1), x ~ N(theta, 1), four rows: theta | x ~ N(4 xbar / 5, 1 / 5); ranks among 99 draws."""
    rng = np.random.default_rng(5)
    faults = []
    for _ in range(200):
        theta = rng.standard_normal((60, 3))
        xbar = theta + rng.standard_normal((60, 3)) / 2
        draws = 0.8 * xbar + rng.standard_normal((99, 60, 3)) / np.sqrt(5)
        u = ((draws < theta).sum(0) + rng.uniform(size=theta.shape)) / 100
        faults.append(uniformity.verdicts(table(u))["cavi"]["verdict"] != ["as promised"])
    assert np.mean(faults) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)


def test_the_sentence_says_how_often_and_what_follows():
    z = np.random.default_rng(6).standard_normal((400, 3))
    laws = {"narrow": z / 0.7, "wide": z / 1.5, "shifted": z * np.sqrt(1.3) ** -1 + 0.5, "right": z}
    said = {name: uniformity.verdicts(table(norm.cdf(u)))["cavi"] for name, u in laws.items()}
    assert said["narrow"]["verdict"] == ["overconfident"]
    assert said["wide"]["verdict"] == ["underconfident"]
    assert said["shifted"]["verdict"] == ["off centre"]
    assert said["right"]["verdict"] == ["as promised"]
    # a 90 % interval of .7 sds holds 1 - 2 Phi(-1.645 * .7) = 75.0 %
    assert_allclose(said["narrow"]["coverage90"], 0.75, atol=4 * np.sqrt(0.75 * 0.25 / 1200))
    assert said["narrow"]["sentence"].startswith("CAVI's 90\u202f% intervals contain the truth in 7")
    assert "of 400 data sets" in said["narrow"]["sentence"]
    assert "lies above their middle too often" in said["shifted"]["sentence"]


def test_fits_that_did_not_converge_are_counted_and_named():
    found = table(np.random.default_rng(7).uniform(size=(50, 2)))
    found.loc[found["replicate"] == 3, "converged"] = False
    entry = uniformity.verdicts(found)["cavi"]
    assert entry["not_converged"] == 1
    assert entry["sentence"].endswith("1 fit had not converged and is counted.")


def test_the_table_has_every_scalar_level_and_method_once():
    found = uniformity.coverage(pd.concat([table(np.full((9, 2), 0.5)), table(np.full((9, 2), 0.01), "lrvb")]))
    assert list(found.columns[:7]) == ["method", "parameter", "level", "nominal", "covered", "low", "high"]
    assert len(found) == 2 * 3 * 4
    assert (found.loc[found["method"] == "cavi", "covered"] == 1).all()
    assert (found.loc[found["method"] == "lrvb", "covered"] == 0).all()


def test_the_figure_is_plain_and_names_its_methods():
    held = {"cavi": np.stack([GRID**2, GRID**1.5], 1), "lrvb": np.stack([GRID, GRID], 1)}
    fig = drawn(GRID, held, ["a", "<script>"], uniformity.band(50), styles("", ["cavi", "lrvb"]))
    spec = json.loads(fig.to_json())
    assert {trace["type"] for trace in spec["data"]} == {"scatter"}
    assert "<script" not in fig.to_json().replace("\\u003c", "<")
    assert {trace.line.color for trace in fig.data if trace.line.color} <= set(LIGHT.values())
    assert [a.text for a in fig.layout.annotations if a.name == "method"] == ["CAVI", "LRVB"]


# --- truths from the prior


def test_truths_follow_the_prior_that_is_fitted_and_rows_the_mixture_of_the_truth():
    """By SciPy: weights are beta, covariances inverse gamma, means t; each row's probability below it is a sum of normals'."""
    design, of_truths, of_rows = calibration.Mixture(rows=6), [], []
    for replicate in range(300):
        truth, problem = design.simulate(np.random.default_rng([8, replicate]))
        prior = {name: np.squeeze(value) for name, value in problem.kwargs.items()}
        w, mean, variance = truth["weights"], truth["means"][:, 0], truth["covariances"][:, 0, 0]
        nu, width = prior["degrees_of_freedom"], 1 / prior["scale"]
        sd = np.sqrt(width / (nu * prior["mean_precision"]))
        weight = beta.cdf(w[0], *prior["concentration"])
        of_truths.append(
            [weight, *t.cdf(mean, nu, prior["mean"], sd), *invgamma.cdf(variance, nu / 2, scale=width / 2)]
        )
        of_rows.append(norm.cdf(problem.args[0], mean, np.sqrt(variance)) @ w)
    for u in (*np.array(of_truths).T, np.concatenate(of_rows)):
        assert min(uniformity.uniformity(u).p_value, uniformity.uniformity(folded(u)).p_value) > 1e-3


def test_each_scalar_is_named_once():
    alone, both = (list(calibration.Mixture(components=k).scalars) for k in (1, 2))
    assert alone == ["means[0, 0]", "covariances[0, 0, 0]"]
    assert both == ["weights[0]", alone[0], "means[1, 0]", alone[1], "covariances[1, 0, 0]"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"separations": [1.0, 2.0]}, "one separation; got 2"),
        ({"max_draws": 10}, "has no setting max_draws"),
        ({"methods": ["cavy"]}, "did you mean 'cavi'"),
        ({"methods": []}, "one method or more"),
        ({"replicates": 0}, "replicates is 0"),
        ({"draws": 0}, "draws is 0"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, settings, words):
    with pytest.raises(vm.SettingError, match=words):
        vm.study("calibration", tmp_path, **settings)


# --- VI


@pytest.mark.slow
def test_with_one_component_mean_field_is_exact_and_so_is_its_coverage():
    found = calibration.probabilities(calibration.Mixture(components=1), ["cavi"], range(300))
    assert uniformity.verdicts(found)["cavi"]["p_value"] > 1e-3
    each = uniformity.coverage(found).query("parameter != 'mean of all'")
    assert all(near(covered, level, 300) for covered, level in zip(each["covered"], each["nominal"], strict=True))


@pytest.mark.slow
def test_the_exact_posterior_keeps_its_promise_where_mean_field_does_not():
    found = calibration.probabilities(calibration.Mixture(rows=10), ["exact", "cavi"], range(300))
    said = uniformity.verdicts(found)
    assert said["exact"]["p_value"] > 1e-3
    assert said["cavi"]["verdict"] == ["overconfident"]
    each = uniformity.coverage(found).query("parameter != 'mean of all' and method == 'exact'")
    assert all(near(covered, level, 300) for covered, level in zip(each["covered"], each["nominal"], strict=True))


@pytest.mark.slow
def test_fits_side_by_side_are_the_fits_that_users_run(key):
    design = calibration.Mixture()
    sets = [design.simulate(np.random.default_rng(replicate)) for replicate in range(4)]
    with jax.enable_x64(True):
        keys = list(jax.random.split(key, 4))
        fast = calibration._side_by_side(sets, keys, ("cavi", "lrvb"), 999)
        model = sets[0].problem.conjugate
        eta, residual = calibration.optimum(model, stream(keys[0], MODES), vm.CAVI().restarts)
        sds = {site: np.sqrt(variance) for site, (_, variance) in model.moments(eta).items()}
        fitted = vm.CAVI().fit(sets[0].problem, keys[0], chains=1, draws=10)["variational"]
        assert float(residual) < 1e-9
        for site in ("weights", "means", "covariances"):
            assert_allclose(sds[site], fitted[f"sd_{site}"], rtol=1e-5)
    for method in ("cavi", "lrvb"):
        ranks, converged = calibration._in_turn(sets, keys, method, 999)
        assert converged.all()
        assert fast[method][1].all()
        for site, rank in ranks.items():
            # two counts among 999 draws differ by at most sqrt(999 / 2) = 22 in sd; 5 of them
            assert_allclose(fast[method][0][site], rank, atol=112)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibration")
    vm.study("calibration", folder)
    return folder


@pytest.mark.slow
def test_mean_field_is_overconfident_and_linear_response_nearer_to_its_promise(folder):
    each = pd.read_csv(folder / "study.csv").query("nominal == 0.9")
    off = (0.9 - each.set_index(["parameter", "method"])["covered"]).unstack()
    assert (off["cavi"] > 0.09).all()
    assert (off["lrvb"].abs() < 0.5 * off["cavi"]).all()
    assert off["lrvb"].max() < 0.06
    record = json.loads((folder / "study.json").read_text("utf-8"))
    assert record["verdicts"]["cavi"]["verdict"] == ["overconfident"]
    assert record["verdicts"]["cavi"]["not_converged"] == 0
    assert html.escape(record["verdicts"]["cavi"]["sentence"]) in (folder / "study.html").read_text("utf-8")


@pytest.mark.slow
def test_a_study_goes_on_where_it_was_stopped(folder, monkeypatch):
    read = lambda name: (folder / name).read_bytes()
    before = {name: read(name) for name in ("probabilities.csv", "study.csv", "study.json", "figure.json")}
    whole = pd.read_csv(folder / "probabilities.csv")
    whole[whole["replicate"] < 350].to_csv(folder / "probabilities.csv", index=False)
    real, calls = calibration.probabilities, []
    monkeypatch.setattr(calibration, "probabilities", lambda *a, **k: calls.append(a[2]) or real(*a, **k))
    importlib.import_module("vi_vs_mcmc.study").study("calibration", folder)
    assert [list(call) for call in calls] == [list(range(350, 400))]
    assert {name: read(name) for name in before} == before


@pytest.mark.slow
def test_a_folder_of_another_study_is_refused(folder):
    with pytest.raises(vm.SettingError, match=r"holds a study with separation = 2\.0, not 3\.0"):
        vm.study("calibration", folder, separations=[3])
    with pytest.raises(vm.SettingError, match="holds a study with study = 'calibration', not 'overlap'"):
        vm.study("overlap", folder)
