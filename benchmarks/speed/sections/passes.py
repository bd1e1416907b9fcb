"""One pass of coordinate ascent against one iteration of scikit-learn, and against the machine's limit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..data import clusters
from ..rows import Context, Row, Section, against
from ..timing import dgemm_rate, span
from ..worker import Worker, on

SHAPES = ((200_000, 2, 6, 20.0, None), (200_000, 8, 16, 20.0, None), (50_000, 32, 32, 10.0, 0.5))
QUICK = ((5_000, 2, 3, None, None), (5_000, 8, 4, None, None))
BUDGET = 1.0  # seconds, about, that two runs of ours differ by
REPEATS = 5
RESTARTS = 8


def run(context: Context) -> Iterator[Row]:
    for shape in context.pick(QUICK, SHAPES):
        for place in context.platforms:
            yield from _shape(*shape, context=context, place=place)


def _shape(n: int, d: int, k: int, least: float | None, share: float | None, *, context: Context, place: str):
    x = clusters(n, d, k)
    where = "" if place == "cpu" else f", on the {place}"
    name = f"N = {n:,}, D = {d}, K = {k}{where}".replace(",", "\u202f").replace("\u202f ", ", ")
    repeats = context.pick(2, REPEATS)
    with Worker("ours", **on(place)) as ours, Worker("contenders.sklearn_mixture") as peer:
        peer("load", x=x, prior=ours("load", x=x, components=k))
        runs = {r: {"restarts": r} | ours("passes_worth", restarts=r, budget=BUDGET) for r in (1, RESTARTS)}
        own, eight, theirs, limit = [], [], [], []
        for _ in range(repeats):
            theirs.append(peer("seconds_per_iteration", low=1, high=4))
            own.append(ours("seconds_per_pass", **runs[1]))
            limit.append(dgemm_rate(1500, 3))
            eight.append(ours("seconds_per_pass", **runs[RESTARTS]))
    own, eight, theirs, limit = map(np.array, (own, eight, theirs, limit))
    said = f"{span(own, 'ms', 1e3)} a pass; scikit-learn {span(theirs, 'ms', 1e3)}"
    numbers = {"ours": own, "peer": theirs, "dgemm": limit, "shape": (n, d, k)}
    yield against(f"{name}: one pass", said, theirs / own, least, numbers=numbers)
    said = f"{span(eight, 'ms', 1e3)} for a pass of {RESTARTS} restarts; {RESTARTS} iterations of scikit-learn"
    yield against(f"{name}: {RESTARTS} restarts", said, RESTARTS * theirs / eight, numbers={"ours": eight})
    if place != "cpu":
        return
    flops = 4.0 * n * k * (1 + d + d * (d + 1) // 2)
    for what, times, count, wanted in (("one restart", own, 1, share), (f"{RESTARTS} restarts", eight, RESTARTS, None)):
        parts = count * flops / times / limit
        yield Row(
            f"{name}: share of the product's rate, {what}",
            span(parts, "%", 100),
            wanted="" if wanted is None else f"at least {100 * wanted:.0f} %",
            met=None if wanted is None else bool(np.median(parts) >= wanted),
            note="4NKP flops, P = 1 + D + D(D+1)/2",
            numbers={"share": parts},
        )


SECTION = Section(
    "passes",
    1,
    "One pass of coordinate ascent",
    "Value and gradient of the sum over rows and the new parameters, as fits use it, against one iteration of "
    "scikit-learn's BayesianGaussianMixture: same rows, same priors, float64. Both are differences of two runs from one "
    "start, so that starting, compiling and the last labelling cancel. Measured in turn; medians of the repeats, and "
    "ratios pair by pair, smallest to largest in brackets.",
    run,
    axis="times as fast as scikit-learn (log)",
)
