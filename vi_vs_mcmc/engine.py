"""Passes over the data: the ELBO and the coordinate-ascent map of any conjugate model, restarts side by side.

One pass gives ELBO(eta) and F(eta) together; `jax.vmap` over eta lets one pass serve all restarts. Rows are cut into
tiles so that no (rows, latent states) array is kept; padding repeats a real row with weight 0.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vi_vs_mcmc.conjugate import Conjugate, Natural, Rows
from vi_vs_mcmc.errors import NumericalError

TILE = 4096  # rows: a few hundred kB of features, which stay in cache
CHUNK = 64  # sweeps between two looks at the stopping rule
ROUNDING = 1e-11  # relative ELBO loss that float64 sums over many rows can produce


class Ascent(NamedTuple):
    """The end of coordinate ascent from R starts; numpy arrays."""

    eta: Natural  # leaves (R, ...), each start at its own last sweep
    elbo: np.ndarray  # (R,) nats, of eta
    trace: np.ndarray  # (R, sweeps) nats, nan once a start has stopped
    sweeps: np.ndarray  # (R,)
    residual: np.ndarray  # (R,) largest |F(eta) - eta| / (1 + |eta|)
    converged: np.ndarray  # (R,) bool


def inner(a: Natural, b: Natural) -> Array:
    """<a, b>: the sum of elementwise products over all leaves, ()."""
    return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, a, b)), jnp.zeros(()))


def tiles(rows: Rows) -> tuple[Rows, Array]:
    """Rows cut into (tiles, size, ...) and their 0/1 weights (tiles, size)."""
    count = jax.tree.leaves(rows)[0].shape[0]
    size = min(TILE, max(count, 1))
    number = -(-count // size)
    padding = number * size - count

    def cut(array: Array) -> Array:
        return jnp.concatenate([array, jnp.repeat(array[:1], padding, 0)]).reshape(number, size, *array.shape[1:])

    return jax.tree.map(cut, rows), (jnp.arange(number * size) < count).astype(float).reshape(number, size)


def total(model: Conjugate, m: Natural) -> tuple[Array, Natural]:
    """sum_n l_n(m) and its gradient, the expected statistics, in one pass."""

    def weighted(m: Natural, batch: Rows, weight: Array) -> Array:
        return jnp.sum(weight * model.local(m, batch))

    def body(carry, tile):
        return jax.tree.map(jnp.add, carry, jax.value_and_grad(weighted)(m, *tile)), None

    zero = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, m))
    return jax.lax.scan(body, zero, tiles(model.rows))[0]


def bound_and_map(model: Conjugate, eta: Natural) -> tuple[Array, Natural]:
    """(ELBO(eta), F(eta)): the one place where both are written. One pass over the data."""
    log_normaliser, m = jax.value_and_grad(model.log_normaliser)(eta)
    local, statistics = total(model, m)
    linked, tie = jax.value_and_grad(model.linked)(m)
    step = jax.tree.map(lambda e, p: e - p, eta, model.prior)
    elbo = log_normaliser - model.prior_log_normaliser - inner(step, m) + linked + local
    return elbo, jax.tree.map(lambda p, s, t: p + s + t, model.prior, statistics, tie)


@jax.jit
def residual(model: Conjugate, eta: Natural) -> Array:
    """The largest |F(eta) - eta| / (1 + |eta|), ()."""
    image = bound_and_map(model, eta)[1]
    moved = jax.tree.map(lambda f, e: jnp.max(jnp.abs(f - e) / (1.0 + jnp.abs(e))), image, eta)
    return jnp.max(jnp.stack(jax.tree.leaves(moved)))


def sweep(model: Conjugate, eta: Natural) -> tuple[Array, Array, Natural]:
    """Update the blocks in turn: (ELBO(eta), residual, new eta); one pass for each block.

    The residual is the largest |F(eta) - eta| / (1 + |eta|), block by block.
    """
    elbo, residual = None, jnp.zeros(())
    for block in model.blocks:
        value, image = bound_and_map(model, eta)
        elbo = value if elbo is None else elbo
        for factor in block:
            moved = jax.tree.map(lambda f, e: jnp.max(jnp.abs(f - e) / (1.0 + jnp.abs(e))), image[factor], eta[factor])
            residual = jnp.max(jnp.stack([residual, *jax.tree.leaves(moved)]))
        eta = {**eta, **{factor: image[factor] for factor in block}}
    assert elbo is not None  # noqa: S101 - a model without blocks has nothing to fit
    return elbo, residual, eta


@jax.jit
def _chunk(model: Conjugate, eta: Natural, done: Array, tol: Array, left: Array):
    """CHUNK sweeps, `left` at most, of every start that is not done; a start stops at the sweep that meets `tol`."""

    def one(eta: Natural, done: Array, sweep_number: Array):
        value, residual, new = sweep(model, eta)
        value = jnp.where(jnp.isfinite(value), value, -jnp.inf)  # nan is for starts that have stopped
        met = done | (residual < tol)
        keep = met | (sweep_number >= left - 1)
        return jax.tree.map(lambda old, new: jnp.where(keep, old, new), eta, new), met, value, residual

    def body(carry, sweep_number):
        eta, done = carry
        new, met, value, residual = jax.vmap(one, in_axes=(0, 0, None))(eta, done, sweep_number)
        met = jnp.where(sweep_number < left, met, done)
        return (new, met), (jnp.where(done | (sweep_number >= left), jnp.nan, value), residual)

    (eta, done), (trace, residual) = jax.lax.scan(body, (eta, done), jnp.arange(CHUNK))
    return eta, done, trace.T, residual[-1]


def ascend(model: Conjugate, eta: Natural, *, tol: float, max_sweeps: int, progress=None) -> Ascent:
    """Iterate F from R starts at once until |F(eta) - eta| <= tol (1 + |eta|) everywhere.

    Args:
        model: the closed-form structure.
        eta: starts, leaves (R, ...).
        tol: the stopping rule, on the fixed point itself; an ELBO gain cannot tell, since it is quadratic in the error.
        max_sweeps: give up after so many.
        progress: called with (sweeps done, max_sweeps).

    Raises:
        NumericalError: an ELBO is not finite, or fell by more than rounding: then an update is wrong.
    """
    number = jax.tree.leaves(eta)[0].shape[0]
    done = jnp.zeros(number, bool)
    traces: list[np.ndarray] = []
    residual = np.full(number, np.inf)
    swept = 0
    while swept < max_sweeps and not bool(done.all()):
        eta, done, trace, residual = _chunk(model, eta, done, jnp.asarray(tol), jnp.asarray(max_sweeps - swept))
        traces.append(np.asarray(trace))
        swept = min(swept + CHUNK, max_sweeps)
        if progress is not None:
            progress(swept, max_sweeps)
    trace = np.concatenate(traces, 1)
    sweeps = (~np.isnan(trace)).sum(1)
    trace = trace[:, : sweeps.max()]
    _check_rising(trace)
    elbo = trace[np.arange(number), sweeps - 1]
    return Ascent(jax.tree.map(np.asarray, eta), elbo, trace, sweeps, np.asarray(residual), np.asarray(done))


def _check_rising(trace: np.ndarray) -> None:
    if np.isinf(trace).any():
        raise NumericalError("the ELBO is not finite; the data or the prior are too extreme for float64")
    steps = np.diff(trace, axis=1)
    slack = ROUNDING * (1.0 + np.abs(trace[:, :-1]))
    fell = np.argwhere(steps < -slack)
    if len(fell):
        start, at = fell[0]
        raise NumericalError(
            f"the ELBO fell by {-steps[start, at]:.3g} nats at sweep {at + 1} of start {start}; coordinate ascent "
            "never lowers it, so an update or a normaliser is wrong"
        )


@partial(jax.jit, static_argnames="number")
def starts(model: Conjugate, key: Array, number: int) -> Natural:
    """`number` random starts, leaves (number, ...)."""
    return jax.vmap(model.start)(jax.random.split(key, number))


def replay(model: Conjugate, eta: Natural, sweeps: int) -> np.ndarray:
    """sum_n log p(x_n | theta) at the expected parameters before each of the first sweeps from `eta`, (sweeps,), nats."""
    chunks = -(-sweeps // CHUNK)
    out = []
    for _ in range(chunks):
        eta, values = _replayed(model, eta)
        out.append(np.asarray(values))
    return np.concatenate(out)[:sweeps]


@jax.jit
def _replayed(model: Conjugate, eta: Natural):
    def body(eta, _):
        return sweep(model, eta)[2], total(model, model.sufficient(model.point(eta)))[0]

    return jax.lax.scan(body, eta, None, CHUNK)


def log_p(model: Conjugate, theta: dict[str, Array]) -> Array:
    """log p(x, theta), (), z summed out, with respect to the sites' own constrained coordinates."""
    m = model.sufficient(theta)
    return (
        total(model, m)[0] + inner(model.prior, m) + model.linked(m) - model.prior_log_normaliser + model.log_jacobian()
    )


def log_q(model: Conjugate, eta: Natural, theta: dict[str, Array]) -> Array:
    """log q(theta), (), with respect to the sites' own constrained coordinates."""
    return inner(eta, model.sufficient(theta)) - model.log_normaliser(eta) + model.log_jacobian()
