"""Chains of NUTS on their way, a block of leapfrog steps at a time, and the metric that they learn.

A block is one compiled loop of `trajectory.turn` over chains side by side, in coordinates z with w = L z, where L is the root of
the covariance that the warm-up learned.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vi_vs_mcmc.errors import NumericalError
from vi_vs_mcmc.flat import abreast
from vi_vs_mcmc.groups import Groups
from vi_vs_mcmc.methods import trajectory
from vi_vs_mcmc.methods.starts import Starts
from vi_vs_mcmc.methods.target import Target, shape_of, tree_of
from vi_vs_mcmc.methods.trajectory import Chain, Draw, Noise

TURNS = 128  # leapfrog steps between two looks at what has ended
CELLS = 2**21  # numbers of noise in a block, at most
BOLD = 10.0  # the step size that adaptation is drawn to at first: one too large costs a step, one too small a long trajectory
APART = 2.0  # sds between a chain's mean and that of all, beyond which chains are in other places and share no metric


class Blocks:
    """Chains on their way, in groups side by side."""

    def __init__(self, starts: Starts, key: Array, *, accept: float, dense: bool, depth: int):
        start, target = starts.points, starts.target
        self._shape = shape_of((name, start[name].shape[1:]) for name in start)
        w = np.concatenate([np.reshape(start[name], (len(start[name]), -1)) for name, _ in self._shape], 1)
        chains, size = w.shape
        self._target, self._accept, self._depth = jax.tree.map(jnp.asarray, target), accept, depth
        self._turns = int(np.clip(CELLS // (chains * size), 1, TURNS))
        roots = np.stack([np.eye(size)] * chains) if starts.roots is None else starts.roots
        self._scale = roots if dense else np.linalg.norm(roots, axis=2)
        self._side_by_side, self._looked = Groups(chains), False
        self._keys = self._side_by_side.split(np.asarray(jax.random.key_data(jax.random.split(key, chains))))
        self._begin(w, np.ones(chains), np.full(chains, np.log(BOLD)))

    def run(self, *, adapting: bool) -> list[Draw]:
        """One block of every chain; the draws that each has ended, leaves (ended, ...).

        Raises:
            NumericalError: the log density is not finite at a start.
        """
        constant = (self._target, self._accept, adapting)

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
        chains = trajectory.at(z, size, goal, self._depth)
        self._groups: list[Chain] = self._side_by_side.split(chains)


def _of_chain(draws: Draw, chain: int) -> Draw:
    """What one chain ended, of leaves (turns, chains, ...)."""
    ended = draws.over[:, chain]
    return jax.tree.map(lambda leaf: leaf[ended, chain], draws)


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


def noise_of(keys: Array, turns: int, size: int) -> tuple[Array, Noise]:
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
        log_p = jax.jit(
            lambda z: target.log_density(tree_of(shape, _scaled(scale, z)))
        )  # traced before it is transformed
        density = jax.value_and_grad(log_p)
        return trajectory.turn(density, chain, noise, accept, adapting)

    keys, noise = noise_of(keys, turns, chains.chosen.z.shape[1])
    chains, draws = jax.lax.scan(lambda chains, noise: jax.vmap(one)(scale, chains, noise), chains, noise)
    return keys, chains, draws


@partial(jax.jit, static_argnums=0)
def _sites(shape, target: Target, w) -> dict[str, Array]:
    return jax.lax.map(lambda w: target.sites(tree_of(shape, w)), w, batch_size=abreast(target.arrays))
