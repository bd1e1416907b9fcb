"""The last sections: what it cost, and how to make it again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from vi_vs_mcmc.figures.palette import Style
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import code, count, day, grouped, listed, number, percent, seconds


@dataclass(frozen=True)
class Cost:
    """What one method took."""

    style: Style
    share: str  # of the longest, percent
    seconds: str
    work: str


def costs(view: View) -> list[Cost]:
    """The cost of every method that says so."""
    given = view.run.summary.get("cost") or {}
    wall = {m: (given.get(m) or {}).get("wall_seconds") for m in [view.reference, *view.methods]}
    for m in view.methods:
        wall[m] = view.run.summary["verdicts"][m].get("wall_seconds") if wall[m] is None else wall[m]
    longest = max((w for w in wall.values() if w is not None), default=0) or 1
    out = []
    for m, w in wall.items():
        if w is None:
            continue
        entry = given.get(m) or {}
        work = "; ".join(str(entry[k]) for k in ("work", "note") if entry.get(k))
        if not work and m in view.methods:
            work = str(view.run.summary["verdicts"][m].get("work") or "")
        out.append(Cost(view.styles[m], f"{max(100 * w / longest, 0.8):.1f}%", seconds(w), grouped(work)))
    return out


def provenance(view: View) -> list[tuple[str, str]]:
    """Pairs of a term and a sentence."""
    s, problem, data = (
        view.run.summary,
        view.run.summary.get("problem") or {},
        view.run.summary.get("data") or {},
    )
    out = []
    if data:
        out.append(("Data", _data_words(data)))
    sites = list(dict.fromkeys(p.split("[")[0] for p in view.run.table.parameters))
    shown = [code(x) for x in sites[:12]] + ([f"{count(len(sites) - 12)} more"] if len(sites) > 12 else [])
    scalars = len(view.run.table.parameters)
    without = scalars - len(view.run.table.judged_parameters)
    out_of = f", {count(without)} of them left out of the verdict" if without else ""
    sd, mean = view.tolerance
    out.append(
        (
            "Compared",
            f"{count(scalars)} scalar{'s' if scalars != 1 else ''} of {listed(shown)}{out_of}; tolerance "
            f"{percent(sd)} on an sd, {number(mean)} sd on a mean",
        )
    )
    if problem.get("priors"):
        out.append(("Priors", _priors(str(problem["priors"]), problem.get("settings") or {})))
    settings = {k: v for k, v in (problem.get("settings") or {}).items() if isinstance(v, int | float | str)}
    if settings:
        out.append(
            (
                "Settings",
                ", ".join(f"{k} {v}" for k, v in sorted(settings.items())),
            )
        )
    if s.get("versions"):
        out.append(("Versions", ", ".join(f"{k} {v}" for k, v in s["versions"].items())))
    out.append(("Files", "`comparison.csv`, `summary.json`, `posteriors/*.nc` and `figures/*.json` beside this page"))
    return out


def header(view: View) -> list[str]:
    """The header's pieces after the title: data, reference, seed, day."""
    s, data, reference = view.run.summary, view.run.summary.get("data") or {}, view.run.summary["reference"]
    out = []
    if data.get("name"):
        size = ""
        if data.get("rows") is not None:
            columns = data.get("columns") or []
            size = f", {count(data['rows'])} rows" + (
                f" × {len(columns)} column{'s' if len(columns) != 1 else ''}" if columns else ""
            )
        out.append(f"{data['name']} data{size}")
    chains, draws = view.draws[view.reference].shape[:2]
    size = f"{count(reference.get('chains') or chains)} × {count(reference.get('draws') or draws)} draws"
    out.append(f"reference {view.styles[view.reference].label}, {size}")
    if s.get("seed") is not None:
        out.append(f"seed {s['seed']}")
    when = [day(s.get("created")), seconds(s["wall_seconds"]) if s.get("wall_seconds") is not None else None]
    if any(when):
        out.append(", ".join(w for w in when if w))
    return out


def _priors(text: str, settings: dict[str, Any]) -> str:
    """The priors with four significant digits, matrices by rows, and what all components share said to be shared."""
    return "; ".join(_prior(item.strip(), settings) for item in text.split(";"))


def _prior(text: str, settings: dict[str, Any]) -> str:
    name = re.match(r"[a-z ]*[a-z]", text)
    text = re.sub(r"(?<![\w.])-?\d+\.\d*(?:e[+-]?\d+)?(?!\w)", lambda found: _short(float(found[0])), text)
    text = re.sub(r"\s+(?=[,\]])", "", text)
    text = re.sub(r"\[\[(.*)\]\]", r"rows [\1]", text)
    values, components = settings.get(name[0].replace(" ", "_")) if name else None, settings.get("components")
    shared = isinstance(values, list) and len(values) == components and all(v == values[0] for v in values)
    shared = shared and (components or 0) > 1 and "for each component" not in text
    return f"{text} for each component" if shared else text


def _short(value: float) -> str:
    """At most four significant digits, without the zeros that say nothing."""
    return count(value) if abs(value) >= 10_000 else f"{value:.4g}".replace("-", "−")


def _data_words(data: dict) -> str:
    columns = [code(str(c)) for c in data.get("columns") or []]
    shown = columns[:8] + ([f"{len(columns) - 8} more"] if len(columns) > 8 else [])
    parts = [str(data.get("name") or "")]
    if data.get("rows") is not None:
        parts.append(
            f"{count(data['rows'])} rows"
            + (f", column{'s' if len(columns) != 1 else ''} {listed(shown)}" if columns else "")
        )
    if data.get("sha256"):
        parts.append(f"sha256 {code(data['sha256'])}")
    if data.get("embedded") is False:
        parts.append("the rows are not kept in the run folder")
    return "; ".join(p for p in parts if p)
