r"""Deterministic ADVI: a factorised normal law, the mean over fixed draws climbed to its maximum, and its linear response.

With q(u) = N(mu, diag(sigma^2)) in the program's unconstrained coordinates and standard normal z_1 ... z_M that never change,

    L(mu, log sigma) = 1/M sum_m log p(x, mu + sigma z_m) + sum_i log sigma_i

is a plain function: a trust region with products by its Hessian finds its maximum, in tens of steps and without a step size. (L
is the ELBO up to a constant and the error of the draws.) `dadvi` is that law.

`dadvi-lr` keeps the means of u and corrects the sds: with H the Hessian of -L at the maximum, Var(h) = g' H^-1 g, g the slope of
E_q[h] in (mu, log sigma). It knows of the correlations that a factorised law cuts; where the posterior is normal it is right.
Draws are of N(mu, (H^-1)_mu,mu), the same for h = u. For a positive site the two differ, as an exponential does from its tangent:
the table has the formula. A site that is neither u nor linear in exp(u) has mean and sd of those draws.

Each z is beside -z, and, where there are two draws and more for each coordinate, all second moments together are exactly those
of the standard normal: a normal posterior's optimum, and its linear response, then do not depend on the draws at all, however
strong its correlations. (The paper's draws are independent.) Elsewhere few draws leave noise, and so matched they leave a bias
too: with n pairs their fourth moment is 3 n / (n + 2). Both shrink as draws become more. So at the optimum CHECK times as many
other draws say by their slope where their own would be, one Newton step away; while that is more than `location_tol` of a mean's
corrected sd, or `scale_tol` of a log-scale, the climb goes on with GROWTH times as many.

Source: Giordano, Ingram and Broderick (2024), Black box variational inference with a deterministic objective, JMLR 25;
Giordano, Broderick and Jordan (2018), Covariances, robustness, and variational Bayes, JMLR 19 (linear response).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from xarray import Dataset, DataTree

from vi_vs_mcmc import flat, posterior
from vi_vs_mcmc.errors import SettingError, real, whole
from vi_vs_mcmc.methods import normal
from vi_vs_mcmc.methods.newton import Peak, Surface, best_of, climb
from vi_vs_mcmc.methods.normal import Normal
from vi_vs_mcmc.methods.starts import starting_rows
from vi_vs_mcmc.methods.target import Shape, Target, small_enough, tree_of
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import of_key, stream

STARTS = 2
MOST = 2**20  # fixed draws: they are kept
LARGEST = 1000  # coordinates: the Hessian is of means and log-scales
CHECK, GROWTH = 16, 4  # times as many draws, to look at an optimum and to climb on
MATCHED = 100  # coordinates up to which there are four draws for each to begin with


@dataclass(frozen=True)
class FixedBound:
    """L of a row (mu, log sigma), without its constant, over some of the draws, z (M, P)."""

    shape: Shape

    def __call__(self, target: Target, z: Array, row: Array) -> Array:
        """A number."""
        mean, log_scale = jnp.split(row, 2)
        height = lambda z: target.log_density(tree_of(self.shape, mean + jnp.exp(log_scale) * z))
        return jax.lax.map(height, z, batch_size=flat.abreast(target.arrays)).mean() + log_scale.sum()


class Optimum(NamedTuple):
    """Where the climbs ended."""

    peak: Peak  # of (mu, log sigma)
    converged: bool
    sentence: str
    off: tuple[float, float]  # by other draws: the largest of a mean, in corrected sds, and of a log-scale
    draws: int
    steps: int
    target: Target
    shape: Shape


@dataclass(frozen=True)
class DADVI:
    """Maximise the ELBO of a factorised normal law over fixed draws; correct it by linear response, or not.

    Attributes:
        corrected: give the covariance of linear response in the place of the factorised one: `dadvi-lr`.
        draws: fixed draws to begin with, at least; made even, and four for each coordinate up to MATCHED of them.
        max_draws: at most; if they still matter then, it is `not converged`, and says by how much.
        location_tol: how far off a mean may be by the check's draws, in corrected sds.
        scale_tol: likewise a log-scale.
        max_steps: of a climb; give up, and say so, after so many.
        restarts: coordinate-ascent restarts that look for modes to start from, where the model has a closed form.
    """

    corrected: bool = False
    draws: int = 30
    max_draws: int = 16_384
    location_tol: float = 0.05
    scale_tol: float = 0.03
    max_steps: int = 500
    restarts: int = 8

    def __post_init__(self):
        for name in ("draws", "max_draws", "max_steps", "restarts"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))
        if not isinstance(self.corrected, bool):
            raise SettingError(f"corrected is {self.corrected!r}; want True or False")
        if self.max_draws > MOST:
            raise SettingError(f"max_draws is {self.max_draws}; want {MOST} at most")
        for name in ("location_tol", "scale_tol"):
            if not real(name, getattr(self, name)) > 0:
                raise SettingError(f"{name} is {getattr(self, name)}; want a number above 0")

    @property
    def name(self) -> str:
        return "dadvi-lr" if self.corrected else "dadvi"

    def suits(self, problem: Problem) -> None:
        """A SettingError where the Hessian would be too large a matrix."""
        small_enough(problem, self.name, LARGEST)

    @in_float64
    def fit(self, problem: Problem, key: Array, *, chains: int, draws: int, progress=None) -> DataTree:
        """Find the optimum, and draw from the law.

        Returns:
            posterior (chain, draw, *event); sample_stats log_p, log_q; variational mean_*, sd_* where they have a closed form.

        Raises:
            NumericalError: log p is not finite at any start.
        """
        found = self._optimum(problem, key, progress)
        law = self._law(found.peak)
        theta, log_p, log_q = normal.drawn(
            problem, found.target, found.shape, law, stream(key, self.name), chains * draws
        )
        return posterior.build(
            problem,
            self,
            theta,
            chains=chains,
            status="converged" if found.converged else "not converged",
            status_sentence=found.sentence,
            work=f"{STARTS} starts, {found.steps} steps, {found.draws} fixed draws",
            passes=found.steps * found.draws,
            sample_stats={"log_p": log_p, "log_q": log_q},
            variational=self._moments(problem, found, law),
            attrs={
                "location_error": found.off[0],
                "scale_error": found.off[1],
            },
        )

    def _law(self, peak: Peak) -> Normal:
        mean, log_scale = np.split(peak.point, 2)
        if not self.corrected or peak.covariance is None:
            return Normal(mean, np.exp(log_scale))
        return Normal(mean, np.linalg.cholesky(peak.covariance[: len(mean), : len(mean)]))

    def _moments(self, problem: Problem, found: Optimum, law: Normal) -> Dataset:
        if not self.corrected or found.peak.covariance is None:
            return normal.moments(problem, found.target, found.shape, law)
        factorised = replace(self, corrected=False)._law(found.peak)
        return normal.moments(problem, found.target, found.shape, factorised, found.peak.covariance)

    def _optimum(self, problem: Problem, key: Array, progress) -> Optimum:
        """`dadvi` and `dadvi-lr` of a run share one."""
        what = (replace(self, corrected=False), of_key(key))
        return problem.memory.once(what, lambda: self._searched(problem, key, progress))

    def _searched(self, problem: Problem, key: Array, progress) -> Optimum:
        rows, shape, target = starting_rows(problem, key, STARTS, self.restarts, "dadvi")
        number = rows.shape[1]
        size = 2 * max(-(-self.draws // 2), 2 * number if number <= MATCHED else 0)
        parts = max(self.max_draws // size, 1)
        points, steps, count = [np.concatenate([row, np.zeros(number)]) for row in rows], 0, 1
        function, capacity = FixedBound(shape), (parts, size, number)

        def surface(name: str, count: int) -> Surface:
            z = np.zeros(capacity)
            z[:count] = fixed_draws(jax.random.fold_in(stream(key, name), count), count, size, number)
            return Surface(function, target, jnp.asarray(z), count)

        while True:
            climbed = surface("dadvi draws", count)
            peaks = [climb(climbed, point, max_steps=self.max_steps, progress=progress) for point in points]
            points, steps = [peak.point for peak in peaks], steps + sum(peak.steps for peak in peaks)
            peak, reached, sentence = best_of(peaks, "the ELBO", self.max_steps)
            others = min(CHECK * count, parts)
            off = _away(peak, surface("dadvi check", others), number)
            settled = off[0] <= self.location_tol and off[1] <= self.scale_tol
            if not reached or settled or count == parts:
                break
            count = min(GROWTH * count, parts)
        if reached:
            sentence += (
                f"; by {others * size} other draws the optimum of its {count * size} fixed ones is {off[0]:.2g} sd off in a mean "
                f"and {off[1]:.2g} in a log-scale, at most"
            )
        if reached and not settled:
            sentence += f", where {self.location_tol:g} and {self.scale_tol:g} are wanted; raise max_draws"
        return Optimum(peak, reached and settled, sentence, off, count * size, steps, target, shape)


def _away(peak: Peak, others: Surface, number: int) -> tuple[float, float]:
    """A Newton step from the optimum by the slope of other draws: the largest of a mean, in corrected sds, and of a log-scale."""
    if peak.covariance is None:
        return np.inf, np.inf
    step = np.abs(peak.covariance @ others.slope(peak.point)[1])
    sd = np.sqrt(np.diag(peak.covariance))
    return float((step / sd)[:number].max()), float(step[number:].max())


def fixed_draws(key: Array, parts: int, size: int, number: int) -> np.ndarray:
    """Standard normal draws (parts, size, number): each beside its negative, all second moments exact if there are enough."""
    half = np.asarray(jax.random.normal(key, (parts * size // 2, number)))
    if len(half) >= number:
        half = np.linalg.solve(np.linalg.cholesky(half.T @ half / len(half)), half.T).T
    else:
        half = half / np.sqrt((half**2).mean(0))
    pairs = half.reshape(parts, size // 2, number)
    return np.concatenate([pairs, -pairs], 1)
