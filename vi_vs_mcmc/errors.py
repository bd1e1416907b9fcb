"""What can go wrong, as three kinds: a setting, the data, the numbers. Each message says what was got and what is wanted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SettingError(ValueError):
    """A setting is unknown, of the wrong kind or out of range. Exit code 2."""


class DataError(ValueError):
    """The data are missing, unreadable or unfit for the model. Exit code 3."""


class NumericalError(ArithmeticError):
    """A computation left the numbers it should stay among. Exit code 4."""


def unknown(kind: str, name: str, known: Iterable[str]) -> SettingError:
    """A SettingError for a name that is not among the known ones, with the closest one suggested."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return SettingError(f"no {kind} is called {name!r}{hint} Known: {', '.join(names) or 'none'}.")
