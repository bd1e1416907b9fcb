"""Coordinate ascent from many starts side by side, safely accelerated (`climber`).

One sweep G moves a natural parameter x to G(x), and a look at x tells ELBO(x) and the move f = G(x) - x in one pass over the
data. The next look is at a predicted point, or at the plain sweep G(x), which never lowers the ELBO.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from vi_vs_mcmc import engine
from vi_vs_mcmc.checkpoint import Checkpoint
from vi_vs_mcmc.climber import ROUNDING, Climber, begin, step
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.errors import NumericalError
from vi_vs_mcmc.passes import laid_out, over_tiles
from vi_vs_mcmc.programs import single_threaded_blas

CHUNK = 64  # looks between two reports of progress, at most
PATIENCE = 0.2  # seconds that a chunk of looks should take, about
KEPT = 2**21  # numbers of the path that a chunk may keep
SINGLE = 1e-6  # relative ELBO loss that float32 sums over the rows of a tile can produce


class Ascent(NamedTuple):
    """The end of coordinate ascent from R starts; numpy arrays."""

    eta: Natural  # leaves (R, ...), the highest point of each start
    elbo: np.ndarray  # (R,) nats, of eta
    trace: np.ndarray  # (R, passes) nats, the highest so far; nan once a start has stopped
    sweeps: np.ndarray  # (R,) passes over the data for each block of factors
    residual: np.ndarray  # (R,) largest |G(eta) - eta| / (1 + |eta|)
    converged: np.ndarray  # (R,) bool
    path: np.ndarray | None  # (R, passes, P), the highest point so far as a vector; None where that is much


def ascend(
    model: Conjugate,
    start: Natural,
    *,
    tol: float,
    max_sweeps: int,
    progress=None,
    total=None,
    checkpoint: Checkpoint | None = None,
    float32: bool = False,
) -> Ascent:
    """Climb from R starts at once until |G(eta) - eta| <= tol (1 + |eta|) everywhere.

    Args:
        model: the closed-form structure.
        start: leaves (R, ...).
        tol: the stopping rule, on the fixed point itself; an ELBO gain cannot tell, since it is quadratic in the error.
        max_sweeps: give up after so many looks; a look is one pass over the data for each block of factors.
        progress: called with (looks so far, max_sweeps).
        total: coefficients -> (sum_n l_n, its slope in them), leaves (R, ...), where the rows are not all in `model`.
        checkpoint: where to keep how far it came, and to go on from.
        float32: pass over rows in memory in single precision; the ELBO is then known to about 1e-7 of itself.

    Raises:
        NumericalError: an ELBO is not finite, or a plain sweep lowered it by more than rounding: then an update is wrong.
    """
    state, paths, looked = _begun(start), [], 0
    number = state.done.size
    trace = np.full((number, max_sweeps), np.nan)
    if checkpoint is not None:
        (state, trace), looked = checkpoint.load((state, trace))
        trace = np.array(trace)
    over, tolerance, looks = bool(state.done.all()), jnp.asarray(tol), 1
    at: Any = None if total is None else _expected(model, as_eta(model, state.trial))
    one, tiles = (model, None) if total is not None else laid_out(model, number)
    if tiles is not None and float32:
        tiles = in_float32(tiles)
    with single_threaded_blas():
        while looked < max_sweeps and not over:
            began, looks = time.perf_counter(), min(looks, max_sweeps - looked)
            if tiles is None:
                state, entries, at, ended = _look(model, state, at, total, tolerance)
            else:
                state, entries, path, ended = _chunk(one, state, tiles, tolerance, jnp.asarray(looks))
                paths.append(np.asarray(path)[:, :looks])
            over = bool(ended)
            trace[:, looked : looked + looks] = np.asarray(entries)[:, :looks]
            looked += looks
            if tiles is not None and time.perf_counter() - began < PATIENCE:
                looks = min(2 * looks, CHUNK)
            if progress is not None:
                progress(looked, max_sweeps)
            if checkpoint is not None:
                checkpoint.keep((state, trace), looked)
    sweeps = (~np.isnan(trace)).sum(1)
    trace = trace[:, : sweeps.max()]
    _check_rising(trace, SINGLE if float32 else ROUNDING)
    path = np.concatenate(paths, 1)[:, : trace.shape[1]] if paths and paths[0].size else None
    eta = jax.tree.map(np.asarray, as_eta(model, state.point))
    elbo, residual, done = (np.asarray(part) for part in (state.elbo, state.residual, state.done))
    return Ascent(eta, elbo, trace, sweeps, residual, done, path)


@jax.jit
def as_eta(model: Conjugate, points: Array) -> Natural:
    """Natural parameters, leaves (R, ...), from vectors (R, P)."""
    return jax.vmap(ravel_pytree(model.prior)[1])(points)


in_float32 = jax.jit(engine.in_float32)


@jax.jit
def _begun(start: Natural) -> Climber:
    return jax.vmap(lambda eta: begin(ravel_pytree(eta)[0]))(start)


@jax.jit
def _chunk(
    model: Conjugate, state: Climber, tiles: engine.Tiles, tol: Array, looks: Array
) -> tuple[Climber, Array, Array, Array]:
    """So many looks, the trace (R, CHUNK), nan where nobody looked, the path (R, CHUNK or 0, P), and whether all ended."""
    return over_tiles(_looks, tiles, model, state, tol, looks)


def _looks(tiles: engine.Tiles, model: Conjugate, state: Climber, tol: Array, looks: Array):
    shape = ravel_pytree(model.prior)[1]
    rounding = SINGLE if tiles.weight.dtype == jnp.float32 else ROUNDING

    def body(carry):
        state, trace, path, number = carry
        seen = engine.side_by_side(lambda trial: engine.sweep(model, shape(trial), tiles), state.trial)
        elbo, residual, image = seen
        state, entry = _stepped(model, state, elbo, residual, image, tol, rounding)
        path = path.at[:, number].set(state.point) if path.size else path
        return state, trace.at[:, number].set(entry), path, number + 1

    unfinished = lambda carry: (carry[3] < looks) & ~carry[0].done.all()
    starts, size = state.point.shape
    trace = jnp.full((starts, CHUNK), jnp.nan)
    path = jnp.zeros((starts, CHUNK if starts * CHUNK * size <= KEPT else 0, size))
    state, trace, path, _ = jax.lax.while_loop(unfinished, body, (state, trace, path, jnp.asarray(0)))
    return state, trace, path, state.done.all()


class Expected(NamedTuple):
    """What a pass needs of eta; leaves (R, ...)."""

    eta: Natural
    log_normaliser: Array
    m: Natural
    coefficients: Any


def _look(model: Conjugate, state: Climber, at: Expected, total, tol: Array):
    """One look, its passes made by `total`: the rows are in a file, or on other machines.

    Returns:
        the state, the trace's entries (R, 1), what the next look begins with, and whether all ended.
    """
    elbo, residual = None, np.zeros(state.done.shape)
    for block in model.blocks[:-1]:
        value, residual, at = _updated(model, block, residual, at, total(at.coefficients))
        elbo = value if elbo is None else elbo
    return _ended(model, state, elbo, residual, at, total(at.coefficients), tol)


@jax.jit
def _expected(model: Conjugate, eta: Natural) -> Expected:
    def one(eta: Natural) -> Expected:
        level, m = jax.value_and_grad(engine.log_normaliser, argnums=1)(model, eta)
        return Expected(eta, level, m, model.coefficients(m))

    return jax.vmap(one)(eta)


def _replaced(model: Conjugate, block: tuple[str, ...], residual, at: Expected, sums) -> tuple[Array, Array, Natural]:
    """ELBO, residual and eta with the block's image, for each start, from what a pass summed."""

    def one(residual, at: Expected, sums):
        value, slope = sums
        statistics = jax.vjp(model.coefficients, at.m)[1](slope)[0]
        elbo, image = engine.assembled(model, at.eta, at.log_normaliser, at.m, value, statistics)
        return elbo, *engine.replaced(block, at.eta, image, residual)

    return jax.vmap(one)(residual, at, sums)


