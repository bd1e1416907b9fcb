"""NumPyro's SVI and autoguides as compiled functions of arrays: one block of steps, probes, draws.

A guide remembers the trace that set it up, so it is made afresh inside every traced function; what the compiler does not
need of that is dropped. Two starts run side by side, on the leading axis of `start`, `state` and `raw`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from numpyro import handlers, optim
from numpyro.infer import SVI, Trace_ELBO, autoguide, init_to_value
from numpyro.infer.util import log_density

from vi_vs_mcmc.problem import Call, unconstrain

BLOCK = 250  # steps of one compiled loop
PIECE = 50  # steps averaged into one point of the ELBO's trace
BATCH = 250  # draws whose log p is computed side by side
NEEDS_MORE = ("AutoGuide", "AutoGuideList", "AutoContinuous", "AutoSemiDAIS", "AutoSurrogateLikelihoodDAIS")


def guides() -> list[str]:
    """Names of the autoguides that need nothing but a program."""
    return [name for name in autoguide.__all__ if name.startswith("Auto") and name not in NEEDS_MORE]


@partial(jax.jit, static_argnums=range(3))
def begin(call: Call, guide: str, particles: int, arrays, start, keys: Array):
    """The first state of each start."""
    one = lambda start, key: _machine(call, guide, particles, arrays, start, 0.0)[-1]._replace(rng_key=key)
    return jax.vmap(one)(start, keys)


@partial(jax.jit, static_argnums=range(3))
def block(call, guide, particles, arrays, start, state, step_size):
    """BLOCK steps: the new state, the iterates' mean and mean square, the mean loss of each piece."""

    def one(start, state):
        svi, _, args, kwargs, _ = _machine(call, guide, particles, arrays, start, step_size)

        def step(carry, _):
            state, total, square = carry
            state, loss = svi.stable_update(state, *args, **kwargs)
            iterate = svi.optim.get_params(state.optim_state)
            total = jax.tree.map(jnp.add, total, iterate)
            square = jax.tree.map(lambda s, v: s + v**2, square, iterate)
            return (state, total, square), loss

        zero = jax.tree.map(jnp.zeros_like, svi.optim.get_params(state.optim_state))
        (state, total, square), losses = jax.lax.scan(step, (state, zero, zero), None, BLOCK)
        mean = lambda tree: jax.tree.map(lambda leaf: leaf / BLOCK, tree)
        return state, (mean(total), mean(square), losses.reshape(-1, PIECE).mean(1))

    return jax.vmap(one)(start, state)


@partial(jax.jit, static_argnums=range(3))
def summary(call, guide, particles, arrays, supports, start, raw, keys):
    """Location and log-scale of every unconstrained latent, (STARTS, P) each, over base draws that never change."""

    def one(start, raw):
        svi, made, args, kwargs, _ = _machine(call, guide, particles, arrays, start, 0.0)

        def probe(key):
            u = unconstrain(supports, _latent(svi, made, args, kwargs, raw, key)[0])[0]
            return jnp.concatenate([jnp.ravel(u[name]) for name in supports])

        flat = jax.vmap(probe)(keys)
        return flat.mean(0), jnp.log(flat.std(0) + jnp.finfo(flat.dtype).tiny)

    return jax.vmap(one)(start, raw)


@partial(jax.jit, static_argnums=range(3))
def draw(call, guide, particles, arrays, supports, start, raw, keys):
    """Draws at raw parameters of one start, with log p and log q on the unconstrained scale."""
    svi, made, args, kwargs, _ = _machine(call, guide, particles, arrays, start, 0.0)

    def one(key):
        latent, log_q = _latent(svi, made, args, kwargs, raw, key)
        u, log_volume = unconstrain(supports, latent)
        return call.constrain(arrays, u), call.log_density(arrays, u), log_q + log_volume

    return jax.lax.map(one, keys, batch_size=BATCH)


def sample(call, guide, particles, arrays, start, raw, key, number):
    """Draws of a guide that has its own way of drawing: Laplace's at the optimum, the point of a delta."""
    svi, made, args, kwargs, _ = _machine(call, guide, particles, arrays, start, 0.0)
    return made.sample_posterior(key, svi.constrain_fn(raw), *args, sample_shape=(number,), **kwargs)


def _machine(call: Call, guide: str, particles: int, arrays, start, step_size) -> tuple[Any, Any, tuple, dict, Any]:
    """(SVI, guide, args, kwargs, first state) for one start; untyped, since `init` fills the first two in."""
    args, kwargs = call.arguments(arrays)
    values = call.constrain(arrays, start)
    made = getattr(autoguide, guide)(call.program, init_loc_fn=init_to_value(values=values))
    svi = SVI(call.program, made, optim.Adam(step_size), Trace_ELBO(num_particles=particles))
    state = svi.init(jax.random.key(0), *args, **kwargs)
    return svi, made, args, kwargs, state


def _latent(svi, guide, args, kwargs, raw, key) -> tuple[dict[str, Array], Array]:
    """One draw of the guide at raw parameters, constrained, and log q with respect to the constrained coordinates."""
    log_q, trace = log_density(handlers.seed(guide, key), args, kwargs, svi.constrain_fn(raw))
    names = [n for n, s in guide.prototype_trace.items() if s["type"] == "sample" and not s["is_observed"]]
    return {name: trace[name]["value"] for name in names}, jnp.asarray(log_q)
