"""Methods by name: `cavi`, `nuts`, `svi:AutoNormal`; a settings object stands for itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from jax import Array
from xarray import DataTree

from vi_vs_mcmc.errors import SettingError, unknown
from vi_vs_mcmc.methods.autoguide import guides
from vi_vs_mcmc.methods.cavi import CAVI
from vi_vs_mcmc.methods.em import EM
from vi_vs_mcmc.methods.exact import Exact
from vi_vs_mcmc.methods.gibbs import Gibbs
from vi_vs_mcmc.methods.lrvb import LRVB
from vi_vs_mcmc.methods.nuts import NUTS
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


PLAIN = {"cavi": CAVI, "em": EM, "exact": Exact, "gibbs": Gibbs, "lrvb": LRVB, "nuts": NUTS}


def known() -> list[str]:
    """Every method's name."""
    return [*PLAIN, *(f"svi:{guide}" for guide in guides())]


def resolve(method: str | Method) -> Method:
    """A settings object from a name, or the object itself.

    Raises:
        SettingError: no such method; the closest name is suggested.
    """
    if isinstance(method, Method) and not isinstance(method, str | type):
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
    raise unknown("method", method, known())


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
    if (suits := getattr(method, "suits", None)) is not None:
        suits(problem)


def defaults(problem: Problem) -> list[str]:
    """What applies cheaply: closed form where there is one, and the mean-field guide that everybody uses."""
    if problem.conjugate is not None:
        return ["cavi", "lrvb", "svi:AutoNormal"]
    return ["svi:AutoNormal", "svi:AutoMultivariateNormal"]


def with_restarts(method: str, restarts: int) -> Method:
    """A method by name, with as many restarts of coordinate ascent as asked for where it makes any."""
    found = resolve(method)
    return replace(found, restarts=restarts) if isinstance(found, CAVI | EM | Gibbs | LRVB | NUTS | SVI) else found
