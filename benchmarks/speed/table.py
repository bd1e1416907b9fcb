"""Rows in words: the cells that the markdown table and the page share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .rows import Section
from .store import Results
from .timing import three

HEAD = ("what", "measured", "ratio", "wanted", "met")
NONE = "–"


def cells(row: Mapping[str, Any]) -> list[str]:
    """One row as sentences, in the order of HEAD."""
    measured = "; ".join(part for part in (row["measured"], row["note"]) if part)
    return [row["claim"], measured or NONE, ratio(row), row["wanted"] or NONE, met(row["met"])]


def ratio(row: Mapping[str, Any]) -> str:
    """The median of the pairs, with the smallest and the largest where they differ."""
    if row["ratio"] is None:
        return NONE
    spread = f" ({three(row['low'])} to {three(row['high'])})" if row["low"] != row["high"] else ""
    return f"{three(row['ratio'])}×{spread}"


def met(value: bool | None) -> str:
    """In words."""
    return NONE if value is None else "yes" if value else "no, falls short"


def when(entry: Mapping[str, Any]) -> str:
    """When a section ran and how long; and whether it was cut short, so that rows are missing."""
    cut = "" if entry["finished"] else " **It was cut short: rows are missing.**"
    return f"Measured {entry['when']}, in {entry['seconds']:.0f} s.{cut}"


def judged(results: Results, sections: Mapping[str, Section]) -> list[tuple[str, dict[str, Any]]]:
    """(section, row) of every row that is held against something."""
    return [(n, r) for n in sections if n in results for r in results[n]["rows"] if r["met"] is not None]


def markdown(results: Results, sections: Mapping[str, Section]) -> str:
    """table.md."""
    rows = judged(results, sections)
    lines = [
        "# Speed, measured",
        "",
        "Written by `uv run python -m benchmarks.speed`; edit nothing here. All contenders of a section ran in turn on one",
        "machine. A ratio is the median over pairs, with the smallest and the largest. A dash: told, not judged, or no ratio.",
        "",
        f"{sum(r['met'] for _, r in rows)} of {len(rows)} goals are met.",
        "",
    ]
    for name, section in sections.items():
        lines += [f"## {section.title}", "", section.intro, ""]
        if name not in results:
            lines += ["Not run yet.", ""]
            continue
        lines += [f"| {' | '.join(HEAD)} |", "|---|---|---:|---|---|"]
        lines += [f"| {' | '.join(_escaped(c) for c in cells(row))} |" for row in results[name]["rows"]]
        lines += ["", when(results[name]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
