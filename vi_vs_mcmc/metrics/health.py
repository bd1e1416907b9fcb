"""Whether a reference may be called one: R-hat, effective sample sizes, E-BFMI, divergences, tree depth.

Source: Vehtari et al. (2021), Bayesian Analysis 16; Betancourt (2016), arXiv:1604.00695.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from arviz_stats.base.array import array_stats
from xarray import DataTree

from .marginals import Marginals

RHAT, ESS, BFMI, DIVERGENT, DEEP = 1.01, 400.0, 0.3, 0.001, 0.01


@dataclass(frozen=True)
class Check:
    """One test of the reference; value None: the files do not tell."""

    name: str
    value: float | None
    wanted: str
    passed: bool

    @property
    def shown(self) -> str:
        """The value, with as many digits as tell it from a limit."""
        if self.value is None:
            return "unknown"
        return f"{self.value:.5g}" if self.name.startswith("R-hat") else f"{self.value:.4g}"

    @property
    def curable(self) -> bool:
        """Whether more draws may mend it."""
        return self.value is not None and self.name.startswith(("R-hat", "bulk", "tail"))


@dataclass(frozen=True)
class Health:
    """What is known of a reference, and whether it passed."""

    checks: tuple[Check, ...]
    rhat: np.ndarray  # (parameter,), nan where not judged
    ess_bulk: np.ndarray
    ess_tail: np.ndarray
    divergences: int | None

    @property
    def passed(self) -> bool:
        """Whether every check that could be made was passed."""
        return all(check.passed for check in self.checks)

    @property
    def hopeful(self) -> bool:
        """Whether it failed only what more draws may mend."""
        return all(check.passed or check.curable for check in self.checks)

    def failures(self) -> str:
        """The failed checks in words, with their numbers."""
        return ", ".join(f"{c.name} {c.shown} (want {c.wanted})" for c in self.checks if not c.passed)


def health(tree: DataTree, reference: Marginals, judged: np.ndarray) -> Health:
    """Check a reference on the scalars that are judged.

    Args:
        tree: the posterior, for its `sample_stats`.
        reference: its scalars, labels aligned.
        judged: (parameter,) bool.
    """
    draws = reference.draws.values
    each = lambda f: np.array([float(f(draws[..., j])) if judged[j] else np.nan for j in range(len(judged))])
    rhat = each(lambda x: array_stats.rhat(x, chain_axis=0, draw_axis=1))
    bulk = each(lambda x: array_stats.ess(x, chain_axis=0, draw_axis=1, method="bulk"))
    tail = each(lambda x: array_stats.ess(x, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95)))
    worst = lambda values, pick: float(pick(values[judged])) if judged.any() else float("nan")
    r, b, t = worst(rhat, np.max), worst(bulk, np.min), worst(tail, np.min)
    several = draws.shape[0] > 1
    checks = [
        Check("R-hat, largest", r if several else None, f"below {RHAT}" if several else "two chains", bool(r < RHAT)),
        Check("bulk ESS, smallest", b, f"at least {ESS:.0f}", bool(b >= ESS)),
        Check("tail ESS, smallest", t, f"at least {ESS:.0f}", bool(t >= ESS)),
    ]
    checks = checks if judged.any() else []
    stats = tree["sample_stats"].to_dataset() if "sample_stats" in tree.children else {}
    divergences = None
    if "diverging" in stats:
        divergences = int(stats["diverging"].sum())
        allowed = DIVERGENT * stats["diverging"].size
        checks.append(Check("divergences", divergences, f"at most {allowed:.0f}", bool(divergences <= allowed)))
    if "energy" in stats:
        energy = stats["energy"].transpose("chain", "draw").values
        low = float(np.min(np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1)))
        checks.append(Check("E-BFMI, smallest", low, f"at least {BFMI}", bool(low >= BFMI)))
    if "tree_depth" in stats and "max_tree_depth" in tree.attrs:
        deep = float((stats["tree_depth"] >= tree.attrs["max_tree_depth"]).mean())
        checks.append(Check("draws at the depth limit", deep, f"at most {DEEP:.0%}", bool(deep <= DEEP)))
    return Health(tuple(checks), rhat, bulk, tail, divergences)
