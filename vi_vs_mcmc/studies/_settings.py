"""Settings that several studies have, checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vi_vs_mcmc.errors import SettingError, real
from vi_vs_mcmc.methods.registry import resolved

FARTHEST = 1e6  # distance of two means, in sds: rows keep ten digits


def method_names(study: str, methods: Any) -> list[str]:
    """Known methods, each once; names alone can be written down for the next time."""
    names = [method.name for method in resolved(methods)]
    for method, name in zip(methods, names, strict=True):
        if not isinstance(method, str):
            raise SettingError(f"{study} wants methods by name, such as 'cavi'; got {method!r}")
        if name != method:
            raise SettingError(
                f"{study} wants methods by their own names, and {method!r} calls itself {name!r}; make it an entry point of "
                "that name, see docs/extend.md"
            )
        if names.count(name) > 1:
            raise SettingError(f"method {name!r} is named twice; want each once")
    if not names:
        raise SettingError(f"{study} wants one method or more")
    return names


def distances(separations: Any) -> list[float]:
    """Distances in range, each once."""
    if isinstance(separations, str) or not isinstance(separations, Iterable):
        raise SettingError(f"separations is {separations!r}; want a list of numbers")
    found = list(dict.fromkeys(real("separation", value) for value in separations))
    if not found:
        raise SettingError("no separation is given; want one or more")
    for value in found:
        if not 0 <= value <= FARTHEST:
            raise SettingError(f"separation is {value:g}; want 0 to {FARTHEST:g}, in sds")
    return found
