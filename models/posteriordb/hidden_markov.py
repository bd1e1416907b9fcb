r"""Hidden Markov models with two states, the states summed out.

    z_t | z_{t-1} = j ~ theta_j,     a_t(k) = log p(x_t | k) + log sum_j exp(a_{t-1}(j) + log theta_jk),   a_1(k) = log p(x_1 | k)

log p(x) = log sum_k exp a_T(k). The states are told apart by the order of what they emit, so labels cannot switch.

    hmm_example  y_t ~ N(mu_z, 1)                                        100 simulated values
    hmm_drive_0  u_t ~ exponential(phi_z), v_t ~ exponential(lambda_z)   a basketball player's 1/speed and distance to the hoop,
    hmm_drive_1  u_t ~ N(phi_z, tau^2), v_t ~ N(lambda_z, rho^2)         416 frames: does he drive to the basket?

Source: Stan User's Guide, section on hidden Markov models; imadmali/bball-hmm for the drive; posteriordb for data and
reference draws.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.scipy.special import logsumexp
from numpyro.distributions import constraints

from .entry import Data, Entry, flat

STATES = 2
CENTRES = (0.0, 3.0)  # of the prior of what each state emits in the drive


def example(y: Array) -> None:
    """Normal emissions of sd 1, flat transitions."""
    rows = transitions(np.ones((STATES, STATES)))
    mu = ordered("mu", constraints.positive_ordered_vector, (3.0, 10.0))
    emitted(rows, dist.Normal(mu, 1.0).log_prob(y[:, None]))


def exponential_drive(u: Array, v: Array, concentration: Array) -> None:
    """phi and lambda are rates."""
    rows = transitions(concentration)
    phi = ordered("phi", constraints.positive_ordered_vector, CENTRES)
    rate = ordered("lambda", constraints.positive_ordered_vector, CENTRES)
    emitted(rows, dist.Exponential(phi).log_prob(u[:, None]) + dist.Exponential(rate).log_prob(v[:, None]))


def normal_drive(u: Array, v: Array, concentration: Array, tau: Array, rho: Array) -> None:
    """phi and lambda are means; u and v have been transformed, and their sds tau and rho are given."""
    rows = transitions(concentration)
    phi = ordered("phi", constraints.ordered_vector, CENTRES)
    mean = ordered("lambda", constraints.ordered_vector, CENTRES)
    emitted(rows, dist.Normal(phi, tau).log_prob(u[:, None]) + dist.Normal(mean, rho).log_prob(v[:, None]))


def transitions(concentration: Array | np.ndarray) -> Array:
    """log theta (from, to), each row with a Dirichlet prior of its own."""
    theta = [numpyro.sample(f"theta{k + 1}", dist.Dirichlet(concentration[k])) for k in range(STATES)]
    return jnp.log(jnp.stack(theta))


def ordered(name: str, support: constraints.Constraint, centres: tuple[float, ...]) -> Array:
    """What the states emit, ascending, each with a normal prior of sd 1."""
    value: Any = numpyro.sample(name, flat(support, STATES))
    numpyro.factor(f"{name}_prior", dist.Normal(jnp.array(centres), 1.0).log_prob(value).sum())
    return value


def emitted(log_theta: Array, log_emission: Array) -> None:
    """Count the observations in, by the forward algorithm; log_emission is (T, STATES)."""

    def step(a: Array, emission: Array) -> tuple[Array, None]:
        return emission + logsumexp(a[:, None] + log_theta, axis=0), None

    last = jax.lax.scan(step, log_emission[0], log_emission[1:])[0]
    numpyro.factor("x", logsumexp(last))


def _drive(d: Data) -> tuple[np.ndarray, ...]:
    return d["u"], d["v"], np.asarray(d["alpha"], float)


DRIVE = ("theta1", "theta2", "phi", "lambda")
DRIVE_PRIORS = "theta Dirichlet(4, 2) and (2, 4); phi, lambda N(0, 1^2) and N(3, 1^2), ascending"

POSTERIORS = (
    Entry(
        "hmm_example-hmm_example",
        example,
        lambda d: (d["y"],),
        ("theta1", "theta2", "mu"),
        "theta uniform; mu N(3, 1^2) and N(10, 1^2), ascending",
    ),
    Entry("bball_drive_event_0-hmm_drive_0", exponential_drive, _drive, DRIVE, DRIVE_PRIORS),
    Entry(
        "bball_drive_event_1-hmm_drive_1",
        normal_drive,
        lambda d: (*_drive(d), np.asarray(d["tau"], float), np.asarray(d["rho"], float)),
        DRIVE,
        DRIVE_PRIORS,
    ),
)
