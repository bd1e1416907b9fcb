"""Exchangeable labels: each point has K! equal images, of which one has its labels in order; so Z = K! times that part's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import gammaln
from xarray import DataTree

from vi_vs_mcmc import labels, posterior
from vi_vs_mcmc.labels import Pivot
from vi_vs_mcmc.problem import Problem

LOOKED_AT = 4000  # draws that orders are counted in
RARE = 0.02


def log_labels(problem: Problem) -> float:
    """log K! of exchangeable labels, else 0."""
    dim = problem.exchangeable
    if dim is None:
        return 0.0
    site = next(name for name in problem.latent if dim in problem.site_dims(name))
    return float(gammaln(problem.latent[site].shape[problem.site_dims(site).index(dim)] + 1))


def spread(problem: Problem, tree: DataTree, pivot: Pivot | None) -> float:
    """Entropy of the orders that a method's own draws have their labels in, nats: 0 for one order, log m for m alike.

    Orders that fewer than RARE of the draws have do not count: they are the overlap of neighbouring components.
    """
    if problem.exchangeable is None or pivot is None:
        return 0.0
    some = tree.isel(draw=slice(0, -(-LOOKED_AT // tree["posterior"].sizes["chain"])))
    found = labels.orders(some, problem.exchangeable, pivot)
    counts = np.unique(found.reshape(-1, found.shape[-1]), axis=0, return_counts=True)[1]
    common = counts[counts >= RARE * counts.sum()]
    if not common.size:
        return float(np.log(counts.size))
    share = common / common.sum()
    return float(-(share * np.log(share)).sum())


def order(problem: Problem, pivot: Pivot, theta: Mapping[str, np.ndarray], each: int) -> np.ndarray:
    """Which label stands at each place of the pivot, by the commonest of `each` draws in turn, (draws / each, K)."""
    found = labels.orders(_as_tree(problem, theta), str(problem.exchangeable), pivot)[0]
    return np.stack([labels.commonest(part) for part in found.reshape(-1, each, found.shape[-1])])


def in_place(problem: Problem, theta: Mapping[str, np.ndarray], pivot: Pivot | None) -> np.ndarray:
    """Which draws have their labels in the pivot's order, (draws,)."""
    if problem.exchangeable is None or pivot is None:
        return np.ones(len(next(iter(theta.values()))), bool)
    found = labels.orders(_as_tree(problem, theta), problem.exchangeable, pivot)[0]
    return (found == np.arange(found.shape[1])).all(1)


def permuted(problem: Problem, theta: Mapping[str, np.ndarray], order: np.ndarray | None) -> Mapping[str, np.ndarray]:
    """Every site with its labels in another order."""
    dim = problem.exchangeable
    if dim is None or order is None:
        return theta
    along = {name: [1 + axis for axis in labels.axes(problem.site_dims(name), dim)] for name in theta}
    return {name: labels.reordered(value, along[name], order) for name, value in theta.items()}


def _as_tree(problem: Problem, theta: Mapping[str, np.ndarray]) -> DataTree:
    sites = {name: np.asarray(value)[None] for name, value in theta.items()}
    return DataTree.from_dict({"/posterior": posterior.dataset(problem, sites)})
