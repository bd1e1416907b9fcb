"""A problem: a NumPyro program bound to its data, and what is known of its posterior."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np
import numpyro
from jax.core import Tracer
from numpyro.infer.initialization import init_to_feasible

from vi_vs_mcmc.call import Call, taken_apart
from vi_vs_mcmc.conjugate import Conjugate
from vi_vs_mcmc.data import Table
from vi_vs_mcmc.errors import DataError, NumericalError, SettingError
from vi_vs_mcmc.memory import Memory
from vi_vs_mcmc.precision import in_float64

_NO_NUMBERS = {"O": "Python objects", "U": "text", "S": "text", "T": "text", "M": "dates", "m": "durations"}


@dataclass(frozen=True)
class Site:
    """One sample or deterministic site of a program."""

    name: str
    shape: tuple[int, ...]
    support: Any  # a NumPyro constraint; None for a deterministic site
    plates: tuple[tuple[int, str], ...]  # (axis from the right of the batch shape, name)
    event_dim: int
    computed_support: bool = False  # the support is not a constant of the program: another value may move it


@dataclass(frozen=True, eq=False)
class Problem:
    """A NumPyro program, the data it is called with, and what is known of its posterior.

    Any program becomes a problem: `Problem(program, args=(x,))`; the rest is read off the program.

    Attributes:
        program: the NumPyro model; called as `program(*args, **kwargs)`.
        args: its positional arguments; arrays are promoted to float64.
        kwargs: its keyword arguments.
        dims: dimension names of each site, without chain and draw; those left out are read off the plates.
        coords: labels along dimensions; integers where left out.
        exchangeable: the dimension whose labels the posterior cannot tell apart, or None.
        conjugate: the closed-form structure, or None.
        sites: what is compared; by default every latent site.
        name: the plugin's name, or the program's.
        settings: the settings it was made with, for the record.
        truth: values that generated the data, by site, where they are known.
        table: the data as read, where they came from a table.
        title: the name and what sets this one apart, for a heading.
        priors: the priors in words.
        known: what is known of the compared scalars, by label: objects with mean, sd and their errors, mcse_mean and mcse_sd.
        cautions: what the reader should know of these settings: (fact, what follows, remedy or None).
    """

    program: Callable[..., Any]
    args: tuple = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    coords: Mapping[str, Sequence] = field(default_factory=dict)
    exchangeable: str | None = None
    conjugate: Conjugate | None = None
    sites: tuple[str, ...] | None = None
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    truth: Mapping[str, np.ndarray] | None = None
    table: Table | None = None
    title: str = ""
    priors: str | None = None
    known: Mapping[str, Any] | None = None
    cautions: tuple[tuple[str, str, str | None], ...] = ()
    memory: Memory = field(default_factory=Memory, init=False, repr=False)  # searches that several methods share

    def __post_init__(self):
        if not callable(self.program):
            raise SettingError(f"a problem needs a NumPyro program, a function; got {type(self.program).__name__}")
        try:
            inspect.signature(self.program).bind(*self.args, **self.kwargs)
        except TypeError as error:
            raise SettingError(f"the program cannot be called with these args and kwargs: {error}") from None
        object.__setattr__(self, "args", tuple(_promoted(a, f"argument {i}") for i, a in enumerate(self.args)))
        object.__setattr__(self, "kwargs", {k: _promoted(v, k) for k, v in self.kwargs.items()})
        object.__setattr__(self, "name", self.name or getattr(self.program, "__name__", "program"))
        object.__setattr__(self, "title", self.title or self.name)

    @cached_property
    @in_float64
    def _trace(self) -> dict[str, dict]:
        """One run of the program at feasible values: an improper prior has no draws."""
        found: dict[str, dict] = {}

        def run() -> None:
            seeded = numpyro.handlers.seed(self.program, jax.random.key(0))
            feasible = numpyro.handlers.substitute(seeded, substitute_fn=_continuous(init_to_feasible))
            with numpyro.handlers.block():
                found.update(numpyro.handlers.trace(feasible).get_trace(*self.args, **self.kwargs))

        try:
            jax.eval_shape(run)  # shapes without arithmetic, hence without compiling it
            computed = {name for name, site in found.items() if _is_latent(site) and _is_traced(site["fn"].support)}
            if computed:
                run()  # a support that is computed, such as an interval whose end is an argument
        except (SettingError, DataError, NumericalError):
            raise
        except Exception as error:  # the program is the user's, and may do anything
            remedy = "; rename the site or the plate" if "unique names" in str(error) else ""
            text = str(error).strip().splitlines()
            why = str(error) if remedy else ": ".join([type(error).__name__, *text[:1]])
            raise SettingError(f"program {self.name!r}: {why}{remedy}") from error
        trace = found
        for name, site in trace.items():
            site["computed_support"] = name in computed
            if site["type"] == "plate" and site["value"] is not None and len(site["value"]) < site["args"][0]:
                raise SettingError(
                    f"program {self.name!r}: plate {name!r} takes {len(site['value'])} of {site['args'][0]} rows at a time, and "
                    "a posterior is one given all of them; leave out subsample_size"
                )
            if _is_latent(site) and site["fn"].support.is_discrete:
                raise SettingError(
                    f"site {name!r} is discrete, and NUTS and SVI move continuous sites only; sum it out of the program "
                    "(for a mixture: numpyro.distributions.MixtureSameFamily)"
                )
        if not any(_is_latent(site) for site in trace.values()):
            raise SettingError(f"program {self.name!r} has no latent site: there is no posterior to compare")
        return trace

    @cached_property
    def all_sites(self) -> dict[str, Site]:
        """Every latent and deterministic site by name.

        Raises:
            SettingError: a name that no file of draws can hold.
        """
        found = {}
        for name, site in self._trace.items():
            latent = _is_latent(site)
            if latent or site["type"] == "deterministic":
                plates = tuple((frame.dim, frame.name) for frame in site["cond_indep_stack"]) if latent else ()
                support, event_dim = (site["fn"].support, site["fn"].event_dim) if latent else (None, 0)
                shape = tuple(np.shape(site["value"]))
                found[name] = Site(name, shape, support, plates, event_dim, site["computed_support"])
        _nameable({name: self._dims(site) for name, site in found.items()})
        return found

    @cached_property
    def latent(self) -> dict[str, Site]:
        """The latent sites: what NUTS and SVI move."""
        return {name: site for name, site in self.all_sites.items() if site.support is not None}

    @property
    def source(self) -> Any:
        """Where rows that are in no memory are read from, a `streamed.Source`; None where the program holds all rows."""
        return None if self.table is None else self.table.streamed

    def structure(self, method: str, instead: str) -> Conjugate:
        """The closed-form structure, for a method that works on it.

        Raises:
            SettingError: there is none, and `instead` is what can be used.
        """
        if self.conjugate is None:
            raise SettingError(f"{method} needs a closed-form structure, and {self.name!r} has none; use {instead}")
        return self.conjugate

    @cached_property
    def compared(self) -> tuple[str, ...]:
        """Names of the compared sites."""
        chosen = tuple(self.latent if self.sites is None else self.sites)
        if missing := [s for s in chosen if s not in self.all_sites]:
            raise SettingError(f"no site {missing[0]!r} in the program; it has {', '.join(self.all_sites)}")
        if twice := [s for s in chosen if chosen.count(s) > 1]:
            raise SettingError(f"site {twice[0]!r} is named twice")
        if empty := [s for s in chosen if 0 in self.all_sites[s].shape]:
            raise SettingError(
                f"site {empty[0]!r} has shape {self.all_sites[empty[0]].shape}: there is nothing to compare"
            )
        return chosen

    def site_dims(self, name: str) -> tuple[str, ...]:
        """Dimension names of a site: those given, else its plates, else NAME_dim_i."""
        return self._dims(self.all_sites[name])

    def _dims(self, site: Site) -> tuple[str, ...]:
        if site.name in self.dims:
            return tuple(self.dims[site.name])
        names = [f"{site.name}_dim_{i}" for i in range(len(site.shape))]
        for dim, plate in site.plates:
            axis = len(site.shape) - site.event_dim + dim
            if 0 <= axis < len(names):
                names[axis] = plate
        return tuple(names)

    @cached_property
    def bound(self) -> tuple[Call, tuple[np.ndarray, ...]]:
        """The program's call as a static part and its arrays: what compiles once serves every data set of one shape."""
        return taken_apart(self.program, self.args, dict(self.kwargs))

    @property
    def supports(self) -> dict[str, Any]:
        """The support of each latent site; NumPyro's constraints are pytrees, so this may cross `jax.jit`."""
        return {name: site.support for name, site in self.latent.items()}


