"""What a metric is given: one posterior's distinct scalars, and Monte Carlo errors of what is computed from them.

Every statistic here is smooth in the draws' law, so its Monte Carlo error is that of a mean: the mean of its influence
function over the draws (the delta method). ArviZ's effective sample size carries the autocorrelation; draws of a VI
method are independent, and a mean or sd known in closed form has no error.

Source: Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Bayesian Analysis 16; van der Vaart (1998), chapter 20.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from arviz_stats.base.array import array_stats
from scipy.stats import norm
from xarray import DataArray, Dataset, DataTree

from vi_vs_mcmc import posterior

POINTWISE = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Marginals:
    """The compared scalars of one posterior.

    Attributes:
        draws: (chain, draw, parameter).
        mean: (parameter,) closed form where there is one.
        sd: (parameter,) likewise.
        exact: whether mean and sd are free of Monte Carlo error, (parameter,) bool.
        independent: whether the draws are.
    """

    draws: DataArray
    mean: np.ndarray
    sd: np.ndarray
    exact: np.ndarray
    independent: bool

    @property
    def parameters(self) -> list[str]:
        """Labels of the scalars."""
        return [str(p) for p in self.draws.parameter.values]

    def standardised(self) -> np.ndarray:
        """(x - mean) / sd, (chain, draw, parameter)."""
        return (self.draws.values - self.mean) / self.sd

    def error(self, influence: np.ndarray) -> np.ndarray:
        """Monte Carlo standard error of a statistic, from its influence function at each draw, (parameter,)."""
        if self.independent:
            return influence.std((0, 1), ddof=1) / np.sqrt(influence.shape[0] * influence.shape[1])
        return np.array([_mcse(influence[..., j]) for j in range(influence.shape[-1])])


def marginals(tree: DataTree, sites: tuple[str, ...], like: DataTree | None = None) -> Marginals:
    """The scalars of a posterior's sites; means and sds in closed form where its `variational` group has finite ones.

    `like`, the reference, decides which entries of a symmetric matrix are distinct.
    """
    draws = posterior.scalars(tree, sites, like)
    values = draws.values
    mean, sd = values.mean((0, 1)), values.std((0, 1), ddof=1)
    exact = np.zeros(len(mean), bool)
    variational = tree["variational"].to_dataset() if "variational" in tree.children else Dataset()
    at = 0
    for site in sites:
        shape = (tree if like is None else like)["posterior"].to_dataset()[site]
        size = len(posterior.scalar_values(shape)[1])
        if f"mean_{site}" in variational and f"sd_{site}" in variational:
            closed = [posterior.scalar_values(variational[f"{m}_{site}"], shape)[0] for m in ("mean", "sd")]
            use = np.isfinite(closed[0]) & np.isfinite(closed[1])
            here = slice(at, at + size)
            mean[here], sd[here] = np.where(use, closed[0], mean[here]), np.where(use, closed[1], sd[here])
            exact[here] = use
        at += size
    return Marginals(draws, mean, sd, exact, independent="variational" in tree.children)


def estimate(
    method: Marginals, value: np.ndarray, error: np.ndarray, *, own: np.ndarray | None = None, log: bool = False
) -> Dataset:
    """A metric's value and standard error by parameter; with `log`, the error is that of its logarithm.

    `own` is the part of the error that the method's draws bring, and the reference's cannot mend; none where it is not given.
    """
    own = np.zeros_like(error) if own is None else own
    found = {"value": ("parameter", value), "error": ("parameter", error), "own": ("parameter", own)}
    return Dataset(found, {"parameter": method.parameters}, {"log": int(log)})


def limits(of: Dataset, z: float = POINTWISE) -> tuple[np.ndarray, np.ndarray]:
    """value -+ z errors, or value exp(-+ z errors) on the log scale."""
    value, error = of["value"].values, of["error"].values
    if of.attrs["log"]:
        return value * np.exp(-z * error), value * np.exp(z * error)
    return value - z * error, value + z * error


def simultaneous(number: int) -> float:
    """z of `number` two-sided intervals that hold together with 95 % probability (Sidak 1967)."""
    return float(norm.ppf(1.0 - 0.5 * (1.0 - 0.95 ** (1.0 / max(number, 1)))))


def _mcse(influence: np.ndarray) -> float:
    if not np.ptp(influence) > 0:
        return 0.0
    error: Any = array_stats.mcse(influence, chain_axis=0, draw_axis=1, method="mean")
    return float(error)
