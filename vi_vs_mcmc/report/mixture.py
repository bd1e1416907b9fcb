"""What "In the data" needs: rows, the two columns that separate the components most, draws of components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vi_vs_mcmc.report.folder import Run
from vi_vs_mcmc.report.words import number

DRAWS = 25  # ellipses per component
OFTEN = 0.95  # share of draws in which a component owns a row, from which it is judged
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Components:
    """A few draws of one method, on the shown columns."""

    weights: Array  # (draw, component)
    means: Array  # (draw, component, shown)
    factors: Array  # Cholesky factors of the covariances, (draw, component, shown, shown)


@dataclass(frozen=True)
class Mixture:
    """The data and the components of every method that has them."""

    x: Array  # (row, shown): one or two columns
    columns: list[str]  # of x
    shown: list[int]  # which columns of the data they are
    every_column: list[str]
    responsibilities: Array | None  # (row, component)
    owner: str | None  # whose responsibilities they are
    components: dict[str, Components]  # the reference first
    occupied: list[int]  # components that nearly always own a row, so that drawing them says something


def of_a_row(run: Run) -> str:
    """What a row's local variable is called: its label in a mixture, elsewhere z; empty where rows are known to have none."""
    if _has_components(run.posteriors[run.reference]):
        return "labels"
    return "" if (run.summary.get("problem") or {}).get("local") is False else "z"


def mixture(run: Run) -> Mixture | None:
    """The parts of a mixture, or None if the reference has no components or no data are in the folder."""
    reference = run.posteriors[run.reference]
    if not _has_components(reference):
        return None
    trees = [run.posteriors[m] for m in [run.reference, *run.methods]]
    observed = next((t["observed_data"].to_dataset() for t in trees if "observed_data" in t.children), None)
    if observed is None or "x" not in observed:
        return None
    x = np.asarray(observed["x"].to_numpy(), float)
    x = x[:, None] if x.ndim == 1 else x
    means = _sites(reference)["means"]
    if x.ndim != 2 or len(x) == 0 or means.sizes["feature"] != x.shape[1] or not np.isfinite(x).all():
        return None
    names = _column_names(observed, x.shape[1])
    occupied = [k for k in range(means.sizes["component"]) if k not in empty(run, means.sizes["component"])]
    shown = _separating(reference, occupied)
    methods = [m for m in [run.reference, *run.methods] if _fits(run.posteriors[m], means.sizes)]
    responsibilities, owner = _responsibilities(run, len(x), means.sizes["component"])
    return Mixture(
        x=x[:, shown],
        columns=[names[i] for i in shown],
        shown=shown,
        every_column=names,
        responsibilities=responsibilities,
        owner=owner,
        components={m: components(run.posteriors[m], shown, DRAWS) for m in methods},
        occupied=occupied,
    )


def empty(run: Run, components: int) -> list[int]:
    """Components that own a row too seldom, so that their weight is left out of the verdict; none if all were."""
    named = {f"weights[{k}]": k for k in range(components)}
    out = [k for name, k in named.items() if name in run.table.parameters and name not in run.table.judged_parameters]
    return out if len(out) < components else []


def owners(run: Run) -> str:
    """How many components own a row under the reference, on average; empty where it was not measured."""
    rows = (run.summary.get("labels") or {}).get("label_free") or []
    row = next((r for r in rows if r.get("parameter") == "occupied" and r.get("reference_mean") is not None), None)
    if row is None or not row.get("reference_sd"):
        return ""
    return f"{number(row['reference_mean'])} ± {number(row['reference_sd'])}"


def weights(run: Run) -> dict[str, Array] | None:
    """5, 50 and 95 % of every component's weight, (3, component) per method; None without weights."""
    out = {}
    for m in [run.reference, *run.methods]:
        dataset = run.posteriors[m]["posterior"].to_dataset()
        if "weights" in dataset and tuple(dataset["weights"].dims[2:]) == ("component",):
            flat = dataset["weights"].transpose("chain", "draw", "component").to_numpy()
            out[m] = np.quantile(flat.reshape(-1, flat.shape[-1]), [0.05, 0.5, 0.95], axis=0)
    sizes = {q.shape for q in out.values()}
    return out if run.reference in out and len(sizes) == 1 else None


def components(tree: xr.DataTree, shown: list[int], draws: int) -> Components:
    """Some draws of the components, evenly spaced over the chains, on the shown columns."""
    sites = _sites(tree)
    flat = {
        s: v.transpose("chain", "draw", *(d for d in ("component", "feature", "feature_2") if d in v.dims)).to_numpy()
        for s, v in sites.items()
    }
    flat = {s: v.reshape(-1, *v.shape[2:]) for s, v in flat.items()}
    n = len(flat["means"])
    some = np.unique(np.linspace(0, n - 1, draws).astype(int))
    covariances = flat["covariances"][some][:, :, shown][:, :, :, shown]
    return Components(flat["weights"][some], flat["means"][some][:, :, shown], _factors(covariances))


def _sites(tree: xr.DataTree) -> dict[str, xr.DataArray]:
    dataset = tree["posterior"].to_dataset()
    return {s: dataset[s] for s in ("weights", "means", "covariances") if s in dataset}


def _has_components(tree: xr.DataTree) -> bool:
    sites = _sites(tree)
    wanted = {
        "weights": ("component",),
        "means": ("component", "feature"),
        "covariances": ("component", "feature", "feature_2"),
    }
    return all(s in sites and set(dims) <= set(sites[s].dims) for s, dims in wanted.items())


def _fits(tree: xr.DataTree, sizes) -> bool:
    if not _has_components(tree):
        return False
    means = _sites(tree)["means"]
    return all(means.sizes[d] == sizes[d] for d in ("component", "feature"))


def _column_names(observed: xr.Dataset, columns: int) -> list[str]:
    if "column" in observed.variables and observed["column"].size == columns:
        return [str(c) for c in observed["column"].to_numpy().tolist()]
    return [f"column {i}" for i in range(columns)]


def _separating(tree: xr.DataTree, occupied: list[int]) -> list[int]:
    """The two columns with the most variance between occupied components over that within, in the data's order."""
    sites = {s: v.mean(("chain", "draw")) for s, v in _sites(tree).items()}
    w = sites["weights"].to_numpy()
    mu = sites["means"].transpose("component", "feature").to_numpy()
    within = np.einsum("kii->ki", sites["covariances"].transpose("component", "feature", "feature_2").to_numpy())
    w, mu, within = w[occupied] / w[occupied].sum(), mu[occupied], within[occupied]
    between = (w[:, None] * (mu - w @ mu) ** 2).sum(axis=0)
    ratio = between / np.maximum((w[:, None] * within).sum(axis=0), 1e-300)
    return sorted(np.argsort(-ratio, kind="stable")[:2].tolist())


def _responsibilities(run: Run, rows: int, components: int) -> tuple[Array | None, str | None]:
    for m in [run.reference, *run.methods]:
        tree = run.posteriors[m]
        if "local" in tree.children and "responsibilities" in tree["local"].data_vars:
            r = tree["local"]["responsibilities"].to_numpy()
            if r.shape == (rows, components) and np.isfinite(r).all():
                return r, m
    return None, None


def _factors(covariances: Array) -> Array:
    """Square roots that exist even where a method's draw is not quite positive definite."""
    values, vectors = np.linalg.eigh((covariances + np.swapaxes(covariances, -1, -2)) / 2)
    return vectors * np.sqrt(np.maximum(values, 0))[..., None, :]
