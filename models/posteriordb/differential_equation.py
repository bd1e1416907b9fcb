r"""Differential equations: hare and lynx, and a drug that is absorbed and leaves by Michaelis-Menten kinetics.

    lotka_volterra        u' = (theta_1 - theta_2 v) u,  v' = (-theta_3 + theta_4 u) v,   y ~ lognormal(log (u, v), sigma)
    one_comp_mm_elim_abs  C' = k_a exp(-k_a t) D / V - (V_m / V) C / (K_m + C),  C(0) = 0,  C_hat ~ lognormal(log C, sigma)

Both are solved by the classical Runge-Kutta rule of order 4 on a fixed grid: the log density is then a smooth function, its
gradient is that of the numbers computed, and every chain costs the same. At 500 draws of the reference log densities are within
1e-4 of those by a solver at tolerance 1e-11; Stan's own tolerances are wider (1e-3 for u and v). u and v are solved for on the
log scale, where they cannot become negative. C runs through K_m, which may be 1e-4, soon after 0: there the grid is finer.

K_m has no variance: where it is large, elimination is linear and only V_m / K_m is known; the Cauchy priors then leave a tail of
power -3. Its quantiles can be compared, its mean barely.

Source: Carpenter (2018), Predator-prey population dynamics, a Stan case study; Hewitt (1921) for the pelts; Stan's statistical
computation benchmarks (pkpd); posteriordb for data and reference draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array

from .entry import Entry

STEPS = 10  # between two observations
EARLY = 3.0  # the concentration's first interval has its k-th time at (k / STEPS)^EARLY of its length


def hare_and_lynx(first: Array, y: Array, grid: Array) -> None:
    """Counts of the first year, (2,), and of each year after it, (years, 2); grid as in `solution`."""
    theta: Any = numpyro.sample("theta", dist.TruncatedNormal(*_rates(), low=0.0).to_event(1))
    z_init = numpyro.sample("z_init", dist.LogNormal(jnp.log(10.0), 1.0).expand([2]).to_event(1))
    sigma = numpyro.sample("sigma", dist.LogNormal(-1.0, 1.0).expand([2]).to_event(1))

    def slope(_: Array, log_z: Array) -> Array:
        u, v = jnp.exp(log_z)
        return jnp.stack([theta[0] - theta[1] * v, -theta[2] + theta[3] * u])

    log_z = solution(slope, jnp.log(z_init), grid)
    numpyro.sample("y_init", dist.LogNormal(jnp.log(z_init), sigma).to_event(1), obs=first)
    with numpyro.plate("year", len(y)):
        numpyro.sample("y", dist.LogNormal(log_z, sigma).to_event(1), obs=y)


def absorption(concentration: Array, dose: Array, volume: Array, grid: Array) -> None:
    """Concentrations after a dose at time 0, each at the end of a row of the grid, in days."""
    k_a: Any = numpyro.sample("k_a", dist.HalfCauchy(1.0))
    K_m: Any = numpyro.sample("K_m", dist.HalfCauchy(1.0))
    V_m: Any = numpyro.sample("V_m", dist.HalfCauchy(1.0))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(1.0))

    def slope(t: Array, c: Array) -> Array:
        return dose * k_a * jnp.exp(-k_a * t) / volume - V_m / volume * c / (K_m + c)

    c = solution(slope, jnp.zeros_like(k_a), grid)
    with numpyro.plate("time", len(concentration)):
        numpyro.sample("C_hat", dist.LogNormal(jnp.log(c), sigma), obs=concentration)


def solution(slope: Callable[[Array, Array], Array], start: Array, grid: Array) -> Array:
    """x at the end of each row of the grid, where x' = slope(t, x) and x = start where the grid begins.

    Args:
        slope: of x at a time.
        start: x at the beginning.
        grid: (interval, step + 1) times, ascending; a row begins where the last one ends.
    """

    def step(x: Array, ends: tuple[Array, Array]) -> tuple[Array, None]:
        t, h = ends[0], ends[1] - ends[0]
        a = slope(t, x)
        b = slope(t + h / 2, x + h / 2 * a)
        c = slope(t + h / 2, x + h / 2 * b)
        d = slope(t + h, x + h * c)
        return x + h / 6 * (a + 2 * b + 2 * c + d), None

    def between(x: Array, times: Array) -> tuple[Array, Array]:
        x = jax.lax.scan(step, x, (times[:-1], times[1:]))[0]
        return x, x

    return jax.lax.scan(between, start, jnp.asarray(grid))[1]


def grid(times: np.ndarray, *, early: float = 1.0) -> np.ndarray:
    """Times of the steps from 0 to each observation, (len(times), STEPS + 1)."""
    shares = np.linspace(0.0, 1.0, STEPS + 1)
    ends = np.append(0.0, times)
    found = ends[:-1, None] + np.diff(ends)[:, None] * shares
    found[0] = ends[1] * shares**early
    return found


def _rates() -> tuple[Array, Array]:
    return jnp.array([1.0, 0.05, 1.0, 0.05]), jnp.array([0.5, 0.05, 0.5, 0.05])


POSTERIORS = (
    Entry(
        "hudson_lynx_hare-lotka_volterra",
        hare_and_lynx,
        lambda d: (np.asarray(d["y_init"], float), np.asarray(d["y"], float), grid(d["ts"])),
        ("theta", "z_init", "sigma"),
        "theta N(1, 0.5^2) and N(0.05, 0.05^2), above 0; z_init lognormal(log 10, 1); sigma lognormal(-1, 1)",
    ),
    Entry(
        "one_comp_mm_elim_abs-one_comp_mm_elim_abs",
        absorption,
        lambda d: (d["C_hat"], np.asarray(d["D"], float), np.asarray(d["V"], float), grid(d["times"], early=EARLY)),
        ("k_a", "K_m", "V_m", "sigma"),
        "half-Cauchy(1) each",
        without_variance=("K_m", "V_m"),
    ),
)
