"""Importance ratios p / q of a VI method's draws: how heavy their tail is, and what reweighting makes of the draws.

The largest ratios are replaced by quantiles of the generalised Pareto law fitted to them (Pareto smoothing); its shape k
tells how many moments the ratios have (those of order below 1 / k). Up to k = min(1 - 1 / log10 S, 0.7), S draws suffice
for smoothed estimates to be trusted.

Where nothing is said: a method without a density of its draws (AutoLaplaceApproximation, AutoDelta, a sampler) has no
ratios, and gets None, never a number. So do ratios that are all equal: draws from p itself have no tail, and a repeated point
looks the same. No number here sees what q never visits: a mode that every draw missed leaves k small.

Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25(72).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from xarray import Dataset, DataTree

from vi_vs_mcmc.psis import Weights, smoothed

from .robust import tail_index


class Corrected(NamedTuple):
    """Moments of the target from weighted draws, with Monte Carlo standard errors, (P,) each."""

    mean: np.ndarray
    sd: np.ndarray
    mean_error: np.ndarray
    sd_error: np.ndarray


def khat(tree: DataTree) -> tuple[float, float] | None:
    """The generalised Pareto shape of the largest ratios and the threshold min(1 - 1 / log10 S, 0.7).

    Those that the posterior itself records, where its draws were taken by their ratios. None where the method has no density
    (no `log_p` and `log_q` in `sample_stats`) and where `smoothed` gives None.
    """
    if {"khat", "khat_threshold"} <= set(tree.attrs):
        return float(tree.attrs["khat"]), float(tree.attrs["khat_threshold"])
    found = log_ratio(tree)
    weights = None if found is None else smoothed(found)
    return None if weights is None else (weights.khat, weights.threshold)


def log_ratio(tree: DataTree) -> np.ndarray | None:
    """log p - log q of every draw, (S,); None where the method has no density."""
    stats = tree["sample_stats"].to_dataset() if "sample_stats" in tree.children else Dataset()
    if not {"log_p", "log_q"} <= set(stats.data_vars):
        return None
    return (stats["log_p"] - stats["log_q"]).values.ravel()


def corrected(draws: np.ndarray, weights: Weights) -> Corrected:
    """Mean and sd under the target by self-normalised importance sampling.

        mean = sum_i w_i x_i        sd^2 = sum_i w_i (x_i - mean)^2 / (1 - sum_i w_i^2)

    Errors by the delta method: Var(mean) = sum_i w_i^2 (x_i - mean)^2, Var(sd^2) = sum_i w_i^2 ((x_i - mean)^2 - sd^2)^2.
    With equal weights these are the plain moments and their errors.

    The errors mean nothing where the weights are not `reliable`, and little where `khat_of` is at or above the threshold:
    of x for the mean, of (x - mean)^2 for the sd.

    Args:
        draws: (S, P), in the order of the weights.
        weights: from `smoothed`.
    """
    w = np.exp(weights.log_weight)
    mean = w @ draws
    squares = (draws - mean) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):  # one draw with all the weight has no spread: nan
        variance = w @ squares / (1.0 - (w**2).sum())
    sd = np.sqrt(variance)
    of_variance = np.sqrt(w**2 @ (squares - variance) ** 2)
    sd_error = np.divide(0.5 * of_variance, sd, out=np.zeros_like(sd), where=sd != 0)
    return Corrected(mean, sd, np.sqrt(w**2 @ squares), sd_error)


def khat_of(draws: np.ndarray, log_ratio: np.ndarray) -> np.ndarray | None:
    """k-hat of the reweighted mean of each scalar h, (P,): the heaviest tail of the terms that its error is a sum of.

    A self-normalised mean has error sum_i w_i (h_i - E h) / sum_i w_i. So it is the largest shape of three: of both tails
    of w (h - E h), and of w itself, since where one draw has all the weight it is E h and its own term vanishes. For an
    sd, give (h - mean)^2 as a scalar. nan for a scalar that is constant: its mean has no error. None where `smoothed`
    gives None.

    The largest of three estimates is high by up to .85 of their standard error, (1 + k) / sqrt(3 sqrt(S)).

    Args:
        draws: (S, P).
        log_ratio: of each draw, (S,), not smoothed.
    """
    weights = smoothed(log_ratio)
    if weights is None:
        return None
    ratio = np.exp(log_ratio - log_ratio.max())
    terms = ratio[:, None] * (draws - np.exp(weights.log_weight) @ draws)
    shapes = np.fmax(tail_index(terms[None], efficiency=1.0), weights.khat)
    return np.where(np.ptp(draws, axis=0) > 0, shapes, np.nan)
