"""The no-U-turn sampler, started where the posterior has its mass. Source: Hoffman and Gelman (2014), JMLR 15; NumPyro.

A textbook start sends each chain of a mixture to another labelling or to none (R-hat 32). Here chains start from draws
of q at the modes that coordinate ascent found, each mode getting chains in proportion to its weight; what no restart
found stays unexplored, and the report says so.

NumPyro's transition kernel is driven by one compiled loop of CHUNK draws, for warm-up and sampling alike: it compiles
once for all data of one shape, and its state carries on where the last chunk ended.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from functools import partial

import jax
import numpy as np
from jax import Array
from numpyro.infer.hmc import hmc
from xarray import DataTree

from vi_vs_mcmc import posterior
from vi_vs_mcmc.errors import NumericalError, SettingError, whole
from vi_vs_mcmc.methods.chunked import CHUNK, Chunked
from vi_vs_mcmc.methods.starts import Target, starting_points
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import stream

CAREFUL = 0.95  # target acceptance where some transitions diverged


@dataclass(frozen=True)
class NUTS:
    """Hamiltonian Monte Carlo with adaptive path lengths, chains side by side.

    Attributes:
        warmup: adaptation steps, dropped; a multiple of 100 (it is rounded up).
        target_accept: acceptance that the step size is adapted to; nearer 1 means smaller steps and fewer divergences.
        dense_mass: adapt a full mass matrix, not a diagonal one.
        max_tree_depth: a trajectory has at most 2^depth steps.
        restarts: coordinate-ascent restarts that look for modes to start from, where the model has a closed form.
    """

    warmup: int = 300
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
        self._warmup = -(-settings.warmup // CHUNK) * CHUNK
        key_run = stream(key, settings.name)
        start, target = starting_points(problem, key, chains, settings.restarts, f"{settings.name} start")
        self._kernel = (settings, self._warmup, target)
        self._state = _init(*self._kernel, jax.random.split(key_run, chains), start)
        if not np.isfinite(np.asarray(self._state.potential_energy)).all():
            raise NumericalError("the log density is not finite at a chain's start; check the data and the prior")
        for done in range(0, self._warmup, CHUNK):
            if progress is not None:
                progress(done, self._warmup)
            self.advance()
        self.seconds = time.perf_counter() - began

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
            status_sentence=f"{self._chains} chains of {self.asked} draws after {self._warmup} warm-up steps",
            wall_seconds=self.seconds,
            work=f"{self._chains} × {self.asked} draws after {self._warmup} warm-up",
            passes=int(steps.sum(1).max()),
            sample_stats={
                "diverging": joined["diverging"].astype(bool),
                "energy": joined["energy"],
                "n_steps": steps,
                "tree_depth": np.ceil(np.log2(steps + 1)).astype(int),
                "lp": -joined["potential"],
            },
            attrs={"max_tree_depth": self._settings.max_tree_depth, "warmup": self._warmup},
        )

    def advance(self) -> dict[str, np.ndarray]:
        self._state, out = _chunk(*self._kernel, self._state)
        return {name: np.swapaxes(np.asarray(value), 0, 1) for name, value in out.items()}


def _functions(settings: NUTS, warmup: int, target: Target):
    """NumPyro's init and sample functions; the second reads variables that a call of the first sets."""
    init, sample = hmc(lambda w: -target.log_density(w), algo="NUTS")
    options = {"target_accept_prob": settings.target_accept, "dense_mass": settings.dense_mass}
    begin = lambda key, w: init(w, warmup, rng_key=key, max_tree_depth=settings.max_tree_depth, **options)
    return begin, sample


@partial(jax.jit, static_argnums=(0, 1))
def _init(settings: NUTS, warmup: int, target: Target, keys, start):
    begin, _ = _functions(settings, warmup, target)
    return jax.vmap(begin)(keys, start)


@partial(jax.jit, static_argnums=(0, 1))
def _chunk(settings: NUTS, warmup: int, target: Target, state):
    begin, sample = _functions(settings, warmup, target)
    jax.vmap(begin)(state.rng_key, state.z)  # for its side effects while tracing; the compiler drops it

    def body(state, _):
        state = jax.vmap(lambda s: sample(s, (), {}))(state)
        stats = {
            "diverging": state.diverging,
            "energy": state.energy,
            "n_steps": state.num_steps,
            "potential": state.potential_energy,
        }
        return state, jax.vmap(target.sites)(state.z) | stats

    return jax.lax.scan(body, state, None, CHUNK)
