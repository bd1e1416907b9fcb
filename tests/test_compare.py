"""The main job, end to end, on draws few enough for a test."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest

import vi_vs_mcmc as vm
from vi_vs_mcmc import posterior
from vi_vs_mcmc.reference_run import Reference

CONTRACT = (
    "method parameter mean sd reference_mean reference_sd sd_ratio sd_ratio_low sd_ratio_high bias bias_low bias_high "
    "coverage90 coverage90_low coverage90_high wasserstein1"
).split()


@pytest.fixture(scope="module")
def found(lecture):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vi_vs_mcmc.deeper.MOST", 100)
        return vm.compare(lecture, methods=["cavi"], seed=3, max_draws=1000)


def test_the_table_has_the_contracts_columns_first(found):
    assert list(found.table.columns[: len(CONTRACT)]) == CONTRACT


def test_one_row_per_distinct_scalar(found):
    # 3 weights, 3 x 2 means, 3 x 3 entries of symmetric 2 x 2 matrices
    assert len(found.table) == 3 + 6 + 9
    assert "covariances[0, 1, 0]" in set(found.table["parameter"])
    assert "covariances[0, 0, 1]" not in set(found.table["parameter"])


def test_the_lectures_mean_field_is_overconfident_and_its_means_are_right(found):
    entry = found.summary["verdicts"]["cavi"]
    assert entry["verdict"] == ["overconfident"]
    assert entry["biased_count"] == 0
    assert found.summary["headline"] == "CAVI is overconfident here."


def test_closed_form_sds_are_used_where_they_exist(found):
    row = found.table.set_index("parameter").loc["weights[0]"]
    assert row["sd"] == float(found.posteriors["cavi"]["variational"]["sd_weights"][0])


def test_vi_draws_have_the_references_shape(found):
    shape = found.posteriors["nuts"]["posterior"].sizes
    assert found.posteriors["cavi"]["posterior"].sizes["draw"] == shape["draw"] == 1000
    assert found.posteriors["cavi"]["posterior"].sizes["chain"] == shape["chain"] == 4


def test_the_two_bounds_are_told_apart(found):
    entry = found.summary["verdicts"]["cavi"]
    assert entry["elbo"] == pytest.approx(-1753.3617, abs=1e-4)  # q(z) kept
    # z summed out: -1752.33, seen with an independent code; 5 standard errors
    assert entry["elbo_marginal"] == pytest.approx(-1752.33, abs=0.01 + 5 * entry["elbo_marginal_se"])


def test_the_gap_to_the_evidence_comes_in_its_parts(found):
    evidence = found.summary["evidence"]
    # 40 000 draws of linear response, worth 38 000, say -1750.143 with an error of .001
    assert evidence["log_evidence"] == pytest.approx(-1750.143, abs=0.005 + 5 * evidence["error"])
    gap = evidence["gaps"]["cavi"]
    assert gap["labels"] == pytest.approx(np.log(6))
    assert gap["labels"] + gap["local"] + gap["parameters"] == pytest.approx(gap["total"])
    assert gap["total"] == pytest.approx(evidence["log_evidence"] - found.summary["verdicts"]["cavi"]["elbo"])


def test_one_mode_is_found_and_every_chain_stayed_there_so_labels_carry_the_verdict(found):
    modes = found.summary["modes"]
    assert (modes["number"], modes["modes"][0]["visits"]) == (1, [1.0] * 4)
    assert found.summary["reference"]["label_free"] is None
    free = {row["parameter"] for row in found.summary["labels"]["label_free"]}
    assert free == {*(f"sorted_weights[{k}]" for k in range(3)), "occupied", "together", "log_density"}


def test_the_table_says_why_and_what_reweighting_gives(found):
    rows = found.table
    assert rows["factorised"].between(0.5, 1.5).all()
    assert (rows["kl_low"] <= rows["kl"]).all()
    assert rows["kl"].max() > 0.02  # sd ratio .8: log .8 + (1 / .64 - 1) / 2 = .06
    assert rows["khat"].between(0, 1.2).all()
    trade = found.summary["why"]
    assert trade["kl"] == pytest.approx(trade["shrinkage"] - trade["delinkage"])
    assert found.summary["agreement"] is None  # no second sampler ran
    assert "tail index" in found.summary["verdicts"]["cavi"]["certificate"]["sentence"]  # too narrow for one


def test_the_summary_is_plain_json_and_names_what_made_it(found):
    from vi_vs_mcmc.record import plain

    summary = json.loads(json.dumps(plain(found.summary), allow_nan=False))
    assert summary["schema_version"] == 1
    assert summary["seed"] == 3
    assert summary["data"]["rows"] == 500
    assert summary["reference"]["status"] == "passed"
    wanted = {"verdict", "sentence", "worst_parameter", "sd_ratio_median", "coverage90_median", "khat", "elbo"}
    assert wanted | {"elbo_marginal"} <= set(summary["verdicts"]["cavi"])


def test_a_seed_determines_the_run(lecture, found):
    again = vm.compare(lecture, methods=["cavi"], seed=3, max_draws=1000)
    without = [c for c in found.table.columns if not c.startswith("kl")]
    pd.testing.assert_frame_equal(again.table, found.table.loc[:, without], check_exact=True)


def test_the_run_folder_holds_what_the_contract_says_and_can_be_rendered_again(found, tmp_path):
    page = found.save(tmp_path / "run")
    names = {p.relative_to(tmp_path / "run").as_posix() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert {"report.html", "comparison.csv", "summary.json", "posteriors/cavi.nc", "posteriors/nuts.nc"} <= names
    assert any(name.startswith("figures/") for name in names)
    before = page.read_bytes()
    from vi_vs_mcmc import report

    assert report.write(tmp_path / "run").read_bytes() == before
    table = pd.read_csv(tmp_path / "run" / "comparison.csv")
    np.testing.assert_array_equal(table["sd_ratio"], found.table["sd_ratio"])
    back = posterior.load(tmp_path / "run" / "posteriors" / "cavi.nc")
    np.testing.assert_array_equal(back["posterior"]["means"], found.posteriors["cavi"]["posterior"]["means"])


@pytest.fixture(scope="module")
def fifty(lecture):
    return vm.compare(lecture, methods=["cavi"], seed=4, draws=50, max_draws=50, embed_data=False)


def test_no_row_of_the_data_is_kept_where_none_is_wanted(fifty):
    for tree in fifty.posteriors.values():
        assert "observed_data" not in tree.children
        assert "local" not in tree.children


def test_a_reference_of_fifty_draws_gives_no_verdict(fifty):
    assert fifty.summary["verdicts"]["cavi"]["verdict"] == ["no verdict"]
    assert fifty.summary["headline"].startswith("No verdict")


@pytest.mark.slow
def test_the_reference_samples_on_while_it_fails_only_for_want_of_draws(lecture):
    found = vm.compare(lecture, methods=["cavi"], seed=5, draws=50, max_draws=400)
    assert found.summary["reference"]["draws"] > 50


@pytest.mark.slow
def test_empty_components_are_left_out_and_listed():
    problem = vm.load("gmm")(components=6)
    found = vm.compare(problem, methods=["cavi"], seed=6, draws=500, max_draws=500)
    left_out = {item["parameter"] for item in found.summary["reference"]["left_out"]}
    assert {"weights[3]", "means[4, 0]", "covariances[5, 1, 1]"} <= left_out
    assert not {"weights[0]", "means[2, 1]"} & left_out
    judged = found.table.set_index("parameter")["judged"]
    assert not judged["weights[3]"]
    assert judged["weights[0]"]
    assert "owns a row in" in found.summary["reference"]["left_out"][0]["reason"]


def test_any_numpyro_program_can_be_compared():
    rho = 0.8
    covariance = jnp.array([[1.0, rho], [rho, 1.0]])

    def pair():
        numpyro.sample("x", dist.MultivariateNormal(jnp.zeros(2), covariance))

    found = vm.compare(vm.Problem(pair), methods=["svi:AutoNormal"], seed=0)
    ratio = found.table["sd_ratio"]
    # the best factorised q has variance 1 - rho^2: sd ratio .6; 3 % for the optimiser, 4 Monte Carlo errors of about .015
    np.testing.assert_allclose(ratio, np.sqrt(1 - rho**2), rtol=0.1)
    assert found.summary["verdicts"]["svi:AutoNormal"]["verdict"] == ["overconfident"]


@pytest.mark.slow
def test_a_reference_that_diverges_begins_again_with_smaller_steps():
    def neck():
        v = numpyro.sample("v", dist.Normal(0.0, 1.0))
        numpyro.sample("x", dist.Normal(0.0, jnp.exp(v)))

    hasty = vm.NUTS(target_accept=0.3)
    found = vm.compare(vm.Problem(neck), methods=["svi:AutoNormal"], reference=hasty, seed=0, draws=500, max_draws=500)
    assert "again with smaller steps" in found.summary["cost"]["nuts"]["work"]
    alone = vm.fit(vm.Problem(neck), hasty, seed=0, draws=500)
    assert found.summary["reference"]["divergences"] < alone["sample_stats"]["diverging"].sum() / 2


def test_everything_runs_in_float64_though_the_caller_does_not(lecture):
    assert not jax.config.jax_enable_x64
    tree = vm.fit(lecture, "cavi", seed=1, chains=1, draws=10)
    values = tree["posterior"]["means"].values
    assert isinstance(values, np.ndarray)
    assert values.dtype == np.float64


def test_float32_arrays_are_promoted_with_a_warning():
    with pytest.warns(UserWarning, match="float32; it is promoted to float64"):
        vm.Problem(lambda x: None, args=(np.ones(3, np.float32),))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"methods": ["cavy"]}, "did you mean 'cavi'"),
        ({"methods": ["svi:AutoNormale"]}, "did you mean 'svi:AutoNormal'"),
        ({"methods": []}, "no method"),
        ({"methods": ["cavi", "cavi"]}, "named twice"),
        ({"methods": ["nuts"]}, "is the reference"),
        ({"methods": ["cavi"], "draws": 0}, "draws is 0"),
        ({"methods": ["cavi"], "chains": 1.5}, "chains is 1.5"),
        ({"methods": ["cavi"], "seed": -1}, "seed is -1"),
        ({"methods": ["cavi"], "seed": 2**70}, "from 0 to 9223372036854775807"),
        ({"methods": ["cavi"], "draws": 3}, "draws is 3; want a whole number, 4 or more"),
        ({"methods": ["cavi"], "draws": 300, "max_draws": 200}, "max_draws is 200; want a whole number, 300 or more"),
        ({"methods": ["svi"]}, "svi wants a guide"),
        ({"methods": ["cavi"], "tolerance": 2.0}, "tolerance is 2.0"),
        ({"methods": ["cavi"], "tolerance": "10%"}, "tolerance is '10%'; want a number"),
        ({"methods": ["cavi"], "tolerance": None}, "tolerance is None; want a number"),
        ({"methods": ["cavi"], "seed": "a"}, "seed is 'a'; want a whole number"),
        ({"methods": ["cavi"], "seed": float("nan")}, "seed is nan; want a whole number"),
        ({"methods": "cavi"}, "methods is 'cavi'; want a list"),
        ({"methods": vm.CAVI()}, "want a list"),
        ({"methods": ["cavi", "exact"]}, r"exact sums over 3\^500 assignments"),
    ],
)
def test_a_wrong_setting_is_refused_before_any_work(lecture, arguments, words):
    with pytest.raises(vm.SettingError, match=words):
        vm.compare(lecture, **arguments)


def test_a_program_that_cannot_be_called_is_refused_with_what_is_missing():
    def program(x):
        numpyro.sample("m", dist.Normal())

    with pytest.raises(vm.SettingError, match="missing a required argument: 'x'"):
        vm.Problem(program)


def test_a_discrete_site_is_refused_with_the_way_out():
    def program():
        numpyro.sample("z", dist.Bernoulli(0.5))

    with pytest.raises(vm.SettingError, match=r"site 'z' is discrete.*sum it out"):
        vm.compare(vm.Problem(program), methods=["svi:AutoNormal"])


@pytest.mark.parametrize("method", ["cavi", "gibbs", "lrvb", "exact", "em"])
def test_a_model_without_closed_form_refuses_what_needs_one_before_any_fit(monkeypatch, method):
    def program():
        numpyro.sample("x", dist.Normal())

    monkeypatch.setattr(vm.SVI, "fit", lambda *_, **__: pytest.fail("a fit was begun"))
    for settings in ({"methods": ["svi:AutoNormal", method]}, {"methods": ["svi:AutoNormal"], "reference": method}):
        with pytest.raises(vm.SettingError, match=f"{method} needs a c.* structure"):
            vm.compare(vm.Problem(program), **settings)


def test_a_function_is_no_problem():
    for call in (lambda it: vm.compare(it), lambda it: vm.fit(it, "nuts")):
        with pytest.raises(vm.SettingError, match=r"problem is a function; want a Problem, from Problem\(program"):
            call(lambda: None)


def test_text_is_no_data():
    with pytest.raises(vm.DataError, match="argument 0 is an array of text; want numbers"):
        vm.Problem(lambda x: None, args=(np.array(["a", "b"]),))


@pytest.mark.parametrize(
    ("site", "plate", "words"),
    [
        ("chain", "n", "site 'chain' is called as a dimension of every posterior"),
        ("draw", "n", "site 'draw' is called as a dimension of every posterior"),
        ("a/b", "n", "site 'a/b' has a slash"),
        ("n", "n", "all sites must have unique names but got `n` duplicated"),
        ("x", "draw", "site 'x' has a dimension 'draw'"),
    ],
)
def test_a_name_that_no_file_of_draws_can_hold_is_refused(site, plate, words):
    def program():
        with numpyro.plate(plate, 3):
            numpyro.sample(site, dist.Normal())

    with pytest.raises(vm.SettingError, match=words):
        vm.compare(vm.Problem(program), methods=["svi:AutoNormal"])


def test_a_site_called_as_a_dimension_is_refused():
    problem = vm.Problem(lambda: numpyro.sample("x", dist.Normal(jnp.zeros(3))), dims={"x": ("x",)})
    with pytest.raises(vm.SettingError, match="site 'x' is called as a dimension of site 'x'; rename"):
        vm.fit(problem, "svi:AutoNormal")


def test_small_scales_of_a_prior_are_not_rounded_away():
    problem = vm.load("gmm")(np.arange(8.0).reshape(4, 2) ** 2, components=2, scale=[[1.23456e-9, 0], [0, 0.5]])
    assert "scale [[1.235e-09, 0], [0, 0.5]]; degrees of freedom 6" in problem.priors


def test_how_many_draws_are_asked_for_next():
    health = SimpleNamespace(ess_bulk=np.array([100.0, np.nan, 800.0]), ess_tail=np.array([200.0, np.nan, 900.0]))
    look = lambda **verdicts: SimpleNamespace(
        deciding=SimpleNamespace(health=health, judged=np.array([True, False, True]), verdicts=verdicts)
    )
    chains = SimpleNamespace(_chains=4)
    undecided = {"draws_to_decide": 20_000}
    # 100 of the 400 effective draws that are wanted: four times as many draws, and a tenth to spare
    assert Reference._needed(chains, look(cavi={"draws_to_decide": None}), 1000) == 4400
    assert Reference._needed(chains, look(cavi=undecided), 1000) == 5500


def test_the_summary_says_whether_rows_have_a_local_variable():
    from regressions import linear

    from vi_vs_mcmc.record import _problem

    mixture = vm.load("gmm")(np.arange(8.0).reshape(4, 2) ** 2, components=2)
    said = [_problem(p, (), None, {})["local"] for p in (mixture, linear())]
    assert said == [True, False]
    assert "local" not in _problem(None, ("mu",), None, {})  # nobody knows
