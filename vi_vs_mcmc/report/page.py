"""Assemble the page: sections into the template, one style sheet, one script, and a policy of hashes only."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from vi_vs_mcmc.figures.palette import Style
from vi_vs_mcmc.report import closing, every_number, in_data, optimiser, reference, shapes, spread, verdicts
from vi_vs_mcmc.report.blocks import Section
from vi_vs_mcmc.report.glossary import glossary
from vi_vs_mcmc.report.payload import block, colours, payload
from vi_vs_mcmc.report.style import stylesheet
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import breakable, like, marked, number, plain

_HERE = Path(__file__).parent
SCRIPTS = ("base.js", "follow.js", "draw.js", "choose.js", "table.js", "save.js", "start.js")


def sections(view: View) -> list[Section]:
    """The sections of evidence, in the page's order."""
    found = [
        spread.spread(view),
        Section("table-s", "Every number", every_number.intro(view)),
        shapes.shapes(view),
        in_data.in_data(view),
        reference.reference(view),
        optimiser.optimiser(view),
        Section("cost", "Cost", "Wall time, compiling included.") if closing.costs(view) else None,
    ]
    return [s for s in found if s is not None]


def render(view: View, parts: list[Section], figures: dict[str, Any]) -> str:
    """The whole page as text; `figures` are the plots by id, as plain data."""
    styles, summary = view.styles, view.run.summary
    heights = [p.height for s in parts for b in s.blocks for p in b.panels]
    script = _script()
    plotly, style = get_plotlyjs(), stylesheet(styles.values(), heights)
    problem = summary.get("problem") or {}
    name = problem.get("title") or problem.get("name") or view.run.folder.name
    first = (("verdict", "Verdict"), ("do", "What to do"))
    last = (("provenance", "Provenance"), ("glossary", "Glossary"))
    return (
        _environment()
        .get_template("page.html")
        .render(
            csp=Markup(policy([plotly, script], style)),
            map_style_id=_map_style_id(plotly),
            plotly=Markup(plotly),
            script=Markup(script),
            style=Markup(style),
            blocks={
                "colours": block(colours()),
                "data": block(payload(view)),
                "figures": block(figures),
                "comparison.csv": block(view.run.csv_text),
                "summary.json": block(view.run.json_text),
            },
            title=f"{name}: {plain(str(summary.get('headline') or 'no verdict')).rstrip('.')} · vi_vs_mcmc",
            problem=name,
            header=closing.header(view),
            contents=[*first, *((s.id, s.title) for s in parts), *last],
            failed=view.failed,
            headline=str(summary.get("headline") or "No verdict"),
            lede=str(summary.get("lede") or ""),
            reference=styles[view.reference],
            reference_sentence=str(summary["reference"].get("sentence") or ""),
            verdicts=verdicts.rows(view),
            ticks=verdicts.ticks(view),
            promised=verdicts.promised(view),
            actions=summary.get("actions") or [],
            warnings=summary.get("warnings") or [],
            styles=styles,
            short=short_names(list(styles.values())),
            methods=[styles[m] for m in view.methods],
            against=styles[view.against],
            names=view.names,
            counted=view.counted,
            apart=view.apart,
            ref=view.reference_label,
            chosen_key=view.chosen,
            chosen=view.names[view.chosen],
            chosen_numbers=_chosen_numbers(view),
            thumbs=_thumbnails(view),
            matrix_limit=number(shapes.matrix_limit(view), 1) if len(view.matrix) > 1 else "",
            sections=parts,
            heads=every_number.heads(view),
            rows=every_number.rows(view),
            band=every_number.band(view),
            tiles=reference.tiles(view),
            left_out=reference.left_out(view),
            health=optimiser.health_table(view),
            costs=closing.costs(view),
            run_command=summary.get("command"),
            provenance=closing.provenance(view),
            glossary=glossary(view),
        )
    )


def policy(scripts: list[str], style: str) -> str:
    """A Content-Security-Policy that lets in these scripts and this style, by hash, and nothing else.

    The hash of the empty string admits the empty style element that plotly.js fills through its own object.
    """
    return (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; style-src {_hash(style)} "
        f"{_hash('')}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def short_names(styles: list[Style]) -> dict[str, tuple[str, str]]:
    """Each label as the part phones show and the rest, which they leave away unless that confuses."""
    firsts = [s.label.split(" ", 1)[0] for s in styles]
    out = {}
    for s, first in zip(styles, firsts, strict=True):
        alone = firsts.count(first) == 1 and " " in s.label
        out[s.method] = (first, s.label.split(" ", 1)[1]) if alone else (s.label, "")
    return out


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(marked=lambda s: marked(str(s)), plain=lambda s: plain(str(s)), breakable=breakable)
    return environment


def _script() -> str:
    """The scripts as one function, so that they share names with each other and with nothing else."""
    parts = [(_HERE / name).read_text(encoding="utf-8").replace("\r\n", "\n") for name in SCRIPTS]
    return f'"use strict";\n(() => {{\n{"\n".join(parts)}}})();\n'


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _map_style_id(plotly: str) -> str:
    """The id of the style sheet for maps, which plotly.js adds unless an element has that id."""
    found = re.search(r'getElementById\("([0-9a-f]{64})"\)', plotly)
    return found[1] if found else "no-map-style"


def _chosen_numbers(view: View) -> list[tuple[Style, list[str]]]:
    j, out = view.chosen, []
    for m in [view.reference, *view.methods]:
        q = view.quantiles[m][:, j]
        values = [like(v, view.sd[view.reference][j]) for v in (view.mean[m][j], view.sd[m][j], *q)]
        ratio = "1" if m == view.reference else number(view.column(m, "sd_ratio")[j])
        out.append((view.styles[m], [*values, ratio]))
    return out


def _thumbnails(view: View) -> list[dict[str, Any]]:
    out, spread_out = [], [m for m in view.methods if not optimiser.is_point(view, m)]  # a point has no shape
    for j in view.counted[: shapes.THUMBNAILS]:
        shade, lines = verdicts.sparks(view, j, spread_out, coarse=True)
        ratios = np.array([view.column(m, "sd_ratio")[j] for m in view.methods])
        finite = ratios[np.isfinite(ratios) & (ratios > 0)]
        furthest = float(finite[np.argmax(np.abs(np.log(finite)))]) if finite.size else None
        out.append(
            {
                "key": j,
                "name": view.names[j],
                "chosen": j == view.chosen,
                "ratio": number(furthest),
                "shade": shade,
                "lines": [(view.styles[m].css, points) for m, points in lines.items()],
            }
        )
    return out
