"""Find a model by name, through the entry-point group `vi_vs_mcmc.models`: each entry is a package of model modules."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points

from vi_vs_mcmc.errors import unknown
from vi_vs_mcmc.problem import Problem

GROUP = "vi_vs_mcmc.models"

Model = Callable[..., Problem]


def models() -> dict[str, str]:
    """Every model plugin: its name, and the module that defines it. Nothing is imported but the packages."""
    found = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        package = entry.load()
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                found.setdefault(module.name, f"{package.__name__}.{module.name}")
    return found


def load(name: str) -> Model:
    """The plugin's function: `load("gmm")(data, components=3)` is a Problem.

    Raises:
        SettingError: no such model; the closest name is suggested.
    """
    known = models()
    if name not in known:
        raise unknown("model", name, known)
    return getattr(importlib.import_module(known[name]), name)


def settings_of(model: Model) -> dict[str, inspect.Parameter]:
    """The settings that `--set key=value` reaches: the keyword-only arguments of a plugin's function."""
    return {n: p for n, p in inspect.signature(model).parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def described(model: Model) -> tuple[str, dict[str, str]]:
    """A plugin's one line, and the one line of each setting, from its docstring (Google style)."""
    lines = inspect.cleandoc(model.__doc__ or "").splitlines()
    known, meanings = settings_of(model), {}
    for line in lines:
        name, colon, meaning = line.strip().partition(": ")
        if colon and name in known:
            meanings[name] = meaning
    return (lines[0] if lines else ""), meanings
