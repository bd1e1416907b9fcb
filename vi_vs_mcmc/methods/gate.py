"""What a method gives, checked before anything is made of it: methods come from anyone's file.

A method of this package is held to the same shapes and to finite draws. Its draws lie in the support by construction, so
the support is asked of other methods only: for a matrix it costs an eigenvalue problem for each draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from xarray import DataArray, Dataset, DataTree

from vi_vs_mcmc.errors import DataError, NumericalError, PeerError, SettingError
from vi_vs_mcmc.posterior import SAMPLE, dataset
from vi_vs_mcmc.problem import Problem, Site

OWN = "vi_vs_mcmc"
LONGEST = 100  # bytes of a name, of which a file's name is made
STATUS = ("ok", "converged", "not converged")
NUMBERS = (
    *("elbo", "elbo_marginal", "elbo_marginal_se", "log_evidence", "wall_seconds", "khat", "khat_threshold"),
    *("point_estimate", "restarts", "restarts_agreeing", "passes", "max_tree_depth"),
)
KINDS = {"c": "complex", "b": "booleans", "O": "objects", "U": "text", "S": "text", "T": "text", "M": "dates"}
GUIDE = "see docs/extend.md"


def own(method: Any) -> bool:
    """Whether the method is one of this package."""
    return type(method).__module__.partition(".")[0] == OWN


def said(error: BaseException) -> str:
    """An exception's type and the first line of its text."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def named(method: Any, where: str) -> str:
    """The method's name.

    Raises:
        SettingError: it has none, or one that no file can have.
    """
    try:
        name = method.name
    except Exception as error:  # a property of someone else's
        raise SettingError(f"method {where} has no name: {said(error)}; {GUIDE}") from error
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name.encode()) > LONGEST:
        got = (
            f"{name[:20]!r}..., {len(name)} characters"
            if isinstance(name, str) and len(name) > LONGEST
            else f"{name!r}"
        )
        raise SettingError(f"the name of method {where} is {got}; want a text of 1 to {LONGEST} characters; {GUIDE}")
    return name


@contextmanager
def speaking(problem: Problem, method: Any) -> Iterator[None]:
    """Whatever goes wrong inside names the method, or the program where it is the program's fault.

    Raises:
        NumericalError: the method's own, with its name.
        SettingError: an exception of a method that is not of this package, or a program that cannot be compiled.
    """
    try:
        yield
    except (NumericalError, SettingError) as error:
        told = method.name.lower() in str(error).lower() or (own(method) and isinstance(error, SettingError))
        if told:
            raise
        raise type(error)(f"method {method.name}: {error}") from error
    except (DataError, PeerError):
        raise
    except jax.errors.JAXTypeError as error:  # Python looked at a value that is not known while compiling
        if not own(method):
            raise SettingError(f"method {method.name}: {said(error)}") from error
        raise SettingError(f"program {problem.name!r}: {said(error)}") from error
    except (Exception, SystemExit) as error:
        if own(method):
            raise
        raise SettingError(f"method {method.name}: {said(error)}") from error


def accepted(problem: Problem, method: Any, tree: Any, *, chains: int, draws: int) -> DataTree:
    """The method's posterior, with dimensions in order and no site that the program lacks.

    Raises:
        SettingError: no posterior, a site that is missing, draws that are no numbers or of another shape; statistics of
            another shape, or attributes that are no numbers where numbers are wanted.
        NumericalError: draws that are not finite, or outside the support.
        DataError: a deterministic site that the program makes infinite or no number.
    """
    name = method.name
    group = tree["posterior"].to_dataset() if isinstance(tree, DataTree) and "posterior" in tree.children else Dataset()
    wanted = {"chain": chains, "draw": draws}
    for site in problem.compared:
        if site not in group or {d: group[site].sizes.get(d) for d in SAMPLE} != wanted:
            got = f"dims {dict(group[site].sizes)}" if site in group else "none"
            raise SettingError(f"method {name} gave {got} for site {site}; want draws of it, with {wanted}; {GUIDE}")
    values = {s: _numbers(problem, method, problem.all_sites[s], group[s]) for s in _known(problem, group)}
    for site in problem.compared:
        _finite(problem, method, problem.all_sites[site], values[site])
    _statistics(method, tree, (chains, draws))
    _moments(problem, method, tree)
    if not own(method):
        _attributes(name, tree.attrs)
    if all(_as_wanted(problem, group, site, values[site]) for site in values) and len(values) == len(group.data_vars):
        return tree
    out = tree.copy()
    out["posterior"] = DataTree(dataset(problem, values))
    return out


