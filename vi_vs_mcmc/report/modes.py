"""Which optima the restarts found, what their bounds say they weigh, and where the reference's chains were."""

from __future__ import annotations

from typing import Any

import numpy as np

from vi_vs_mcmc.figures.modes import modes as figure
from vi_vs_mcmc.report.blocks import Block, Panel, Table
from vi_vs_mcmc.report.findings import sentences
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import count, interval, listed, number, percent, plural

DRAWN = 12  # optima
HEAVY = 0.05  # weight by bounds from which an optimum that no chain visited is named
APART = 0.1  # share of probability that two ways of weighing may place differently without a word
_NONE = 0.005  # share of draws that no whole percent shows
SPREAD = 0.2  # between the chains' shares of one optimum, from which they are said to differ


def modes(view: View) -> Block | None:
    """The block, or None where no optimum beside the best is known."""
    entry = view.run.summary.get("modes") or {}
    found = [m for m in entry.get("modes") or [] if m.get("visits")]
    if len(found) < 2:
        return None
    elbo, weight = (np.array([m[n] for m in found], float) for n in ("elbo", "weight"))
    visits = np.array([m["visits"] for m in found], float)
    some = slice(0, DRAWN)
    fig = figure(elbo[some], weight[some], visits[some], view.styles[view.reference], view.styles.get("cavi"))
    unit = f"square: weight by ELBO; small circles: the chains of {view.reference_label}; large circle: their mean"
    panel = Panel("modes", fig, "weight of each optimum by its ELBO and by draws", "Share of each optimum", unit)
    read = (
        "Each row is a place where coordinate ascent came to rest. The square is what its bound alone says it weighs among "
        "these; a circle is the share of draws that lie there. Squares far from circles: the bound fits some places better "
        "than others, so its weights are not the posterior’s. Circles far from each other: chains "
        "seldom cross. What no restart found and no chain visited stays unseen."
    )
    return Block(
        "modes", _title(entry, visits), _what(view, entry, elbo, weight, visits), read, [panel], _table(found, visits)
    )


def one_optimum(view: View) -> str:
    """A sentence for the section where only one optimum is known; empty otherwise."""
    entry = view.run.summary.get("modes") or {}
    if entry.get("number") != 1 or not entry.get("restarts"):
        return ""
    n = int(entry["restarts"])
    who = "The one restart" if n == 1 else f"All {count(n)} restarts"
    return f"{who} of coordinate ascent ended at one optimum; what no restart found and no chain visited stays unseen."


def _title(entry: dict[str, Any], visits: np.ndarray) -> str:
    seen, listed_ = int((visits > 0).any(axis=1).sum()), len(visits)
    number_ = int(entry.get("number") or listed_)
    of = f"the {count(number_)} optima found" if number_ <= listed_ else f"the {count(listed_)} best optima"
    elsewhere = 1 - float(visits[0].mean())
    visited = f"Chains visited {count(seen)} of {of}"
    if elsewhere < _NONE:
        return visited
    return f"{visited}; {percent(elsewhere)} of draws lie elsewhere than at the best"


def _what(view: View, entry: dict[str, Any], elbo: np.ndarray, weight: np.ndarray, visits: np.ndarray) -> str:
    mean, out = visits.mean(axis=1), []
    missed = [i for i in np.flatnonzero(weight >= HEAVY) if mean[i] == 0]
    if missed:
        which = listed([f"{_named(elbo[i])}, {percent(weight[i])} by its bound" for i in missed])
        out.append(
            f"**No chain visited {'an optimum that weighs' if len(missed) == 1 else 'optima that weigh'} much:** {which}."
        )
    if 0.5 * np.abs(weight - mean).sum() >= APART:
        i = int(np.abs(weight - mean).argmax())
        who = "the best optimum" if i == 0 else f"the optimum at {_named(elbo[i])}"
        weighs = f"By bounds {who} weighs {percent(weight[i])}, by draws {percent(mean[i])}"
        doubt = (
            "and the chains themselves failed their checks"
            if view.failed
            else "the bound’s weight is not the posterior’s"
        )
        out.append(f"{weighs}{', ' if view.failed else ': '}{doubt}.")
    spread = np.ptp(visits, axis=1)
    if spread.max() >= SPREAD:
        i = int(spread.argmax())
        low, high = visits[i].min(), visits[i].max()
        out.append(f"Chains do not agree on {_named(elbo[i])}: from {percent(low)} to {percent(high)} of their draws.")
    restarts, total = int(entry.get("restarts") or 0), int(entry.get("number") or len(visits))
    drawn = f", of which {DRAWN} are drawn" if len(visits) > DRAWN else ""
    if restarts:
        out.append(f"{count(restarts)} restarts ended at {count(total)} optima{drawn}.")
    if total > len(visits):
        out.append(f"Draws are counted at the best {count(len(visits))} only.")
    return sentences(*out)


def _named(elbo: float) -> str:
    return f"ELBO {number(elbo)}"


def _table(found: list[dict[str, Any]], visits: np.ndarray) -> Table:
    body = [
        [
            number(m["elbo"], 3),
            count(m.get("restarts")),
            _share(m["weight"]),
            _share(float(v.mean())),
            interval(100 * v.min(), 100 * v.max(), 1) if len(v) > 1 else "",
        ]
        for m, v in zip(found, visits, strict=True)
    ]
    head = ["ELBO", "restarts", "weight by ELBO", "share of draws", "lowest and highest chain, %"]
    return Table(f"{plural(len(found), 'optimum', 'optima')}, best first", head, body)


def _share(value: float) -> str:
    return percent(value, 1) if value >= 0.0005 or value == 0 else f"below {percent(0.0005, 2)}"
