"""Everything against one reference: which scalars are judged, the reference's health, the table, the verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from xarray import DataTree

from vi_vs_mcmc.labels import Moved
from vi_vs_mcmc.metrics.health import Check, Health, health
from vi_vs_mcmc.metrics.marginals import Marginals, marginals
from vi_vs_mcmc.metrics.occupancy import OCCUPIED, occupancy
from vi_vs_mcmc.metrics.table import heavy_tailed, rows
from vi_vs_mcmc.names import percent
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.verdict import Tolerance, judge

ROUNDING = 64  # spacings of the floating-point numbers, within which a scalar moves by rounding only


@dataclass(frozen=True)
class Measured:
    """One VI posterior: its draws with attributes, and its marginals."""

    tree: DataTree
    marginals: Marginals


@dataclass(frozen=True)
class Found:
    """What one look at a reference gave."""

    name: str  # of the reference
    tree: DataTree
    health: Health
    moved: Moved | None
    left_out: list[dict[str, str]]
    table: pd.DataFrame
    verdicts: dict[str, dict[str, Any]]
    judged: np.ndarray  # (parameter,) bool
    why_label_free: str | None = None  # why labels do not carry the verdict, where they do not
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)  # by method: what `deeper` found of it as a whole
    why: dict[str, float] | None = None  # what the reference's correlations cost a factorised Gaussian, nats


def look(
    name: str,
    tree: DataTree,
    methods: Mapping[str, Measured],
    sites: tuple[str, ...],
    tolerance: Tolerance,
    *,
    problem: Problem | None = None,
    moved: Moved | None = None,
    more: Sequence[Check] = (),
) -> Found:
    """Judge every method by the reference as it stands.

    Args:
        name: of the reference.
        tree: its posterior, labels aligned.
        methods: what is judged.
        sites: what is compared.
        tolerance: what does not matter.
        problem: tells which components are empty, where it is known.
        moved: what the alignment changed, for the record.
        more: checks of the reference beyond those of its scalars.
    """
    truth = marginals(tree, sites)
    judged, left_out = _judged(problem, tree, truth)
    state = health(tree, truth, judged)
    state = replace(state, checks=(*state.checks, *more))
    heavy = judged & heavy_tailed(truth)
    tables, verdicts = [], {}
    for method, of in methods.items():
        part = rows(method, of.marginals, truth, judged, heavy, state)
        attrs = of.tree.attrs
        verdicts[method] = judge(
            part,
            state,
            tolerance,
            method=method,
            reference=name,
            draws=truth.draws.sizes["chain"] * truth.draws.sizes["draw"],
            status=None if "status" not in attrs else str(attrs["status"]),
            status_sentence=str(attrs.get("status_sentence", "")),
            point=bool(attrs.get("point_estimate", 0)),
        )
        tables.append(part)
    return Found(name, tree, state, moved, left_out, pd.concat(tables, ignore_index=True), verdicts, judged)


def constant(draws: np.ndarray) -> np.ndarray:
    """Which scalars have no spread, (parameter,) bool, from (chain, draw, parameter): most draws are equal, to rounding."""
    low, high = np.quantile(draws, [0.16, 0.84], axis=(0, 1))
    return high - low <= _rounding(draws)


def _rounding(draws: np.ndarray) -> np.ndarray:
    """The range that rounding alone can give, (parameter,)."""
    return ROUNDING * np.spacing(np.abs(draws).max((0, 1)))


def _judged(problem: Problem | None, tree: DataTree, truth: Marginals) -> tuple[np.ndarray, list[dict[str, str]]]:
    """Which scalars count, (parameter,), and why the others do not: constants, and components that own no row."""
    draws = truth.draws.values
    fixed = np.ptp(draws, axis=(0, 1)) <= _rounding(draws)
    words = np.where(fixed, "it is constant", "it has one value in most draws")
    still = constant(draws)
    reasons = {name: str(w) for name, w, is_still in zip(truth.parameters, words, still, strict=True) if is_still}
    owned = None if problem is None else occupancy(problem, tree)
    if problem is not None and owned is not None:
        dim = problem.exchangeable or "component"
        sites = tree["posterior"].to_dataset()
        for name in truth.parameters:
            site = name.split("[")[0]
            dims = sites[site].dims[2:]
            if dim not in dims:  # nor has a label-free quantity
                continue
            k = int(name[len(site) + 1 : -1].split(", ")[dims.index(dim)])
            if owned[k] < OCCUPIED:
                reasons[name] = (
                    f"component {k} owns a row in {percent(owned[k])} of draws, fewer than {percent(OCCUPIED)}"
                )
    judged = np.array([name not in reasons for name in truth.parameters])
    return judged, [{"parameter": name, "reason": reason} for name, reason in reasons.items()]
