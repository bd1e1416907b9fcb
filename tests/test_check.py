"""Two posteriors from anywhere: the same table and page, without what two files cannot tell."""

from pathlib import Path

import numpy as np
import pytest
import report_text
from xarray import Dataset, DataTree

import vi_vs_mcmc as vm
from vi_vs_mcmc import posterior

RNG = np.random.default_rng(0)


def tree(scale=1.0, chains=4, draws=1000, shift=0.0, name="theta", size=3) -> DataTree:
    rng = np.random.default_rng([chains, draws, round(100 * scale)])
    values = shift + scale * rng.standard_normal((chains, draws, size))
    rate = scale * rng.standard_normal((chains, draws))
    school = {"school": ["Choate", "Deerfield", "Phillips"][:size]}
    data = Dataset({name: (("chain", "draw", "school"), values), "mu": (("chain", "draw"), rate)}, school)
    return DataTree.from_dict({"/posterior": data})


def test_a_narrow_posterior_is_called_overconfident_whatever_its_number_of_draws():
    found = vm.check(tree(0.6, chains=1, draws=7000), tree(1.0))
    assert found.summary["verdicts"]["vi"]["verdict"] == ["overconfident"]
    np.testing.assert_allclose(found.table["sd_ratio"], 0.6, rtol=0.08)  # 4 errors of 1 / sqrt(2 * 4000) and 7000 draws


def test_labels_carry_the_files_own_coordinates():
    found = vm.check(tree(), tree())
    assert "theta[Choate]" in set(found.table["parameter"])
    assert "mu" in set(found.table["parameter"])


def test_what_two_files_cannot_tell_is_left_out():
    entry = vm.check(tree(0.6), tree()).summary
    assert entry["verdicts"]["vi"]["khat"] is None
    assert entry["verdicts"]["vi"]["elbo"] is None
    assert entry["data"] is None
    assert entry["seed"] is None
    assert {c["name"] for c in entry["reference"]["checks"]} == {
        "R-hat, largest",
        "bulk ESS, smallest",
        "tail ESS, smallest",
    }


def test_files_give_a_run_folder_and_a_page_that_says_nothing_of_what_they_do_not_tell(tmp_path):
    posterior.save(tree(0.6, draws=500), tmp_path / "advi.nc")
    posterior.save(tree(), tmp_path / "nuts.nc")
    found = vm.check(tmp_path / "advi.nc", tmp_path / "nuts.nc")
    assert set(found.posteriors) == {"advi", "nuts"}
    found.save(tmp_path / "run")
    words = report_text.words(tmp_path / "run")
    assert "advi" in words
    assert "These files do not say whether their fits finished." in words
    for word in ("ELBO", "k‑hat", "k-hat", "evidence", "effective draws of"):
        assert word not in words
        assert word not in str(found)
    assert found.summary["verdicts"]["advi"]["status"] is None


def test_what_a_file_of_this_package_does_tell_is_on_the_page(tmp_path):
    a = tree(0.6)
    draws = a["posterior"].to_dataset()
    log_q = -0.5 * ((draws["theta"] / 0.6) ** 2).sum("school") - 0.5 * (draws["mu"] / 0.6) ** 2
    log_p = -0.5 * (draws["theta"] ** 2).sum("school") - 0.5 * draws["mu"] ** 2
    a["sample_stats"] = DataTree(Dataset({"log_p": log_p, "log_q": log_q}))
    found = vm.check(a, tree())
    assert found.summary["verdicts"]["vi"]["khat"] > 0.5  # the law of each scalar gives 1 - .6^2
    found.save(tmp_path)
    assert "k‑hat" in report_text.words(tmp_path)
    assert "ELBO" not in report_text.words(tmp_path)


