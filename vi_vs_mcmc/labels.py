"""One order for exchangeable labels, across chains, draws, runs and methods.

Each draw s is matched to a pivot by the assignment that minimises

    sum_k  c(s, sigma(k), k),    c(s, j, k) = sum_f log(1 + (y_sjf - a_kf)^2 / b_kf^2)

with y the features of a component (its entries in every site that carries the label), a_k and b_k the pivot's centre and
spread. The logarithm lets one wild entry of an empty component count for little. The cost sees a draw's components one by
one, so a permuted draw gets the permuted assignment: any relabelling is undone exactly.

A matrix from label to label, such as the transitions of a hidden Markov model, has the dimensions DIM and DIM_2: both follow the
labels, and the feature of a label is its own entry, on the diagonal.

Source: Stephens (2000), Dealing with label switching in mixture models, JRSS B 62; Papastamoulis (2016), JSS 69, section 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from xarray import DataTree

from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.posterior import SAMPLE

ROUNDS = 5  # pivots that are estimated from the draws settle in two or three


@dataclass(frozen=True)
class Pivot:
    """What a component looks like: centre and spread of each feature, (K, features); features named by site entry."""

    centre: np.ndarray
    spread: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True)
class Moved:
    """What an alignment changed."""

    chains: int  # whose commonest order was not the pivot's
    draws: int  # whose order was not their chain's commonest


def pivot_of(tree: DataTree, dim: str) -> Pivot:
    """The pivot that a posterior's own draws give, taken as they are labelled.

    Args:
        tree: a posterior whose labels are in order.
        dim: the exchangeable dimension.
    """
    features, names = _features(tree, dim)
    return _summary(features.reshape(-1, *features.shape[2:]), names)


def settle(tree: DataTree, dim: str) -> Pivot:
    """A pivot for draws in no known order: start from one draw, align all, average, repeat; heaviest component first."""
    features, names = _features(tree, dim)
    flat = features.reshape(-1, *features.shape[2:])
    spread = np.broadcast_to(_scale(flat.reshape(-1, flat.shape[-1])), flat.shape[1:])
    pivot = Pivot(flat[-1], spread, names)
    pivot = _settled(flat, pivot)
    first = np.argsort(-pivot.centre[:, 0], kind="stable")  # deterministic whatever draw came first
    return Pivot(pivot.centre[first], pivot.spread[first], names)


def align(tree: DataTree, dim: str, pivot: Pivot, *, squares: bool = False) -> tuple[DataTree, Moved]:
    """The posterior with every draw's labels in the pivot's order, and how much had to move.

    Args:
        tree: the posterior.
        dim: the exchangeable dimension.
        pivot: what each label looks like.
        squares: another rule, whose cost is the square and not its logarithm: answers that depend on the rule are no answers.

    Raises:
        SettingError: no site has the dimension, or the sites differ from the pivot's.
    """
    features, names = _features(tree, dim)
    if names != pivot.names or features.shape[2:] != pivot.centre.shape:
        raise SettingError(
            f"the labels along {dim!r} cannot be matched: sites {names} here, {pivot.names} in the reference"
        )
    shape = features.shape[:2]
    order = _orders(features.reshape(-1, *features.shape[2:]), pivot, squares=squares).reshape(*shape, -1)
    posterior = tree["posterior"].to_dataset()
    moved = {
        name: _reordered(posterior[name], dim, order) for name in posterior.data_vars if dim in posterior[name].dims
    }
    out = tree.copy()
    out["posterior"] = DataTree(posterior.assign(moved))
    _follow(out, dim, commonest(order.reshape(-1, order.shape[-1])))
    return out, _moved(order)


def orders(tree: DataTree, dim: str, pivot: Pivot) -> np.ndarray:
    """Which label of each draw stands at each place of the pivot, (chain, draw, K).

    Draws whose order is 0, 1, ... are one of the K! equal parts into which relabelling cuts the space of parameters.
    """
    features, _ = _features(tree, dim)
    return _orders(features.reshape(-1, *features.shape[2:]), pivot).reshape(*features.shape[:3])


def commonest(orders: np.ndarray) -> np.ndarray:
    """The order that most draws have, (K,), of (draws, K)."""
    kinds, counts = np.unique(orders, axis=0, return_counts=True)
    return kinds[counts.argmax()]


def refine(tree: DataTree, dim: str, pivot: Pivot) -> Pivot:
    """The pivot that a reference's own draws give, starting from another: align, average, repeat; places keep their order.

    A mean-field pivot is too narrow, and would cut the tails off the components that it separates.
    """
    features, names = _features(tree, dim)
    if names != pivot.names:
        raise SettingError(
            f"the labels along {dim!r} cannot be matched: sites {names} here, {pivot.names} in the pivot"
        )
    flat = features.reshape(-1, *features.shape[2:])
    return _settled(flat, pivot)


def match(values: dict[str, np.ndarray], to: dict[str, np.ndarray]) -> np.ndarray:
    """Which component of `values` stands at each place of `to`: the least squared distance, features scaled alike, (K,).

    Labels run along the first axis of each site; of a matrix from label to label only the diagonal is given.
    """
    stack = lambda of: np.concatenate([np.reshape(of[site], (len(of[site]), -1)) for site in values], 1)
    own, theirs = stack(values), stack(to)
    scale = np.maximum(theirs.std(0), np.finfo(float).tiny)
    cost = (((theirs[:, None] - own[None]) / scale) ** 2).sum(-1)
    return linear_sum_assignment(cost)[1]


def axes(dims: Sequence[str], dim: str) -> list[int]:
    """The axes of a site along which its labels run: none, one, or two of a matrix from label to label."""
    return [dims.index(name) for name in (dim, f"{dim}_2") if dim in dims and name in dims]


def reordered(value: np.ndarray, along: Sequence[int], order: np.ndarray) -> np.ndarray:
    """A site with its labels in another order, (K,), along each of its axes that carries them."""
    for axis in along:
        value = np.take(value, order, axis)
    return value


def _features(tree: DataTree, dim: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """(chain, draw, K, features) and the features' names: every site with the dimension, symmetric matrices once."""
    posterior = tree["posterior"].to_dataset()
    blocks, names = [], []
    for name in sorted(posterior.data_vars, key=lambda n: (posterior[n].ndim, n)):
        site = posterior[name]
        if dim not in site.dims:
            continue
        values = site.transpose(*SAMPLE, dim, ...).values
        if f"{dim}_2" in site.dims:
            values = np.moveaxis(site.transpose(*SAMPLE, dim, f"{dim}_2", ...).values.diagonal(0, 2, 3), -1, 2)
        if values.ndim == 5 and values.shape[3] == values.shape[4]:
            row, column = np.tril_indices(values.shape[3])
            values = values[..., row, column]
        block = values.reshape(*values.shape[:3], -1)
        blocks.append(block)
        names += [f"{name}[{i}]" for i in range(block.shape[-1])]
    if not blocks:
        raise SettingError(f"no site has the dimension {dim!r}; want the one whose labels are exchangeable")
    return np.concatenate(blocks, -1), tuple(names)


