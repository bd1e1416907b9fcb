"""Rows that do not fit in memory: rows per second and peak memory of passes over a Parquet file, read by row groups."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..rows import Context, Row, Section
from ..streamed import COLUMNS, write
from ..timing import three
from ..worker import ROOT

GIB = 2**30
FLAT, NEAR = 0.1, 2.0


def run(context: Context) -> Iterator[Row]:
    """Files of float32 rows made on the spot, the longer ten times the shorter; the rows of the shorter in memory too."""
    few, many = context.pick((100_000, 1_000_000), (10**7, 10**8))
    with tempfile.TemporaryDirectory() as folder:
        room = shutil.disk_usage(folder).free
        while many * COLUMNS * 4 > room / 3:
            few, many = few // 2, many // 2
        found = {}
        for rows in (few, many):
            path = Path(folder) / f"{rows}.parquet"
            write(path, rows)
            found[rows] = _measured(path, 3 if rows == few else 2, "file")
            if rows == few:
                memory = _measured(path, 3, "memory")
                write(path, rows, dictionary=True)
                by_default = _measured(path, 3, "file")
            path.unlink()
    small, large = found[few], found[many]
    for one in (small, large):
        yield Row(
            f"{one['rows']:,} × {COLUMNS} float32 rows from Parquet".replace(",", "\u202f"),
            f"{three(one['rate'] / 1e6)} million rows/s, peak memory {three(one['peak'] / GIB)} GiB",
            wanted="peak under 1 GiB",
            met=one["peak"] < GIB,
            numbers=one,
        )
    yield Row(
        f"{small['rows']:,} rows, as pyarrow writes them unless told not to".replace(",", "\u202f"),
        f"{three(by_default['rate'] / 1e6)} million rows/s",
        note="a dictionary for each column, of use where values repeat: half as many bytes again, to be decoded at each pass",
        numbers=by_default,
    )
    growth = large["peak"] / small["peak"]
    yield Row(
        "peak memory, ten times the rows",
        f"{three(growth)} times",
        wanted="within 10 %",
        met=abs(growth - 1) <= FLAT,
        numbers={"growth": growth},
    )
    slower = memory["rate"] / large["rate"]
    yield Row(
        "a row from the file against a row in memory (float64)",
        f"{three(slower)} times the time; {three(memory['rate'] / 1e6)} million rows/s in memory",
        wanted="within 2 times",
        met=slower <= NEAR,
        note="reading Parquet, here without dictionaries, is what the file adds",
        numbers={"slower": slower, "memory": memory},
    )


def _measured(path: Path, passes: int, where: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.speed.streamed", str(path), str(passes), where]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


SECTION = Section(
    "streaming",
    7,
    "Larger than memory",
    "Passes of coordinate ascent (four components) over a Parquet file that is read anew each time: rows per second, and peak "
    "memory of the whole process against the number of rows.",
    run,
)
