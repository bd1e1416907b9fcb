"""What importance ratios say: whether reweighting mends a method, what it makes of its numbers, what it certifies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vi_vs_mcmc.figures.ratios import ratios as figure
from vi_vs_mcmc.names import file_name
from vi_vs_mcmc.report.blocks import Block, Panel, Table
from vi_vs_mcmc.report.findings import points
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import code, count, like, listed, number, percent, told_apart

ROWS = 12  # of each method's corrected numbers


@dataclass(frozen=True)
class Ratios:
    """The log ratios of one method, relative to their mean, and what they leave."""

    logs: NDArray[np.float64]  # log w - log mean(w), nats, (draw,)
    effective: float  # of `draws`
    draws: int
    largest: float  # share of the largest weight
    judged: Mapping[str, Any] | None  # the run's own look at all draws: ess, draws, khat, threshold, reliable


def ratios(view: View) -> Block | None:
    """The figure, or None if no method keeps log p and log q, or none of their ratios mean anything."""
    found = {m: r for m in view.methods if (r := _ratios(view, m)) is not None}
    if not found:
        return None
    title, what = _words(view, found)
    read = (
        "Each draw’s importance ratio says how much more often the posterior visits its place than the "
        "method does. Draws at the line are visited as often. A long tail to the right holds places the "
        "method hardly visits: too narrow a family has one, and k‑hat measures its weight."
    )
    if any(_certificate(view, m) for m in found):
        read += (
            " A certificate bounds every error in the method’s own sds, without believing the reference, as far as the "
            "method’s draws reach: it cannot see a mode that they miss. Where the ratios’ squares have no reliable mean "
            "there is none."
        )
    table = _corrected(view, found)
    if table and table.dashed:
        read += " Numbers are corrected only where their k‑hat allows."
    fig = figure({m: r.logs for m, r in found.items()}, view.styles)
    panel = Panel("ratios", fig, "distribution of log importance ratios by method", "Share of draws", "%")
    return Block("ratios", title, what, read, [panel], table or _kept(view, found))


def _words(view: View, found: dict[str, Ratios]) -> tuple[str, str]:
    worst = min(found, key=lambda m: found[m].effective / found[m].draws)
    judged = {m: r.judged for m, r in found.items() if r.judged}
    parts = [f"{_carries(view, worst, found[worst])} of all the weight."]
    if judged:
        title = _judgement(view, found)
        parts = [_left(view, found), *parts, _how(view, [m for m, j in judged.items() if j["reliable"]])]
    else:
        r = found[worst]
        title = f"Reweighting would leave {count(r.effective)} of {view.label(worst)}’s {count(r.draws)} draws"
        rest = [f"{view.label(m)} {count(found[m].effective)} of {count(found[m].draws)}" for m in found if m != worst]
        parts += [f"Others would keep: {listed(rest)}."] if rest else []
    return title, " ".join(p for p in [*parts, *_certificates(view, list(found))] if p)


def _judgement(view: View, found: dict[str, Ratios]) -> str:
    """For whom reweighting works, as a heading."""
    works = [m for m, r in found.items() if r.judged and r.judged["reliable"]]
    fails = [m for m, r in found.items() if r.judged and not r.judged["reliable"]]
    names = lambda methods: listed([view.label(m) for m in methods])
    if works and fails:
        return f"Reweighting works for {names(works)}, not for {names(fails)}"
    if fails:
        judged = [r.judged for m in fails if (r := found[m]).judged]
        pairs = [told_apart(j["khat"], j["threshold"]) for j in judged]
        khats, edges = (listed(list(dict.fromkeys(side))) for side in zip(*pairs, strict=True))
        return f"Reweighting cannot mend {names(fails)}: k‑hat is {khats}, to be trusted below {edges}"
    least = min(works, key=lambda m: found[m].effective / found[m].draws)
    r = found[least]
    if len(works) == 1:
        return f"Reweighting works for {names(works)}: {count(r.effective)} of {count(r.draws)} draws stay effective"
    rest = f"of {view.label(least)}’s {count(r.draws)} draws {count(r.effective)} stay effective"
    return f"Reweighting works for {names(works)}; {rest}"


def _left(view: View, found: dict[str, Ratios]) -> str:
    """k-hat and effective draws of every method, as a sentence."""
    each = [
        "{} k‑hat {} (trusted below {}), ".format(view.label(m), *told_apart(r.judged["khat"], r.judged["threshold"]))
        + f"{count(r.effective)} of {count(r.draws)} draws effective"
        for m, r in found.items()
        if r.judged
    ]
    return f"{'; '.join(each)}."


def _carries(view: View, method: str, r: Ratios) -> str:
    return f"{view.label(method)}’s heaviest saved draw carries {percent(r.largest, 1)}"


def _how(view: View, works: list[str]) -> str:
    """How to get a corrected posterior from the run folder."""
    if not works:
        return ""
    m = min(works, key=lambda m: view.run.summary["verdicts"][m]["importance"]["khat"])
    call = f'vm.resample(xarray.open_datatree("posteriors/{file_name(m)}.nc"), seed=0)'
    return f"{code(call)} makes draws of the posterior from {view.label(m)}’s."


def _certificates(view: View, methods: list[str]) -> list[str]:
    """One sentence each; what a missing one follows from is explained once."""
    out: list[str] = []
    for text in (_certificate(view, m) for m in methods):
        explained = text.partition(", so ")[2]
        twice = explained and any(said.endswith(explained) for said in out)
        out.append(f"{text.partition(', so ')[0]}." if twice else text)
    return out


def _certificate(view: View, method: str) -> str:
    """What is certain of a method’s error, or why nothing is."""
    found = view.run.summary["verdicts"][method].get("certificate")
    if not found:
        return ""
    mean, sd = found.get("mean"), found.get("sd")
    if mean is None or sd is None:
        reason = str(found.get("sentence") or "").strip().rstrip(".")
        return f"{view.label(method)} gets no certificate{f': {_lower(reason)}' if reason else ''}."
    return (
        f"{view.label(method)} is certified: no mean is off by more than {number(mean)} of its sd, and no sd by more "
        f"than {number(sd)}."
    )


def _lower(reason: str) -> str:
    """A recorded sentence as what follows a colon, without saying twice that there is no certificate."""
    for start in ("no certificate: ", "No certificate: "):
        reason = reason.removeprefix(start)
    return reason


def _corrected(view: View, found: dict[str, Ratios]) -> Table | None:
    """What weights make of means and sds, for the parameters furthest off; None where nothing was recorded."""
    body, groups = [], {}
    for m in found:
        mean, sd, khat = (view.column(m, c) for c in ("corrected_mean", "corrected_sd", "khat"))
        if not np.isfinite(np.stack([mean, sd, khat])[:, view.counted]).any():
            continue
        groups[len(body)] = view.label(m)
        for j in view.counted[:ROWS]:
            width = float(view.sd[view.reference][j])
            numbers = (
                *(view.mean[m][j], mean[j], view.mean[view.reference][j]),
                *(view.sd[m][j], sd[j], width),
            )
            body.append([code(view.names[j]), *(like(float(v), width) for v in numbers), number(float(khat[j]))])
    label = view.reference_label
    head = ["parameter", "mean", "corrected", f"{label}", "sd", "corrected", f"{label}", "k‑hat of the mean"]
    return Table("means and sds before and after reweighting", head, body, groups=groups) if body else None


def _kept(view: View, found: dict[str, Ratios]) -> Table:
    body = [
        [view.label(m), count(r.draws), count(r.effective), percent(r.largest, 2), number(_khat(view, m), 2)]
        for m, r in found.items()
    ]
    head = ["method", "draws", "effective after reweighting", "heaviest draw", "k‑hat"]
    return Table("importance ratios", head, body, methods=list(found))


def _ratios(view: View, method: str) -> Ratios | None:
    tree, verdict = view.run.posteriors[method], view.run.summary["verdicts"][method]
    if method in points(view) or verdict.get("importance", True) is None:
        return None
    if "sample_stats" not in tree.children or not {"log_p", "log_q"} <= set(tree["sample_stats"].data_vars):
        return None
    stats = tree["sample_stats"]
    logs = (stats["log_p"].to_numpy() - stats["log_q"].to_numpy()).astype(float).ravel()
    logs = logs[np.isfinite(logs)]
    if logs.size < 2:
        return None
    weights = np.exp(logs - logs.max())
    mean = np.log(weights.mean()) + logs.max()
    judged = verdict.get("importance")
    effective = float(judged["ess"]) if judged else float(weights.sum() ** 2 / (weights**2).sum())
    draws = int(judged["draws"]) if judged else logs.size
    return Ratios(logs - mean, effective, draws, float(weights.max() / weights.sum()), judged)


def _khat(view: View, method: str) -> float | None:
    return view.run.summary["verdicts"][method].get("khat")
