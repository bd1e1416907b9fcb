"""Every scalar of a posterior by its name in the table: `means[0, 1]`, `theta[Choate]`, `mu`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray


def stack(posterior: xr.DataTree, names: Sequence[str]) -> tuple[NDArray[np.float64], list[bool]]:
    """The draws of the named scalars, shape (chain, draw, name), and which of them the posterior has.

    A scalar the posterior lacks is NaN throughout.
    """
    dataset = posterior["posterior"].to_dataset()
    where = locations(dataset)
    shape = (dataset.sizes["chain"], dataset.sizes["draw"], len(names))
    out = np.full(shape, np.nan)
    sites: dict[str, NDArray[np.float64]] = {}
    for j, name in enumerate(names):
        if name not in where:
            continue
        site, index = where[name]
        if site not in sites:
            sites[site] = dataset[site].transpose("chain", "draw", ...).to_numpy()
        out[:, :, j] = sites[site][(slice(None), slice(None), *index)]
    return out, [name in where for name in names]


def locations(dataset: xr.Dataset) -> dict[str, tuple[str, tuple[int, ...]]]:
    """For each scalar's name its variable and its index there (after chain and draw)."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for site, variable in dataset.data_vars.items():
        if not {"chain", "draw"} <= set(variable.dims) or not np.issubdtype(variable.dtype, np.number):
            continue
        dims = [d for d in variable.dims if d not in ("chain", "draw")]
        labels = [_labels(variable, d) for d in dims]
        for index in np.ndindex(*(variable.sizes[d] for d in dims)):
            inside = ", ".join(axis[i] for axis, i in zip(labels, index, strict=True))
            found[f"{site}[{inside}]" if dims else str(site)] = (str(site), index)
    return found


def _labels(variable: xr.DataArray, dim: object) -> list[str]:
    if dim in variable.coords:
        return [str(v) for v in variable.coords[dim].to_numpy().tolist()]
    return [str(i) for i in range(variable.sizes[dim])]