def test_a_method_that_no_file_can_be_called_has_a_page_all_the_same(tmp_path):
    a, b = tree(0.6, draws=100), tree(draws=100)
    a.attrs["method"], b.attrs["method"] = "ours/<b>1</b>", "ours-<b>1<-b>"
    found = vm.check(a, b)
    assert set(found.posteriors) == {"ours/<b>1</b> (vi)", "ours-<b>1<-b> (mcmc)"}
    page = found.save(tmp_path / "run").read_text("utf-8")
    assert "ours/&lt;b&gt;1&lt;/b&gt;" in page
    assert len(list((tmp_path / "run" / "posteriors").glob("*.nc"))) == 2


@pytest.mark.parametrize("other", [tree()["posterior"].to_dataset(), None])
def test_what_is_neither_a_tree_nor_a_file_is_refused(other):
    with pytest.raises(vm.DataError, match=f"mcmc is of type {type(other).__name__}; want a DataTree"):
        vm.check(tree(), other)


@pytest.mark.parametrize("tolerance", ["10%", None])
def test_a_tolerance_must_be_a_number(tolerance):
    with pytest.raises(vm.SettingError, match=r"tolerance is .*; want a number"):
        vm.check(tree(), tree(), tolerance=tolerance)


def test_a_constant_parameter_is_left_out_with_its_reason():
    a, b = tree(0.9), tree()
    for t in (a, b):
        t["posterior"] = DataTree(t["posterior"].to_dataset().assign(fixed=(("chain", "draw"), np.ones((4, 1000)))))
    found = vm.check(a, b)
    assert {"parameter": "fixed", "reason": "it is constant"} in found.summary["reference"]["left_out"]


def test_exchangeable_labels_are_put_in_one_order():
    rng = np.random.default_rng(1)
    a, b = (DataTree.from_dict({"/posterior": _two_means(rng)}) for _ in range(2))
    found = vm.check(a, b, exchangeable="component")
    assert found.summary["reference"]["relabelled"]["draws"] > 0
    np.testing.assert_allclose(found.table["reference_sd"], 0.1, rtol=0.1)


def _two_means(rng) -> Dataset:
    means = np.array([-2.0, 2.0]) + 0.1 * rng.standard_normal((4, 500, 2))
    order = np.argsort(rng.random((4, 500, 2)), -1)
    return Dataset({"means": (("chain", "draw", "component"), np.take_along_axis(means, order, -1))})


BOTH = ("chain", "draw")
ODD = DataTree.from_dict(
    {
        "/posterior": Dataset(
            {
                "fixed": ("k", np.arange(3.0)),
                "nothing": ((*BOTH, "none"), np.zeros((2, 50, 0))),
                "complex": (BOTH, np.full((2, 50), 1j)),
                "words": (BOTH, np.full((2, 50), "x")),
            }
        )
    }
)


def test_what_is_not_a_parameter_is_passed_over():
    a, b = tree(0.9), tree()
    for t in (a, b):
        odd = ODD["posterior"].to_dataset().isel(chain=[0] * 4, draw=[0] * 1000)
        t["posterior"] = DataTree(t["posterior"].to_dataset().merge(odd))
    assert not set(vm.check(a, b).table["parameter"]) & set(ODD["posterior"].data_vars)


@pytest.mark.parametrize("dim", ["draw", "chain", "component"])
def test_an_exchangeable_dimension_must_be_one_of_the_parameters(dim):
    with pytest.raises(vm.SettingError, match=f"'{dim}'.*want"):
        vm.check(tree(), tree(), exchangeable=dim)


def test_one_chain_cannot_pass_and_the_verdict_says_why():
    found = vm.check(tree(), tree(chains=1, draws=4000))
    assert found.summary["reference"]["rhat_max"] is None
    assert "R-hat, largest unknown (want two chains)" in found.summary["verdicts"]["vi"]["sentence"]


def test_a_reference_that_only_a_file_names_is_called_the_reference():
    entry = vm.check(tree(0.6), tree()).summary["verdicts"]["vi"]
    assert "of the reference posterior" in entry["sentence"]
    assert "mcmc" not in entry["sentence"]