def _nameable(dims: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a site that netCDF would take for a group or a dimension, and a dimension that every posterior has already."""
    taken = {"chain": "of every posterior", "draw": "of every posterior"}
    for site, own in dims.items():
        if "/" in site:
            raise SettingError(
                f"site {site!r} has a slash in its name, which a netCDF file takes for a group; rename it"
            )
        if twice := next((dim for dim in own if dim in taken), None):
            raise SettingError(f"site {site!r} has a dimension {twice!r}, as every posterior has; rename the plate")
    taken |= {dim: f"of site {site!r}" for site, own in dims.items() for dim in own}
    for site in dims:
        if site in taken:
            raise SettingError(f"site {site!r} is called as a dimension {taken[site]}; rename the site")


def _is_latent(site: dict) -> bool:
    return site["type"] == "sample" and not site["is_observed"]


def _is_traced(support: Any) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(support))


def _continuous(choose: Callable[[dict], Any]) -> Callable[[dict], Any]:
    def substitute(site: dict) -> Any:
        return choose(site) if _is_latent(site) and not site["fn"].support.is_discrete else None

    return substitute


def _promoted(value: Any, where: str) -> Any:
    if not isinstance(value, np.ndarray | jax.Array):
        return value
    array = np.asarray(value)
    if array.dtype.kind in _NO_NUMBERS:
        raise DataError(f"{where} is an array of {_NO_NUMBERS[array.dtype.kind]}; want numbers")
    if array.dtype in (np.float32, np.float16):
        warnings.warn(
            f"{where} is {array.dtype}; it is promoted to float64, in which everything compared runs",
            stacklevel=4,
        )
        return array.astype(np.float64)
    return array
