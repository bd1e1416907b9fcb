"""Quantities of a mixture that no relabelling changes: what verdicts rest on where labels do not hold, a check where they do."""

from __future__ import annotations

from typing import Any

import numpy as np

from vi_vs_mcmc.report.blocks import Block, Table
from vi_vs_mcmc.report.findings import find, sentences
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import capital, code, like, listed, number, share, spelled

_MEANS = {
    "sorted_weights": "the weights, heaviest first",
    "occupied": "how many components own a row",
    "together": "the probability that two rows share a component",
    "log_density": "the log predictive density of a row, in nats",
}


def label_free(view: View) -> Block | None:
    """A block without a plot, or None where the run has no such quantities."""
    labels = view.run.summary.get("labels") or {}
    rows = [r for r in labels.get("label_free") or [] if r.get("method") in view.methods]
    if not rows:
        return None
    names = list(dict.fromkeys(str(r["parameter"]) for r in rows))
    title, what = _say(view, labels, rows)
    sites = {n.split("[")[0] for n in names}
    told = [f"{code(s)}: {text}" for s, text in _MEANS.items() if s in sites]
    read = f"Renumbering the components changes none of these. {'; '.join(told)}." if told else ""
    read += " An sd ratio below 1 is too narrow; a mean is off by so many sds of the reference."
    return Block("labels", title, what, read.strip(), (), _table(view, rows, names))


def _say(view: View, labels: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[str, str]:
    rests, why = view.run.summary["reference"].get("label_free"), labels.get("why_label_free")
    measured = {str(r["parameter"]) for r in rows if r.get("sd_ratio") is not None}
    still = [str(r["parameter"]) for r in rows if str(r["parameter"]) not in measured]
    quantities = len(measured or still)
    count, constant = spelled(quantities), _constant(list(dict.fromkeys(still)))
    some = "one quantity" if quantities == 1 else f"{count} quantities"
    rule, furthest = _rules(labels.get("rules")), _furthest(view, rows)
    if rests:
        return f"The verdicts rest on {some} without labels", sentences(str(why or rests), furthest, constant, rule)
    if why and view.failed:
        title = (
            f"Labels do not hold here, and {some} without labels {'is' if quantities == 1 else 'are'} not judged either"
        )
        return title, sentences(str(why), f"{view.reference_label} failed its checks, so nothing is judged", rule)
    if why:
        title = f"Labels are in doubt; {some} without labels could not stand in for them"
        return title, sentences(str(why), furthest, constant, rule)
    if view.failed:
        return f"{capital(some)} without labels, shown for inspection", sentences(
            f"{view.reference_label} failed its checks, so nothing follows from them", rule
        )
    beyond = {m: _beyond(view, [r for r in rows if r["method"] == m]) for m in view.standing}
    other = [m for m in view.standing if _off(view, m) != bool(beyond[m])]
    same = "say" if quantities != 1 else "says"
    if not view.standing:
        return f"Labels hold; {some} without labels beside them", sentences(furthest, constant, rule)
    if not other:
        return f"Labels hold, and {some} without labels {same} the same", sentences(furthest, constant, rule)
    if all(beyond[m] for m in other):
        counted = len({name for m in other for name in beyond[m]})
        same = "say" if counted != 1 else "says"
        some = share(counted, quantities, "quantity", "quantities")
    title = f"Labels hold, but {some} without labels {same} otherwise of {listed([view.label(m) for m in other])}"
    return title, sentences(*(_otherwise(view, m, beyond[m]) for m in other), furthest, constant, rule)


def _off(view: View, method: str) -> bool:
    """Whether something with a label is clearly off."""
    found = find(view, method)
    return bool(found.wrong or found.off)


def _beyond(view: View, rows: list[dict[str, Any]]) -> list[str]:
    """The quantities without a label that are beyond the tolerance; these have no interval."""
    sd, mean = view.tolerance
    far = lambda r: abs(_ratio(r) - 1) > sd or abs(float(r.get("bias") or 0.0)) > mean
    return [str(r["parameter"]) for r in rows if far(r)]


def _constant(names: list[str]) -> str:
    """What has no sd to compare, because it does not vary under the reference."""
    return f"{listed([code(n) for n in names])} {'does' if len(names) == 1 else 'do'} not vary" if names else ""


def _ratio(row: dict[str, Any]) -> float:
    """The sd ratio; 1 where the reference's sd is 0 and there is none."""
    value = row.get("sd_ratio")
    return 1.0 if value is None or not np.isfinite(value) else float(value)


def _otherwise(view: View, method: str, beyond: list[str]) -> str:
    name = view.label(method)
    if not beyond:
        return f"Under {name} something labelled is clearly off, but nothing without a label is beyond the tolerance"
    free = f"{listed([code(n) for n in beyond])} {'is' if len(beyond) == 1 else 'are'} beyond the tolerance"
    return f"Under {name} nothing labelled is clearly off, but {free}"


def _furthest(view: View, rows: list[dict[str, Any]]) -> str:
    """Each method's furthest sd ratio."""
    out = []
    for m in view.wide:
        own = [r for r in rows if r["method"] == m and r.get("sd_ratio") is not None]
        if own:
            far = max(own, key=lambda r: abs(np.log(max(_ratio(r), 1e-12))))
            out.append(f"{view.label(m)} {number(_ratio(far))} ({code(str(far['parameter']))})")
    return (
        f"the furthest sd ratios are {listed(out)}"
        if len(out) > 1
        else f"the furthest sd ratio is {out[0]}"
        if out
        else ""
    )


def _rules(rules: dict[str, Any] | None) -> str:
    """How much the reference's answer depends on the rule that orders its labels."""
    if not rules or not rules.get("sd"):
        return ""
    sd, other, shift = float(rules["sd"]), float(rules["other_sd"]), float(rules.get("shift") or 0.0)
    if abs(other / sd - 1) < 5e-4 and abs(shift) < 5e-3:
        return "By another relabelling rule no sd differs"
    up = "higher" if shift > 0 else "lower"
    moved = f", and its mean is {number(abs(shift))} sds {up}" if abs(shift) >= 5e-3 else ""
    instead = f"{like(other, sd)} instead of {like(sd, sd)}"
    return f"By another relabelling rule the sd of {code(str(rules['parameter']))} is {instead}{moved}"


def _table(view: View, rows: list[dict[str, Any]], names: list[str]) -> Table:
    by = {(r["method"], str(r["parameter"])): r for r in rows}
    methods = [m for m in view.methods if any(r["method"] == m for r in rows)]
    body = []
    for name in names:
        own = [by.get((m, name)) for m in methods]
        first = next(r for r in own if r is not None)
        sd = first.get("reference_sd")
        cells = [like(first.get("reference_mean"), float(sd or 0.0)), like(sd, float(sd or 0.0))]
        for r in own:
            cells += [number(None if r is None else r.get("sd_ratio")), number(None if r is None else r.get("bias"))]
        body.append([code(name), *cells])
    ref = view.reference_label
    head = ["quantity", f"mean under {ref}", f"sd under {ref}"]
    for m in methods:
        head += [f"{view.label(m)} sd ratio", f"{view.label(m)} mean off by, sds"]
    return Table("quantities that need no labels", head, body)
