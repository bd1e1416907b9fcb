"""Two posteriors from anywhere: the same table and page, without what two files cannot tell."""

import numpy as np
import pytest
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


def test_files_give_a_run_folder_and_page(tmp_path):
    posterior.save(tree(0.6, draws=500), tmp_path / "advi.nc")
    posterior.save(tree(), tmp_path / "nuts.nc")
    found = vm.check(tmp_path / "advi.nc", tmp_path / "nuts.nc")
    assert set(found.posteriors) == {"advi", "nuts"}
    page = found.save(tmp_path / "run")
    assert "advi" in page.read_text("utf-8")


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
