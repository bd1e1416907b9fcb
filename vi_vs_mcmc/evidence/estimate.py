r"""An estimate of the log evidence, and the parts of the gap between it and a bound.

    log Z - ELBO = KL(q || p) = log K! (labels) + what q(z) costs (ELBO with z summed out - ELBO) + what q(theta) costs (the rest)

The first part is there for a model whose labels are exchangeable and a q that keeps to one labelling.

Source: Neal (1999), Erroneous results in "Marginal likelihood from the Gibbs output", on the K! of labels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """One estimate of the log evidence, nats."""

    log_evidence: float  # labels counted in: log K! more than the evidence of one labelling
    error: float  # Monte Carlo standard error
    how: str  # "exact", "importance" or "bridge"
    sentence: str


def best(estimates: list[Estimate]) -> Estimate | None:
    """The estimate with the smallest error; None where no error is finite."""
    return next(iter(_ranked(estimates)), None)


def _ranked(estimates: list[Estimate]) -> list[Estimate]:
    """Those with a finite error, the smallest first."""
    return sorted((e for e in estimates if np.isfinite(e.error)), key=lambda e: e.error)


def gap(elbo: float, marginal: float | None, marginal_se: float | None, found: Estimate, labels: float) -> dict:
    """KL(q || p) = log Z - ELBO in its parts, nats.

    Args:
        elbo: the method's own bound.
        marginal: the bound with local variables summed out, where it is known.
        marginal_se: its Monte Carlo error.
        found: the log evidence.
        labels: log K!, less the entropy of the orders that the method's draws have their labels in.

    Returns:
        total, labels, local (q(z); None where unknown), parameters (q(theta)), error of the parts that were sampled.
    """
    if marginal is None:
        return {
            "total": found.log_evidence - elbo,
            "labels": labels,
            "local": None,
            "parameters": None,
            "error": found.error,
        }
    return {
        "total": found.log_evidence - elbo,
        "labels": labels,
        "local": marginal - elbo,
        "parameters": found.log_evidence - labels - marginal,
        "error": float(np.hypot(found.error, marginal_se or 0.0)),
    }


def recorded(estimates: list[Estimate], labels: float) -> dict[str, Any] | None:
    """The entry of `summary.json`: the best estimate, all of them, and log K!."""
    chosen = best(estimates)
    if chosen is None:
        return None
    return asdict(chosen) | {"labels": labels, "estimates": [asdict(e) for e in _ranked(estimates)]}
