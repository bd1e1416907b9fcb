r"""How far each bound falls short of the log evidence, and what for.

log Z - ELBO = KL(q || p) = log K! (labels) + what q(z) costs + what q(theta) costs
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import norm

from vi_vs_mcmc.figures.gap import Part
from vi_vs_mcmc.figures.gap import gap as figure
from vi_vs_mcmc.report.blocks import Block, Panel, Table
from vi_vs_mcmc.report.mixture import of_a_row
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import NONE, capital, listed, number, plural, spelled

_REACHED = 0.005  # nats: a gap that two digits show as none
_ROOM = 3.0  # standard errors by which a part may be negative before the split is not believed
_CHANCE = 3  # standard errors within which a sampled difference is none


@dataclass(frozen=True)
class Gap:
    """One method's distance from the log evidence, nats; `labels` is what keeping to one labelling costs it."""

    total: float
    labels: float
    parts: list[Part]
    errors: list[float | None]  # Monte Carlo standard errors of the parts; None where a part is known exactly
    error: float  # of the total


def evidence(view: View) -> Block | None:
    """The block, or None where the run has no log evidence or no bound."""
    entry = view.run.summary.get("evidence")
    gaps = {m: g for m in view.methods if (g := gap_of(view, m)) is not None}
    if not entry or not gaps:
        return None
    far = max(gaps, key=lambda m: gaps[m].total)
    fig = figure({m: g.parts for m, g in gaps.items()}, {m: g.total for m, g in gaps.items()}, view.styles)
    name = "distance of each method’s bound from the log evidence, in its parts"
    panel = Panel("gap", fig, name, "Log evidence minus bound", "nats")
    short = [m for m in gaps if m != far]
    verb = "falls short by " if len(short) == 1 else ""
    rest = [f"{view.label(m)} {verb}{number(gaps[m].total)}" for m in short]
    what = f"{_sum_of(entry)} {_others(rest)} {_agreement(entry)}"
    return Block(
        "gap",
        _title(view, far, gaps[far]),
        " ".join(what.split()),
        _read(gaps, float(entry.get("labels") or 0.0), of_a_row(view.run), _label(view)),
        [panel],
        _table(view, entry, gaps),
    )


def gap_of(view: View, method: str) -> Gap | None:
    """A method's gap as the summary has it; None where there is none."""
    entry = view.run.summary.get("evidence") or {}
    found = (entry.get("gaps") or {}).get(method)
    if not found or found.get("total") is None:
        return None
    total, own = float(found["total"]), float(entry.get("error") or 0.0)
    error = float(found.get("error") or own)
    labels, local, rest = float(found.get("labels") or 0.0), found.get("local"), found.get("parameters")
    room = _ROOM * max(error, 1e-6)
    if total < labels - room or (rest is not None and rest < -room):
        # a bound above that of one labelling: q holds several, and the parts would not add up to what they are called
        return Gap(total, 0.0, [Part("all of q", total, "rest")], [error], error)
    parts, errors = [], []
    if labels > 0:
        parts, errors = [Part("labels", labels, "labels")], [None]
    if local is None or rest is None:
        return Gap(total, labels, [*parts, Part("q", total - labels, "rest")], [*errors, error], error)
    sampled = math.sqrt(max(error**2 - own**2, 0.0))  # the error of the bound with z summed out
    if 0 < abs(local) <= _CHANCE * sampled:  # no row has a z: what is known exactly is not split by what is sampled
        return Gap(total, labels, [*parts, Part("q(θ)", total - labels, "parameters")], [*errors, own], own)
    if local != 0:
        parts, errors = [*parts, Part("q(z)", float(local), "local")], [*errors, sampled]
    # a bound that keeps q(z) is known exactly: its distance is as sure as the log evidence is
    return Gap(
        total, labels, [*parts, Part("q(θ)", float(rest), "parameters")], [*errors, error], own if local else error
    )


def _title(view: View, method: str, gap: Gap) -> str:
    name = view.label(method)
    if abs(gap.total) < _REACHED:
        return f"{name}’s bound reaches the log evidence"
    start = f"{name}’s bound falls {number(gap.total)} nats short"
    if len(gap.parts) == 1:
        return start if gap.parts[0].kind == "rest" else f"{start}, all for {gap.parts[0].name}"
    return f"{start}: {', '.join(f'{number(p.nats)} for {p.name}' for p in gap.parts)}"


def _sum_of(entry: dict[str, Any]) -> str:
    error = float(entry.get("error") or 0.0)
    value = f"The log evidence is {number(entry['log_evidence'], digits(error))}"
    return f"{value} ± {fine(error)}." if error > 0 else f"{value}."


def _others(rest: list[str]) -> str:
    return f"The others fall short by: {listed(rest)}." if len(rest) > 1 else f"{rest[0]}." if rest else ""


