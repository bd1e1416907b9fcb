"""Section: did the reference itself converge? Its checks, rank plots, and what no verdict rests on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from vi_vs_mcmc.figures.ranks import ranks
from vi_vs_mcmc.report.agreement import agreement
from vi_vs_mcmc.report.blocks import Block, Panel, Section, Table
from vi_vs_mcmc.report.labelfree import label_free
from vi_vs_mcmc.report.modes import modes, one_optimum
from vi_vs_mcmc.report.view import CHAINS, View
from vi_vs_mcmc.report.words import capital, code, count, listed, number, plural, rough, spelled, trimmed


@dataclass(frozen=True)
class Tile:
    """One check: its name, what was measured, what was wanted, and whether it passed (None: not known)."""

    name: str
    value: str
    verdict: str
    passed: bool | None


def reference(view: View) -> Section:
    """The section on the reference's health."""
    label, checks = view.reference_label, view.run.summary["reference"].get("checks") or []
    known = [c for c in checks if c.get("value") is not None]
    if view.failed:
        bad = [c["name"] for c in known if not c.get("passed")]
        intro = (
            f"{capital(label)} failed {listed(bad) if bad else 'its checks'}; until it passes, nothing on this "
            "page is a verdict."
        )
    else:
        passed = sum(bool(c.get("passed")) for c in known)
        intro = f"Nothing above counts unless {label} converged. "
        intro += f"It passed {'all ' if passed == len(known) else ''}{spelled(passed)} of its checks." if known else ""
    blocks = [
        _ranks(view) if view.draws[view.reference].shape[0] > 1 else None,
        agreement(view),
        modes(view),
        label_free(view),
    ]
    intro = f"{intro.strip()} {one_optimum(view)}".strip()
    return Section("reference", "Reference health", intro, tuple(b for b in blocks if b is not None))


def tiles(view: View) -> list[Tile]:
    """The checks as tiles."""
    return [_tile(c) for c in view.run.summary["reference"].get("checks") or []]


def left_out(view: View) -> Table | None:
    """What the verdict leaves out, grouped by the reason where several share it, with reference quantiles."""
    entries = view.run.summary["reference"].get("left_out") or []
    if not entries:
        return None
    by_reason: dict[str, list[str]] = {}
    for entry in entries:
        by_reason.setdefault(str(entry.get("reason") or "no reason was recorded"), []).append(entry["parameter"])
    grouped = len(by_reason) < len(entries)
    body, groups = [], {}
    for reason, parameters in by_reason.items():
        if grouped:
            groups[len(body)] = capital(reason)
        for p in parameters:
            body.append([code(p), *(rough(v) for v in _quantiles(view, p)), *([] if grouped else [reason])])
    head = ["parameter", f"5\u202f% under {view.reference_label}", "50\u202f%", "95\u202f%"]
    head += [] if grouped else ["why it is left out"]
    return Table("parameters left out of the verdict", head, body, left=(0, 4), groups=groups)


def _quantiles(view: View, parameter: str) -> list[float]:
    table, method = view.run.table, view.methods[0]
    return [float(table.column(method, f"reference_{q}", [parameter])[0]) for q in ("q05", "q50", "q95")]


def ranks_say(view: View, j: int) -> tuple[str, str]:
    """Heading and sentence of the rank plots when parameter j is chosen."""
    rhat, bulk, tail = (_measured(view, j, c) for c in ("rhat", "ess_bulk", "ess_tail"))
    name, chains = code(view.names[j]), view.draws[view.reference].shape[0]
    who = f"The {spelled(chains)} chains"
    if not np.isfinite(rhat) or j in view.apart:
        title = f"How often each chain visits each part of {name}"
    elif rhat < 1.01:
        title = f"{who} visit the same values of {name} equally often"
    else:
        title = f"{who} do not agree on {name}"
    parts = []
    if np.isfinite(rhat):
        parts.append(f"R‑hat is {number(rhat, 3)}")
    if np.isfinite(bulk):
        parts.append(f"{count(bulk)} effective draws in the bulk")
    if np.isfinite(tail):
        parts.append(f"{count(tail)} in the tails")
    what = f"For {name}, {listed(parts)}." if parts else ""
    return title, f"{what} {_relabelled(view)}".strip()


def _ranks(view: View) -> Block:
    j, chains = view.chosen, view.draws[view.reference].shape[0]
    title, what = ranks_say(view, j)
    some = f" The first {CHAINS} of {chains} chains are drawn." if chains > CHAINS else ""
    read = (
        "Draws of the chosen parameter are ranked over all chains, then counted chain by chain. Bars "
        "near the line mean the chains "
        f"agree; a slope or a hump means one of them was elsewhere.{some}"
    )
    shown = sorted(view.counted, key=lambda i: _sortable(_measured(view, i, "ess_bulk")))[:40]
    body = [
        [
            code(view.names[i]),
            number(_measured(view, i, "rhat"), 4),
            count(_measured(view, i, "ess_bulk")),
            count(_measured(view, i, "ess_tail")),
        ]
        for i in shown
    ]
    table = Table(
        "convergence by parameter, fewest effective draws first",
        ["parameter", "R‑hat", "bulk ESS", "tail ESS"],
        body,
    )
    return Block("ranks", title, what, read, [Panel("ranks", ranks(view.ranks[j]), "rank plot by chain")], table)


def _relabelled(view: View) -> str:
    moved: dict[str, Any] | None = view.run.summary["reference"].get("relabelled")
    if not moved:
        return ""
    chains, draws = int(moved.get("chains") or 0), int(moved.get("draws") or 0)
    if not chains and not draws:
        return "Labels were put in one order first; no chain switched."
    parts = [plural(chains, "chain")] * bool(chains) + [plural(draws, "draw")] * bool(draws)
    return f"Labels were put in one order first: {listed(parts)} had to be relabelled."


def _measured(view: View, j: int, name: str) -> float:
    return float(view.column(view.methods[0], f"reference_{name}")[j])


def _sortable(value: float) -> float:
    return value if np.isfinite(value) else np.inf


def _tile(check: dict[str, Any]) -> Tile:
    value, wanted = check.get("value"), str(check.get("wanted") or "")
    if value is None:
        return Tile(capital(str(check["name"])), "–", f"not known: wants {wanted}" if wanted else "not known", None)
    passed = bool(check.get("passed"))
    wanted = re.sub(r"(?<=\d) ?%", "\u202f%", wanted)
    name = capital(str(check["name"]))
    rhat = str(check["name"]).startswith("R-hat")
    shown = number(value, 4) if rhat else trimmed(value, 3) if abs(value) < 100 else count(value)
    return Tile(name, shown, f"{'passes' if passed else 'fails'}: {wanted}".rstrip(": "), passed)
