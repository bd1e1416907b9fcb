"""Gibbs sampling from the same structure as coordinate ascent: a second MCMC whose moves share no code with NUTS.

A sweep draws the local variables of every row given the parameters, then the parameters block by block, each from its
conjugate conditional given the newest values of the others:

    z_n ~ p(z_n | x_n, theta),    theta_b ~ exp(<eta_b, t(theta_b)> - A(eta_b)),
    eta_b = eta0_b + grad_{m_b} [sum_n log p(x_n, z_n | theta) + linked](m = t(theta))

since both terms are affine in the m of one block. t, A and the statistics are the same as everywhere:
`complete` and `draw_local` of `conjugate.Conjugate` are all that is new. Chains start at draws of q at the modes that
coordinate ascent found, as NUTS does.

Source: Gelfand and Smith (1990), JASA 85; Diebolt and Robert (1994), JRSS B 56.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from xarray import DataTree

from vi_vs_mcmc import flat, posterior
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.errors import whole
from vi_vs_mcmc.methods.chunked import CHUNK, Chunked
from vi_vs_mcmc.methods.starts import modes_of_chains
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import stream


@dataclass(frozen=True)
class Gibbs:
    """Alternate between local variables and parameters.

    Attributes:
        warmup: sweeps that are dropped (rounded up to whole chunks of CHUNK draws).
        thin: sweeps for each draw that is kept.
        restarts: coordinate-ascent restarts that look for modes to start from.
    """

    warmup: int = 200
    thin: int = 5
    restarts: int = 8

    name = "gibbs"

    def __post_init__(self):
        for name in ("warmup", "thin", "restarts"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))

    def suits(self, problem: Problem) -> Conjugate:
        """The structure that it works on; a SettingError where there is none."""
        return problem.structure("gibbs", "nuts")

    @in_float64
    def fit(self, problem: Problem, key: Array, *, chains: int, draws: int, progress=None) -> DataTree:
        """Warm up, then sample.

        Returns:
            posterior (chain, draw, *event).

        Raises:
            SettingError: the problem has no closed-form structure.
        """
        sampler = self.begin(problem, key, chains=chains, progress=progress)
        sampler.sample(draws, progress=progress)
        return sampler.result()

    @in_float64
    def begin(self, problem: Problem, key: Array, *, chains: int, progress=None) -> Sampler:
        """Find starting points and warm up; the sampler that comes back can be asked for draws again and again."""
        return Sampler(self, problem, self.suits(problem), key, chains, progress)


class Sampler(Chunked):
    """Chains that can go on."""

    def __init__(self, settings: Gibbs, problem: Problem, model: Conjugate, key: Array, chains: int, progress=None):
        super().__init__()
        seconds = problem.memory.clock()
        self._settings, self._problem, self._model, self._chains = settings, problem, model, chains
        modes, _ = modes_of_chains(problem, key, chains, settings.restarts)
        self._state = _start(model, jax.random.split(stream(key, settings.name), chains), modes)
        chunks = -(-settings.warmup // (CHUNK * settings.thin))
        self._warmup = chunks * CHUNK * settings.thin
        for done in range(1, chunks + 1):
            self.advance()
            if progress is not None:
                progress(done, chunks)
        self.seconds = seconds()

    @in_float64
    def result(self) -> DataTree:
        """All draws asked for so far."""
        joined = self.joined()
        if any(name not in joined for name in self._problem.all_sites):
            joined |= self._across_blocks(joined)
        settings = self._settings
        return posterior.build(
            self._problem,
            settings,
            {name: joined[name] for name in self._problem.all_sites},
            status="ok",
            status_sentence=f"{self._chains} chains of {self.asked} draws, one in {settings.thin} sweeps",
            wall_seconds=self.seconds,
            work=f"{self._chains} × {self.asked} draws, one in {settings.thin} sweeps",
            passes=len(self._model.blocks) * (self._warmup + settings.thin * self.draws),
        )

    def _across_blocks(self, joined: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Deterministic sites that no block determines alone, by the program, leaves (chain, draw, ...)."""
        lead = next(iter(joined.values())).shape[:2]
        u = flat.rows(self._problem, {n: joined[n].reshape(-1, *joined[n].shape[2:]) for n in self._problem.latent})
        sites = flat.evaluated(self._problem, u)[0]
        return {n: sites[n].reshape(*lead, *sites[n].shape[1:]) for n in self._problem.all_sites if n not in joined}

    def advance(self) -> dict[str, np.ndarray]:
        self._state, out = _chunk(self._settings.thin, self._model, self._state)
        return {name: np.swapaxes(np.asarray(value), 0, 1) for name, value in out.items()}


@jax.jit
def _start(model: Conjugate, keys: Array, modes: Natural):
    """Keys, and t of one draw at each chain's mode."""
    pairs = jax.vmap(jax.random.split)(keys)
    return pairs[:, 0], jax.vmap(lambda key, eta: model.sufficient(model.draw(key, eta)))(pairs[:, 1], modes)


def sweep(model: Conjugate, key: Array, m: Natural) -> tuple[Natural, dict[str, Array]]:
    """New parameters given t(theta) = m: (t of the new ones, their sites)."""
    key_local, *keys = jax.random.split(key, 1 + len(model.blocks))
    z = model.draw_local(key_local, m, model.rows)
    sites: dict[str, Array] = {}
    for key_block, block in zip(keys, model.blocks, strict=True):
        new = model.draw(key_block, conditional(model, block, m, z))
        m = {**m, **model.sufficient(new)}
        sites |= new
    return m, sites


def conditional(model: Conjugate, block: tuple[str, ...], m: Natural, z: Any) -> Natural:
    """eta_b of p(theta_b | x, z, the others), {factor: leaves} of the block's factors, at t(theta) = m."""

    def log_joint(of_block: Natural) -> Array:
        whole = {**m, **of_block}
        return model.complete(whole, z, model.rows).sum() + model.linked(whole)

    slope = jax.grad(log_joint)({factor: m[factor] for factor in block})
    return jax.tree.map(jnp.add, {factor: model.prior[factor] for factor in block}, slope)


@partial(jax.jit, static_argnums=0)
def _chunk(thin: int, model: Conjugate, state):
    """CHUNK draws of every chain, leaves (CHUNK, chains, ...)."""

    def one(key: Array, m: Natural):
        keys = jax.random.split(key, thin + 1)
        m = jax.lax.fori_loop(0, thin - 1, lambda i, m: sweep(model, keys[i], m)[0], m)
        m, sites = sweep(model, keys[thin - 1], m)
        return (keys[thin], m), sites

    def body(state, _):
        return jax.vmap(one)(*state)

    return jax.lax.scan(body, state, None, CHUNK)
