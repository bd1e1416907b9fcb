"""Whether labels can carry a verdict, and the verdict that needs none where they cannot.

What "component 0" is must be one thing for all draws. It is not where chains disagree on it, where two relabelling rules give
two answers, or where the reference's draws belong to several optima: then sorted weights, occupied components,
co-clustering and the log predictive density are judged in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from xarray import DataTree

from vi_vs_mcmc import labelfree, labels
from vi_vs_mcmc.against import Found, Measured, look
from vi_vs_mcmc.labels import Pivot
from vi_vs_mcmc.metrics.health import Check
from vi_vs_mcmc.metrics.marginals import Marginals, marginals
from vi_vs_mcmc.modes import Modes
from vi_vs_mcmc.names import percent
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.verdict import Tolerance

ELSEWHERE = 0.05  # share of the reference's draws beyond its main optimum from which labels no longer carry a verdict


@dataclass(frozen=True)
class Rules:
    """How far the reference's answer depends on the rule that relabels it."""

    parameter: str  # of the largest difference
    sd: float
    other_sd: float  # by squared distances
    shift: float  # of the mean, in sds


def rules(tree: DataTree, dim: str, pivot: Pivot, judged: Marginals, use: np.ndarray) -> Rules | None:
    """The reference relabelled by another rule, beside the one in use; None where nothing is judged.

    Args:
        tree: draws as the sampler left them, or aligned.
        dim: the exchangeable dimension.
        pivot: what each label looks like.
        judged: the scalars by the rule in use.
        use: which of them are judged, (parameter,) bool.
    """
    if not use.any():
        return None
    sites = tuple(dict.fromkeys(name.split("[")[0] for name in judged.parameters))
    other = marginals(labels.align(tree, dim, pivot, squares=True)[0], sites)
    apart = np.where(use, np.abs(np.log(np.where(use, other.sd / judged.sd, 1.0))), -1.0)
    j = int(apart.argmax())
    shift = float((other.mean[j] - judged.mean[j]) / judged.sd[j])
    return Rules(judged.parameters[j], float(judged.sd[j]), float(other.sd[j]), shift)


def doubt(found: Found, modes: Modes | None, rule: Rules | None, tolerance: Tolerance) -> str | None:
    """Why labels cannot carry the verdict, as a sentence; None where they can."""
    if not found.health.passed and found.health.hopeful:
        return f"chains do not agree on single components: {found.health.failures()}"
    if rule is not None and abs(np.log(rule.other_sd / rule.sd)) > tolerance.sd:
        return (
            f"the sd of `{rule.parameter}` is {rule.sd:.2g} by one relabelling rule and {rule.other_sd:.2g} by another, so "
            "that answers for single components depend on the rule"
        )
    if modes is not None:
        share = np.mean([mode.visits for mode in modes.modes], axis=1)
        away = 1.0 - share.max()
        if away >= ELSEWHERE:
            some = int((share >= 0.01).sum())
            return (
                f"{percent(away)} of the reference\u2019s draws lie at other optima than its main one ({some} optima hold 1 % "
                "or more), so that what a component is differs from draw to draw"
            )
    return None


def free(problem: Problem, trees: Mapping[str, DataTree]) -> dict[str, Measured]:
    """The label-free quantities of every method."""
    out = {}
    for name, tree in trees.items():
        of = labelfree.label_free(problem, tree)
        if of is not None:
            out[name] = Measured(of, marginals(of, labelfree.SITES))
    return out


def without_labels(
    found: Found,
    problem: Problem,
    methods: Mapping[str, Measured],
    tolerance: Tolerance,
    more: Sequence[Check] = (),
) -> Found | None:
    """The same reference, judged by its label-free quantities; None for a model that has none."""
    tree = labelfree.label_free(problem, found.tree, most=None)
    if tree is None or not methods:
        return None
    return look(found.name, tree, methods, labelfree.SITES, tolerance, more=more)


def carry(found: Found, by: Found, why: str) -> Found:
    """Verdicts from label-free quantities; the labelled ones stay in the table, judged by nobody."""
    reason = "it belongs to a component, and labels do not hold here"
    known = {item["parameter"] for item in found.left_out}
    labelled = list(dict.fromkeys(found.table["parameter"]))
    left_out = [
        *found.left_out,
        *({"parameter": p, "reason": reason} for p in labelled if p not in known),
        *by.left_out,
    ]
    table = pd.concat([found.table.assign(judged=False), by.table], ignore_index=True)
    tree = found.tree.copy()
    tree["posterior"] = DataTree(_with(found.tree, by.tree))
    both = {"facts": found.facts, "why": found.why, "moved": found.moved}
    return replace(by, tree=tree, table=table, left_out=left_out, why_label_free=why, **both)


def with_label_free(trees: Mapping[str, DataTree], methods: Mapping[str, Measured]) -> dict[str, DataTree]:
    """Every posterior with its label-free quantities among its sites, so that what is judged is in its file."""
    out = {}
    for name, tree in trees.items():
        out[name] = tree.copy()
        if name in methods:
            out[name]["posterior"] = DataTree(_with(tree, methods[name].tree))
    return out


def recorded(by: Found | None) -> list[dict[str, Any]] | None:
    """The label-free rows for `summary.json`."""
    if by is None:
        return None
    columns = [
        "method",
        "parameter",
        "mean",
        "sd",
        "reference_mean",
        "reference_sd",
        "sd_ratio",
        "bias",
        "reference_rhat",
    ]
    return by.table.loc[:, columns].to_dict("records")


def _with(tree: DataTree, other: DataTree):
    """Both posteriors' sites, over the draws that both have."""
    group, more = tree["posterior"].to_dataset(), other["posterior"].to_dataset()
    draws = min(group.sizes["draw"], more.sizes["draw"])
    return group.isel(draw=slice(0, draws)).merge(more.isel(draw=slice(0, draws)))
