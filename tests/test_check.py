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
        (tree(draws=1, chains=1), tree(), "one draw"),
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
