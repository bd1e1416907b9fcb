"""Judge one posterior by another, both made elsewhere: two ArviZ posteriors of the same parameters."""

from __future__ import annotations

import time
from pathlib import Path

from xarray import DataArray, Dataset, DataTree

from vi_vs_mcmc import labels, posterior, record
from vi_vs_mcmc.against import Measured, constant, look
from vi_vs_mcmc.deeper import deepened
from vi_vs_mcmc.errors import DataError, SettingError, real
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.names import file_name
from vi_vs_mcmc.record import Comparison
from vi_vs_mcmc.verdict import Tolerance


def check(
    vi: DataTree | str | Path,
    mcmc: DataTree | str | Path,
    *,
    tolerance: float | Tolerance = 0.1,
    exchangeable: str | None = None,
    command: str | None = None,
) -> Comparison:
    """Judge a VI posterior by MCMC draws, whatever their numbers of draws; what two files cannot tell is left out.

    Args:
        vi: an ArviZ DataTree with a `posterior` group (chain, draw, ...), or a netCDF file of one.
        mcmc: likewise, the reference.
        tolerance: the share of an sd that does not matter, or a `Tolerance`.
        exchangeable: the dimension whose labels the posterior cannot tell apart, if there is one.
        command: the command line that does this again, for the record.

    Raises:
        DataError: a file that cannot be read, no parameter in common, shapes that differ, draws that are not finite.
        SettingError: `exchangeable` is not a dimension of any parameter.
    """
    began = time.perf_counter()
    tolerance = tolerance if isinstance(tolerance, Tolerance) else Tolerance(sd=real("tolerance", tolerance))
    trees = {"vi": posterior.read(vi, "vi"), "mcmc": posterior.read(mcmc, "mcmc")}
    names = _names(vi, mcmc, trees)
    sites = _common(trees["vi"], trees["mcmc"], names)
    approximate, reference = (_only(trees[side], sites) for side in ("vi", "mcmc"))
    moved = None
    if exchangeable is not None:
        if exchangeable in posterior.SAMPLE:
            raise SettingError(
                f"exchangeable is {exchangeable!r}; want a dimension of the parameters, such as component"
            )
        pivot = labels.settle(reference, exchangeable)
        reference, moved = labels.align(reference, exchangeable, pivot)
        approximate = labels.align(approximate, exchangeable, pivot)[0]
    for tree, name in ((approximate, names[0]), (reference, names[1])):
        posterior.usable(posterior.scalars(tree, sites), name)
    if constant(posterior.scalars(reference, sites).values).all():
        raise DataError(f"every parameter is constant in {names[1]}: there is no spread to compare with")
    measured = Measured(approximate, marginals(approximate, sites, reference))
    found = look(names[1], reference, {names[0]: measured}, sites, tolerance, moved=moved)
    found = deepened(found, {names[0]: measured}, sites)
    return record.comparison(
        found,
        {names[1]: reference, names[0]: approximate},
        tolerance,
        kind="check",
        sites=sites,
        exchangeable=exchangeable,
        command=command,
        wall_seconds=time.perf_counter() - began,
    )


def _names(vi, mcmc, trees) -> tuple[str, str]:
    """What the two are called: by the method they were made with, else their file names, else `vi` and `mcmc`.

    Names of which one file would be made are told apart.
    """

    def name(source, tree: DataTree, default: str) -> str:
        if "method" in tree.attrs:
            return str(tree.attrs["method"])
        return Path(source).stem if isinstance(source, str | Path) else default

    first, second = name(vi, trees["vi"], "vi"), name(mcmc, trees["mcmc"], "mcmc")
    apart = file_name(first) != file_name(second)
    return (first, second) if apart else (f"{first} (vi)", f"{second} (mcmc)")


def _common(vi: DataTree, mcmc: DataTree, names: tuple[str, str]) -> tuple[str, ...]:
    """Parameters that both have, in the reference's order.

    Raises:
        DataError: there is none, or one has two shapes.
    """
    a, b = (_draws(tree, name) for tree, name in zip((vi, mcmc), names, strict=True))
    own = [[str(n) for n in data.data_vars if _is_parameter(data[n])] for data in (a, b)]
    sites = tuple(n for n in own[1] if n in own[0])
    if not sites:
        has = [f"{name} has {', '.join(of) or 'none'}" for name, of in zip(names, own, strict=True)]
        raise DataError(f"no parameter in common (real numbers with dims chain and draw): {'; '.join(has)}")
    for site in sites:
        own = [tuple(s for d, s in data[site].sizes.items() if d not in posterior.SAMPLE) for data in (a, b)]
        if own[0] != own[1]:
            raise DataError(f"{site} has shape {own[0]} in {names[0]} and {own[1]} in {names[1]}; want the same")
    return sites


def _is_parameter(values: DataArray) -> bool:
    return values.dtype.kind in "biuf" and set(posterior.SAMPLE) <= set(values.dims) and values.size > 0


def _draws(tree: DataTree, name: str) -> Dataset:
    found = tree["posterior"].to_dataset() if "posterior" in tree.children else None
    if found is None or not {"chain", "draw"} <= set(found.dims):
        raise DataError(f"{name}: want a group 'posterior' with dims chain and draw")
    if found.sizes["chain"] < 1 or found.sizes["draw"] < posterior.FEWEST:
        got = f"{found.sizes['chain']} chains of {found.sizes['draw']} draws"
        raise DataError(f"{name} has {got}; want {posterior.FEWEST} draws or more in each chain")
    return found


def _only(tree: DataTree, sites: tuple[str, ...]) -> DataTree:
    out = tree.copy()
    group = out["posterior"].to_dataset()[list(sites)].astype(float)
    out["posterior"] = DataTree(group.transpose("chain", "draw", ...))
    return out
