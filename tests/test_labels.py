"""Exchangeable labels come in one order, however they were mixed."""

import numpy as np
import pytest
from xarray import DataTree

from vi_vs_mcmc import labels
from vi_vs_mcmc.errors import SettingError

K = 3


def mixture_draws(rng, chains=4, draws=200, spread=0.2) -> DataTree:
    """Well-separated components in order of weight."""
    noise = rng.standard_normal((chains, draws, K, 2))
    weights = np.array([0.5, 0.3, 0.2]) + 0.01 * noise[..., 0]
    means = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]]) + spread * noise
    scatter = 1.0 + 0.1 * rng.standard_normal((chains, draws, K, 1, 1)) ** 2
    covariances = scatter * np.array([[1.0, 0.3], [0.3, 1.0]])
    from xarray import Dataset

    return DataTree.from_dict(
        {
            "/posterior": Dataset(
                {
                    "weights": (("chain", "draw", "component"), weights),
                    "means": (("chain", "draw", "component", "feature"), means),
                    "covariances": (("chain", "draw", "component", "feature", "feature_2"), covariances),
                    "rate": (("chain", "draw"), noise[..., 0, 0]),
                }
            )
        }
    )


def relabelled(tree: DataTree, order: np.ndarray) -> DataTree:
    """Each draw's components in the given order, (chain, draw, K)."""
    data = tree["posterior"].to_dataset()
    for name in data.data_vars:
        if "component" in data[name].dims:
            values = data[name].values
            index = order.reshape(*order.shape, *(1,) * (values.ndim - 3))
            data[name] = data[name].copy(data=np.take_along_axis(values, index, 2))
    out = tree.copy()
    out["posterior"] = DataTree(data)
    return out


def same(a: DataTree, b: DataTree) -> bool:
    return a["posterior"].to_dataset().equals(b["posterior"].to_dataset())


@pytest.mark.parametrize("by", ["chain", "draw"])
def test_random_relabelling_is_undone_exactly_100_times_out_of_100(by):
    rng = np.random.default_rng(0)
    tree = mixture_draws(rng)
    pivot = labels.pivot_of(tree, "component")
    for _ in range(100):
        each = [rng.permutation(K) for _ in range(4)] if by == "chain" else None
        order = np.array([[rng.permutation(K) if each is None else each[c] for _ in range(200)] for c in range(4)])
        back, moved = labels.align(relabelled(tree, order), "component", pivot)
        assert same(back, tree)
        if by == "chain":
            assert moved.draws == 0
            assert moved.chains == sum((o != np.arange(K)).any() for o in each)


def test_without_a_pivot_the_draws_settle_on_one_order_with_the_heaviest_first():
    rng = np.random.default_rng(1)
    tree = mixture_draws(rng)
    order = np.array([[rng.permutation(K) for _ in range(200)] for _ in range(4)])
    mixed = relabelled(tree, order)
    back, _ = labels.align(mixed, "component", labels.settle(mixed, "component"))
    assert same(back, tree)


def test_a_matrix_from_label_to_label_follows_along_both_of_its_axes():
    rng = np.random.default_rng(6)
    tree = mixture_draws(rng)
    data = tree["posterior"].to_dataset()
    rows = rng.dirichlet([9.0, 3.0, 1.0], size=(4, 200, K))
    matrix = np.stack([np.roll(rows[..., k, :], k, -1) for k in range(K)], 2)
    data["transition"] = (("chain", "draw", "component", "component_2"), matrix)
    tree["posterior"] = DataTree(data)
    order = np.array([[rng.permutation(K) for _ in range(200)] for _ in range(4)])
    mixed = relabelled(tree, order)  # the first axis
    moved = mixed["posterior"].to_dataset()
    both = np.take_along_axis(moved["transition"].values, order[:, :, None, :], 3)
    moved["transition"] = moved["transition"].copy(data=both)
    mixed["posterior"] = DataTree(moved)
    assert both[0, 0, 1, 2] == matrix[0, 0, order[0, 0, 1], order[0, 0, 2]]
    back, _ = labels.align(mixed, "component", labels.pivot_of(tree, "component"))
    assert same(back, tree)


def test_draws_in_order_are_left_alone():
    tree = mixture_draws(np.random.default_rng(2))
    back, moved = labels.align(tree, "component", labels.pivot_of(tree, "component"))
    assert same(back, tree)
    assert moved == labels.Moved(0, 0)


def test_sites_without_the_dimension_are_not_touched():
    rng = np.random.default_rng(3)
    tree = mixture_draws(rng)
    mixed = relabelled(tree, np.array([[rng.permutation(K) for _ in range(200)] for _ in range(4)]))
    back, _ = labels.align(mixed, "component", labels.pivot_of(tree, "component"))
    np.testing.assert_array_equal(back["posterior"]["rate"], tree["posterior"]["rate"])


def test_one_wild_entry_does_not_change_a_draws_order():
    tree = mixture_draws(np.random.default_rng(4))
    pivot = labels.pivot_of(tree, "component")
    data = tree["posterior"].to_dataset()
    wild = data["covariances"].values.copy()
    wild[0, 0, 2] *= 1e6  # as an empty component's covariance may be
    data["covariances"] = data["covariances"].copy(data=wild)
    tree["posterior"] = DataTree(data)
    _, moved = labels.align(tree, "component", pivot)
    assert moved == labels.Moved(0, 0)


def test_an_unknown_dimension_is_refused():
    tree = mixture_draws(np.random.default_rng(5))
    with pytest.raises(SettingError, match="no site has the dimension 'cluster'"):
        labels.settle(tree, "cluster")


def test_generating_values_are_put_at_the_place_of_the_nearest_estimate():
    truth = {"means": np.array([[0.0, 0.0], [3.0, 3.0], [0.0, 4.0]])}
    found = {"means": np.array([[0.1, 3.9], [0.2, 0.1], [2.9, 3.2]])}
    np.testing.assert_array_equal(labels.match(truth, found), [2, 0, 1])


def test_the_axes_that_carry_labels_are_the_dimension_and_its_double():
    assert labels.axes(("state", "state_2"), "state") == [0, 1]
    assert labels.axes(("state", "feature", "feature_2"), "state") == [0]
    assert labels.axes(("feature",), "state") == labels.axes(("state_2",), "state") == []
    matrix = np.arange(4.0).reshape(2, 2)
    np.testing.assert_array_equal(labels.reordered(matrix, [0, 1], np.array([1, 0])), [[3, 2], [1, 0]])
