"""A posterior, from any method: an ArviZ DataTree with the groups and names that everything here agrees on.

`posterior` (chain, draw, ...), `sample_stats`, `observed_data`, and for a VI method `variational`. Draws of a VI method
have the reference's (chain, draw) shape; chain means nothing there, so no R-hat or ESS is computed from them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray import DataArray, Dataset, DataTree

from vi_vs_mcmc import stan
from vi_vs_mcmc.errors import DataError, SettingError, unknown
from vi_vs_mcmc.problem import Problem

PACKAGES = ("vi-vs-mcmc", "jax", "numpyro", "arviz-stats", "numpy", "plotly")
SAMPLE = ("chain", "draw")
FEWEST = 4  # draws of a chain: its halves have a variance each
HUGE = 1e70  # beyond it fourth powers, of which a Monte Carlo error of an sd is made, leave the floating-point numbers


def versions() -> dict[str, str]:
    """Versions of the packages that decide the numbers."""
    return {name: version(name) for name in PACKAGES}


def dataset(
    problem: Problem, values: Mapping[str, np.ndarray], lead: tuple[str, ...] = SAMPLE, prefix: str = ""
) -> Dataset:
    """Values of sites as a Dataset: leading dims `lead`, then the site's own, with integer or given coordinates."""
    variables, coords = {}, {}
    for name, value in values.items():
        if name not in problem.all_sites:
            raise unknown("site of the program", name, problem.all_sites)
        dims = (*lead, *problem.site_dims(name))
        if len(dims) != np.ndim(value):
            raise SettingError(f"{prefix}{name} has shape {np.shape(value)}; want {len(dims)} dims, {', '.join(dims)}")
        variables[prefix + name] = (dims, np.asarray(value))
        for dim, size in zip(dims, np.shape(value), strict=True):
            coords[dim] = np.asarray(problem.coords.get(dim, np.arange(size)))
    try:
        return Dataset(variables, coords)
    except ValueError as error:  # two sizes of one dimension
        raise SettingError(f"values of the sites do not fit together: {error}") from error


