"""Small synthetic run folders: draws from a known law, and what a comparison of them writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from report_record import Fit, Recipe, load_summary, record, save_summary

__all__ = ["Fit", "Recipe", "load_summary", "save_summary", "write_mixture", "write_sites"]


def write_mixture(folder: Path, recipe: Recipe | None = None, *, components: int = 3) -> Path:
    """A mixture's run folder: weights, means, covariances, data, responsibilities and optimisers' traces."""
    recipe = recipe or Recipe()
    rng = np.random.default_rng(recipe.seed)
    features, occupied = len(recipe.columns), components - recipe.empty
    centres = 4.0 * rng.permuted(np.stack([np.arange(components)] * features, 1), axis=0)[:, :features]
    share = np.r_[np.full(occupied, 1.0), np.full(recipe.empty, 1e-3)]
    x = np.concatenate([rng.normal(centres[k], 1.0, (60, features)) for k in range(occupied)])
    trees = {}
    for method, fit in {recipe.reference: Fit(), **recipe.fits}.items():
        size = (recipe.chains, recipe.draws)
        noise = rng.standard_normal((*size, components, features))
        base = fit.shift + fit.width * noise
        loose = np.where(np.arange(components) < occupied, 0.12, 2.0)[:, None]
        if recipe.empty:  # an empty component's parameters have a prior's tails
            base[:, :, occupied:] *= np.exp(3 * rng.standard_normal((*size, recipe.empty, features)))
        factor = np.tril(rng.normal(0, 0.05 * fit.width, (*size, components, features, features)))
        factor += np.eye(features)
        weights = np.clip(
            share / share.sum() * (1 + 0.08 * fit.width * rng.standard_normal((*size, components))), 1e-6, 1
        )
        sites = {
            "weights": (("component",), weights / weights.sum(-1, keepdims=True)),
            "means": (("component", "feature"), centres + loose * base),
            "covariances": (("component", "feature", "feature_2"), factor @ np.swapaxes(factor, -1, -2)),
        }
        coords = {"component": range(components), "feature": range(features), "feature_2": range(features)}
        trees[method] = _tree(method, sites, coords, fit, rng, reference=recipe.reference)
        if recipe.data:
            near = np.exp(-0.5 * ((x[:, None] - centres) ** 2).sum(-1)) + 1e-9
            trees[method]["observed_data"] = xr.Dataset(
                {"x": (("observation", "feature"), x)}, {"column": ("feature", list(recipe.columns))}
            )
            trees[method]["local"] = xr.Dataset(
                {"responsibilities": (("observation", "component"), near / near.sum(1, keepdims=True))}
            )
    out: set[str] = set()
    for k in range(occupied, components):
        out |= {f"weights[{k}]"} | {f"means[{k}, {d}]" for d in range(features)}
        out |= {f"covariances[{k}, {i}, {j}]" for i in range(features) for j in range(i + 1)}
    problem = {
        "name": "gmm",
        "title": f"gmm, {components} components",
        "settings": {"components": components},
        "priors": "concentration 1, mean precision 1, degrees of freedom 6",
        "exchangeable": "component",
        "dims": {"component": components, "feature": features},
    }
    data = {
        "name": "synthetic.csv",
        "rows": len(x),
        "columns": list(recipe.columns),
        "sha256": "9f2b61c4" * 8,
    }
    data["embedded"] = recipe.data
    summary = record(folder, trees, recipe, problem, data, left_out=out)
    summary["truth"] = {"weights": (share / share.sum()).tolist()}
    return save_summary(folder, summary)


def write_sites(folder: Path, recipe: Recipe, sites: Mapping[str, Sequence[str] | int | None]) -> Path:
    """A generic model's run folder: each site with its labels, its length, or None for a scalar."""
    rng = np.random.default_rng(recipe.seed)
    trees = {}
    for method, fit in {recipe.reference: Fit(), **recipe.fits}.items():
        size = (recipe.chains, recipe.draws)
        variables, coords = {}, {}
        for i, (site, labels) in enumerate(sites.items()):
            shape = () if labels is None else (labels,) if isinstance(labels, int) else (len(labels),)
            draws = 10.0**i * (fit.shift + fit.width * rng.standard_normal((*size, *shape)))
            variables[site] = (() if labels is None else (f"dim_{i}",), draws)
            if shape:
                coords[f"dim_{i}"] = range(shape[0]) if isinstance(labels, int) else list(labels)
        trees[method] = _tree(method, variables, coords, fit, rng, reference=recipe.reference)
    problem = {
        "name": "schools",
        "title": "schools",
        "settings": {},
        "priors": None,
        "exchangeable": None,
        "dims": {},
    }
    return save_summary(folder, record(folder, trees, recipe, problem, None, left_out=set()))


def _tree(method, sites, coords, fit, rng, *, reference) -> xr.DataTree:
    variables = {s: (("chain", "draw", *dims), values) for s, (dims, values) in sites.items()}
    groups = {"posterior": xr.Dataset(variables, coords)}
    if method == "cavi":
        sweeps = np.arange(30)
        climbs = np.stack([-1700.0 - 80 * np.exp(-sweeps / (3 + r)) for r in range(max(fit.restarts, 1))])
        climbs[1:, 24:] = np.nan
        likelihood = -1650.0 - 60 * np.exp(-sweeps / 2.0) - 0.01 * sweeps
        groups["variational"] = xr.Dataset(
            {
                "elbo": ("step", climbs[0]),
                "elbo_restarts": (("restart", "sweep"), climbs),
                "log_likelihood": ("sweep", likelihood),
            }
        )
    elif method.startswith("svi:"):
        steps = np.arange(1, 41) * 100
        climb = -1702.0 - 300 * np.exp(-steps / 400.0) + rng.normal(0, 0.3, steps.size)
        groups["variational"] = xr.Dataset({"elbo": ("step", climb), "elbo_step": ("step", steps)})
    if method != reference:
        z = rng.standard_normal((*next(iter(variables.values()))[1].shape[:2], 4))
        size = ("chain", "draw")
        logs = {"log_p": (size, -0.5 * (z**2).sum(-1)), "log_q": (size, -0.6 * (z**2).sum(-1))}
        groups["sample_stats"] = xr.Dataset(logs)
    attrs = {
        "method": method,
        "settings": "{}",
        "seed": 1,
        "status": "ok" if method == reference else "converged",
    }
    tree = xr.DataTree.from_dict({f"/{k}": v for k, v in groups.items()})
    tree.attrs = {**attrs, "wall_seconds": 0.4}
    return tree
