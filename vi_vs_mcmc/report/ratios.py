"""What importance ratios say: how many draws of a method reweighting to the posterior would leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vi_vs_mcmc.figures.ratios import ratios as figure
from vi_vs_mcmc.report.blocks import Block, Panel, Table
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import count, listed, number, percent


@dataclass(frozen=True)
class Ratios:
    """The log ratios of one method, relative to their mean, and what they leave."""

    logs: NDArray[np.float64]  # log w - log mean(w), nats, (draw,)
    effective: float  # (sum w)^2 / sum w^2
    largest: float  # share of the largest weight


def ratios(view: View) -> Block | None:
    """The figure, or None if no method keeps log p and log q."""
    found = {m: r for m in view.methods if (r := _ratios(view, m)) is not None}
    if not found:
        return None
    worst = min(found, key=lambda m: found[m].effective / found[m].logs.size)
    r = found[worst]
    title = f"Reweighting would leave {count(r.effective)} of {view.label(worst)}’s {count(r.logs.size)} draws"
    rest = [f"{view.label(m)} {count(found[m].effective)} of {count(found[m].logs.size)}" for m in found if m != worst]
    what = f"Its heaviest draw would carry {percent(r.largest, 1)} of all the weight."
    what += f" Others would keep: {listed(rest)}." if rest else ""
    read = (
        "Each draw’s importance ratio says how much more often the posterior visits its place than the "
        "method does. Draws at the line are visited as often. A long tail to the right holds places the "
        "method hardly visits: too narrow a family has one, and k‑hat in the table above measures its weight."
    )
    body = [
        [
            view.label(m),
            count(v.logs.size),
            count(v.effective),
            percent(v.largest, 2),
            number(_khat(view, m), 2),
        ]
        for m, v in found.items()
    ]
    head = ["method", "draws", "effective after reweighting", "heaviest draw", "k‑hat"]
    fig = figure({m: v.logs for m, v in found.items()}, view.styles)
    panel = Panel("ratios", fig, "distribution of log importance ratios by method", "Share of draws", "%")
    table = Table("importance ratios", head, body, methods=list(found))
    return Block("ratios", title, what, read, [panel], table)


def _ratios(view: View, method: str) -> Ratios | None:
    tree = view.run.posteriors[method]
    if "sample_stats" not in tree.children or not {"log_p", "log_q"} <= set(tree["sample_stats"].data_vars):
        return None
    stats = tree["sample_stats"]
    logs = (stats["log_p"].to_numpy() - stats["log_q"].to_numpy()).astype(float).ravel()
    logs = logs[np.isfinite(logs)]
    if logs.size < 2:
        return None
    weights = np.exp(logs - logs.max())
    mean = np.log(weights.mean()) + logs.max()
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    return Ratios(logs - mean, effective, float(weights.max() / weights.sum()))


def _khat(view: View, method: str) -> float | None:
    return view.run.summary["verdicts"][method].get("khat")
