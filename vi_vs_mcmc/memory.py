"""What several methods of a run share is made once, and the time of each that asks for it counts it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any


class Memory:
    """What was made, by what it is; and how many seconds were saved by not making it again."""

    def __init__(self) -> None:
        self._made: dict[Hashable, tuple[Any, float]] = {}
        self._saved = 0.0

    def once[T](self, what: Hashable, make: Callable[[], T]) -> T:
        """What make() gives: called at the first asking; later ones are charged the seconds that it took."""
        if what in self._made:
            value, seconds = self._made[what]
            self._saved += seconds
            return value
        seconds = self.clock()
        value = make()
        self._made[what] = value, seconds()
        return value

    def clock(self) -> Callable[[], float]:
        """Says how many seconds have passed since it was made, with those that `once` saved meanwhile."""
        began, saved = time.perf_counter(), self._saved
        return lambda: time.perf_counter() - began + self._saved - saved
