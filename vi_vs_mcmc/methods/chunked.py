"""Chains that advance by one compiled loop of CHUNK draws, and go on where they stopped."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

import numpy as np

from vi_vs_mcmc.precision import in_float64

CHUNK = 100  # draws of one compiled loop


class Chunked(ABC):
    """The draws so far, and how to ask for more; a sampler says how it advances.

    Attributes:
        seconds: of wall time, spent so far.
        asked: draws of each chain that were asked for.
    """

    def __init__(self):
        self._chunks: list[dict[str, np.ndarray]] = []
        self.seconds, self.asked = 0.0, 0

    @abstractmethod
    def advance(self) -> dict[str, np.ndarray]:
        """CHUNK draws more, leaves (chain, CHUNK, ...)."""

    @property
    def draws(self) -> int:
        """Draws of each chain so far."""
        return len(self._chunks) * CHUNK

    @in_float64
    def sample(self, draws: int, *, progress=None) -> None:
        """Go on until each chain has at least `draws` draws."""
        began, first = time.perf_counter(), self.draws
        while self.draws < draws:
            self._chunks.append(self.advance())
            if progress is not None:
                progress(self.draws - first, draws - first)
        self.asked = draws
        self.seconds += time.perf_counter() - began

    def joined(self, *names: str) -> dict[str, np.ndarray]:
        """All draws asked for so far, leaves (chain, draw, ...): of everything, or of what is named and there."""
        wanted = [name for name in self._chunks[0] if not names or name in names]
        return {name: np.concatenate([c[name] for c in self._chunks], 1)[:, : self.asked] for name in wanted}
