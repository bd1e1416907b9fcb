"""The parameters of one posterior as those of another: the same names, dimensions and order of labels.

Two tools name dimensions as they like, and may list one dimension's labels in different orders. Labels that are the same in
both are matched; where one tool has labels and the other numbers, or none, the position counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from xarray import DataArray, Dataset, DataTree

from vi_vs_mcmc.errors import DataError, SettingError, unknown
from vi_vs_mcmc.posterior import SAMPLE

MOMENTS = ("mean", "sd")  # in closed form, in the group `variational`, as mean_SITE and sd_SITE


def pairs(
    vi: Dataset,
    mcmc: Dataset,
    called: tuple[str, str],
    *,
    rename: Mapping[str, str] | None = None,
    sites: str | Iterable[str] | None = None,
) -> dict[str, str]:
    """What each compared parameter of the MCMC posterior is called in the VI posterior, in the order that is asked for.

    Args:
        vi: draws, with dims chain and draw.
        mcmc: likewise; its order of parameters is kept where `sites` gives none.
        called: what the two posteriors are called, for messages.
        rename: names in the VI posterior to names in the MCMC one, where they differ.
        sites: what is compared, by the MCMC posterior's names; by default all that both have.

    Raises:
        SettingError: a name that is not there, or that two parameters would get.
        DataError: nothing in common, or two shapes of one parameter.
    """
    rename = rename or {}
    own = [[str(n) for n in data.data_vars if _is_parameter(data[n])] for data in (vi, mcmc)]
    for theirs, ours in rename.items():
        for name, known, posterior in ((theirs, own[0], called[0]), (ours, own[1], called[1])):
            if name not in known:
                raise unknown(f"parameter of {posterior}", name, known)
    if len(set(rename.values())) < len(rename):
        raise SettingError(f"rename gives two parameters of {called[0]} one name: {dict(rename)}; want one each")
    names = {n: n for n in own[0] if n not in rename} | {ours: theirs for theirs, ours in rename.items()}
    found = {n: names[n] for n in own[1] if n in names}
    if not found:
        has = "; ".join(f"{name} has {', '.join(of) or 'none'}" for name, of in zip(called, own, strict=True))
        raise DataError(f"no parameter in common (real numbers with dims chain and draw): {has}")
    if sites is not None:
        chosen = [sites] if isinstance(sites, str) else list(sites)
        if twice := [site for site in chosen if chosen.count(site) > 1]:
            raise SettingError(f"{twice[0]!r} is named twice in sites")
        found = _chosen(chosen, found, called)
    for site, name in found.items():
        shapes = [_shape(vi[name]), _shape(mcmc[site])]
        if shapes[0] != shapes[1]:
            raise DataError(
                f"{site} has shape {shapes[0]} in {called[0]} and {shapes[1]} in {called[1]}; want the same"
            )
    return found


def in_terms_of(mcmc: Dataset, tree: DataTree, names: Mapping[str, str]) -> DataTree:
    """The VI posterior with the MCMC posterior's names, dimensions and order of labels; closed-form moments alike.

    Args:
        mcmc: draws of the MCMC posterior.
        tree: the VI posterior.
        names: as `pairs` gives them.

    Raises:
        DataError: some labels of a dimension are those of the other posterior, and some are not.
    """
    out, own = tree.copy(), tree["posterior"].to_dataset()
    lead = {d: own.coords[d] for d in SAMPLE if d in own.coords}
    draws = {site: _placed(own[name].astype(float), mcmc[site]) for site, name in names.items()}
    out["posterior"] = DataTree(Dataset(draws, lead))
    if "variational" in tree.children:
        out["variational"] = DataTree(_moments(tree["variational"].to_dataset(), mcmc, names))
    return out


def _moments(group: Dataset, mcmc: Dataset, names: Mapping[str, str]) -> Dataset:
    """The group with each moment in its place; others that lie along the same dimensions are left out."""
    at = {f"{m}_{site}": (f"{m}_{name}", site) for m in MOMENTS for site, name in names.items()}
    found = {new: _placed(group[old], mcmc[site]) for new, (old, site) in at.items() if old in group}
    taken = {d for values in found.values() for d in values.dims}
    return group.drop_vars([at[new][0] for new in found]).drop_dims(taken, errors="ignore").assign(found)


def _chosen(sites: Sequence[str], found: Mapping[str, str], called: tuple[str, str]) -> dict[str, str]:
    if not sites:
        raise SettingError("sites is empty; want the name of a parameter, or leave it out")
    for site in sites:
        if site not in found:
            raise unknown(f"parameter of both {called[0]} and {called[1]}", site, found)
    return {site: found[site] for site in sites}


def _is_parameter(values: DataArray) -> bool:
    return values.dtype.kind in "biuf" and set(SAMPLE) <= set(values.dims) and values.size > 0


def _own(values: DataArray) -> list[str]:
    return [str(d) for d in values.dims if d not in SAMPLE]


def _shape(values: DataArray) -> tuple[int, ...]:
    return tuple(values.sizes[d] for d in _own(values))


def _placed(values: DataArray, like: DataArray) -> DataArray:
    """Values with the dims and coordinates of another array; a closed-form moment has no dims chain and draw."""
    lead = [d for d in SAMPLE if d in values.dims]
    placed = values.transpose(*lead, ...).values
    for axis, dims in enumerate(zip(_own(values), _own(like), strict=True), len(lead)):
        order = _order(values, like, dims)
        placed = placed if order is None else np.take(placed, order, axis)
    coords = {d: like.coords[d].values for d in _own(like) if d in like.coords}
    return DataArray(placed, dims=(*lead, *_own(like)), coords=coords)


def _order(values: DataArray, like: DataArray, dims: tuple[str, str]) -> list[int] | None:
    """Where each label of the other array stands in this one; None where positions count."""
    if dims[0] not in values.coords or dims[1] not in like.coords:
        return None
    own, wanted = values.coords[dims[0]].values.tolist(), like.coords[dims[1]].values.tolist()
    if own == wanted or len(set(own)) < len(own):
        return None
    if set(own) == set(wanted):
        return [own.index(label) for label in wanted]
    if any(isinstance(label, str) for label in set(own) & set(wanted)):
        listed = " and ".join(", ".join(map(str, labels[:6])) for labels in (own, wanted))
        raise DataError(f"{values.name} has labels {listed} along {dims[1]}; want the same in both, in any order")
    return None
