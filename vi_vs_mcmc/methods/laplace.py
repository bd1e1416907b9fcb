"""Laplace's approximation: a normal law at the mode of the posterior's density, as wide as its curvature there says.

    u* = argmax log p(x, theta(u)),    q(u) = N(u*, H^-1),    H = -grad^2 log p at u*

u are the program's unconstrained coordinates, and the density is theirs: other coordinates have another mode.
Exact where log p is quadratic. Else the curvature at one point stands for the whole: a skewed posterior has its mean elsewhere,
and one with a neck (a funnel) has no highest point worth a law.

Source: Tierney and Kadane (1986), JASA 81; Gelman et al., Bayesian Data Analysis, section 13.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jax import Array
from xarray import DataTree

from vi_vs_mcmc import posterior
from vi_vs_mcmc.errors import whole
from vi_vs_mcmc.methods import normal
from vi_vs_mcmc.methods.newton import Surface, best_of, climb
from vi_vs_mcmc.methods.normal import Normal
from vi_vs_mcmc.methods.starts import starting_rows
from vi_vs_mcmc.methods.target import LogDensity, small_enough
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import stream

STARTS = 4
LARGEST = 2000  # coordinates: their covariance is a matrix


@dataclass(frozen=True)
class Laplace:
    """Climb to the mode by a trust region, from several starts, and take the curvature at the highest.

    Attributes:
        max_steps: give up, and say so, after so many from each start.
        restarts: coordinate-ascent restarts that look for modes to start from, where the model has a closed form.
    """

    max_steps: int = 500
    restarts: int = 8

    name = "laplace"

    def __post_init__(self):
        for name in ("max_steps", "restarts"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))

    def suits(self, problem: Problem) -> None:
        """A SettingError where the covariance would be too large a matrix."""
        small_enough(problem, self.name, LARGEST)

    @in_float64
    def fit(self, problem: Problem, key: Array, *, chains: int, draws: int, progress=None) -> DataTree:
        """Find the mode, and draw from the normal law there.

        Returns:
            posterior (chain, draw, *event); sample_stats log_p, log_q; variational mean_*, sd_* where they have a closed form.
        """
        rows, shape, target = starting_rows(problem, key, STARTS, self.restarts, self.name)
        surface = Surface(LogDensity(shape), target)
        peaks = [climb(surface, row, max_steps=self.max_steps, progress=progress) for row in rows]
        best, reached, sentence = best_of(peaks, "log p", self.max_steps)
        law = Normal(
            best.point, np.ones(len(best.point)) if best.covariance is None else np.linalg.cholesky(best.covariance)
        )
        theta, log_p, log_q = normal.drawn(problem, target, shape, law, stream(key, self.name), chains * draws)
        return posterior.build(
            problem,
            self,
            theta,
            chains=chains,
            status="converged" if reached else "not converged",
            status_sentence=sentence,
            work=f"{STARTS} starts, {sum(peak.steps for peak in peaks)} steps",
            passes=max(peak.steps for peak in peaks),
            sample_stats={"log_p": log_p, "log_q": log_q},
            variational=normal.moments(problem, target, shape, law),
        )
