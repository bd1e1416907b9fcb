"""NumPyro's SVI and autoguides as compiled functions of arrays: one block of steps, probes, draws.

The guide sees the target's own coordinates, those of NumPyro's bijections in units that suit them: the same family, and Adam's
steps fit whatever the units of the data are. A guide remembers the trace that set it up, so it is made afresh inside every
traced function; what the compiler does not need of that is dropped. Two starts run side by side, on the leading axis of
`start`, `state` and `raw`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jax import Array
from numpyro import distributions as dist
from numpyro import handlers, optim
from numpyro.infer import ELBO, SVI, autoguide, init_to_value
from numpyro.infer.util import log_density

from vi_vs_mcmc.flat import abreast, in_batches
from vi_vs_mcmc.methods.target import Target

BLOCK = 250  # steps of one compiled loop
PIECE = 50  # steps averaged into one point of the ELBO's trace
BATCH = 250  # draws at which the gradient of log p is computed side by side, at most
NEEDS_MORE = ("AutoGuide", "AutoGuideList", "AutoContinuous", "AutoSemiDAIS", "AutoSurrogateLikelihoodDAIS")
POINT = "AutoDelta"  # the mode of the density of the constrained sites, hence without a Jacobian


class Loss(ELBO):
    """-ELBO by draws of the guide.

    NumPyro's `Trace_ELBO` adds the sites in the order of a set of their names, which differs from process to process: no
    compiled program would be found again, and no sum rounded the same way.
    """

    def loss(self, rng_key, param_map, model, guide, *args, **kwargs):
        """Mean of log q - log p, ()."""

        def one(key: Array) -> Array:
            of_model, of_guide = jax.random.split(key)
            log_q, drawn = log_density(handlers.seed(guide, of_guide), args, kwargs, param_map)
            replayed = handlers.replay(handlers.seed(model, of_model), drawn)
            return jnp.asarray(log_q - log_density(replayed, args, kwargs, param_map)[0])

        if self.num_particles == 1:
            return one(rng_key)
        return jax.vmap(one)(jax.random.split(rng_key, self.num_particles)).mean()


def guides() -> list[str]:
    """Names of the autoguides that need nothing but a program."""
    return [name for name in autoguide.__all__ if name.startswith("Auto") and name not in NEEDS_MORE]


@partial(jax.jit, static_argnums=(0, 1))
def begin(guide: str, particles: int, target: Target, start, keys: Array):
    """The first state of each start."""
    one = lambda start, key: _machine(guide, particles, target, start, 0.0)[-1]._replace(rng_key=key)
    return jax.vmap(one)(start, keys)


@partial(jax.jit, static_argnums=(0, 1))
def block(guide: str, particles: int, target: Target, start, state, step_size):
    """BLOCK steps: the new state, the iterates' mean and mean square, the mean loss of each piece."""

    def one(start, state):
        svi, _, _ = _machine(guide, particles, target, start, step_size)

        def step(carry, _):
            state, total, square = carry
            state, loss = svi.stable_update(state)
            iterate = svi.optim.get_params(state.optim_state)
            total = jax.tree.map(jnp.add, total, iterate)
            square = jax.tree.map(lambda s, v: s + v**2, square, iterate)
            return (state, total, square), loss

        zero = jax.tree.map(jnp.zeros_like, svi.optim.get_params(state.optim_state))
        (state, total, square), losses = jax.lax.scan(step, (state, zero, zero), None, BLOCK)
        mean = lambda tree: jax.tree.map(lambda leaf: leaf / BLOCK, tree)
        return state, (mean(total), mean(square), losses.reshape(-1, PIECE).mean(1))

    return jax.vmap(one)(start, state)


@partial(jax.jit, static_argnums=(0, 1))
def summary(guide: str, particles: int, target: Target, start, raw, keys):
    """Location and log-scale of every coordinate, (STARTS, P) each, over base draws that never change."""

    def one(start, raw):
        svi, made, _ = _machine(guide, particles, target, start, 0.0)

        def probe(key):
            w = _drawn(svi, made, start, raw, key)[0]
            return jnp.concatenate([jnp.ravel(w[name]) for name in start])

        flat = jax.vmap(probe)(keys)
        return flat.mean(0), jnp.log(flat.std(0) + jnp.finfo(flat.dtype).tiny)

    return jax.vmap(one)(start, raw)


def draws(guide: str, particles: int, target: Target, start, raw, key: Array, number: int):
    """Draws w of one start at raw parameters, leaves (number, ...), with log q with respect to w, (number,)."""
    keys = np.asarray(jax.random.key_data(jax.random.split(key, number)))
    return in_batches(lambda part: _draws(guide, particles, target, start, raw, part), keys)


@partial(jax.jit, static_argnums=(0, 1))
def _draws(guide: str, particles: int, target: Target, start, raw, keys: Array):
    svi, made, _ = _machine(guide, particles, target, start, 0.0)
    return jax.vmap(lambda key: _drawn(svi, made, start, raw, jax.random.wrap_key_data(key)))(keys)


def sample(guide: str, particles: int, target: Target, start, raw, key: Array, number: int):
    """Draws w of a guide that has its own way of drawing: Laplace's at the optimum, the point of a delta."""
    svi, made, _ = _machine(guide, particles, target, start, 0.0)
    w = made.sample_posterior(key, svi.constrain_fn(raw), sample_shape=(number,))
    return {name: np.asarray(w[name]) for name in start}


@jax.jit
def slopes(target: Target, w: dict[str, Array]) -> dict[str, Array]:
    """The gradient of log p at each draw, leaves (draws, ...)."""
    return jax.lax.map(jax.grad(target.log_density), w, batch_size=abreast(target.arrays, BATCH))


@jax.jit
def to_program(target: Target, w: dict[str, Array]) -> tuple[dict[str, Array], Array]:
    """The program's unconstrained coordinates u of each draw, and log|du / dw|."""
    return jax.vmap(target.coordinates.to_program)(w)


def _machine(guide: str, particles: int, target: Target, start, step_size) -> tuple[Any, Any, Any]:
    """(SVI, guide, first state) for one start; untyped, since `init` fills the first two in."""

    def program():
        w = {}
        for name, batch in target.batch:
            shape = jnp.shape(start[name])
            flat = dist.ImproperUniform(dist.constraints.real, shape[:batch], shape[batch:])
            w[name] = jnp.asarray(numpyro.sample(name, flat))
        with handlers.block():  # the sites of the user's program are no business of the guide
            value = target.log_density(w) - (target.log_volume(w) if guide == POINT else 0.0)
        numpyro.factor("log_density", value)

    made = getattr(autoguide, guide)(program, init_loc_fn=init_to_value(values=start))
    svi = SVI(program, made, optim.Adam(step_size), Loss(particles))
    state = svi.init(jax.random.key(0))
    return svi, made, state


def _drawn(svi, guide, start, raw, key) -> tuple[dict[str, Array], Array]:
    """One draw of the guide at raw parameters, and log q with respect to the target's coordinates."""
    log_q, trace = log_density(handlers.seed(guide, key), (), {}, svi.constrain_fn(raw))
    return {name: trace[name]["value"] for name in start}, jnp.asarray(log_q)
