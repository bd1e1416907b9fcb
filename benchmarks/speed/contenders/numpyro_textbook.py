"""The mixture as NumPyro's own distributions have it, and its NUTS at its defaults."""

from __future__ import annotations

import time
from typing import Any

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import log_density, unconstrain_fn

numpyro.set_host_device_count(4)  # for chains in parallel; must come before the first computation
jax.config.update("jax_enable_x64", True)

_KEPT: dict[str, Any] = {}
_samplers: dict[tuple, MCMC] = {}


def mixture(x, concentration, mean, mean_precision, scale, degrees_of_freedom):
    """Dirichlet weights, Wishart precisions, normal means; labels summed out by `MixtureSameFamily`."""
    weights = numpyro.sample("weights", dist.Dirichlet(concentration))
    with numpyro.plate("component", len(concentration)):
        precisions = numpyro.sample("precisions", dist.Wishart(degrees_of_freedom, scale_matrix=scale))
        of_mean = dist.MultivariateNormal(mean, precision_matrix=mean_precision[:, None, None] * precisions)
        means = numpyro.sample("means", of_mean)
    with numpyro.plate("observation", len(x)):
        normals = dist.MultivariateNormal(means, precision_matrix=precisions)
        numpyro.sample("x", dist.MixtureSameFamily(dist.Categorical(probs=weights), normals), obs=x)


def load(x: np.ndarray, prior: dict[str, np.ndarray], starts: dict[str, np.ndarray]) -> None:
    """Bind rows, prior and starting points {site: (chains, ...)}."""
    _KEPT["call"] = {"x": x, **prior}
    _KEPT["starts"] = jax.vmap(lambda theta: unconstrain_fn(mixture, (), _KEPT["call"], theta))(starts)
    _samplers.clear()


def log_densities(points: dict[str, np.ndarray]) -> np.ndarray:
    """log p(x, theta) at points {site: (number, ...)}."""
    return np.asarray(jax.vmap(lambda theta: log_density(mixture, (), _KEPT["call"], theta)[0])(points))


def run(seed: int, draws: int, warmup: int, method: str) -> dict[str, Any]:
    """Warm up and sample; `method` is "vectorized" or "parallel". The first call of a method compiles."""
    of = (draws, warmup, method)
    if of not in _samplers:
        chains = len(next(iter(_KEPT["starts"].values())))
        _samplers[of] = MCMC(
            NUTS(mixture),
            num_warmup=warmup,
            num_samples=draws,
            num_chains=chains,
            chain_method=method,
            progress_bar=False,
        )
    mcmc = _samplers[of]
    began = time.perf_counter()
    mcmc.warmup(jax.random.key(seed), **_KEPT["call"], init_params=_KEPT["starts"], extra_fields=("num_steps",))
    state: Any = jax.block_until_ready(mcmc.post_warmup_state)
    middle = time.perf_counter()
    mcmc.run(state.rng_key, **_KEPT["call"], extra_fields=("num_steps",))
    found = jax.block_until_ready(mcmc.get_samples(group_by_chain=True))
    ended = time.perf_counter()
    return {
        "warm-up": middle - began,
        "sampling": ended - middle,
        "gradients": int(mcmc.get_extra_fields()["num_steps"].sum()),
        "steps": warmup,
        "draws": {name: np.asarray(value) for name, value in found.items()},
    }
