"""Pathfinder, from BlackJAX: normal laws along quasi-Newton paths to the mode, the best of each path, resampled by importance.

Each of PATHS climbs by L-BFGS; at every step its past gradients tell a normal law, and the one of highest ELBO is kept. Draws of
all paths are pooled, and the posterior's are taken from the pool in proportion to Pareto-smoothed importance weights. k-hat is
that of the pool. Copies of a draw stand side by side, so that effective sample sizes see them.

Source: Zhang, Carpenter, Gelman and Vehtari (2022), Pathfinder: parallel quasi-Newton variational inference, JMLR 23(306),
algorithm 2; the implementation is BlackJAX's (Cabezas et al. 2024, arXiv:2402.10797).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array
from xarray import DataTree

from vi_vs_mcmc import flat, posterior
from vi_vs_mcmc.errors import NumericalError, SettingError, whole
from vi_vs_mcmc.methods import normal
from vi_vs_mcmc.methods.starts import random_rows
from vi_vs_mcmc.methods.target import LogDensity, Target
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.psis import EQUAL, smoothed
from vi_vs_mcmc.streams import stream

PATHS = 4


@dataclass(frozen=True)
class Pathfinder:
    """Climb from several starts, keep the best normal law of each path, and resample their pooled draws.

    Attributes:
        max_steps: of L-BFGS, on each path.
        history: gradients that L-BFGS remembers.
        elbo_draws: by which each law of a path is judged.
    """

    max_steps: int = 100
    history: int = 10
    elbo_draws: int = 200

    name = "pathfinder"

    def __post_init__(self):
        for name in ("max_steps", "history", "elbo_draws"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))

    def suits(self, problem: Problem) -> None:
        """A SettingError where BlackJAX is not installed."""
        _blackjax()

    @in_float64
    def fit(self, problem: Problem, key: Array, *, chains: int, draws: int, progress=None) -> DataTree:
        """Find the paths' laws, and resample their draws.

        Returns:
            posterior (chain, draw, *event); attrs khat, khat_threshold of the pooled draws' weights.

        Raises:
            NumericalError: no path has a law of finite ELBO.
        """
        vi = _blackjax()
        key_start, key_path, key_draw, key_take = jax.random.split(stream(key, self.name), 4)
        rows, shape, target = random_rows(problem, key_start, PATHS)
        number = chains * draws
        found = _paths(vi.approximate, LogDensity(shape), self, target, jax.random.split(key_path, PATHS), rows)
        if progress is not None:
            progress(1, 2)
        w, log_q = _drawn(vi.sample, number, jax.random.split(key_draw, PATHS), found)
        lawful = np.isfinite(np.asarray(found.elbo))  # of each path
        if not lawful.any():
            raise NumericalError(f"{self.name}: no path has a normal law of finite ELBO; check the data and the prior")
        w, log_q = np.asarray(w)[lawful].reshape(-1, rows.shape[1]), np.asarray(log_q)[lawful].ravel()
        theta, log_p, log_q = normal.evaluated(problem, target, shape, w, log_q)
        weight, khat = self._weighed(log_p - log_q)
        taken = _taken(weight, number, np.random.default_rng(np.asarray(jax.random.key_data(key_take))))
        effective = 1.0 / (weight**2).sum()
        return posterior.build(
            problem,
            self,
            {site: value[taken] for site, value in theta.items()},
            chains=chains,
            status="ok",
            status_sentence=(
                f"{lawful.sum()} of {PATHS} paths gave a law; their {len(weight)} pooled draws are worth {effective:.0f} by "
                f"their importance weights{khat and f', k-hat {khat["khat"]:.2f}'}"
            ),
            work=f"{PATHS} paths of {self.max_steps} steps at most, {len(weight)} draws weighed",
            passes=self.max_steps * (1 + self.elbo_draws) + len(weight),
            sample_stats={"log_p": log_p[taken]},
            attrs=khat,
        )

    def _weighed(self, log_ratio: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """Weights that sum to 1, and their k-hat and the one up to which they are trusted; a draw of no density has no weight."""
        inside = np.isfinite(log_ratio)
        weight = inside / max(inside.sum(), 1)
        if not inside.any():
            raise NumericalError(f"{self.name}: no draw of its laws has a finite density; check the data and the prior")
        found = smoothed(log_ratio[inside])
        if found is not None:
            weight[inside] = np.exp(found.log_weight)
            return weight / weight.sum(), {"khat": found.khat, "khat_threshold": found.threshold}
        if np.ptp(log_ratio[inside]) > EQUAL:
            raise NumericalError(f"{self.name}: the importance ratios of its draws have no tail that can be fitted")
        return weight, {}  # the laws are the posterior


def _blackjax() -> Any:
    """BlackJAX's Pathfinder; a SettingError where it is not installed."""
    try:
        from blackjax.vi import pathfinder
    except ImportError:
        raise SettingError(
            "pathfinder is BlackJAX's, which is not installed; pip install 'vi-vs-mcmc[pathfinder]'"
        ) from None
    return pathfinder


@partial(jax.jit, static_argnums=(0, 1, 2))
def _paths(
    approximate: Any, function: LogDensity, settings: Pathfinder, target: Target, keys: Array, rows: Array
) -> Any:
    """The best law on the way uphill from each row."""

    def one(key: Array, row: Array) -> Any:
        return approximate(
            key,
            lambda row: function(target, None, row),
            row,
            num_samples=settings.elbo_draws,
            maxiter=settings.max_steps,
            maxcor=settings.history,
        )[0]

    return jax.vmap(one)(keys, rows)


@partial(jax.jit, static_argnums=(0, 1))
def _drawn(sample: Any, number: int, keys: Array, paths: Any) -> tuple[Array, Array]:
    """Draws w (paths, number, P) of each path's law, with their log q, (paths, number)."""
    return jax.vmap(lambda key, path: sample(key, path, number))(keys, paths)


def _taken(weight: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Which draws to take, (number,): copies side by side, and otherwise in any order, for a part must stand for the whole."""
    order = rng.permutation(len(weight))
    return order[flat.systematic(weight[order], number, rng)]