@pytest.mark.parametrize(
    ("vi", "mcmc", "words"),
    [
        (
            tree(name="alpha"),
            DataTree.from_dict({"/posterior": Dataset({"beta": (("chain", "draw"), np.ones((2, 5)))})}),
            "no parameter in common",
        ),
        (tree(size=2), tree(size=3), r"theta has shape \(2,\) in vi and \(3,\) in mcmc"),
        (DataTree.from_dict({"/prior": Dataset()}), tree(), "want a group 'posterior'"),
        (tree(draws=3, chains=2), tree(), "vi has 2 chains of 3 draws; want 4 draws or more in each chain"),
        (tree(scale=1e300), tree(), "draws of theta.* reach .*e\\+300; want"),
        (tree(), tree(scale=1e-300), "draws of theta.* span only .*e-300"),
        (tree(), tree(scale=0.0), "every parameter is constant in mcmc"),
        (ODD, ODD, "no parameter in common .real numbers with dims chain and draw.: vi has none"),
        (tree(shift=np.nan), tree(), "are not finite"),
    ],
)
def test_unfit_posteriors_are_refused_with_what_is_wanted(vi, mcmc, words):
    with pytest.raises(vm.DataError, match=words):
        vm.check(vi, mcmc)


def test_a_missing_or_damaged_file_is_named(tmp_path):
    (tmp_path / "broken.nc").write_bytes(b"not netcdf")
    posterior.save(tree(), tmp_path / "good.nc")
    with pytest.raises(vm.DataError, match=r"no file .*missing\.nc"):
        vm.check(tmp_path / "missing.nc", tmp_path / "good.nc")
    with pytest.raises(vm.DataError, match=r"broken\.nc cannot be read"):
        vm.check(tmp_path / "broken.nc", tmp_path / "good.nc")


def test_closed_form_moments_follow_their_draws_when_labels_are_put_in_order():
    rng = np.random.default_rng(2)
    centre, sd = np.array([-2.0, 2.0]), np.array([0.1, 0.4])

    def posterior_of(order) -> DataTree:
        draws = centre + sd * rng.standard_normal((4, 500, 2))
        data = Dataset({"means": (("chain", "draw", "component"), draws[..., order])})
        closed = Dataset({"mean_means": ("component", centre[order]), "sd_means": ("component", sd[order])})
        return DataTree.from_dict({"/posterior": data, "/variational": closed})

    reference = posterior_of([0, 1])
    del reference["variational"]
    found = vm.check(posterior_of([1, 0]), reference, exchangeable="component")
    np.testing.assert_allclose(found.table["sd_ratio"], 1.0, rtol=0.1)
    np.testing.assert_allclose(found.table["bias"], 0.0, atol=0.1)


def test_a_matrix_that_is_symmetric_to_float32_only_is_still_one_triangle():
    rng = np.random.default_rng(3)
    root = rng.standard_normal((4, 200, 2, 2))
    exact = root @ root.swapaxes(-1, -2) + np.eye(2)
    dims = ("chain", "draw", "a", "a_2")
    trees = [
        DataTree.from_dict({"/posterior": Dataset({"s": (dims, v)})})
        for v in (exact.astype(np.float32).astype(float), exact)
    ]
    trees[0]["posterior"]["s"].values[..., 0, 1] *= 1 + 1e-7
    assert list(vm.check(*trees).table["parameter"]) == ["s[0, 0]", "s[1, 0]", "s[1, 1]"]


def test_a_scalar_that_moves_by_rounding_only_is_constant():
    a, b = tree(0.9), tree()
    for t in (a, b):
        jitter = 1 + 1e-16 * np.random.default_rng(0).integers(-2, 3, (4, 1000))
        t["posterior"] = DataTree(t["posterior"].to_dataset().assign(one=(("chain", "draw"), jitter)))
    assert {"parameter": "one", "reason": "it is constant"} in vm.check(a, b).summary["reference"]["left_out"]


def test_a_scalar_that_moves_by_more_than_rounding_is_judged_however_far_from_zero():
    a, b = (tree(0.001, draws=200, shift=1e9) for _ in range(2))
    found = vm.check(a, b)
    assert not found.summary["reference"]["left_out"]


