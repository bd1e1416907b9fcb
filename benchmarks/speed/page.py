"""The page: every section with its figures and its table, in the look of the package's report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from vi_vs_mcmc.report.page import policy
from vi_vs_mcmc.report.payload import block, colours
from vi_vs_mcmc.report.style import stylesheet

from .figures import ratio_bars
from .rows import Section
from .store import Results
from .table import HEAD, cells, judged, when

_HERE = Path(__file__).parent
READ_BARS = (
    "A bar is the median over pairs; the thin line goes from the smallest pair to the largest; the upright mark is what is "
    "wanted. A hollow bar falls short."
)
READ_LINES = "Solid: measured. Dotted: the straight line whose slope is given. The axis of time is the same in all."


def render(results: Results, sections: Mapping[str, Section], command: str) -> str:
    """index.html as text."""
    parts = [_part(section, results[name]) for name, section in sections.items() if name in results]
    panels = [p for part in parts for p in part["panels"]]
    style = stylesheet([], [p.height for p in panels]) + "\n" + _text("page.css")
    plotly, script = get_plotlyjs(), f'"use strict";\n(() => {{\n{_text("page.js")}}})();\n'
    rows = judged(results, sections)
    short = [(name, row) for name, row in rows if not row["met"]]
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html").render(
        csp=Markup(policy([plotly, script], style)),
        map_style_id=_map_style_id(plotly),
        style=Markup(style),
        plotly=Markup(plotly),
        script=Markup(script),
        blocks={"colours": block(colours()), "figures": block({p.id: _plain(p.figure) for p in panels})},
        headline=f"{len(rows) - len(short)} of {len(rows)} goals of speed are met"
        if rows
        else "No goal was measured yet",
        short=[(sections[name].title, name, *cells(row)) for name, row in short],
        machine=_machine(results),
        quick=any(entry.get("quick") for entry in results.values()),
        missing=[section.title for name, section in sections.items() if name not in results],
        parts=parts,
        head=HEAD,
        command=command,
    )


def _part(section: Section, entry: Mapping[str, Any]) -> dict[str, Any]:
    rows = entry["rows"]
    own = section.figures is not None
    try:
        panels = (
            section.figures(rows) if section.figures else ratio_bars(section.name, section.title, rows, section.axis)
        )
    except (KeyError, ValueError):
        panels = []  # a run that ended early has a table, and no figure
    return {
        "section": section,
        "panels": panels,
        "columns": 2 if len(panels) > 1 else 1,
        "read": READ_LINES if own and len(panels) > 1 else READ_BARS,
        "rows": [(cells(row), row) for row in rows],
        "when": when(entry).replace("**", ""),
    }


def _machine(results: Results) -> str:
    rows = results.get("machine", {}).get("rows", [])
    return ", ".join(row["measured"] for row in rows[:2])


def _plain(figure: Any) -> dict[str, Any]:
    return _rounded(figure.to_plotly_json())


def _rounded(value: Any) -> Any:
    """Arrays as lists, and no more digits than a plot can show."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _map_style_id(plotly: str) -> str:
    """The id of the style sheet for maps, which plotly.js adds unless an element has that id."""
    found = re.search(r'getElementById\("([0-9a-f]{64})"\)', plotly)
    return found[1] if found else "no-map-style"


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8").replace("\r\n", "\n")
