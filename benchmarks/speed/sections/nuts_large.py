"""The same with 10 000 rows of the lecture's generator."""

from __future__ import annotations

from collections.abc import Iterator

from ..chains import race
from ..rows import Context, Row, Section

LEAST = {"NumPyro": 8.0, "nutpie": 1.0}


def run(context: Context) -> Iterator[Row]:
    """Fewer draws, for the slowest contender takes minutes."""
    rows = context.pick(1000, 10_000)
    yield from race(
        context, rows=rows, draws=context.pick(100, 300), rounds=context.pick(1, 2), least=LEAST, warmup=150
    )


SECTION = Section(
    "nuts_large",
    4,
    "NUTS, 10 000 rows",
    "As above on 10 000 rows of the same generator. To end in a reasonable time, NumPyro and BlackJAX warm up for 150 steps, "
    "and NumPyro makes a third of the draws, its chains in parallel.",
    run,
    axis="times the ESS per second (log)",
)
