"""The no-U-turn sampler, started where the posterior has its mass. Source: Hoffman and Gelman (2014), JMLR 15.

A textbook start sends each chain of a mixture to another labelling or to none (R-hat 32). Here chains start from draws
of q at the modes that coordinate ascent found, each mode getting chains in proportion to its weight; what no restart
found stays unexplored, and the report says so.

Chains run in blocks of leapfrog steps (`trajectory`), as many groups of them side by side as there are cores, each group one
vectorised program. A chain that has ended a trajectory begins the next at once. Warm-up learns the posterior's
covariance from all chains together, and a step size for it.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from xarray import DataTree

from vi_vs_mcmc import posterior
from vi_vs_mcmc.errors import NumericalError, SettingError, whole
from vi_vs_mcmc.flat import abreast
from vi_vs_mcmc.groups import Groups
from vi_vs_mcmc.methods import trajectory
from vi_vs_mcmc.methods.chunked import CHUNK, Chunked
from vi_vs_mcmc.methods.starts import Target, starting_points
from vi_vs_mcmc.methods.trajectory import Chain, Draw, Noise
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import stream

CAREFUL = 0.95  # target acceptance where some transitions diverged
TURNS = 128  # leapfrog steps between two looks at what has ended
CELLS = 2**21  # numbers of noise in a block, at most
BOLD = 10.0  # the step size that adaptation is drawn to at first: one too large costs a step, one too small a long trajectory
APART = 2.0  # sds between a chain's mean and that of all, beyond which chains are in other places and share no metric
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
    label = "NUTS"
    describes = "Hamiltonian Monte Carlo"

    def __post_init__(self):
        for name in ("warmup", "max_tree_depth", "restarts"):
            whole(name, getattr(self, name))
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
        began = time.perf_counter()
        self._settings, self._problem, self._chains = settings, problem, chains
        self._seed = int(jax.random.key_data(key)[-1])
        key_run = stream(key, f"{settings.name} {settings.target_accept}")  # to begin again is to draw anew
        start, target, saved = starting_points(problem, key, chains, settings.restarts, f"{settings.name} start")
        self._blocks = Blocks(target, start, settings, key_run)
        self._ended: list[Draw] = []
        self._warm_up(progress)
        self.seconds = time.perf_counter() - began + saved

    @in_float64
    def result(self) -> DataTree:
        """All draws asked for so far."""
        joined = self.joined()
        steps = joined["n_steps"]
        return posterior.build(
            self._problem,
            "nuts",
            {name: joined[name] for name in self._problem.all_sites},
            seed=self._seed,
            settings=asdict(self._settings),
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


class Blocks:
    """Chains on their way, in groups side by side."""

    def __init__(self, target: Target, start: dict[str, Array], settings: NUTS, key: Array):
        names = sorted(start)
        self._shape = tuple((name, start[name].shape[1:]) for name in names)
        w = np.concatenate([np.reshape(start[name], (len(start[name]), -1)) for name in names], 1)
        chains, size = w.shape
        self._target, self._settings = jax.tree.map(jnp.asarray, target), settings
        self._turns = int(np.clip(CELLS // (chains * size), 1, TURNS))
        self._scale = np.stack([np.eye(size) if settings.dense_mass else np.ones(size)] * chains)
        self._side_by_side, self._looked = Groups(chains), False
        self._keys = self._side_by_side.split(np.asarray(jax.random.key_data(jax.random.split(key, chains))))
        self._begin(w, np.ones(chains), np.full(chains, np.log(BOLD)))

    def run(self, *, adapting: bool) -> list[Draw]:
        """One block of every chain; the draws that each has ended, leaves (ended, ...).

        Raises:
            NumericalError: the log density is not finite at a start.
        """
        constant = (self._target, self._settings.target_accept, adapting)

        def one(group: tuple[Any, Any, Chain]) -> tuple[Any, Chain, Draw]:
            keys, chains, draws = _block(self._shape, self._turns, *constant, *group)
            return keys, chains, jax.tree.map(np.asarray, draws)

        groups = list(zip(self._side_by_side.split(self._scale), self._keys, self._groups, strict=True))
        out = self._side_by_side.run(one, groups)
        self._keys, self._groups = [keys for keys, _, _ in out], [chains for _, chains, _ in out]
        if not self._looked:
            self._looked = True
            places = [
                np.asarray(part) for chains in self._groups for part in (chains.chosen.log_p, chains.chosen.slope)
            ]
            if not all(np.isfinite(part).all() for part in places):
                raise NumericalError(
                    "the log density or its slope is not finite at a chain's start; check the data and the prior"
                )
        return [_of_chain(draws, chain) for _, _, draws in out for chain in range(draws.over.shape[1])]

    def adapt(self, draws: list[np.ndarray], *, learns: bool) -> None:
        """Go on from the last of each chain's draws (draws, D), with a new step size, and a new metric where it `learns`.

        Chains that share a metric share the median step size: one that saw a narrow place late in its warm-up would go on
        in small steps where the others need none. As many draws of each chain count, whatever its trajectories' length;
        where a chain happens to stand when the others are done is no draw: long trajectories stand longest.
        """
        size = np.concatenate([chains.step.mean for chains in self._groups])
        size = np.exp(np.full_like(size, np.median(size)) if (self._scale == self._scale[0]).all() else size)
        w = np.stack([_scaled(scale, z[-1]) for scale, z in zip(self._scale, draws, strict=True)])
        if learns:
            self._scale = _learned(self._scale, draws)
        self._begin(w, size, np.log(size))

    def sites(self, z: np.ndarray) -> dict[str, np.ndarray]:
        """Sites of draws (chains, draws, D), leaves (chains, draws, ...)."""
        w = np.concatenate([_scaled(scale, one) for scale, one in zip(self._scale, z, strict=True)])
        found = _sites(self._shape, self._target, w)
        return {name: np.asarray(value).reshape(*z.shape[:2], *value.shape[1:]) for name, value in found.items()}

    def _begin(self, w: np.ndarray, size: np.ndarray, goal: np.ndarray) -> None:
        z = w / self._scale if self._scale.ndim == 2 else np.linalg.solve(self._scale, w[..., None])[..., 0]
        chains = trajectory.at(z, size, goal, self._settings.max_tree_depth)
        self._groups: list[Chain] = self._side_by_side.split(chains)


def _of_chain(draws: Draw, chain: int) -> Draw:
    """What one chain ended, of leaves (turns, chains, ...)."""
    ended = draws.over[:, chain]
    return jax.tree.map(lambda leaf: leaf[ended, chain], draws)


def _joined(draws: list[Draw], more: list[Draw]) -> list[Draw]:
    pair = lambda a, b: jax.tree.map(lambda *leaves: np.concatenate(leaves), a, b)
    return [pair(a, b) for a, b in zip(draws, more, strict=True)] if draws else more


def _learned(scale: np.ndarray, draws: list[np.ndarray]) -> np.ndarray:
    """New scales of all chains from their draws z, (draws, D): one for all, or each its own where they are in other places."""
    w = [_scaled(one, z) for one, z in zip(scale, draws, strict=True)]
    centres, within = np.stack([rows.mean(0) for rows in w]), np.mean([rows.var(0) for rows in w], 0)
    if (np.abs(centres - centres.mean(0)) > APART * np.sqrt(within)).any():
        return np.stack([_rescaled(one, z - z.mean(0), 1) for one, z in zip(scale, draws, strict=True)])
    to_first = lambda rows: rows / scale[0] if scale.ndim == 2 else np.linalg.solve(scale[0], rows.T).T
    return np.stack([_rescaled(scale[0], np.concatenate([to_first(x - x.mean(0)) for x in w]), len(w))] * len(w))


def _rescaled(scale: np.ndarray, centred: np.ndarray, means: int) -> np.ndarray:
    """L times the root of the covariance of draws z less their means: correlations are drawn to zero where there are few."""
    number, size = centred.shape
    covariance = centred.T @ centred / max(number - means, 1)
    variance = np.diag(covariance)
    if not (variance > 0).all():
        return scale
    if scale.ndim == 1:
        return scale * np.sqrt(variance)
    shrunk = (number * covariance + size * np.diag(variance)) / (number + size)
    return scale @ np.linalg.cholesky(shrunk)


def _scaled(scale, z):
    """w = L z, for one z or row by row."""
    return scale * z if scale.ndim == 1 else z @ scale.T


def _tree(shape, w: Array) -> dict[str, Array]:
    """Leaves by name from one row of numbers."""
    ends = np.cumsum([int(np.prod(of)) for _, of in shape])
    return {name: part.reshape(of) for (name, of), part in zip(shape, jnp.split(w, ends[:-1]), strict=True)}


def _noise(keys: Array, turns: int, size: int) -> tuple[Array, Noise]:
    """The next keys of all chains, and the noise of `turns` turns, leaves (turns, chains, ...)."""

    def one(key: Array):
        after, momentum, uniform, right = jax.random.split(jax.random.wrap_key_data(key), 4)
        return jax.random.key_data(after), Noise(
            jax.random.normal(momentum, (turns, size)),
            -jax.random.exponential(uniform, (turns, 2)),
            jax.random.bernoulli(right, shape=(turns,)),
        )

    return jax.vmap(one, out_axes=(0, 1))(keys)


@partial(jax.jit, static_argnums=(0, 1))
def _block(shape, turns: int, target: Target, accept, adapting, scale, keys, chains: Chain):
    def one(scale, chain: Chain, noise: Noise) -> tuple[Chain, Draw]:
        density = jax.value_and_grad(lambda z: target.log_density(_tree(shape, _scaled(scale, z))))
        return trajectory.turn(density, chain, noise, accept, adapting)

    keys, noise = _noise(keys, turns, chains.chosen.z.shape[1])
    chains, draws = jax.lax.scan(lambda chains, noise: jax.vmap(one)(scale, chains, noise), chains, noise)
    return keys, chains, draws


@partial(jax.jit, static_argnums=0)
def _sites(shape, target: Target, w) -> dict[str, Array]:
    return jax.lax.map(lambda w: target.sites(_tree(shape, w)), w, batch_size=abreast(target.arrays))
