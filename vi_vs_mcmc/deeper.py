"""What is measured once, when the verdicts stand: why a method is off, and what its own draws can mend.

By scalar: Wasserstein-1, the sd ratio that a factorised Gaussian should have, KL from the reference, robust scales,
importance-corrected means and sds, k-hat of each expectation. By method: how far importance weights reach, and what is
certain of its errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from xarray import DataTree

from vi_vs_mcmc import flat
from vi_vs_mcmc.against import Found, Measured
from vi_vs_mcmc.metrics import OF_WIDTH, measures
from vi_vs_mcmc.metrics.certificate import Certificate, certificate
from vi_vs_mcmc.metrics.factorised import predicted_ratio, shrinkage_delinkage
from vi_vs_mcmc.metrics.importance import corrected, khat_of, log_ratio
from vi_vs_mcmc.metrics.marginals import POINTWISE, Marginals, limits, marginals
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.psis import smoothed

LINEAR = 0.9  # share of a scalar's variance that coordinates must explain before a prediction is made from them
MOST = 100  # scalars beyond which KL, a fit for each, is left out
WIDEST = 200  # coordinates beyond which the reference's draws cannot tell their covariance's inverse


def deepened(
    found: Found, methods: Mapping[str, Measured], sites: tuple[str, ...], problem: Problem | None = None
) -> Found:
    """The same look with more columns in its table, and `facts` of each method.

    Args:
        found: the last look.
        methods: what was judged.
        sites: what was compared.
        problem: knows the unconstrained coordinates; without one, the scalars stand in for them.
    """
    truth = marginals(found.tree, sites)
    scalars = truth.draws.values
    coordinates = scalars if problem is None else flat.of_tree(problem, found.tree)
    wide = coordinates.shape[-1] > WIDEST
    predicted = None if wide else predicted_ratio(scalars, coordinates)
    trade = None if wide else shrinkage_delinkage(coordinates)
    parts, facts = [], {}
    for method, of in methods.items():
        part = found.table.loc[found.table["method"] == method].copy()
        columns: dict[str, Any] = {}
        if predicted is not None:
            spread = np.exp(POINTWISE * predicted.error)
            ratio = np.where(predicted.explained >= LINEAR, predicted.ratio, np.nan)
            columns["factorised"], columns["factorised_low"], columns["factorised_high"] = (
                ratio,
                ratio / spread,
                ratio * spread,
            )
        point = bool(of.tree.attrs.get("point_estimate", 0))
        for name, measure in measures().items():
            if (point and name in OF_WIDTH) or (name == "kl" and len(part) > MOST):
                continue
            with np.errstate(divide="ignore", invalid="ignore"):  # constant scalars divide by 0; they say nothing
                result = measure(of.marginals, truth)
            columns[name] = result["value"].values
            if np.isfinite(result["error"].values).any():
                columns[f"{name}_low"], columns[f"{name}_high"] = limits(result)
        more, facts[method] = _by_importance(of.tree, of.marginals, problem)
        parts.append(part.assign(**columns, **more))
    why = None if trade is None or not np.isfinite(trade.kl) else {k: float(v) for k, v in trade._asdict().items()}
    return replace(found, table=pd.concat(parts, ignore_index=True), facts=facts, why=why)


def _by_importance(tree: DataTree, own: Marginals, problem: Problem | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns and facts that need log p and log q of each draw; empty where there are none."""
    ratio = log_ratio(tree)
    weights = None if ratio is None else smoothed(ratio)
    if ratio is None or weights is None:
        return {}, {"importance": None, "certificate": None}
    draws = own.draws.values.reshape(-1, own.draws.shape[-1])
    shapes = khat_of(draws, ratio)
    columns: dict[str, Any] = {"khat": shapes}
    if weights.reliable:
        better = corrected(draws, weights)
        columns |= {"corrected_mean": better.mean, "corrected_sd": better.sd}
    facts: dict[str, Any] = {
        "importance": {
            "ess": float(weights.ess),
            "draws": int(ratio.size),
            "khat": float(weights.khat),
            "threshold": float(weights.threshold),
            "reliable": bool(weights.reliable),
        },
        "certificate": None,
    }
    if problem is not None:
        facts["certificate"] = _certified(certificate(ratio, flat.of_tree(problem, tree).reshape(len(draws), -1)))
    return columns, facts


def _certified(found: Any) -> dict[str, Any]:
    """Bounds on the error of every mean and sd, in q's sds, and a sentence."""
    if not isinstance(found, Certificate):
        return {"mean": None, "sd": None, "sentence": f"No certificate: {found.reason}."}
    mean, sd = float(found.mean_error.max()), float(found.sd_error.max())
    sentence = (
        f"Certified over what its draws reach, in unconstrained coordinates: no mean is off by more than {mean:.2f} of its sd, "
        f"and no sd by more than {sd:.2f} of itself, but for Monte Carlo error."
    )
    return {"mean": mean, "sd": sd, "sentence": sentence}
