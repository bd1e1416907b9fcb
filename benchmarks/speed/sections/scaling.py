"""Cost of a pass against rows, columns, components and restarts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..data import clusters
from ..figures import lines
from ..rows import Context, Plain, Row, Section
from ..timing import seconds, slope
from ..worker import Worker, on

BASE = {"N": 50_000, "D": 4, "K": 8, "restarts": 1}
SWEEPS: dict[str, tuple[int, ...]] = {
    "N": (12_500, 25_000, 50_000, 100_000, 200_000),
    "D": (2, 4, 8, 16, 32),
    "K": (4, 8, 16, 32, 64),
    "restarts": (1, 2, 4, 8, 16),
}
MOST = {"N": 1.1, "D": 2.1, "K": 1.1, "restarts": 1.0}
WORDS = {"N": "linear", "D": "quadratic", "K": "linear", "restarts": "below linear"}
UNITS = {"N": "rows", "D": "columns", "K": "components", "restarts": "restarts side by side"}
BUDGET = 0.5  # seconds, about, that two runs differ by
REPEATS = 5


def run(context: Context) -> Iterator[Row]:
    with Worker("ours", **on(context.platforms[0])) as ours:
        for name in SWEEPS:
            values = context.pick(SWEEPS[name][:3], SWEEPS[name])
            times = [_time(ours, context, BASE | {name: value}) for value in values]
            found, last = slope(values, times), slope(values[-2:], times[-2:])
            steepest = max(found, last)
            ends = f"{seconds(times[0])} at {values[0]}, {seconds(times[-1])} at {values[-1]}"
            fixed = ", ".join(f"{k} = {v}" for k, v in BASE.items() if k != name)
            yield Row(
                f"Slope in {name}",
                f"{found:.2f}, {last:.2f} in the last step: {ends}",
                wanted=f"{WORDS[name]}: at most {MOST[name]:g}",
                met=bool(steepest < MOST[name]) if name == "restarts" else bool(steepest <= MOST[name]),
                note=fixed,
                numbers={"name": name, "values": values, "seconds": times, "slope": found, "unit": UNITS[name]},
            )


def _time(ours: Worker, context: Context, shape: dict[str, int]) -> float:
    n = min(shape["N"], context.pick(5_000, shape["N"]))
    ours("load", x=clusters(n, shape["D"], shape["K"]), components=shape["K"])
    run = {"restarts": shape["restarts"]} | ours("passes_worth", restarts=shape["restarts"], budget=BUDGET)
    return float(np.median([ours("seconds_per_pass", **run) for _ in range(context.pick(1, REPEATS))]))


def figures(rows: list[Plain]) -> list[Any]:
    """One small plot for each, on the same scale of time."""
    return lines([r["numbers"] for r in rows if "seconds" in r["numbers"]])


SECTION = Section(
    "scaling",
    5,
    "Cost against size",
    "Wall time of one pass where one size changes and the others stay. The slope is that of a straight line in logarithms: "
    "1 is linear, 2 quadratic. Small sizes carry a fixed cost, which flattens the line: the slope of the last step is told, "
    "too, and both are judged.",
    run,
    figures,
)
