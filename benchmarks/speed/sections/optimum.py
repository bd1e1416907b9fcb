"""From one start to the same optimum of the bound, on data where plain coordinate ascent is slow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..data import overlapping
from ..rows import Context, Row, Section, against
from ..timing import seconds, span
from ..worker import Worker, on

WITHIN = 1e-8  # relative to the best bound seen
TOL = 1e-9  # where our own ascent stops, on the fixed point
STEP = 10  # iterations of scikit-learn between two looks at its bound
MOST = 20_000
REPEATS = 3
SEPARATION = 1.5


def run(context: Context) -> Iterator[Row]:
    n = context.pick(5_000, 100_000)
    name = f"N = {n:,}, D = 2, K = 3, neighbours {SEPARATION} sds apart".replace(",", "\u202f", 1 if n > 999 else 0)
    x = overlapping(n, SEPARATION)
    for place in context.platforms:
        yield from _race(f"{name}{'' if place == 'cpu' else f', on the {place}'}", x, context, place)


def _race(name: str, x: np.ndarray, context: Context, place: str) -> Iterator[Row]:
    with Worker("ours", **on(place)) as ours, Worker("contenders.sklearn_mixture") as peer:
        peer("load", x=x, prior=ours("load", x=x, components=3))
        start = ours("start", key=0)
        own = ours("climb", tol=TOL, sweeps=MOST)
        peer("begin", start=start)
        bounds, spent = [], []
        best = own["elbo"]
        while sum(map(len, spent)) * STEP < MOST:
            found = peer("advance", iterations=STEP)
            spent.append([found.pop("seconds")])
            found.pop("iterations")
            bounds.append(ours("elbo_at", parameters=found))
            if bounds[-1] >= best - WITHIN * abs(best) or (len(bounds) > 200 and bounds[-1] - bounds[-2] < 1e-9):
                break
        best = max(best, *bounds)
        near = best - WITHIN * abs(best)
        same = own["elbo"] >= near and bounds[-1] >= near
        iterations = STEP * len(bounds)
        needed = int(np.argmax(own["trace"] >= near)) + 1 if (own["trace"] >= near).any() else own["passes"]
        if not same:
            yield Row(
                name,
                f"bounds of {own['elbo']:.3f} (ours) and {bounds[-1]:.3f} (scikit-learn) nats",
                wanted="the same optimum",
                met=False,
                note="they ended at different optima, so no time is compared",
            )
            return
        ours("climb", tol=TOL, sweeps=needed)  # compiles what that number of passes needs
        mine, theirs, stopped = [], [], []
        for _ in range(context.pick(1, REPEATS)):
            peer("begin", start=start)
            theirs.append(sum(peer("advance", iterations=STEP)["seconds"] for _ in range(iterations // STEP)))
            mine.append(ours("climb", tol=TOL, sweeps=needed)["seconds"])
            stopped.append(ours("climb", tol=1e-8, sweeps=MOST))
    mine, theirs = np.array(mine), np.array(theirs)
    yield against(
        f"{name}: passes",
        f"{needed} passes of ours, {iterations} iterations of scikit-learn",
        [iterations / needed],
        5.0,
        note=f"scikit-learn is looked at every {STEP} iterations",
        numbers={"passes": needed, "iterations": iterations, "bound": best},
    )
    yield against(
        f"{name}: time",
        f"{span(mine, 's')}; scikit-learn {span(theirs, 's')}",
        theirs / mine,
        60.0,
        numbers={"ours": mine, "peer": theirs},
    )
    own_rule = float(np.median([s["seconds"] for s in stopped]))
    yield Row(
        f"{name}: by our own stopping rule",
        f"{stopped[0]['passes']} passes, {seconds(own_rule)}, {abs(best - stopped[0]['elbo']):.1e} nats below the best",
        note="the fixed point to 1e-8, which sds need; stricter than the race above",
    )


SECTION = Section(
    "optimum",
    2,
    "To the same optimum",
    "Three overlapping normals on which plain coordinate ascent needs hundreds of passes. Both start at the same parameters, "
    "with the same priors; who is there is told by our own bound, every constant in it, computed from the parameters of "
    "either: within 1e-8 of the best seen, relative. scikit-learn is advanced ten iterations at a time, and only its "
    "iterations are timed; our compiling is left out.",
    run,
    axis="times fewer, times as fast as scikit-learn (log)",
)