def _settled(flat: np.ndarray, pivot: Pivot) -> Pivot:
    for _ in range(ROUNDS):
        order = _orders(flat, pivot)
        pivot = _summary(np.take_along_axis(flat, order[..., None], 1), pivot.names)
    return pivot


def _follow(tree: DataTree, dim: str, order: np.ndarray) -> None:
    """What else carries the label, such as closed-form moments, in the commonest order of the draws."""
    if (order == np.arange(len(order))).all():
        return
    for name in set(tree.children) - {"posterior"}:
        group = tree[name].to_dataset()
        own = [v for v in group.data_vars if str(v).startswith("q_")]  # parameters without named dimensions
        group = group.drop_vars(own)
        for variable in group.data_vars:
            if dim in group[variable].dims:
                along = axes([str(d) for d in group[variable].dims], dim)
                group[variable] = group[variable].copy(data=reordered(group[variable].values, along, order))
        tree[name] = DataTree(group)


def _summary(flat: np.ndarray, names: tuple[str, ...]) -> Pivot:
    low, centre, high = np.quantile(flat, [0.16, 0.5, 0.84], axis=0)
    floor = 1e-3 * _scale(flat.reshape(-1, flat.shape[-1]))
    return Pivot(centre, np.maximum(0.5 * (high - low), floor), names)


def _scale(values: np.ndarray) -> np.ndarray:
    low, high = np.quantile(values, [0.16, 0.84], axis=0)
    return np.maximum(0.5 * (high - low), np.finfo(float).tiny)


def _orders(flat: np.ndarray, pivot: Pivot, *, squares: bool = False) -> np.ndarray:
    """For each draw, which of its components stands at each place of the pivot, (draws, K)."""
    count = flat.shape[1]
    cost = np.zeros((len(flat), count, count))
    for k in range(count):  # place
        square = ((flat - pivot.centre[k]) / pivot.spread[k]) ** 2
        cost[:, k] = (square if squares else np.log1p(square)).sum(-1)
    own = np.arange(count)
    orders = np.tile(own, (len(flat), 1))
    # a draw whose every component is nearest to its own place, and each place's nearest, needs no assignment problem
    settled = (cost.argmin(1) == own).all(1) & (cost.argmin(2) == own).all(1)
    for s in np.flatnonzero(~settled):
        orders[s] = linear_sum_assignment(cost[s])[1]
    return orders


def _reordered(site, dim: str, order: np.ndarray):
    out = site
    for axis in axes(site.dims, dim):
        lead = out.transpose(*SAMPLE, site.dims[axis], ...)
        index = order.reshape(*order.shape, *(1,) * (lead.ndim - 3))
        out = lead.copy(data=np.take_along_axis(lead.values, index, 2)).transpose(*site.dims)
    return out


def _moved(order: np.ndarray) -> Moved:
    chains = draws = 0
    for chain in order:
        common = commonest(chain)
        chains += int((common != np.arange(len(common))).any())
        draws += int((chain != common).any(1).sum())
    return Moved(chains, draws)
