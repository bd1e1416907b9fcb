"""What several methods of a run share is made once, and the time of each that asks for it counts it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any


class Memory:
    """What was made, by what it is; and how many seconds were saved by not making it again."""

    def __init__(self) -> None:
        self._made: dict[Hashable, tuple[Any, float]] = {}
        self._asked: list[tuple[Hashable, float]] = []  # what, and the seconds that were saved

    def once[T](self, what: Hashable, make: Callable[[], T]) -> T:
        """What make() gives: called at the first asking; later ones are charged the seconds that it took."""
        if what in self._made:
            value, seconds = self._made[what]
            self._asked.append((what, seconds))
            return value
        seconds = self.clock()
        value = make()
        self._made[what] = value, seconds()
        self._asked.append((what, 0.0))
        return value

    def clock(self) -> Callable[[], float]:
        """Says how many seconds have passed since it was made, with those that `once` saved meanwhile: of each thing once."""
        began, first = time.perf_counter(), len(self._asked)

        def seconds() -> float:
            saved: dict[Hashable, float] = {}
            for what, of in self._asked[first:]:
                saved.setdefault(what, of)
            return time.perf_counter() - began + sum(saved.values())

        return seconds
