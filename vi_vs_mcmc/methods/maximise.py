"""E- and M-steps: the climb of log p(x, theta) from many starts at once, with the bound and the KL at each step.

    theta = mode(eta),   S = sum_n grad l_n(m) at m = t(theta),   eta' = eta0 + S,   theta' = mode(eta')

    L(q, theta') = sum_n l_n(m) + <S, t(theta') - m> + <eta0, t(theta')>     the tangent of l at m, which is below it

Numbered equations as in docs/derivation.md, (26) to (28). Source: Neal and Hinton (1998), A view of the EM algorithm.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vi_vs_mcmc import engine
from vi_vs_mcmc.ascent import CHUNK
from vi_vs_mcmc.climber import ROUNDING
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.errors import NumericalError


class Climb(NamedTuple):
    """The end of EM from R starts, the highest bound first; nats without the prior's constant, nan once a start has stopped."""

    start: Natural  # leaves (R, ...)
    eta: Natural  # leaves (R, ...): eta0 + S before the last M-step, so that theta = mode(eta)
    bound: np.ndarray  # (R, steps) L after each M-step
    log_joint: np.ndarray  # (R, 1 + steps) log p(x, theta) at the start and after each M-step
    steps: np.ndarray  # (R,) M-steps made
    residual: np.ndarray  # (R,) largest |F(eta) - eta| / (1 + |eta|) before the last step
    converged: np.ndarray  # (R,) bool
    left: np.ndarray  # (R,) bool: the next M-step has no argmax

    def end(self) -> np.ndarray:
        """log p(x, theta) where each start ended, (R,); -inf for one that had no mode to begin with."""
        return np.nan_to_num(self.log_joint[np.arange(len(self.steps)), self.steps], nan=-np.inf)


def climb(model: Conjugate, start: Natural, *, tol: float, max_steps: int, progress=None) -> Climb:
    """Alternate E- and M-steps from theta = mode(start) of R starts at once.

    A start stops when eta has settled as `tol` says and no site moves by more than sqrt(tol) of its largest entry: where a
    component dies, eta settles while the component's precision still runs to 0.

    Args:
        model: the closed-form structure, in one block, so that no prior term is `linked`; its prior may be flat (eta0 = 0:
            maximum likelihood).
        start: leaves (R, ...).
        tol: the stopping rule.
        max_steps: M-steps at most.
        progress: called with (steps done, max_steps).

    Raises:
        NumericalError: the bound or log p fell by more than rounding: then an update is wrong.
    """
    number = jax.tree.leaves(start)[0].shape[0]
    state = (start, jnp.zeros(number, bool), jnp.zeros(number, bool), jnp.full(number, jnp.inf))
    joints, bounds, stepped = [], [], 0
    while stepped < max_steps and not bool((state[1] | state[2]).all()):
        state, (joint, bound) = _chunk(model, state, jnp.asarray(tol), jnp.asarray(max_steps - stepped))
        joints.append(np.asarray(joint))
        bounds.append(np.asarray(bound))
        stepped = min(stepped + CHUNK, max_steps)
        if progress is not None:
            progress(stepped, max_steps)
    eta, converged, left, residual = jax.tree.map(np.asarray, state)
    bound, joint = np.concatenate(bounds, 1), np.concatenate(joints, 1)
    steps = (~np.isnan(bound)).sum(1)
    longest = int(steps.max())
    log_joint = np.full((number, longest + 1), np.nan)
    log_joint[:, :longest] = joint[:, :longest]
    log_joint[np.arange(number), steps] = np.asarray(_joints(model, eta))
    first = jax.tree.map(np.asarray, start)
    found = Climb(first, eta, bound[:, :longest], log_joint, steps, residual, converged, left)
    _check_rising(found)
    last = np.where(steps > 0, bound[np.arange(number), steps - 1], -np.inf)
    order = np.lexsort((np.arange(number), -last))
    return jax.tree.map(lambda leaf: leaf[order], found)


