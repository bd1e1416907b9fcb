"""The modes that coordinate ascent found, what they weigh by their bounds, and where the reference's chains were.

Distinct optima are told apart by their ELBO, so relabelled copies count once. A draw belongs to the optimum j with the highest
ELBO_j + log q_j(theta), its labels in the order that suits j. What no restart found and no chain visited stays unseen: these
numbers say what was explored, not what there is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from xarray import DataTree

from vi_vs_mcmc import engine, labels, posterior
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.methods.cavi import Optima, thetas
from vi_vs_mcmc.methods.starts import CLOUD
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

LISTED = 20  # optima that are listed, best first
VISITS = 400  # draws of each chain that are looked at


@dataclass(frozen=True)
class Mode:
    """One optimum of the ELBO."""

    elbo: float  # nats
    restarts: int  # that ended there
    weight: float  # softmax of the ELBOs of all distinct optima
    visits: list[float]  # share of each chain's draws


@dataclass(frozen=True)
class Modes:
    """Distinct optima, best first."""

    number: int  # found, of which the best LISTED are in `modes`
    restarts: int
    modes: list[Mode]
    rhat: (
        float  # the largest over optima of R-hat of "the draw is there": chains must agree on what each optimum weighs
    )

    def recorded(self) -> dict[str, Any]:
        """The entry of `summary.json`."""
        return asdict(self)


@in_float64
def explored(problem: Problem, optima: Optima, tree: DataTree, key: Array) -> Modes:
    """Every distinct optimum, and which of them each chain visited.

    Args:
        problem: with a closed form.
        optima: of coordinate ascent.
        tree: the reference's draws.
        key: of the draws that tell what an optimum's labels look like.
    """
    model: Any = problem.conjugate
    elbo, at = optima.ascent.elbo, optima.distinct()
    # Restarts are sorted, so each belongs to the last before it.
    ends = np.searchsorted(at, np.arange(len(elbo)), "right") - 1
    weight = np.exp(elbo[at] - elbo[0])
    weight /= weight.sum()
    listed = at[:LISTED]
    owner = _owners(problem, model, optima, listed, tree, key) if len(listed) > 1 else _nobody_else(tree)
    found = [
        Mode(
            float(elbo[j]),
            int((ends == i).sum()),
            float(weight[i]),
            [float((chain == i).mean()) for chain in owner],
        )
        for i, j in enumerate(listed)
    ]
    return Modes(len(at), len(elbo), found, _disagreement(owner, len(listed)))


def _disagreement(owner: np.ndarray, number: int) -> float:
    """sqrt(1 + B / W), the largest over optima, of the indicator: B between chains' means, W within chains; 1 for one chain."""
    largest = 1.0
    if number == 1 or len(owner) == 1:
        return largest
    for i in range(number):
        there = (owner == i).astype(float)
        within, between = there.var(1, ddof=1).mean(), there.mean(1).var(ddof=1)
        if between > 0:
            largest = max(largest, float(np.sqrt(1.0 + between / within)) if within > 0 else float("inf"))
    return largest


def _nobody_else(tree: DataTree) -> np.ndarray:
    return np.zeros((tree["posterior"].sizes["chain"], 1), int)


def _owners(problem: Problem, model: Conjugate, optima: Optima, listed, tree: DataTree, key: Array) -> np.ndarray:
    """Which optimum each looked-at draw belongs to, (chain, draw)."""
    group = tree["posterior"].to_dataset()
    few = group.isel(draw=np.unique(np.linspace(0, group.sizes["draw"] - 1, VISITS).astype(int)))
    some = DataTree.from_dict({"/posterior": few})
    scores = []
    for j in listed:
        eta = jax.tree.map(lambda leaf, j=j: jnp.asarray(leaf[j]), optima.eta)
        mine = _aligned(problem, model, eta, some, key)["posterior"].to_dataset()
        theta = {n: mine[n].values.reshape(-1, *mine[n].shape[2:]) for n in problem.latent}
        scores.append(optima.ascent.elbo[j] + np.asarray(_log_q(model, eta, theta)))
    return np.stack(scores).argmax(0).reshape(few.sizes["chain"], few.sizes["draw"])


def _aligned(problem: Problem, model: Conjugate, eta: Natural, tree: DataTree, key: Array) -> DataTree:
    """The draws with their labels in the order that suits an optimum."""
    dim = problem.exchangeable
    if dim is None:
        return tree
    one = jax.tree.map(lambda leaf: leaf[None], eta)
    own = {n: v[None] for n, v in thetas(model, one, np.zeros(CLOUD, int), key).items()}
    pivot = labels.pivot_of(DataTree.from_dict({"/posterior": posterior.dataset(problem, own)}), dim)
    return labels.align(tree, dim, pivot)[0]


@jax.jit
def _log_q(model: Conjugate, eta: Natural, theta: dict[str, Array]) -> Array:
    return jax.vmap(lambda t: engine.log_q(model, eta, t))(theta)
