"""Judge one posterior by another, both made elsewhere: two ArviZ posteriors of the same parameters."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from xarray import Dataset, DataTree

from vi_vs_mcmc import labels, posterior, record
from vi_vs_mcmc.against import Measured, constant, look
from vi_vs_mcmc.counterparts import in_terms_of, pairs
from vi_vs_mcmc.deeper import deepened
from vi_vs_mcmc.errors import DataError, SettingError, real
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.names import called, file_name
from vi_vs_mcmc.record import Comparison
from vi_vs_mcmc.verdict import Tolerance


def check(
    vi: DataTree | str | Path,
    mcmc: DataTree | str | Path,
    *,
    sites: str | Iterable[str] | None = None,
    rename: Mapping[str, str] | None = None,
    tolerance: float | Tolerance = 0.1,
    exchangeable: str | None = None,
    command: str | None = None,
) -> Comparison:
    """Judge a VI posterior by MCMC draws, whatever their numbers of draws; what two files cannot tell is left out.

    Dimensions may be called as they like. Labels that both posteriors have are matched; else positions count.

    Args:
        vi: an ArviZ DataTree with a `posterior` group (chain, draw, ...), a netCDF file of one, or Stan's csv files: one, a
            folder of them or a pattern such as `run-*.csv`, a chain in each.
        mcmc: likewise, the reference.
        sites: what is compared, by the reference's names; by default all that both have.
        rename: names in `vi` to names in `mcmc`, where they differ.
        tolerance: the share of an sd that does not matter, or a `Tolerance`.
        exchangeable: the dimension whose labels the posterior cannot tell apart, if there is one.
        command: the command line that does this again, for the record.

    Raises:
        DataError: a file that cannot be read, no parameter in common, shapes that differ, draws that are not finite.
        SettingError: a name in `sites` or `rename` that is not there; `exchangeable` is not a dimension of any parameter.
    """
    began = time.perf_counter()
    tolerance = tolerance if isinstance(tolerance, Tolerance) else Tolerance(sd=real("tolerance", tolerance))
    trees = {"vi": posterior.read(vi, "vi"), "mcmc": posterior.read(mcmc, "mcmc")}
    names = _names(vi, mcmc, trees)
    own, draws = (_draws(tree, name) for tree, name in zip(trees.values(), names, strict=True))
    found = pairs(own, draws, names, rename=rename, sites=sites)
    compared = tuple(found)
    approximate, reference = in_terms_of(draws, trees["vi"], found), _only(trees["mcmc"], compared)
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
        posterior.usable(posterior.scalars(tree, compared), name)
    if constant(posterior.scalars(reference, compared).values).all():
        raise DataError(f"every parameter is constant in {names[1]}: there is no spread to compare with")
    for tree, name in ((approximate, names[0]), (reference, names[1])):
        _apart(posterior.scalars(tree, compared).values, name)
    measured = Measured(approximate, marginals(approximate, compared, reference))
    seen = look(names[1], reference, {names[0]: measured}, compared, tolerance, moved=moved)
    seen = deepened(seen, {names[0]: measured}, compared)
    return record.comparison(
        seen,
        {names[1]: reference, names[0]: approximate},
        tolerance,
        kind="check",
        sites=compared,
        exchangeable=exchangeable,
        settings={"renamed": ", ".join(f"{a} to {b}" for a, b in rename.items())} if rename else {},
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
        return called(source) if isinstance(source, str | Path) else default

    first, second = name(vi, trees["vi"], "vi"), name(mcmc, trees["mcmc"], "mcmc")
    apart = file_name(first) != file_name(second)
    return (first, second) if apart else (f"{first} (vi)", f"{second} (mcmc)")


def _draws(tree: DataTree, name: str) -> Dataset:
    found = tree["posterior"].to_dataset() if "posterior" in tree.children else None
    if found is None or not {"chain", "draw"} <= set(found.dims):
        raise DataError(f"{name}: want a group 'posterior' with dims chain and draw")
    if found.sizes["chain"] < 1 or found.sizes["draw"] < posterior.FEWEST:
        got = f"{found.sizes['chain']} chains of {found.sizes['draw']} draws"
        raise DataError(f"{name} has {got}; want {posterior.FEWEST} draws or more in each chain")
    return found


def _apart(draws: np.ndarray, name: str) -> None:
    """Refuse a chain that is there twice, (chain, draw, parameter): R-hat, ESS and Monte Carlo errors would count it as two.

    A point estimate is the same in every draw, and may be.
    """
    if (np.ptp(draws, axis=(0, 1)) == 0).all():
        return
    seen: dict[bytes, int] = {}
    for chain, of in enumerate(draws):
        if (first := seen.setdefault(of.tobytes(), chain)) != chain:
            raise DataError(f"{name}: chains {first} and {chain} are the same draws; want each chain once")


def _only(tree: DataTree, sites: tuple[str, ...]) -> DataTree:
    out = tree.copy()
    group = out["posterior"].to_dataset()[list(sites)].astype(float)
    out["posterior"] = DataTree(group.transpose("chain", "draw", ...))
    return out
