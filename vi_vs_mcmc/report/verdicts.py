"""The top of the page: one row per method, drawn as static SVG so that it needs no script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vi_vs_mcmc.figures.palette import Style
from vi_vs_mcmc.report.view import View, named
from vi_vs_mcmc.report.words import capital, number, percent

_WIDTH, _HEIGHT = 128, 56
_AXES = (  # the first one that holds every method's lowest parameter: left end, ticks
    (0.75, (0.75, 0.8, 0.85, 0.9, 0.95)),
    (0.5, (0.5, 0.6, 0.7, 0.8, 0.9)),
    (0.0, (0.0, 0.25, 0.5, 0.75, 0.9)),
)


@dataclass(frozen=True)
class Badge:
    """One verdict word and how it is drawn: filled, outlined or quiet."""

    text: str
    kind: str


@dataclass(frozen=True)
class Row:
    """One method's verdict."""

    style: Style
    badges: list[Badge]
    sentence: str
    parameter: str
    density: str  # points of the method's density
    shade: str  # points of the reference's
    bar: dict[str, str] | None  # positions along the coverage axis, percent
    heard: str  # the coverage bar for a screen reader


@dataclass(frozen=True)
class Tick:
    """A label of the coverage axis."""

    at: str
    anchor: str
    text: str


def rows(view: View) -> list[Row]:
    """The verdict rows, in the summary's order."""
    start = _axis(view)[0]
    return [_row(view, m, start) for m in view.methods]


def ticks(view: View) -> list[Tick]:
    """The labels of the coverage axis."""
    start, at = _axis(view)
    last = at[-1]
    return [
        Tick(
            place(t, start),
            "start" if t == start else "middle",
            f"{100 * t:.0f}" + ("\u202f%" if t == last == 0.9 else ""),
        )
        for t in at
    ]


def place(value: float, start: float) -> str:
    """A share as a position along the axis from `start` to 1."""
    return f"{100 * float(np.clip((value - start) / (1 - start), 0, 1)):.1f}%"


def promised(view: View) -> str:
    """Where 90 % stands on the axis."""
    return place(0.9, _axis(view)[0])


def sparks(view: View, j: int, methods: list[str], *, coarse: bool = False) -> tuple[str, dict[str, str]]:
    """Small densities of parameter j: the reference as a closed shape, methods as lines; SVG point lists."""
    curves = {m: view.densities[m][j] for m in [view.reference, *methods]}
    if coarse:  # of two neighbours the higher, so that a point's spike is not lost
        curves = {m: c.reshape(-1, 2).max(axis=1) for m, c in curves.items()}
    top = _top(curves, view.reference)
    shade = f"0,{_HEIGHT - 1} {_points(curves[view.reference], top)} {_WIDTH},{_HEIGHT - 1}"
    return shade, {m: _points(curves[m], top) for m in methods}


def _row(view: View, method: str, start: float) -> Row:
    verdict = view.run.summary["verdicts"][method]
    j = _shown(view, verdict)
    shade, lines = sparks(view, j, [method])
    bar, heard = _bar(view, method, verdict, start)
    badges = [Badge(capital(w), _kind(w)) for w in view.words(method)]
    sentence = str(verdict.get("sentence") or "")
    return Row(view.styles[method], badges, sentence, view.names[j], lines[method], shade, bar, heard)


def _shown(view: View, verdict: dict[str, Any]) -> int:
    """The parameter that the verdict is about, so that the picture shows what is read."""
    return next((view.names.index(n) for n in named(verdict) if n in view.names), view.order[0])


def _kind(word: str) -> str:
    if word in ("overconfident", "underconfident", "biased"):
        return "bad"
    return "good" if word == "calibrated" else "open"


def _bar(view: View, method: str, v: dict[str, Any], start: float) -> tuple[dict[str, str] | None, str]:
    middle, low, high = (v.get(f"coverage90_{k}") for k in ("median", "lowest", "highest"))
    if middle is None or "point estimate" in view.words(method):
        return None, ""
    low, high = (middle if low is None else low), (middle if high is None else high)
    left, right = v.get("coverage90_median_low"), v.get("coverage90_median_high")
    bar = {
        "median": place(middle, start),
        "low": place(low, start),
        "high": place(high, start),
        "left": place(middle if left is None else left, start),
        "right": place(middle if right is None else right, start),
    }
    heard = (
        f"{view.styles[method].label}: median parameter {percent(middle, 1)}, lowest {percent(low, 1)}, "
        f"promised {number(90, 0)} %"
    )
    return bar, heard


def _axis(view: View) -> tuple[float, tuple[float, ...]]:
    verdicts = [view.run.summary["verdicts"][m] for m in view.methods if "point estimate" not in view.words(m)]
    lows = [v.get("coverage90_lowest") for v in verdicts]
    least = min((x for x in lows if x is not None), default=0.9)
    return next((axis for axis in _AXES if axis[0] <= least), _AXES[-1])


def _top(curves: dict[str, NDArray[np.float64]], reference: str) -> float:
    """The tallest curve, unless it is a spike that would flatten the reference."""
    own = float(curves[reference].max())
    tallest = max(float(c.max()) for c in curves.values())
    return (min(tallest, 3 * own) if own > 0 else tallest) or 1.0


def _points(curve: NDArray[np.float64], top: float) -> str:
    x = np.linspace(0, _WIDTH, len(curve))
    y = _HEIGHT - 1 - (_HEIGHT - 3) * np.minimum(curve / top, 1)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
