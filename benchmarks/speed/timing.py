"""Clocks, spreads and numbers in words."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of wall time, and what came back."""
    began = time.perf_counter()
    value = function()
    return time.perf_counter() - began, value


def dgemm_rate(size: int = 1500, repeats: int = 5) -> float:
    """Flops per second of numpy's float64 product of two square matrices, the best of several."""
    a = np.random.default_rng(0).normal(size=(size, size))
    _ = a @ a
    return 2.0 * size**3 / min(timed(lambda: a @ a)[0] for _ in range(repeats))


def slope(x: ArrayLike, y: ArrayLike) -> float:
    """Least squares in logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def span(values: ArrayLike, unit: str = "", scale: float = 1.0) -> str:
    """Median, and smallest to largest: `12.1 ms (11.9 to 13)`."""
    v = np.asarray(values, float) * scale
    shown = three(np.median(v)) + (f" {unit}" if unit else "")
    return shown if len(v) == 1 else f"{shown} ({three(v.min())} to {three(v.max())})"


def three(value: float) -> str:
    """Three digits, no powers of ten below a million."""
    if not np.isfinite(value):
        return "–"
    digits = 0 if value == 0 else max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return f"{value:,.{min(digits, 6)}f}".replace(",", "\u202f")


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    return f"{three(1e3 * value)} ms" if value < 1 else f"{three(value)} s"
