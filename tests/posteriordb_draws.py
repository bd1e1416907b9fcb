"""A posterior's log density seen at posteriordb's reference draws: a check that needs no sampler and no second program.

For draws u of a density p on the whole space, with g = grad log p (Stein's identities; E is over p):

    E[g] = 0,     E[-g (u - E u)'] = I

Wherever a prior or a likelihood is not that of the reference draws, g is not that of their density. With n draws a misfit of
5 / sqrt(n) posterior sds shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import vi_vs_mcmc as vm
from vi_vs_mcmc.call import unconstrain

FOLDER = Path(__file__).parent / "truth" / "posteriordb"
BATCH = 500
MODEL = vm.load("posteriordb")


class Seen(NamedTuple):
    """At each draw: unconstrained coordinates, log density there and its gradient, log volume, latent and deterministic sites."""

    u: np.ndarray  # (draw, D)
    log_p: np.ndarray  # (draw,)
    gradient: np.ndarray  # (draw, D)
    log_volume: np.ndarray  # (draw,) log |d theta / d u|
    sites: dict[str, np.ndarray]


def kept(posterior: str) -> dict[str, np.ndarray]:
    """The reference draws that the repository keeps, by site, (draw, *shape)."""
    with np.load(FOLDER / f"{posterior}.npz") as found:
        return {name: np.asarray(value, np.float64) for name, value in found.items()}


def looked_at(posterior: str, draws: Mapping[str, np.ndarray]) -> Seen:
    """The program's log density at draws of the reference."""
    problem = MODEL(posterior=posterior)
    call, arrays = problem.bound
    theta = latent(posterior, draws)
    supports = problem.supports

    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def every(theta: dict) -> Seen:
        def one(theta: dict) -> Seen:
            u, volume = unconstrain(supports, theta)
            flat, shaped = ravel_pytree(u)
            log_p, gradient = jax.value_and_grad(lambda v: call.log_density(arrays, shaped(v)))(flat)
            return Seen(flat, log_p, gradient, volume, call.constrain(arrays, u))

        return jax.lax.map(one, theta, batch_size=BATCH)

    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, every({name: jnp.asarray(theta[name]) for name in supports}))


def scores(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Both identities' deviations in Monte Carlo standard errors, (D,) and (D, D)."""
    u, g = seen.u, seen.gradient
    products = -g[:, :, None] * (u - u.mean(0))[:, None, :]
    error = lambda of: of.std(0, ddof=1) / np.sqrt(len(of))
    return g.mean(0) / error(g), (products.mean(0) - np.eye(u.shape[1])) / error(products)


def latent(posterior: str, draws: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Latent sites of a program whose reference holds functions of them."""
    found = dict(draws)
    if posterior == "garch-garch11":
        found["beta1_share"] = found["beta1"] / (1.0 - found["alpha1"])
    if posterior == "eight_schools-eight_schools_noncentered":
        found["z"] = (found["theta"] - found["mu"][:, None]) / found["tau"][:, None]
    if posterior == "gp_pois_regr-gp_pois_regr":
        x = np.arange(-10.0, 11.0, 2.0)
        apart = (x[:, None] - x) ** 2
        k = found["alpha"][:, None, None] ** 2 * np.exp(-0.5 * apart / found["rho"][:, None, None] ** 2)
        factor = np.linalg.cholesky(k + 1e-10 * np.eye(len(x)))
        found["f_tilde"] = np.linalg.solve(factor, found["f"][..., None])[..., 0]
    return found
