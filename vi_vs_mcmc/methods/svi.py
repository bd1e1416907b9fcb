"""Stochastic variational inference with any NumPyro autoguide, stopped when it has converged.

The ELBO cannot say when: an sd wrong by a relative delta costs about delta^2 nats, which drowns in its noise. So a flat
ELBO only lowers the step size, three times at least. Then windows of averaged iterates are compared: converged means
that between two successive windows every location moved less than .05 of q's sd and every log-scale less than .02, that
the split R-hat of the iterates is below 1.1, and that a second start ended at the same place.

Locations and log-scales are those of the unconstrained latents over a fixed set of base draws, so that one rule serves
every guide; for a normal guide they are its own parameters.

The optimum of a normal guide is known: E_q[grad log p] = 0, and its precision is the mean curvature of -log p, or the diagonal
of that. So draws of q and one gradient at each say how far it still is from there, whatever the path was; beyond twice the
tolerances, and four Monte Carlo errors, it is `not converged`.

Source: Dhaka et al. (2020), Robust, accurate stochastic optimization for variational inference, NeurIPS;
Welandawe et al. (2022), arXiv:2203.15945; Kucukelbir et al. (2017), JMLR 18; Opper and Archambeau (2009), The variational
Gaussian approximation revisited, Neural Computation 21 (the optimum).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from xarray import Dataset, DataTree

from vi_vs_mcmc import flat, posterior
from vi_vs_mcmc.errors import NumericalError, SettingError, unknown, whole
from vi_vs_mcmc.groups import Groups
from vi_vs_mcmc.methods import autoguide
from vi_vs_mcmc.methods.autoguide import BLOCK, PIECE, guides
from vi_vs_mcmc.methods.optimum import from_optimum
from vi_vs_mcmc.methods.starts import starting_points
from vi_vs_mcmc.methods.target import Target
from vi_vs_mcmc.methods.window import Window, split_rhat
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import stream

STARTS = 2
LONGEST = 64  # blocks of a window: the iterates of a rough posterior forget slowly
LOWERINGS = 3
FACTOR = 0.7  # by which the step size is lowered
SLOPES = 4000  # draws of q that its distance from the optimum is measured at
ERRORS = 4.0  # Monte Carlo errors that the distance must be beyond
PROBES = 256  # base draws that locations and log-scales are read from
# q at a draw is not, or not cheaply, known.
NO_DENSITY = ("AutoDelta", "AutoLaplaceApproximation", "AutoDAIS")
FACTORISED, FULL = ("AutoNormal", "AutoDiagonalNormal"), ("AutoMultivariateNormal",)  # normal laws, optimum known


@dataclass(frozen=True)
class SVI:
    """Climb the ELBO of a NumPyro autoguide by Adam, from two starts side by side.

    Attributes:
        guide: name of a NumPyro autoguide.
        step_size: Adam's first; a flat ELBO lowers it.
        particles: draws of q in each gradient.
        max_steps: give up, and say so, after so many (rounded up to a block of 250).
        location_tol: largest move of a location between two windows, in q's sds.
        scale_tol: largest move of a log-scale.
        restarts: coordinate-ascent restarts that look for modes to start from, where the model has a closed form.
    """

    guide: str = "AutoNormal"
    step_size: float = 0.05
    particles: int = 4
    max_steps: int = 50_000
    location_tol: float = 0.05
    scale_tol: float = 0.02
    restarts: int = 8

    def __post_init__(self):
        if self.guide not in guides():
            raise unknown("autoguide", self.guide, guides())
        for name in ("particles", "max_steps", "restarts"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))
        if not self.step_size > 0:
            raise SettingError(f"step_size is {self.step_size}; want a number above 0")

    @property
    def name(self) -> str:
        return f"svi:{self.guide}"

    @in_float64
    def fit(self, problem: Problem, key: Array, *, chains: int, draws: int, progress=None) -> DataTree:
        """Fit the guide, then draw from it.

        Returns:
            posterior (chain, draw, *event); sample_stats log_p, log_q where q has a density; variational/elbo, nats.

        Raises:
            NumericalError: the ELBO is not finite from the start.
        """
        key_fit, key_check, key_draw = jax.random.split(stream(key, self.name), 3)
        starts = starting_points(problem, key, STARTS, self.restarts, f"{self.name} start", aligned=True)
        climb = _Climb(self, starts.target, key_fit, starts.points)
        climb.run(progress)
        climb.compare_with_optimum(key_check)
        theta, log_p, log_q = climb.draws(problem, key_draw, chains * draws)
        known = self.guide not in NO_DENSITY
        steps = PIECE * np.arange(1, len(climb.trace) + 1)
        return posterior.build(
            problem,
            self,
            theta,
            chains=chains,
            status="converged" if climb.converged else "not converged",
            status_sentence=climb.sentence,
            work=f"{STARTS} starts of {climb.steps} steps, {self.particles} draws a step",
            passes=climb.steps * self.particles,
            sample_stats={"log_p": log_p, "log_q": log_q} if known else None,
            variational=Dataset({"elbo": ("step", climb.trace), "elbo_step": ("step", steps)}),
            attrs={
                **({} if known else {"elbo": float(climb.trace[-1])}),
                "second_start_distance": climb.distance,
                "point_estimate": int(self.guide == "AutoDelta"),
            },
        )


class _Climb:
    """The state of one optimisation: step sizes, windows, and the averages that are judged."""

    def __init__(self, settings: SVI, target: Target, key: Array, start: dict[str, Array]):
        self._settings, self._start = settings, start
        self._machine = (settings.guide, settings.particles, target)
        self._key, self._side_by_side = key, Groups(STARTS)
        try:
            state = autoguide.begin(*self._machine, start, jax.random.split(key, STARTS))
        except ValueError as error:
            raise SettingError(f"the guide {settings.guide} does not suit this program: {error}") from error
        self._groups = list(zip(*map(self._side_by_side.split, (start, state)), strict=True))
        self.steps, self.converged, self.distance, self.sentence = 0, False, float("nan"), ""
        self._losses: list[np.ndarray] = []  # each (STARTS, BLOCK / PIECE)
        self._best = 0

    @property
    def trace(self) -> np.ndarray:
        """The better start's ELBO, a mean over PIECE steps each, nats."""
        return -np.concatenate(self._losses, 1)[self._best]

    def run(self, progress) -> None:
        """Climb: windows at falling step sizes until two in a row agree, or the steps are used up."""
        settings, step_size, lowered, blocks = self._settings, self._settings.step_size, 0, 2
        before = before_elbo = None
        while self.steps < settings.max_steps:
            left = -(-(settings.max_steps - self.steps) // BLOCK)
            window = self._window(step_size, min(blocks, left), progress)
            if lowered < LOWERINGS:
                if before_elbo is not None and window.elbo - before_elbo < 2.0 * window.noise:
                    step_size, lowered, before_elbo = step_size * FACTOR, lowered + 1, None
                else:
                    before_elbo = window.elbo
                continue
            if before is not None and self._agree(before, window):
                self.converged = True
                break
            before, blocks = window, min(2 * blocks, LONGEST)
        if not self.converged and not self.sentence:
            self.sentence = f"the ELBO was still rising after {self.steps} steps; raise max_steps"

    @property
    def coordinates(self) -> int:
        """P, how many unconstrained coordinates there are."""
        return sum(leaf[0].size for leaf in self._start.values())

    def compare_with_optimum(self, key: Array) -> None:
        """Hold a normal guide that stopped moving against its family's optimum."""
        settings = self._settings
        if not self.converged or settings.guide not in FACTORISED + FULL or self.coordinates > SLOPES // 20:
            return
        w, _ = autoguide.draws(*self._machine, *self._better, key, SLOPES)
        gradient = autoguide.slopes(self._machine[-1], w)
        w, gradient = (
            np.concatenate([np.reshape(leaf[n], (SLOPES, -1)) for n in self._start], 1) for leaf in (w, gradient)
        )
        off = from_optimum(w, gradient, factorised=settings.guide in FACTORISED)
        if off is None:
            self.sentence += (
                "; log p does not curve downwards in every direction under q, so its optimum cannot be placed"
            )
            return
        for what, found, error, limit in (
            ("location", off.location, off.location_error, 2 * settings.location_tol),
            ("scale", off.scale, off.scale_error, 2 * settings.scale_tol),
        ):
            clear = np.abs(found) - ERRORS * error
            if clear.max() > limit:
                i, unit = int(clear.argmax()), "sd" if what == "location" else "of itself"
                self.converged = False
                self.sentence = (
                    f"a {what} is {abs(found[i]):.2g} {unit} from its optimum (± {error[i]:.1g}), where {limit:g} is wanted, "
                    f"after {self.steps} steps"
                )
                return
        self.sentence += (
            f"; by the slopes of log p its optimum is within {np.abs(off.location).max():.2g} sd in every location and "
            f"{np.abs(off.scale).max():.1%} in every scale"
        )

    def draws(self, problem: Problem, key: Array, number: int):
        """Draws of the averaged guide with log p and log q on the program's unconstrained scale; log q 0 where none is known."""
        if self._settings.guide in NO_DENSITY:
            w, log_q = autoguide.sample(*self._machine, *self._better, key, number), np.zeros(number)
        else:
            w, log_q = autoguide.draws(*self._machine, *self._better, key, number)
        u, log_volume = autoguide.to_program(self._machine[-1], w)
        u = np.concatenate([np.reshape(u[name], (number, -1)) for name in problem.latent], 1)
        theta, log_p = flat.evaluated(problem, u)
        return theta, log_p, log_q - np.asarray(log_volume)

    @property
    def _better(self) -> tuple[Any, Any]:
        """The better start, and its averaged parameters."""
        return jax.tree.map(lambda leaf: leaf[self._best], (self._start, self._average))

    def _window(self, step_size: float, blocks: int, progress) -> Window:
        means, squares, losses = [], [], []

        def block(group: tuple[Any, Any]):
            start, state = group
            state, seen = autoguide.block(*self._machine, start, state, jnp.asarray(step_size))
            return (start, state), jax.tree.map(np.asarray, seen)

        for _ in range(blocks):
            out = self._side_by_side.run(block, self._groups)
            self._groups = [group for group, _ in out]
            mean, square, loss = jax.tree.map(lambda *leaves: np.concatenate(leaves), *(seen for _, seen in out))
            means.append(mean)
            squares.append(square)
            losses.append(loss)
            self.steps += BLOCK
            if progress is not None:
                progress(min(self.steps, self._settings.max_steps), self._settings.max_steps)
        self._losses += losses
        joined = np.concatenate(losses, 1)
        if not np.isfinite(joined).any():
            raise NumericalError(
                f"svi:{self._settings.guide}: the ELBO is not finite at the start; check the data and the prior"
            )
        finite = np.isfinite(joined)
        elbo = np.where(finite.any(1), -np.where(finite, joined, 0.0).sum(1) / np.maximum(finite.sum(1), 1), -np.inf)
        self._best = int(elbo.argmax())
        self._average = jax.tree.map(lambda *leaves: sum(leaves) / blocks, *means)
        location, log_scale = autoguide.summary(
            *self._machine,
            self._start,
            self._average,
            jax.random.split(self._key, PROBES),
        )
        noise = joined[self._best][finite[self._best]].std() / np.sqrt(joined.shape[1])
        return Window(
            np.asarray(location), np.asarray(log_scale), split_rhat(means, squares, STARTS), elbo[self._best], noise
        )

    def _agree(self, before: Window, now: Window) -> bool:
        """Whether two windows, and two starts, tell one story; the sentence says which test failed, with its number."""
        settings, sd = self._settings, np.exp(np.minimum(before.log_scale, now.log_scale))
        if settings.guide == autoguide.POINT:
            sd = np.ones_like(sd)
        moved = float((np.abs(now.location - before.location) / sd).max())
        scaled = float(np.abs(now.log_scale - before.log_scale).max())
        apart = float((np.abs(now.location[0] - now.location[1]) / sd.min(0)).max())
        scales_apart = float(np.abs(now.log_scale[0] - now.log_scale[1]).max())
        self.distance = apart
        tests = [
            (moved, settings.location_tol, "a location moved by {:.3g} sd between two windows"),
            (scaled, settings.scale_tol, "a log-scale moved by {:.3g} between two windows"),
            (now.rhat, 1.1, "split R-hat of the iterates is {:.3g}"),
            (
                apart,
                2 * settings.location_tol,
                "a second start ended {:.2g} sd away: another optimum, or unfinished",
            ),
            (scales_apart, 2 * settings.scale_tol, "a second start's log-scale ended {:.2g} away"),
        ]
        value, limit, text = max(tests, key=lambda test: test[0] / test[1] if np.isfinite(test[0]) else np.inf)
        if not value < limit:
            self.sentence = f"{text.format(value)}, where {limit:g} is wanted, after {self.steps} steps"
            return False
        self.sentence = (
            f"after {self.steps} steps two windows agree to {moved:.2g} sd in location and {scaled:.2g} in log-scale, "
            f"and so does a second start ({apart:.2g} sd)"
        )
        return True
