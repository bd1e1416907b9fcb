"""Find a model: by name, through the entry-point group `vi_vs_mcmc.models`, or in a file, as `path/to/file.py:function`.

Each entry of the group is a package of model modules. In a file a NumPyro program will do; one that is annotated to return a
`Problem` is taken as a plugin's function.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from vi_vs_mcmc.bind import model_of
from vi_vs_mcmc.errors import unknown
from vi_vs_mcmc.in_file import FILE, imported, one_of
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
    """The plugin's function: `load("gmm")(data, components=3)` is a Problem, and so is `load("mine.py:program")(data)`.

    Raises:
        SettingError: no such model, with the closest name; or a file that cannot be imported or holds no such function.
    """
    if in_file := FILE.fullmatch(name):
        return _in_file(Path(in_file["path"]), in_file["name"])
    known = models()
    if name not in known:
        raise unknown("model", name, known)
    return getattr(importlib.import_module(known[name]), name)


def short(name: str) -> str:
    """What a run of the model is called: its name, or the file's and the function's."""
    in_file = FILE.fullmatch(name)
    return name if in_file is None else "-".join(filter(None, (Path(in_file["path"]).stem, in_file["name"])))


def _in_file(path: Path, name: str | None) -> Model:
    found = one_of(imported(path), path, name, inspect.isfunction)
    returns: Any = found.__annotations__.get("return")
    return found if returns is Problem or str(returns).endswith("Problem") else model_of(found)


def choices(name: str) -> dict[str, tuple[Any, ...]]:
    """The values that settings of a model can have, where its module lists them in CHOICES."""
    known = models()
    if name not in known:
        raise unknown("model", name, known)
    return dict(getattr(importlib.import_module(known[name]), "CHOICES", {}))


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


def known(name: str) -> str:
    """What is known of a model: the paragraph `What is known: ...` of its module's docstring, on one line; empty without one.

    The source is read, and the model is not imported.
    """
    spec: Any = importlib.util.find_spec(models()[name])
    paragraphs = (ast.get_docstring(ast.parse(spec.loader.get_source(spec.name))) or "").split("\n\n")
    return next((" ".join(p.split()) for p in paragraphs if p.startswith("What is known: ")), "")
