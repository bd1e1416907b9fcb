"""What can go wrong, as four kinds. Each message says what was got and what is wanted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any


class SettingError(ValueError):
    """A setting is unknown, of the wrong kind or out of range. Exit code 2."""


class DataError(ValueError):
    """The data are missing, unreadable or unfit for the model. Exit code 3."""


class NumericalError(ArithmeticError):
    """A computation left the numbers it should stay among. Exit code 4."""


class PeerError(ConnectionError):
    """Another process of the same fit has died, or cannot be reached. Exit code 5."""


def whole(name: str, value: Any, least: int = 1, most: float = float("inf")) -> int:
    """A setting as a whole number, `least` to `most`; a SettingError where it is anything else."""
    if isinstance(value, Real) and not isinstance(value, bool):
        number = int(value) if isinstance(value, Integral) else float(value)
        if least <= number <= most and number.is_integer():
            return int(number)
    limits = f"{least} or more" if most == float("inf") else f"{least} to {most:.0f}"
    raise SettingError(f"{name} is {value!r}; want a whole number, {limits}")


def real(name: str, value: Any) -> float:
    """A setting as a number; a SettingError where it is anything else."""
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise SettingError(f"{name} is {value!r}; want a number")


def unknown(kind: str, name: str, known: Iterable[str]) -> SettingError:
    """A SettingError for a name that is not among the known ones, with the closest one suggested."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return SettingError(f"no {kind} is called {name!r}{hint} Known: {', '.join(names) or 'none'}.")
