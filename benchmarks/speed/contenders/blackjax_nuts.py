"""BlackJAX's NUTS after its window adaptation, at its defaults, on the package's own log density."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import blackjax  # pyright: ignore[reportMissingImports] - of the second environment
import jax
import numpy as np

import vi_vs_mcmc as vm
from vi_vs_mcmc.call import unconstrain

jax.config.update("jax_enable_x64", True)

_KEPT: dict[str, Any] = {}


def load(x: np.ndarray, prior: dict[str, np.ndarray], starts: dict[str, np.ndarray]) -> None:
    """Bind rows, prior and starting points {site: (chains, ...)}."""
    settings = {name: value.tolist() for name, value in prior.items()}
    problem = vm.load("gmm")(x, components=len(prior["concentration"]), **settings)
    call, arrays = problem.bound
    density = partial(call.log_density, arrays)
    _KEPT["constrain"] = jax.jit(jax.vmap(jax.vmap(partial(call.constrain, arrays))))
    _KEPT["starts"] = jax.vmap(lambda theta: unconstrain(problem.supports, theta)[0])(
        {name: jax.numpy.asarray(starts[name]) for name in problem.latent}
    )

    def warm(key, position, steps):
        (state, parameters), _ = blackjax.window_adaptation(blackjax.nuts, density).run(key, position, num_steps=steps)
        return state, parameters

    def sample(key, state, parameters, draws):
        step = blackjax.nuts(density, **parameters).step

        def body(state, key):
            state, info = step(key, state)
            return state, (state.position, info.num_integration_steps)

        return jax.lax.scan(body, state, jax.random.split(key, draws))[1]

    _KEPT["warm"] = jax.jit(
        lambda keys, positions, steps: jax.vmap(lambda k, p: warm(k, p, steps))(keys, positions), static_argnums=2
    )
    _KEPT["sample"] = jax.jit(
        lambda keys, states, parameters, draws: jax.vmap(lambda k, s, p: sample(k, s, p, draws))(
            keys, states, parameters
        ),
        static_argnums=3,
    )


def run(seed: int, draws: int, warmup: int) -> dict[str, Any]:
    """Warm up and sample, chains side by side. The first call compiles."""
    chains = len(next(iter(_KEPT["starts"].values())))
    keys = jax.random.split(jax.random.key(seed), (2, chains))
    began = time.perf_counter()
    state, parameters = jax.block_until_ready(_KEPT["warm"](keys[0], _KEPT["starts"], warmup))
    middle = time.perf_counter()
    positions, steps = jax.block_until_ready(_KEPT["sample"](keys[1], state, parameters, draws))
    ended = time.perf_counter()
    found = _KEPT["constrain"](positions)
    return {
        "warm-up": middle - began,
        "sampling": ended - middle,
        "gradients": int(steps.sum()),
        "steps": warmup,
        "draws": {name: np.asarray(found[name]) for name in ("weights", "means", "precisions")},
    }