def _agreement(entry: dict[str, Any]) -> str:
    """Whether all estimates of the log evidence are one number within their errors."""
    estimates = entry.get("estimates") or []
    if len(estimates) < 2:
        return "It is one estimate, so nothing else checks it."
    pairs = list(combinations(estimates, 2))
    furthest = max(_apart(a, b) for a, b in pairs)
    limit = float(norm.ppf(0.5 + 0.5 * 0.95 ** (1 / len(pairs))))
    apart = "the two furthest apart differ" if len(estimates) > 2 else "they differ"
    said = f"by {number(furthest, 1)} of their combined standard errors; chance allows {number(limit, 1)}"
    many = f"{capital(spelled(len(estimates)))} estimates"
    if furthest <= limit:
        return f"{many} of it agree: {apart} {said}."
    return f"**{many} of it do not agree:** {apart} {said}, so some error is larger than stated."


def _apart(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Difference of two estimates in combined standard errors; of two exact ones, beyond rounding."""
    error = math.hypot(float(a.get("error") or 0.0), float(b.get("error") or 0.0))
    return abs(a["log_evidence"] - b["log_evidence"]) / max(error, 1e-9 * max(1.0, abs(a["log_evidence"])))


def _label(view: View) -> str:
    """What a label is called: the exchangeable dimension."""
    return (view.run.summary.get("problem") or {}).get("exchangeable") or "component"


def _read(gaps: dict[str, Gap], all_labels: float, local: str, label: str) -> str:
    kinds = {p.kind for g in gaps.values() for p in g.parts}
    out = [
        "No bound can pass the log evidence, how probable the model makes the data; a bar is the distance that is left. "
        "It is the KL divergence from q, the approximation, to the posterior: 0 would be a perfect fit."
    ]
    if "labels" in kinds:
        labels, least = (pick(g.labels for g in gaps.values()) for pick in (max, min))
        k = components(all_labels)
        ways = f"can be numbered in {spelled(math.factorial(k))} ways" if k else ""
        numberings = f"{plural(k, label)} {ways}" if k else f"{label}s have no order"
        if abs(labels - all_labels) < 1e-6:
            cost = f"{f'log {k}! = ' if k else ''}{number(labels)}"
            out.append(
                f"**Labels:** {numberings}, the posterior holds all of them and q keeps to one. That costs {cost}"
            )
        else:
            out.append(
                f"**Labels:** {numberings}, the posterior holds all of them. A q with {label}s that are alike, such as "
                f"empty ones, is spread over several, but not over all. That costs {number(labels)}"
            )
        also = "" if labels - least < 1e-6 else f", {number(least)} where q holds most of them,"
        out[-1] += f"{also} and makes no answer wrong."
    if "local" in kinds:
        depends = (
            f"which {label} a row belongs to depends on the parameters, but this q gives each row one set of probabilities"
            if local == "labels"
            else "the z of a row depends on the parameters, but this q gives each z one law"
        )
        out.append(f"**q(z):** {depends} whatever the parameters are. A bound with z summed out does not pay this.")
    if "parameters" in kinds:
        out.append(
            "**q(θ):** what remains is the shape of q over the parameters. Too narrow an sd, a forgotten correlation and a "
            "missed mode are paid here."
        )
    if "rest" in kinds:
        out.append("Dotted: what q costs, not split further.")
    return " ".join(out)


def components(labels: float) -> int | None:
    """K, from log K!; None where no K has it."""
    return next((k for k in range(2, 171) if abs(math.lgamma(k + 1) - labels) < 1e-6), None)


def _table(view: View, entry: dict[str, Any], gaps: dict[str, Gap]) -> Table:
    body: list[list[str]] = []
    groups = {0: "Estimates of the log evidence"}
    for e in entry.get("estimates") or [entry]:
        body.append(
            [
                str(e.get("how") or "estimate"),
                number(e["log_evidence"], digits(float(e.get("error") or 0.0), 4)),
                fine(e.get("error")) if e.get("error") else "exact",
                _made_of(view, str(e.get("sentence") or "")),
            ]
        )
    for m, g in gaps.items():
        groups[len(body)] = f"{view.label(m)} falls short by"
        for p, error in zip(g.parts, g.errors, strict=True):
            shown = number(p.nats, digits(error or 0.0, 4))
            body.append([p.name, shown, "exact" if error is None else fine(error), _means(p)])
        if len(g.parts) > 1:
            body.append(
                ["in all", number(g.total, digits(g.error, 4)), fine(g.error), "KL divergence from q to the posterior"]
            )
    head = ["quantity", "nats", "standard error", "what it is"]
    return Table("log evidence and what each bound falls short for", head, body, left=(0, 3), groups=groups)


def _made_of(view: View, sentence: str) -> str:
    """What an estimate was made of, the method named as it is elsewhere on the page."""
    start, of, method = sentence.rpartition(" of ")
    return f"{start}{of}{view.label(method)}" if method in view.styles else sentence


def _means(part: Part) -> str:
    return {
        "labels": "q keeps to fewer labellings than there are",
        "local": "q(z) does not move with the parameters",
        "parameters": "the shape of q over the parameters",
        "rest": "all that q costs, not split",
    }[part.kind]


def fine(error: float | None) -> str:
    """A standard error with two digits that count, at least two decimals."""
    if error is None or not np.isfinite(error):
        return NONE
    return number(error, digits(error))


def digits(error: float, exact: int = 2) -> int:
    """Decimals that a standard error leaves in its number: `exact` where it is unknown or 0."""
    return max(2, min(6, 1 - math.floor(math.log10(error)))) if error > 0 else exact