def build(
    problem: Problem,
    method: Any,
    draws: Mapping[str, Any],
    *,
    chains: int | None = None,
    status: str = "ok",
    status_sentence: str = "",
    wall_seconds: float | None = None,
    work: str | None = None,
    passes: int | None = None,
    sample_stats: Mapping[str, Any] | None = None,
    variational: Dataset | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> DataTree:
    """The DataTree of one method's result.

    Args:
        problem: what was fitted.
        method: its settings, a dataclass with a `name`; or the name alone.
        draws: (chain, draw, *site) by site; (chain * draw, *site) where `chains` is given.
        chains: how many chains to cut draws and statistics into, which then have them one after another.
        status: "ok", "converged" or "not converged".
        status_sentence: why, with the numbers.
        wall_seconds: compilation included; `fit` and `compare` write what they saw where it is not given.
        work: what was done, in words.
        passes: over the data by the fit alone, without NUTS' warm-up; chains, starts and restarts side by side count once.
        sample_stats: (chain, draw) by name.
        variational: final parameters, closed-form moments, the ELBO's trace; of a VI method an empty Dataset at least, which
            says that draws are independent. Without it they are a chain's.
        attrs: more, such as `elbo`, which is otherwise the mean of log p - log q where `sample_stats` has both.
    """
    if chains is not None:
        draws, sample_stats = _in_chains(draws, chains), _in_chains(sample_stats or {}, chains)
    groups = {"/posterior": dataset(problem, draws)}
    if sample_stats:
        for name, value in sample_stats.items():
            if np.ndim(value) != len(SAMPLE):
                raise SettingError(f"{name} has shape {np.shape(value)}; want (chain, draw)")
        groups["/sample_stats"] = Dataset({k: (SAMPLE, np.asarray(v)) for k, v in sample_stats.items()})
    if problem.table is not None:
        groups["/observed_data"] = observed(problem)
    if variational is not None:
        groups["/variational"] = variational
    tree = DataTree.from_dict(groups)
    tree.attrs = {
        "method": getattr(method, "name", method),
        "settings": json.dumps(
            asdict(method) if is_dataclass(method) and not isinstance(method, type) else {}, default=str
        ),
        "status": status,
        "status_sentence": status_sentence,
        **{n: v for n, v in (("wall_seconds", wall_seconds), ("work", work), ("passes", passes)) if v is not None},
        "versions": json.dumps(versions()),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **_marginal_bound(sample_stats or {}),
        **(attrs or {}),
    }
    return tree


def _in_chains(values: Mapping[str, Any], chains: int) -> dict[str, np.ndarray]:
    found = {}
    for name, value in values.items():
        of = np.asarray(value)
        if of.ndim == 0 or len(of) % chains:
            raise SettingError(f"{name} has shape {of.shape}; want so many rows that {chains} chains can share them")
        found[name] = of.reshape(chains, len(of) // chains, *of.shape[1:])
    return found


def observed(problem: Problem) -> Dataset:
    """The rows of the problem's table: x (observation, feature), column names along feature."""
    table = problem.table
    if table is None:
        raise SettingError("this problem has no table")
    coords = {
        "observation": np.arange(len(table.values)),
        "feature": np.arange(len(table.columns)),
        "column": ("feature", np.array(table.columns, dtype=object)),
    }
    return Dataset({"x": (("observation", "feature"), table.values)}, coords)


def scalars(tree: DataTree, sites: Iterable[str] | None = None, like: DataTree | None = None) -> DataArray:
    """Every distinct scalar of the sites, (chain, draw, parameter); of a symmetric matrix only i >= j.

    Labels read `means[0, 1]`, with the coordinates' own values.
    """
    group = _posterior(tree)
    blocks, labels = [], []
    for name in group.data_vars if sites is None else sites:
        flat, names = scalar_values(group[name], None if like is None else _posterior(like)[name])
        blocks.append(flat)
        labels += names
    values = np.concatenate(blocks, -1) if blocks else np.zeros((*group["draw"].shape, 0))
    return DataArray(values, dims=(*SAMPLE, "parameter"), coords={"parameter": labels})


def scalar_values(values: DataArray, like: DataArray | None = None) -> tuple[np.ndarray, list[str]]:
    """Distinct scalars of one variable, (..., parameters), and their labels.

    Args:
        values: leading dims among chain and draw, then the site's own.
        like: decides which entries are distinct, where `values` alone cannot tell (a mean, an sd).
    """
    lead = [d for d in SAMPLE if d in values.dims]
    values = values.transpose(*lead, ...)
    own = [d for d in values.dims if d not in SAMPLE]
    keep = _distinct(values if like is None else like.transpose(*[d for d in SAMPLE if d in like.dims], ...))
    indices = [i for i in np.ndindex(*(values.sizes[d] for d in own)) if keep(i)]
    flat = np.stack([values.values[(..., *i)] for i in indices], -1)
    names = []
    for index in indices:
        at = ", ".join(
            str(values.coords[d].values[i]) if d in values.coords else str(i) for d, i in zip(own, index, strict=True)
        )
        names.append(f"{values.name}[{at}]" if own else str(values.name))
    return flat, names


def save(tree: DataTree, path: Path) -> None:
    """Write netCDF whole or not at all: to a temporary name, then renamed into place."""
    temporary = path.with_name(path.name + ".part")
    tree.to_netcdf(temporary, engine="h5netcdf")
    os.replace(temporary, path)


def load(path: str | Path) -> DataTree:
    """Read a posterior that any ArviZ tool saved as netCDF, in full.

    Raises:
        DataError: no such file, not netCDF, or no `posterior` group with chain and draw.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(
            f"{path} is a folder; want a posterior saved as netCDF by ArviZ, such as {path}/posteriors/nuts.nc, or a folder "
            "of csv files of Stan's, and it holds none"
        )
    if not path.is_file():
        raise DataError(f"no file {path}; want a posterior saved as netCDF by ArviZ")
    try:
        tree = xr.open_datatree(path, engine="h5netcdf").load()
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} cannot be read as netCDF: {error}") from error
    tree.close()
    _posterior(tree, str(path))
    return tree


def read(source: DataTree | str | Path, name: str) -> DataTree:
    """A posterior as it is, that of a netCDF file, or that of Stan's csv files.

    Raises:
        DataError: neither of the two, or a file that cannot be read.
    """
    if isinstance(source, DataTree):
        return source
    if isinstance(source, str | Path):
        chains = stan.files(source)
        return stan.load(chains) if chains else load(source)
    raise DataError(
        f"{name} is of type {type(source).__name__}; want a DataTree with a group 'posterior', or the netCDF file of one"
    )


def usable(draws: DataArray, where: str) -> None:
    """Refuse draws that are not finite, or of which moments cannot be computed.

    Raises:
        DataError: names the parameter, and how many of its draws or how large.
    """
    bad = ~np.isfinite(draws.values)
    if bad.any():
        counts = bad.sum((0, 1))
        worst = int(counts.argmax())
        raise DataError(
            f"{where}: {counts[worst]} draws of {draws.parameter.values[worst]} are not finite; want numbers in every draw"
        )
    for j, name in enumerate(draws.parameter.values):
        high = np.abs(draws.values[..., j]).max()
        width = np.ptp(draws.values[..., j]) if high <= HUGE else np.inf
        if high > HUGE or 0 < width < 1 / HUGE:
            got = f"reach {high:.3g}" if high > HUGE else f"span only {width:.3g}"
            raise DataError(
                f"{where}: draws of {name} {got}; want {1 / HUGE:.0e} to {HUGE:.0e}: give it in another unit"
            )


def _marginal_bound(stats: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The ELBO with local variables summed out, the mean of log p - log q, and its standard error, in nats."""
    if not {"log_p", "log_q"} <= set(stats):
        return {}
    log_ratio = np.asarray(stats["log_p"]) - np.asarray(stats["log_q"])
    if not np.isfinite(log_ratio).all():  # no bound, or one without an error
        return {}
    bound = float(log_ratio.mean())
    found = {"elbo": bound, "elbo_marginal": bound}
    if log_ratio.size > 1:
        found["elbo_marginal_se"] = float(log_ratio.std(ddof=1) / np.sqrt(log_ratio.size))
    return found


def _posterior(tree: DataTree, where: str = "the posterior") -> Dataset:
    if "posterior" not in tree.children:
        raise DataError(f"{where} has no group 'posterior'; it has {', '.join(tree.children) or 'none'}")
    group = tree["posterior"].to_dataset()
    if not set(SAMPLE) <= set(group.dims):
        raise DataError(
            f"{where}: the group 'posterior' has dims {', '.join(map(str, group.dims))}; want chain and draw"
        )
    return group


def _distinct(values: DataArray):
    own = [d for d in values.dims if d not in SAMPLE]
    array = values.values
    square = len(own) >= 2 and array.shape[-1] == array.shape[-2] > 1
    if square and np.allclose(array, np.swapaxes(array, -1, -2), rtol=1e-5, atol=0, equal_nan=True):
        return lambda index: index[-2] >= index[-1]
    return lambda index: True
