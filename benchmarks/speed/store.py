"""The last numbers of every section: written after each row, so that an end in the middle loses little."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .rows import Context, Row, Section
from .worker import ROOT

FOLDER = ROOT / "reports" / "benchmarks"
QUICK = ROOT / "reports" / "benchmarks-quick"

Results = dict[str, dict[str, Any]]


def last(folder: Path) -> Results:
    """What each section said when it last ran."""
    path = folder / "results.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def keep(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Replace one section's numbers; the file is whole at any time."""
    folder.mkdir(parents=True, exist_ok=True)
    results = last(folder) | {name: entry}
    new = folder / "results.json.new"
    new.write_text(json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    new.replace(folder / "results.json")


def measure(section: Section, context: Context, folder: Path) -> bool:
    """Run a section, print and keep its rows; whether it came to its end. What went wrong becomes a row, too."""
    began, rows, fine = time.perf_counter(), [], True
    entry = lambda finished=False: {
        "finished": finished,
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": round(time.perf_counter() - began, 1),
        "quick": context.quick,
        "rows": rows,
    }
    print(f"== {section.title}", flush=True)
    try:
        for row in section.run(context):
            rows.append(row.plain())
            print(line(row), flush=True)
            keep(folder, section.name, entry())
    except Exception as error:  # the other sections shall still be measured
        fine = False
        row = Row("The rest of this section", "not measured", note=f"{type(error).__name__}: {error}")
        rows.append(row.plain())
        print(line(row), flush=True)
    keep(folder, section.name, entry(fine))
    print(f"   {time.perf_counter() - began:.0f} s", flush=True)
    return fine


def line(row: Row) -> str:
    """One row as the terminal shows it."""
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}× "
    short = "  FALLS SHORT" if row.met is False else ""
    wanted = f"  [{row.wanted}]" if row.wanted else ""
    return f"{row.claim:58} {ratio}{row.measured}{wanted}{short}{f'  ({row.note})' if row.note else ''}"