@partial(jax.jit, static_argnums=1)
def _updated(model: Conjugate, block: tuple[str, ...], residual, at: Expected, sums) -> tuple[Array, Array, Expected]:
    elbo, residual, eta = _replaced(model, block, residual, at, sums)
    return elbo, residual, _expected(model, eta)


@jax.jit
def _ended(model: Conjugate, state: Climber, elbo, residual, at: Expected, sums, tol: Array):
    value, residual, eta = _replaced(model, model.blocks[-1], residual, at, sums)
    state, entry = _stepped(model, state, value if elbo is None else elbo, residual, eta, tol)
    return state, entry[:, None], _expected(model, as_eta(model, state.trial)), state.done.all()


def _stepped(
    model: Conjugate, state: Climber, elbo, residual, image: Natural, tol: Array, rounding: float = ROUNDING
) -> tuple[Climber, Array]:
    shape = ravel_pytree(model.prior)[1]
    log_normaliser = lambda x: engine.log_normaliser(model, shape(x))

    def one(at: Climber, elbo: Array, residual: Array, image: Natural) -> tuple[Climber, Array]:
        move = ravel_pytree(image)[0] - at.trial
        slope = jax.jvp(jax.grad(log_normaliser), (at.trial,), (move,))[1]
        return step(at, elbo, residual, move, slope, log_normaliser, tol, rounding)

    return jax.vmap(one)(state, elbo, residual, image)


def _check_rising(trace: np.ndarray, rounding: float) -> None:
    if np.isinf(trace).any():
        raise NumericalError("the ELBO is not finite; the data or the prior are too extreme for float64")
    steps = np.diff(trace, axis=1)
    slack = rounding * (1.0 + np.abs(trace[:, :-1]))
    fell = np.argwhere(steps < -slack)
    if len(fell):
        start, at = fell[0]
        raise NumericalError(
            f"the ELBO fell by {-steps[start, at]:.3g} nats at sweep {at + 1} of start {start}; coordinate ascent "
            "never lowers it, so an update or a normaliser is wrong"
        )
