"""What a mixture's posterior says without labels: sorted weights, occupied components, co-clustering, log likelihood.

Relabelling does not change these, so they can be compared where components cannot: where chains disagree on labels, or where
the answer for one component depends on the rule that relabels it.

    occupied     sum_k 1 - prod_n (1 - r_nk)                 expected number of components that own a row
    together     sum_k sum_{n != m} r_nk r_mk / (N (N - 1))  probability that two rows share a component
    log_density  sum_n log p(x_n | theta) / N                log predictive density of a row seen, nats

with r_nk the responsibilities at the draw; sums over n run over ROWS rows at most.

Source: Stephens (2000), JRSS B 62; Fritsch and Ickstadt (2009), Bayesian Analysis 4.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from xarray import Dataset, DataTree

from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

ROWS = 1000  # of the data that are looked at, evenly spaced
DRAWS = 10_000  # of a fit that are looked at, all chains together: they are independent
DIGITS = 3  # of an expected number of components that mean something
BATCH = 50  # draws side by side
SITES = ("sorted_weights", "occupied", "together", "log_density")


@in_float64
def label_free(problem: Problem, tree: DataTree, most: int | None = DRAWS) -> DataTree | None:
    """A posterior of label-free quantities, with the draws of `tree`; None for a model without responsibilities.

    `sorted_weights` (rank), heaviest first; `occupied`; `together`; `log_density`. Of `most` draws; of all where it is None.
    """
    model: Any = problem.conjugate
    if problem.exchangeable is None or problem.table is None or not hasattr(model, "responsibilities"):
        return None
    group = _some(tree["posterior"].to_dataset(), most)
    shape = (group.sizes["chain"], group.sizes["draw"])
    theta = {n: group[n].values.reshape(-1, *group[n].shape[2:]) for n in problem.latent}
    at = np.unique(np.linspace(0, len(problem.table.values) - 1, ROWS).astype(int))
    count = shape[0] * shape[1]
    pad = lambda leaf: np.concatenate([leaf, np.repeat(leaf[:1], -count % BATCH, 0)])
    rows = jax.tree.map(lambda leaf: leaf[at], model.rows)
    found = _measured(model, jax.tree.map(pad, theta), jnp.asarray(problem.table.values[at]), rows)
    occupied, together, log_density = (np.asarray(v).ravel()[:count].reshape(shape) for v in found)
    weights = -np.sort(-group["weights"].values, axis=-1)
    lead = ("chain", "draw")
    values = Dataset(
        {
            "sorted_weights": ((*lead, "rank"), weights),
            "occupied": (lead, occupied.round(DIGITS)),
            "together": (lead, together),
            "log_density": (lead, log_density),
        },
        {"chain": group["chain"], "draw": group["draw"], "rank": np.arange(weights.shape[-1])},
    )
    out = DataTree.from_dict({"/posterior": values})
    if "sample_stats" in tree.children:
        out["sample_stats"] = DataTree(_some(tree["sample_stats"].to_dataset(), most))
    if "variational" in tree.children:
        out["variational"] = DataTree(Dataset())  # draws of a fit are independent; none of these has a closed form
    out.attrs = dict(tree.attrs)
    return out


def _some(of: Dataset, most: int | None) -> Dataset:
    """The first `most` draws, all chains together; all where it is None."""
    return of if most is None else of.isel(draw=slice(0, -(-most // of.sizes["chain"])))


@jax.jit
def _measured(model: Any, theta: dict[str, Array], x: Array, rows: Any) -> tuple[Array, Array, Array]:
    number = x.shape[0]

    def one(draw):
        r = model.responsibilities(draw, x)
        owned = 1.0 - jnp.exp(jnp.log1p(-jnp.minimum(r, 1.0 - 1e-15)).sum(0))
        pairs = (r.sum(0) ** 2).sum() - (r**2).sum()
        density = model.local(model.coefficients(model.sufficient(draw)), rows)
        return owned.sum(), pairs / max(number * (number - 1), 1), density.mean()

    return jax.lax.map(one, theta, batch_size=BATCH)
