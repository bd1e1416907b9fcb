"""The no-U-turn sampler, started where the posterior has its mass. Source: Hoffman and Gelman (2014), JMLR 15.

A textbook start sends each chain of a mixture to another labelling or to none (R-hat 32). Here chains start from draws
of q at the modes that coordinate ascent found, each mode getting chains in proportion to its weight; what no restart
found stays unexplored, and the report says so.

A program without a closed form is climbed from a random point for each chain (`path`), whose first metric is the covariance
found on the way. With 30 sds from 1e-3 to 1e3 the warm-up then takes 3 000 to 6 000 leapfrog steps, and 110 000 without.

Chains run in blocks of leapfrog steps (`trajectory`), as many groups of them side by side as there are cores, each group one
vectorised program. A chain that has ended a trajectory begins the next at once. Warm-up learns the posterior's
covariance from all chains together, and a step size for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import numpy as np
from jax import Array
from xarray import DataTree

from vi_vs_mcmc import posterior
from vi_vs_mcmc.errors import SettingError, whole
from vi_vs_mcmc.methods.blocks import Blocks
from vi_vs_mcmc.methods.chunked import CHUNK, Chunked
from vi_vs_mcmc.methods.starts import starting_points
from vi_vs_mcmc.methods.trajectory import Draw
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import stream

CAREFUL = 0.95  # target acceptance where some transitions diverged
FIRST = 0.15  # share of the warm-up before the covariance is looked at


@dataclass(frozen=True)
class NUTS:
    """Hamiltonian Monte Carlo with adaptive path lengths, chains side by side.

    Attributes:
        warmup: adaptation draws of each chain, dropped; a few more are made.
        target_accept: acceptance that the step size is adapted to; nearer 1 means smaller steps and fewer divergences.
        dense_mass: adapt a full mass matrix, not a diagonal one.
        max_tree_depth: a trajectory has at most 2^depth steps.
        restarts: coordinate-ascent restarts that look for modes to start from, where the model has a closed form.
    """

    warmup: int = 200
    target_accept: float = 0.8
    dense_mass: bool = True
    max_tree_depth: int = 10
    restarts: int = 8

    name = "nuts"

    def __post_init__(self):
        for name in ("warmup", "max_tree_depth", "restarts"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))
        if not 0 < self.target_accept < 1:
            raise SettingError(f"target_accept is {self.target_accept}; want a number between 0 and 1")

    @in_float64
    def fit(self, problem: Problem, key: Array, *, chains: int, draws: int, progress=None) -> DataTree:
        """Warm up, then sample.

        Returns:
            posterior (chain, draw, *event); sample_stats: diverging, energy, tree_depth, n_steps, lp.

        Raises:
            NumericalError: no finite starting point was found.
        """
        sampler = self.begin(problem, key, chains=chains, progress=progress)
        sampler.sample(draws, progress=progress)
        return sampler.result()

    def careful(self) -> NUTS | None:
        """The same with smaller steps, for a posterior in which some transitions diverged; None where they are small."""
        return replace(self, target_accept=CAREFUL) if self.target_accept < CAREFUL else None

    @in_float64
    def begin(self, problem: Problem, key: Array, *, chains: int, progress=None) -> Sampler:
        """Find starting points and warm up; the sampler that comes back can be asked for draws again and again."""
        return Sampler(self, problem, key, chains, progress)


class Sampler(Chunked):
    """Warmed-up chains that can go on."""

    def __init__(self, settings: NUTS, problem: Problem, key: Array, chains: int, progress=None):
        super().__init__()
        seconds = problem.memory.clock()
        self._settings, self._problem, self._chains = settings, problem, chains
        key_run = stream(key, f"{settings.name} {settings.target_accept}")  # to begin again is to draw anew
        starts = starting_points(problem, key, chains, settings.restarts, f"{settings.name} start")
        self._blocks = Blocks(
            starts,
            key_run,
            accept=settings.target_accept,
            dense=settings.dense_mass,
            depth=settings.max_tree_depth,
        )
        self._ended: list[Draw] = []
        self._warm_up(progress)
        self.seconds = seconds()

    @in_float64
    def result(self) -> DataTree:
        """All draws asked for so far."""
        joined = self.joined()
        steps = joined["n_steps"]
        return posterior.build(
            self._problem,
            self._settings,
            {name: joined[name] for name in self._problem.all_sites},
            status="ok",
            status_sentence=f"{self._chains} chains of {self.asked} draws after {self._settings.warmup} warm-up steps",
            wall_seconds=self.seconds,
            work=f"{self._chains} × {self.asked} draws after {self._settings.warmup} warm-up",
            passes=int(steps.sum(1).max()),
            sample_stats={
                "diverging": joined["diverging"].astype(bool),
                "energy": joined["energy"],
                "n_steps": steps,
                "tree_depth": np.ceil(np.log2(steps + 1)).astype(int),
                "lp": joined["lp"],
            },
            attrs={"max_tree_depth": self._settings.max_tree_depth, "warmup": self._settings.warmup},
        )

    def advance(self) -> dict[str, np.ndarray]:
        while not self._ended or min(len(draws.z) for draws in self._ended) < CHUNK:
            new = self._blocks.run(adapting=False)
            self._ended = _joined(self._ended, new)
        first = jax.tree.map(lambda *leaves: np.stack([leaf[:CHUNK] for leaf in leaves]), *self._ended)
        self._ended = [jax.tree.map(lambda leaf: leaf[CHUNK:], draws) for draws in self._ended]
        return self._blocks.sites(first.z) | {
            "diverging": first.diverging,
            "energy": first.energy,
            "n_steps": first.steps,
            "lp": first.log_p,
        }

    def _warm_up(self, progress) -> None:
        """Phases of adaptation, each but the first and the last ending with a new metric."""
        settings, done = self._settings, 0
        for number, learns in _phases(settings.warmup):
            if not number:
                continue
            ended: list[Draw] = []
            while not ended or min(len(draws.z) for draws in ended) < number:
                if progress is not None:
                    progress(done, settings.warmup)
                ended = _joined(ended, self._blocks.run(adapting=True))
            done += number
            self._blocks.adapt([np.asarray(draws.z[:number]) for draws in ended], learns=learns)


def _phases(warmup: int) -> list[tuple[int, bool]]:
    """(draws, whether the covariance is learned from them): a start, two windows, the second double, and the step size."""
    first, last = int(np.ceil(FIRST * warmup)), int(np.ceil(2 * FIRST * warmup))
    rest = max(warmup - first - last, 0)
    return [(first, False), (rest // 3, True), (rest - rest // 3, True), (last, False)]


def _joined(draws: list[Draw], more: list[Draw]) -> list[Draw]:
    pair = lambda a, b: jax.tree.map(lambda *leaves: np.concatenate(leaves), a, b)
    return [pair(a, b) for a, b in zip(draws, more, strict=True)] if draws else more
