"""Methods by name: `cavi`, `nuts`, `svi:AutoNormal`; a settings object stands for itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jax import Array
from xarray import DataTree

from vi_vs_mcmc.errors import SettingError, unknown
from vi_vs_mcmc.methods.autoguide import guides
from vi_vs_mcmc.methods.cavi import CAVI
from vi_vs_mcmc.methods.em import EM
from vi_vs_mcmc.methods.exact import LIMIT, Exact
from vi_vs_mcmc.methods.gibbs import Gibbs
from vi_vs_mcmc.methods.lrvb import LRVB
from vi_vs_mcmc.methods.nuts import NUTS
from vi_vs_mcmc.methods.svi import SVI
from vi_vs_mcmc.problem import Problem


@runtime_checkable
class Method(Protocol):
    """Frozen settings that fit a problem."""

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
    """A SettingError where the method does not apply to the problem, as its own `fit` would say it."""
    model = problem.conjugate
    if isinstance(method, CAVI | Gibbs | LRVB) and model is None:
        instead = {"cavi": "svi:AutoNormal", "gibbs": "nuts"}.get(method.name, "svi:AutoMultivariateNormal")
        raise SettingError(f"{method.name} needs a closed-form structure, and {problem.name!r} has none; use {instead}")
    if isinstance(method, EM) and (model is None or len(model.blocks) > 1 or not hasattr(model, "mode")):
        raise SettingError(
            f"em needs a closed-form structure in one block, and {problem.name!r} has none; use svi:AutoDelta"
        )
    if isinstance(method, Exact):
        if model is None or len(model.blocks) > 1:
            raise SettingError(
                f"exact needs a conjugate structure in one block, and {problem.name!r} has no such thing; use nuts"
            )
        values, rows = jax.tree.leaves(jax.eval_shape(model.outcomes, model.rows))[0].shape[:2]
        if rows * np.log2(values) > np.log2(LIMIT):
            raise SettingError(
                f"exact sums over {values}^{rows} assignments; want {LIMIT} at most: fewer rows or components, or gibbs"
            )


def defaults(problem: Problem) -> list[str]:
    """What applies cheaply: closed form where there is one, and the mean-field guide that everybody uses."""
    if problem.conjugate is not None:
        return ["cavi", "lrvb", "svi:AutoNormal"]
    return ["svi:AutoNormal", "svi:AutoMultivariateNormal"]


def with_restarts(method: str, restarts: int) -> Method:
    """A method by name, with as many restarts of coordinate ascent as asked for where it makes any."""
    found = resolve(method)
    return replace(found, restarts=restarts) if isinstance(found, CAVI | EM | Gibbs | LRVB | NUTS | SVI) else found