def _known(problem: Problem, group: Dataset) -> list[str]:
    """The sites of the draws that the program has; others are dropped."""
    return [str(s) for s in group.data_vars if s in problem.all_sites and set(SAMPLE) <= set(group[s].dims)]


def _as_wanted(problem: Problem, group: Dataset, site: str, values: np.ndarray) -> bool:
    dims = (*SAMPLE, *problem.site_dims(site))
    return group[site].dims == dims and group[site].dtype == values.dtype


def _numbers(problem: Problem, method: Any, site: Site, draws: DataArray) -> np.ndarray:
    """Draws (chain, draw, *event), real."""
    values = draws.transpose(*SAMPLE, ...).to_numpy()
    if values.shape[2:] != site.shape:
        raise SettingError(
            f"method {method.name}: draws of {site.name} have shape {values.shape[2:]}; the site has {site.shape}; {GUIDE}"
        )
    if values.dtype.kind == "b" and site.support is None:
        return values.astype(np.int64)  # an indicator that the program computes
    if values.dtype.kind not in "iuf":
        kind = KINDS.get(values.dtype.kind, str(values.dtype))
        raise SettingError(f"method {method.name}: draws of {site.name} are {kind}; want real numbers; {GUIDE}")
    return values


def _finite(problem: Problem, method: Any, site: Site, values: np.ndarray) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        many = int(bad.any(axis=tuple(range(2, bad.ndim))).sum())
        share = f"{many} of {values.shape[0] * values.shape[1]}"
        if site.support is None:
            raise DataError(
                f"site {site.name} of the program is not finite in {share} draws of {method.name}; leave it out of the sites"
            )
        raise NumericalError(f"method {method.name}: draws of {site.name} are not finite, {share}")
    if own(method) or site.support is None or site.computed_support:
        return
    inside = np.asarray(site.support(values))
    if not inside.all():
        many = int((~inside).any(axis=tuple(range(2, inside.ndim))).sum())
        raise NumericalError(
            f"method {method.name}: {many} of {values.shape[0] * values.shape[1]} draws of {site.name} are outside its "
            f"support, {site.support}"
        )


def _statistics(method: Any, tree: DataTree, shape: tuple[int, int]) -> None:
    if "sample_stats" not in tree.children:
        return
    stats = tree["sample_stats"].to_dataset()
    for name in {"log_p", "log_q"} & set(stats.data_vars):
        found = stats[name]
        if found.dims != SAMPLE or found.shape != shape or found.dtype.kind not in "iuf":
            got = f"{found.dtype} with dims {dict(found.sizes)}"
            raise SettingError(
                f"method {method.name}: {name} is {got}; want a number for each draw, (chain, draw) = {shape}; {GUIDE}"
            )
        values = found.to_numpy()
        if not own(method) and not (np.isfinite(values) | ((name == "log_p") & (values == -np.inf))).all():
            raise NumericalError(f"method {method.name}: {name} is not a finite number in some draws")


def _moments(problem: Problem, method: Any, tree: DataTree) -> None:
    """Means and sds in closed form; an entry that is not finite means that there is none."""
    group = tree["variational"].to_dataset() if "variational" in tree.children else Dataset()
    for site in problem.compared:
        for name in (f"mean_{site}", f"sd_{site}"):
            if name not in group:
                continue
            found, shape = group[name], problem.all_sites[site].shape
            if found.shape != shape or found.dtype.kind not in "iuf":
                got = f"{found.dtype} of shape {found.shape}"
                raise SettingError(f"method {method.name}: {name} is {got}; the site has shape {shape}; {GUIDE}")
            if name.startswith("sd_") and (found.to_numpy() < 0).any():
                raise NumericalError(f"method {method.name}: {name} is negative; want an sd, 0 or more")


def _attributes(name: str, attrs: Any) -> None:
    for key, value in attrs.items():
        array = np.asarray(value)
        number = array.ndim == 0 and array.dtype.kind in "biuf"
        if key in NUMBERS and not (number and np.isfinite(array)):
            raise SettingError(f"method {name}: attribute {key} is {value!r}; want a finite number; {GUIDE}")
        if array.dtype.kind not in "biufUS":
            kind = type(value).__name__
            raise SettingError(f"method {name}: attribute {key} is of type {kind}; want a number or a text; {GUIDE}")
    if "status" in attrs and attrs["status"] not in STATUS:
        raise SettingError(f"method {name}: status is {attrs['status']!r}; want one of {', '.join(STATUS)}; {GUIDE}")
