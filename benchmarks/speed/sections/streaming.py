"""Rows that do not fit in memory: rows per second and peak memory of a fit that reads a Parquet file by row groups."""

from __future__ import annotations

from collections.abc import Iterator

from ..rows import Context, Row, Section

WANTED = "peak memory under 1 GiB and within 10 % from 10⁷ to 10⁸ rows; rows/s within 2× of the pass in memory"


def run(context: Context) -> Iterator[Row]:
    """Will call `vi_vs_mcmc.fit` on the path of a Parquet file of float32 rows that is made on the spot."""
    yield Row(
        "Rows from Parquet, by row groups", "not measured", wanted=WANTED, note="the package has no such pass yet"
    )


SECTION = Section(
    "streaming",
    7,
    "Larger than memory",
    "A fit that streams a Parquet file by row groups: rows per second, and peak memory against the number of rows.",
    run,
)
