"""Rows for the regressions' tests, and q of each model with a closed form as a NumPyro program of `Conjugate.parameters`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from jax import Array
from scipy import stats
from scipy.special import gammaln

import vi_vs_mcmc as vm

SETTINGS = {"shape": 2.0, "rate": 1.5, "strength": 0.5}


def table(rows: int = 12, dimension: int = 3, seed: int = 0, *, binary: bool = False) -> pd.DataFrame:
    """Few rows, so that what q cuts is large; columns that are correlated, off centre and of different units."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, dimension)) + rng.normal(size=(rows, 1))
    y = x @ rng.normal(size=dimension) + rng.normal(size=rows)
    found = {f"x{j}": 10.0 ** (j - 1) * (x[:, j] + 2.0) for j in range(dimension)}
    return pd.DataFrame(found | {"y": (y > 0.0).astype(float) if binary else 3.0 * y + 7.0})


def linear(**settings) -> vm.Problem:
    """Simulated rows under a prior that counts."""
    return vm.load("linear_regression")(table(), **{**SETTINGS, **settings})


def linear_guide(q: Mapping[str, Array]) -> None:
    """q(beta) q(tau), and q(alpha)."""
    numpyro.sample("tau", dist.Gamma(q["shape"], q["rate"]))
    if "relevance_shape" in q:
        numpyro.sample("alpha", dist.Gamma(q["relevance_shape"], q["relevance_rate"]).to_event(1))
    numpyro.sample("beta", dist.MultivariateNormal(q["mean"], q["covariance"]))


def normal_guide(q: Mapping[str, Array]) -> None:
    """q(mu) q(tau)."""
    numpyro.sample("tau", dist.Gamma(q["shape"], q["rate"]))
    numpyro.sample("mu", dist.Normal(q["mean"], q["sd"]))


def probit_guide(q: Mapping[str, Array]) -> None:
    """q(beta)."""
    numpyro.sample("beta", dist.MultivariateNormal(q["mean"], q["covariance"]))


class Exact(NamedTuple):
    """The exact posterior of a linear regression without relevances (normal-gamma), by NumPy and SciPy."""

    centre: np.ndarray  # (K,), of beta
    precision: np.ndarray  # (K, K), P: given tau, beta has the precision tau P
    beta: Any  # Student t, (K,)
    tau: Any  # gamma
    log_evidence: float


def exact(problem: vm.Problem) -> Exact:
    """beta | tau ~ N(m, S^2 / tau): P = X'X + S^-2, a_N = a + N/2, b_N = b + (|y - X mu|^2 + |(mu - m) / S|^2) / 2."""
    (x, y), prior = problem.args, problem.kwargs
    of_prior = np.diag(prior["scale"] ** -2.0)
    precision = x.T @ x + of_prior
    centre = np.linalg.solve(precision, x.T @ y + of_prior @ prior["mean"])
    off, apart = y - x @ centre, centre - prior["mean"]
    a, b = prior["shape"] + len(y) / 2, prior["rate"] + (off @ off + apart @ of_prior @ apart) / 2
    log_evidence = a_log(prior["shape"], prior["rate"]) - a_log(a, b) - len(y) / 2 * np.log(2 * np.pi)
    log_evidence += np.linalg.slogdet(of_prior)[1] / 2 - np.linalg.slogdet(precision)[1] / 2
    beta = stats.t(2 * a, centre, np.sqrt(b / a * np.diag(np.linalg.inv(precision))))
    return Exact(centre, precision, beta, stats.gamma(a, scale=1 / b), float(log_evidence))


def a_log(a: float, b: float) -> float:
    """a log b - log Gamma(a): minus the log normaliser of a gamma."""
    return a * np.log(b) - gammaln(a)