# --- the same parameters under other names, dimensions and orders


SCHOOLS = ["Choate", "Deerfield", "Phillips"]
MEANS, SDS = np.array([-5.0, 0.0, 5.0]), np.array([0.5, 1.0, 2.0])


def schools(labels=SCHOOLS, dim="school", name="theta", seed=0, order=(0, 1, 2)) -> DataTree:
    """Three independent normals, entry `order[i]` of MEANS and SDS at place i."""
    values = (MEANS + SDS * np.random.default_rng(seed).standard_normal((4, 500, 3)))[..., list(order)]
    coords = {} if labels is None else {dim: labels}
    return DataTree.from_dict({"/posterior": Dataset({name: ((*BOTH, dim), values)}, coords)})


def is_right(found) -> bool:
    """Each scalar beside its own: four errors of 2000 independent draws on either side are .09 on a ratio, .13 on a mean."""
    assert list(found.table["parameter"]) == [f"theta[{s}]" for s in SCHOOLS]
    np.testing.assert_allclose(found.table["sd_ratio"], 1, atol=0.09)
    np.testing.assert_allclose(found.table["bias"], 0, atol=0.13)
    return True


@pytest.mark.parametrize(
    ("labels", "dim", "order"),
    [
        (None, "theta_dim_0", (0, 1, 2)),
        ([0, 1, 2], "theta_dim_0", (0, 1, 2)),
        ([1, 2, 3], "school", (0, 1, 2)),
        (["theta1", "theta2", "theta3"], "unit", (0, 1, 2)),
        (["Phillips", "Choate", "Deerfield"], "school", (2, 0, 1)),
        (["Deerfield", "Phillips", "Choate"], "unit", (1, 2, 0)),
    ],
    ids=["no labels", "integers", "from 1", "other labels", "another order", "another order, another dimension"],
)
def test_labels_are_matched_where_both_have_them_and_positions_count_elsewhere(tmp_path, labels, dim, order):
    found = vm.check(schools(labels, dim, seed=1, order=order), schools())
    assert is_right(found)
    if labels is None or order != (0, 1, 2):  # the page finds each scalar in both posteriors
        assert "theta[Choate]" in report_text.words(found.save(tmp_path).parent)
    other = found.posteriors["vi"]["posterior"]["theta"]
    assert other.dims == (*BOTH, "school")
    assert other["school"].values.tolist() == SCHOOLS


def test_labels_that_only_partly_agree_are_refused():
    with pytest.raises(vm.DataError, match="Choate, Deerfield, Exeter and Choate, Deerfield, Phillips along school"):
        vm.check(schools(["Choate", "Deerfield", "Exeter"]), schools())


def test_closed_form_moments_follow_their_labels_and_names():
    vi = schools(["Phillips", "Choate", "Deerfield"], "unit", "effect", seed=1, order=(2, 0, 1))
    closed = {"mean_effect": ("unit", MEANS[[2, 0, 1]]), "sd_effect": ("unit", SDS[[2, 0, 1]])}
    vi["variational"] = DataTree(Dataset({**closed, "elbo": ("step", [-2.0, -1.0])}, vi["posterior"].coords))
    found = vm.check(vi, schools(), rename={"effect": "theta"})
    assert is_right(found)
    np.testing.assert_array_equal(found.table["sd"], SDS)
    assert "elbo" in found.posteriors["vi"]["variational"]


def test_a_square_matrix_is_matched_along_both_dimensions():
    rng = np.random.default_rng(5)
    covariance = rng.standard_normal((4, 200, 2, 2)) @ np.diag([1.0, 3.0])
    covariance = covariance @ covariance.swapaxes(-1, -2) + np.diag([1.0, 30.0])
    dims, flip = (*BOTH, "a", "b"), covariance[..., ::-1, ::-1]
    one = Dataset({"s": (dims, covariance)}, {"a": ["u", "v"], "b": ["u", "v"]})
    other = Dataset({"s": ((*BOTH, "x", "y"), flip)}, {"x": ["v", "u"], "y": ["v", "u"]})
    found = vm.check(*(DataTree.from_dict({"/posterior": of}) for of in (other, one)))
    assert list(found.table["parameter"]) == ["s[u, u]", "s[v, u]", "s[v, v]"]
    np.testing.assert_allclose(found.table["sd_ratio"], 1, rtol=1e-12)


