"""Methods by name: `cavi`, `nuts`, `svi:AutoNormal`; by entry point; in a file, as `mine.py:Method`; or as a settings object.

Another distribution adds methods through the entry-point group `vi_vs_mcmc.methods`: each entry is the name that is typed, and a
class of settings (or a function that makes one) that can be called without arguments.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
from jax import Array
from xarray import DataTree

from vi_vs_mcmc.errors import DataError, NumericalError, SettingError, unknown
from vi_vs_mcmc.in_file import FILE, imported, one_of
from vi_vs_mcmc.methods import gate
from vi_vs_mcmc.methods.autoguide import guides
from vi_vs_mcmc.methods.cavi import CAVI
from vi_vs_mcmc.methods.dadvi import DADVI
from vi_vs_mcmc.methods.em import EM
from vi_vs_mcmc.methods.exact import Exact
from vi_vs_mcmc.methods.gibbs import Gibbs
from vi_vs_mcmc.methods.laplace import Laplace
from vi_vs_mcmc.methods.lrvb import LRVB
from vi_vs_mcmc.methods.nuts import NUTS
from vi_vs_mcmc.methods.pathfinder import Pathfinder
from vi_vs_mcmc.methods.svi import SVI
from vi_vs_mcmc.problem import Problem


@runtime_checkable
class Method(Protocol):
    """Frozen settings that fit a problem; one that does not suit every problem says so in `suits(problem)`."""

    @property
    def name(self) -> str:
        """How the method is called in tables and file names."""
        ...

    def fit(self, problem: Problem, key: Array, *, chains: int, draws: int, progress: Any = None) -> DataTree:
        """Fit, and draw."""
        ...


GROUP = "vi_vs_mcmc.methods"
PLAIN = {
    "cavi": CAVI,
    "dadvi": DADVI,
    "dadvi-lr": partial(DADVI, corrected=True),
    "em": EM,
    "exact": Exact,
    "gibbs": Gibbs,
    "laplace": Laplace,
    "lrvb": LRVB,
    "nuts": NUTS,
    "pathfinder": Pathfinder,
}


def known() -> list[str]:
    """Every method's name."""
    return [*PLAIN, *(f"svi:{guide}" for guide in guides()), *_added()]


def resolve(method: str | Method) -> Method:
    """A settings object from a name, or the object itself.

    Raises:
        SettingError: no such method, and the closest name is suggested; or an entry point or a file that gives none.
    """
    if isinstance(method, Method) and not isinstance(method, str | type):
        gate.named(method, type(method).__name__)
        return method
    if not isinstance(method, str):
        raise SettingError(f"a method is a name or a settings object such as CAVI(); got {method!r}")
    if method in PLAIN:
        return PLAIN[method]()
    family, _, guide = method.partition(":")
    if family == "svi" and guide in guides():
        return SVI(guide=guide)
    if method == "svi":
        raise SettingError("svi wants a guide: svi:AutoNormal (mean field) or svi:AutoMultivariateNormal, for instance")
    if in_file := FILE.fullmatch(method):
        path = Path(in_file["path"])
        # A function only where it is named: it may be anything.
        wanted = _is_method if in_file["name"] is None else _makes
        return _made(one_of(imported(path), path, in_file["name"], wanted), method)
    if (entry := _added().get(method)) is not None:
        return _made(_loaded(entry), method)
    raise unknown("method", method, known())


def _added() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _is_method(value: Any) -> bool:
    return isinstance(value, type) and callable(getattr(value, "fit", None))


def _makes(value: Any) -> bool:
    return _is_method(value) or inspect.isfunction(value)


def _loaded(entry: EntryPoint) -> Any:
    """What an entry point leads to.

    Raises:
        SettingError: its module is missing or fails, or lacks the name.
    """
    try:
        return entry.load()
    except Exception as error:
        raise SettingError(f"method {entry.name} cannot be loaded from {entry.value}: {gate.said(error)}") from error


def _made(make: Any, where: str) -> Method:
    """A method from its class, or from a function that makes one.

    Raises:
        SettingError: it cannot be called without arguments, or what comes is no method.
    """
    try:
        found = make()
    except (SettingError, DataError, NumericalError):
        raise
    except TypeError as error:
        raise SettingError(f"method {where}: {error}; want a class whose settings all have defaults") from error
    except Exception as error:
        raise SettingError(f"method {where}: {gate.said(error)}") from error
    if not isinstance(found, Method) or isinstance(found, type):
        raise SettingError(f"method {where} is a {type(found).__name__} without a name and a fit; see docs/extend.md")
    gate.named(found, where)
    return found


def resolved(methods: Any) -> list[Method]:
    """Settings objects from a list of names or objects.

    Raises:
        SettingError: no list, or no such method.
    """
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise SettingError(f"methods is {methods!r}; want a list of names or settings, such as ['cavi', SVI()]")
    return [resolve(method) for method in methods]


def refuse(problem: Problem, method: Method) -> None:
    """A SettingError where the method says that it does not suit the problem."""
    if problem.source is not None and not getattr(method, "streams", False):
        raise SettingError(
            f"{method.name} needs every row in memory, and these are streamed; use cavi, or load a sample of the rows"
        )
    if (suits := getattr(method, "suits", None)) is None:
        return
    with gate.speaking(problem, method):
        if suits(problem) is False:
            raise SettingError(f"method {method.name} does not suit {problem.name!r}, as its suits(problem) says")


def fitted(problem: Problem, method: Method, seed: int, *, chains: int, draws: int, progress: Any = None) -> DataTree:
    """What a method gives, with its seed, and the seconds it took where it does not say.

    Raises:
        SettingError: a method of someone else's fails, or gives no posterior of these draws.
        NumericalError: draws that are not finite or outside the support, or the method's own; it names the method.
    """
    seconds = problem.memory.clock()
    with gate.speaking(problem, method):
        tree: Any = method.fit(problem, jax.random.key(seed), chains=chains, draws=draws, progress=progress)
    took = seconds()
    tree = gate.accepted(problem, method, tree, chains=chains, draws=draws)
    tree.attrs |= {"method": method.name, "seed": seed}
    tree.attrs.setdefault("wall_seconds", took)
    return tree


def defaults(problem: Problem) -> list[str]:
    """What applies cheaply: closed form where there is one, and the mean-field guide that everybody uses."""
    if problem.conjugate is not None:
        return ["cavi", "lrvb", "svi:AutoNormal"]
    return ["svi:AutoNormal", "svi:AutoMultivariateNormal", "laplace"]


def with_restarts(method: str, restarts: int | None) -> Method:
    """A method by name, with as many restarts of coordinate ascent as asked for where it makes any; None: its own."""
    found: Any = resolve(method)
    makes_any = "restarts" in getattr(found, "__dataclass_fields__", {})
    if restarts is None or not makes_any:
        return found
    try:
        return dataclasses.replace(found, restarts=restarts)
    except (SettingError, DataError):
        raise
    except Exception as error:
        raise SettingError(f"method {found.name} with restarts={restarts}: {gate.said(error)}") from error
