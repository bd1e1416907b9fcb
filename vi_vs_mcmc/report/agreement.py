"""Does a second MCMC give the same means and sds? Differences in combined Monte Carlo standard errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from vi_vs_mcmc.figures.forest import Bars, Scale, forest
from vi_vs_mcmc.report.blocks import Block, Panel, Table
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import capital, code, count, number

DRAWN = 24  # parameters, furthest first


def agreement(view: View) -> Block | None:
    """The block, or None where no second MCMC ran."""
    entry = view.run.summary.get("agreement") or {}
    rows = sorted(entry.get("rows") or [], key=lambda r: -_furthest(r))
    if not rows or entry.get("z") is None or entry.get("limit") is None:
        return None
    other, limit = str(entry.get("label") or entry.get("other") or "a second MCMC"), float(entry["limit"])
    title, what = _say(view, entry, rows, other)
    some = rows[:DRAWN]
    panels = [_panel(view, some, which, other, limit) for which in ("mean", "sd")]
    read = (
        f"A dot is how far {other} lies from {view.reference_label}, in standard errors of the difference; the band is how far "
        "chance alone takes the furthest of them. A dot outside it means that one sampler is wrong, or has not "
        "yet seen what the other has. Samplers that agree can still share a blind spot."
    )
    body = [[code(str(r["parameter"])), number(_z(r, "z_mean")), number(_z(r, "z_sd"))] for r in rows]
    table = Table(f"{other} against {view.reference_label}", ["parameter", "z of the mean", "z of the sd"], body)
    return Block("agreement", title, what, read, panels, table, columns=2)


def _say(view: View, entry: dict[str, Any], rows: list[dict[str, Any]], other: str) -> tuple[str, str]:
    z, limit = abs(float(entry["z"])), number(float(entry["limit"]), 1)
    total = sum(np.isfinite(_z(r, n)) for r in rows for n in ("z_mean", "z_sd"))
    both = f"{capital(other)} and {view.reference_label}"
    which = f"the {entry.get('which') or 'mean'} of {code(str(entry.get('parameter') or ''))}"
    drawn = f" The {DRAWN} furthest of {count(len(rows))} parameters are drawn." if len(rows) > DRAWN else ""
    if entry.get("passed"):
        what = f"The largest is that of {which}. Two MCMC methods that share little give one answer.{drawn}"
        return f"{both} agree: the largest of {count(total)} z-scores is {number(z, 1)}, {limit} is allowed", what
    beyond = sum(abs(_z(r, n)) > float(entry["limit"]) for r in rows for n in ("z_mean", "z_sd"))
    what = (
        f"{count(beyond)} of {count(total)} z-scores {'is' if beyond == 1 else 'are'} beyond what chance allows, so at least "
        f"one of the two is wrong, and a verdict against {view.reference_label} is in doubt.{drawn}"
    )
    return f"{both} disagree on {which}: its z-score is {number(z, 1)}, {limit} is allowed", what


def _panel(view: View, rows: list[dict[str, Any]], which: str, other: str, limit: float) -> Panel:
    z = np.array([_z(r, f"z_{which}") for r in rows])
    style = replace(view.styles[view.reference], label=f"{other} against {view.reference_label}")
    noun = "means" if which == "mean" else "sds"
    scale = Scale(0.0, (-limit, limit), "difference, standard errors", "lower", "higher", f"{which} differs by {{}}")
    names, keys = [str(r["parameter"]) for r in rows], list(range(len(rows)))
    fig = forest(names, {view.reference: Bars(z, z, z)}, {view.reference: style}, scale, keys)
    # every dot has its value at the right, so no word over the column; the line at 0 belongs over the band
    fig.update_annotations(visible=False, selector={"name": "furthest"})
    fig.update_layout(margin={"l": 160, "r": 56})
    fig.update_shapes(yref="y", y0=-0.7, y1=len(rows) - 0.3, selector={"type": "line"})
    fig.update_traces(customdata=None)  # a click chooses no parameter here
    return Panel(
        f"agreement-{which}", fig, f"z-scores of {noun}", capital(noun), f"{other} minus {view.reference_label}"
    )


def _z(row: dict[str, Any], name: str) -> float:
    value = row.get(name)
    return float("nan") if value is None else float(value)


def _furthest(row: dict[str, Any]) -> float:
    return max(np.nan_to_num(abs(_z(row, n)), nan=-1.0) for n in ("z_mean", "z_sd"))