def test_names_are_mapped_and_subsets_chosen():
    vi = schools(None, "b_dim_0", "b", seed=1)
    vi["posterior"] = DataTree(vi["posterior"].to_dataset().assign(mu=(BOTH, np.zeros((4, 500)))))
    found = vm.check(vi, schools(), rename={"b": "theta"})
    assert is_right(found)
    assert found.summary["problem"]["settings"] == {"renamed": "b to theta"}
    both = tree(0.9)
    assert list(vm.check(both, tree(), sites=["mu"]).table["parameter"]) == ["mu"]
    assert list(vm.check(both, tree(), sites="mu").table["parameter"]) == ["mu"]
    assert vm.check(both, tree(), sites=["mu", "theta"]).summary["problem"]["title"] == "mu, theta"


def test_two_names_can_be_exchanged():
    rng = np.random.default_rng(6)
    draws = {"a": (BOTH, rng.standard_normal((4, 500))), "b": (BOTH, 9 + rng.standard_normal((4, 500)))}
    mcmc = DataTree.from_dict({"/posterior": Dataset(draws)})
    vi = DataTree.from_dict({"/posterior": Dataset({"a": draws["b"], "b": draws["a"]})})
    np.testing.assert_array_equal(vm.check(vi, mcmc, rename={"a": "b", "b": "a"}).table["bias"], 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rename": {"thta": "mu"}}, "no parameter of vi is called 'thta'; did you mean 'theta'? Known: mu, theta"),
        ({"rename": {"theta": "m"}}, "no parameter of mcmc is called 'm'"),
        ({"rename": {"theta": "mu", "mu": "mu"}}, "two parameters of vi one name"),
        ({"sites": ["mu", "tau"]}, "no parameter of both vi and mcmc is called 'tau'. Known: mu, theta"),
        ({"sites": []}, "sites is empty"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_those_that_are(options, words):
    with pytest.raises(vm.SettingError, match=words.replace(".", r"\.").replace("?", r"\?")):
        vm.check(tree(), tree(), **options)


def test_parameters_of_unequal_shape_can_be_left_out():
    with pytest.raises(vm.DataError, match="theta has shape"):
        vm.check(tree(size=2), tree(size=3))
    assert list(vm.check(tree(size=2), tree(size=3), sites=["mu"]).table["parameter"]) == ["mu"]


# --- posteriors that PyMC made and an older ArviZ saved


PYMC = Path(__file__).parent / "truth" / "pymc"


def test_pymcs_advi_is_as_overconfident_as_the_correlation_of_the_regression_says(tmp_path):
    found = vm.check(PYMC / "advi.nc", PYMC / "nuts.nc")
    entry = found.summary["verdicts"]["advi"]
    assert entry["verdict"] == ["overconfident"]
    assert (entry["khat"], entry["elbo"], entry["elbo_marginal"]) == (None, None, None)
    x = np.linspace(1, 4, 30)  # of the recipe
    lost = np.sqrt(1 - x.mean() ** 2 / (x**2).mean())
    ratio = found.table.set_index("parameter")["sd_ratio"]
    assert list(ratio.index) == ["beta[offset]", "beta[slope]", "noise"]
    # errors of an sd: 1000 independent draws .022, 1500 effective ones .018
    np.testing.assert_allclose(ratio[["beta[offset]", "beta[slope]"]] / lost, 1, atol=4 * 0.029)
    assert found.summary["reference"]["divergences"] == 0
    assert found.summary["reference"]["ebfmi_min"] > 0.3
    found.save(tmp_path)
    words = report_text.words(tmp_path)
    assert "beta[offset]" in words
    assert "ELBO" not in words
    assert "k‑hat" not in words