def divergences(model: Conjugate, found: Climb) -> np.ndarray:
    """KL(q(z) || p(z | x, theta)) after each M-step of the highest climb, (steps,), nats.

    From the probabilities of every value of every z, not from log p and the bound, whose difference it must be; from that
    difference where z is continuous.
    """
    steps = int(found.steps[0])
    if jax.eval_shape(model.outcomes, model.rows) is None:
        return found.log_joint[0, 1 : steps + 1] - found.bound[0, :steps]
    eta = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), found.start)
    out = []
    for _ in range(-(-steps // CHUNK)):
        eta, values = _divergences(model, eta)
        out.append(np.asarray(values))
    return np.concatenate(out)[:steps]


def em_map(model: Conjugate, eta: Natural) -> Natural:
    """eta0 + S at theta = mode(eta): the natural parameter whose mode is the next theta. One pass over the data."""
    statistics = engine.total(model, model.sufficient(model.mode(eta)))[1]
    return jax.tree.map(jnp.add, model.prior, statistics)


@jax.jit
def _chunk(model: Conjugate, state, tol: Array, left: Array):
    """CHUNK steps, `left` at most, of every start that has neither converged nor left the domain."""
    tiles = engine.tiled(model)

    def one(eta: Natural, met: Array, off: Array, residual: Array, number: Array):
        rest = met | off | (number >= left)
        theta = model.mode(eta)
        m = model.sufficient(theta)
        local, statistics = engine.total(model, m, tiles)  # the E-step
        image = jax.tree.map(jnp.add, model.prior, statistics)
        new_theta = model.mode(image)  # the M-step
        new = model.sufficient(new_theta)
        bound = local + engine.inner(statistics, jax.tree.map(jnp.subtract, new, m)) + engine.inner(model.prior, new)
        lost = ~rest & ~jnp.isfinite(bound)
        moved = _largest(lambda f, e: jnp.max(jnp.abs(f - e) / (1.0 + jnp.abs(e))), image, eta)
        settled = _largest(lambda f, e: jnp.max(jnp.abs(f - e)) / jnp.max(jnp.abs(e)), new_theta, theta)
        stop = rest | lost
        eta = jax.tree.map(lambda old, new: jnp.where(stop, old, new), eta, image)
        met = met | (~stop & (moved < tol) & (settled < jnp.sqrt(tol)))
        joint = jnp.where(stop, jnp.nan, local + engine.inner(model.prior, m))
        state = (eta, met, off | lost, jnp.where(stop, residual, moved))
        return state, (joint, jnp.where(stop, jnp.nan, bound))

    def body(state, number):
        eta, met, off, residual = state
        return jax.vmap(one, in_axes=(0, 0, 0, 0, None))(eta, met, off, residual, number)

    state, (joint, bound) = jax.lax.scan(body, state, jnp.arange(CHUNK))
    return state, (joint.T, bound.T)


def _largest(of, a, b) -> Array:
    return jnp.max(jnp.stack(jax.tree.leaves(jax.tree.map(of, a, b))))


@jax.jit
def _divergences(model: Conjugate, eta: Natural):
    def body(eta, _):
        before = model.sufficient(model.mode(eta))
        image = em_map(model, eta)
        return image, _divergence(model, before, model.sufficient(model.mode(image)))

    return jax.lax.scan(body, eta, None, CHUNK)


def _divergence(model: Conjugate, before: Natural, after: Natural) -> Array:
    """sum_n sum_z q_n(z) (log q_n(z) - log p(z | x_n, theta)), (): q at t(theta) = before, p at after."""

    def of(batch: Any, weight: Array) -> Array:
        outcomes = model.outcomes(batch)
        log_of = lambda m: (
            jax.vmap(lambda z: model.complete(m, z, batch))(outcomes) - model.local(model.coefficients(m), batch)
        )
        log_q = log_of(before)
        return jnp.sum(weight * (jnp.exp(log_q) * (log_q - log_of(after))).sum(0))

    return engine.over_rows(of, jnp.zeros(()), engine.tiled(model))


@jax.jit
def _joints(model: Conjugate, eta: Natural) -> Array:
    """log p(x, theta) at the mode of each eta, without the prior's constant, (R,)."""

    def one(eta: Natural) -> Array:
        m = model.sufficient(model.mode(eta))
        return engine.total(model, m)[0] + engine.inner(model.prior, m)

    return jax.vmap(one)(eta)


def _check_rising(found: Climb) -> None:
    """log p before <= the bound after the M-step <= log p after it, up to rounding."""
    slack = ROUNDING * (1.0 + np.abs(found.bound))
    for above, below in ((found.bound, found.log_joint[:, :-1]), (found.log_joint[:, 1:], found.bound)):
        fell = np.argwhere(above - below < -slack)
        if len(fell):
            start, at = fell[0]
            raise NumericalError(
                f"log p or its bound fell by {(below - above)[start, at]:.3g} nats at step {at + 1} of start {start}; EM never "
                "lowers them, so the mode or the statistics are wrong"
            )
