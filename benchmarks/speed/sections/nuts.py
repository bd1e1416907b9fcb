"""Min bulk ESS per second of NUTS on the lecture's 500 rows, against three other programs from the same modes."""

from __future__ import annotations

from collections.abc import Iterator

from ..chains import race
from ..rows import Context, Row, Section

LEAST = {"NumPyro": 3.0, "nutpie": 1.0}
INTRO = (
    "The mixture with three components and labels summed out, the same posterior for all: each log density is checked "
    "against ours at several points. Four chains, started at the best optimum of coordinate ascent. Every contender warms up "
    "by its own defaults; compiling is left out. Labels are put in one order in the same way for all, then the smallest bulk "
    "ESS over weights, means and covariances counts. Rounds in turn: medians, ratios round by round. A gradient is one of one "
    "chain."
)


def run(context: Context) -> Iterator[Row]:
    """The rows are the lecture's own."""
    yield from race(context, rows=500, draws=context.pick(200, 2000), rounds=context.pick(1, 3), least=LEAST)


SECTION = Section("nuts", 3, "NUTS, 500 rows", INTRO, run, axis="times the ESS per second (log)")
