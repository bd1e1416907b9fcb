r"""Bayesian linear regression with unknown noise: two factors that the prior ties together, and a posterior known exactly.

    tau ~ Gamma(a, b)         beta | tau ~ N(0, (c tau)^-1 I)         y_n | x_n ~ N(x_n' beta, 1 / tau)

Truth (normal-gamma, Bishop 2006, exercise 3.12), with P = X'X + c I, mu = P^-1 X'y, a_N = a + N/2 and
b_N = b + (y'y - mu' P mu) / 2:

    tau | y ~ Gamma(a_N, b_N)     beta_i | y ~ Student t(2 a_N; mu_i, (b_N / a_N) (P^-1)_ii)
    tau (beta - mu)' P (beta - mu) | y ~ chi2(D)

q(beta) q(tau) is an approximation, in two blocks; p(beta | tau) is no factor's own prior and lives in `linked`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.scipy.special import gammaln
from scipy import stats

import vi_vs_mcmc as vm
from vi_vs_mcmc.expfam import symmetric
from vi_vs_mcmc.methods.starts import AsTheyAre
from vi_vs_mcmc.precision import in_float64

SHAPE, RATE, STRENGTH = 2.0, 1.5, 0.5  # a, b, c


class Gaussian(NamedTuple):
    """eta is (J mu, J) with the precision J; t is (beta, -beta beta' / 2)."""

    linear: Array  # (D,)
    matrix: Array  # (D, D)


class Gamma(NamedTuple):
    """eta is (a - 1, b); t is (log tau, -tau)."""

    log: Array  # ()
    value: Array  # ()


def program(x, y, shape, rate, strength):
    tau = numpyro.sample("tau", dist.Gamma(shape, rate))
    sd = 1 / jnp.sqrt(strength * tau)
    beta = numpyro.sample("beta", dist.Normal(0, sd).expand([x.shape[1]]).to_event(1))
    numpyro.deterministic("explained", explained(x, beta, tau))
    with numpyro.plate("observation", len(y)):
        numpyro.sample("y", dist.Normal(x @ beta, 1 / jnp.sqrt(tau)), obs=y)


def guide(parameters: Mapping[str, Array]) -> None:
    """q as a NumPyro program, from its familiar parameters."""
    numpyro.sample("tau", dist.Gamma(parameters["shape"], parameters["rate"]))
    numpyro.sample("beta", dist.MultivariateNormal(parameters["mean"], parameters["covariance"]))


def explained(x, beta, tau) -> Array:
    """The share of the variance of y that the line explains, (): a site of both factors, without closed-form moments."""
    signal = jnp.mean((x @ beta) ** 2)
    return signal / (signal + 1 / tau)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Regression:
    """The `Conjugate` structure of q(beta) q(tau)."""

    rows: tuple[Array, Array]  # x (N, D), y (N,)
    prior: dict[str, Any]  # Gaussian and Gamma
    strength: Array  # c

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        return (("beta",), ("tau",))

    @property
    def prior_log_normaliser(self) -> Array:
        return _gamma_log_normaliser(self.prior["tau"])

    def log_normaliser(self, eta) -> Array:
        return _gaussian_log_normaliser(eta["beta"]) + _gamma_log_normaliser(eta["tau"])

    def coefficients(self, m):
        return m

    def over(self, rows) -> Regression:
        return replace(self, rows=rows)

    def local(self, m, batch) -> Array:
        (x, y), beta, tau = batch, m["beta"], m["tau"]
        fitted_square = -2 * jnp.einsum("ni,ij,nj->n", x, symmetric(beta.matrix), x)
        square = y**2 - 2 * y * (x @ beta.linear) + fitted_square
        return 0.5 * (tau.log - jnp.log(2 * jnp.pi)) + 0.5 * tau.value * square

    def complete(self, m, z, batch) -> Array:
        return self.local(m, batch)

    def draw_local(self, key, m, batch) -> Array:
        return self.outcomes(batch)[0]

    def outcomes(self, batch) -> Array:
        """There is no z: one value, the same for all rows, (1, rows)."""
        return jnp.zeros((1, len(batch[1])), int)

    def linked(self, m) -> Array:
        """E log p(beta | tau)."""
        beta, tau = m["beta"], m["tau"]
        log_det = len(beta.linear) * (tau.log + jnp.log(self.strength / (2 * jnp.pi)))
        return 0.5 * log_det - self.strength * tau.value * jnp.trace(beta.matrix)

    def sufficient(self, theta):
        known = {
            "beta": lambda beta: Gaussian(beta, -0.5 * jnp.outer(beta, beta)),
            "tau": lambda tau: Gamma(jnp.log(tau), -tau),
        }
        return {factor: t(theta[factor]) for factor, t in known.items() if factor in theta}

    def log_jacobian(self) -> Array:
        return jnp.zeros(())

    def draw(self, key, eta) -> dict[str, Array]:
        key_beta, key_tau = jax.random.split(key)
        sites = {}
        if "beta" in eta:
            mean, covariance = _gaussian_parameters(eta["beta"])
            sites["beta"] = jax.random.multivariate_normal(key_beta, mean, covariance)
        if "tau" in eta:
            shape, rate = eta["tau"].log + 1, eta["tau"].value
            sites["tau"] = jax.random.gamma(key_tau, shape) / rate
        if len(sites) == 2:
            sites["explained"] = explained(self.rows[0], **sites)
        return sites

    def moments(self, eta) -> dict[str, tuple[Array, Array]]:
        mean, covariance = _gaussian_parameters(eta["beta"])
        shape, rate = eta["tau"].log + 1, eta["tau"].value
        return {"beta": (mean, jnp.diag(covariance)), "tau": (shape / rate, shape / rate**2)}

    def point(self, eta) -> dict[str, Array]:
        return {site: mean for site, (mean, _) in self.moments(eta).items()}

    def mode(self, eta) -> dict[str, Array]:
        beta, tau = _gaussian_parameters(eta["beta"])[0], eta["tau"].log / eta["tau"].value
        return {"beta": beta, "tau": tau, "explained": explained(self.rows[0], beta, tau)}

    def coordinates(self, eta) -> AsTheyAre:
        return AsTheyAre()

    def start(self, key):
        """The ridge estimate at a random noise."""
        x, y = self.rows
        tau = jnp.exp(jax.random.normal(key))
        half = jnp.asarray(0.5 * len(y))
        precision = x.T @ x + self.strength * jnp.eye(x.shape[1])
        return {"beta": Gaussian(tau * (x.T @ y), tau * precision), "tau": Gamma(half, half / tau)}

    def parameters(self, eta) -> dict[str, Array]:
        mean, covariance = _gaussian_parameters(eta["beta"])
        return {"mean": mean, "covariance": covariance, "shape": eta["tau"].log + 1, "rate": eta["tau"].value}

    def canonical(self, eta):
        return eta


@in_float64
def linear_regression(rows: int = 12, dimension: int = 3, seed: int = 0) -> vm.Problem:
    """Simulated data; few rows, so that what q cuts is large."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, dimension)) + 0.5  # off centre: the coefficients are correlated
    y = x @ rng.normal(size=dimension) + rng.normal(size=rows)
    zero = Gaussian(jnp.zeros(dimension), jnp.zeros((dimension, dimension)))
    prior = {"beta": zero, "tau": Gamma(jnp.asarray(SHAPE - 1), jnp.asarray(RATE))}
    structure = Regression((jnp.asarray(x), jnp.asarray(y)), prior, jnp.asarray(STRENGTH))
    return vm.Problem(program, args=(x, y, SHAPE, RATE, STRENGTH), conjugate=structure, name="linear_regression")


def exact(problem: vm.Problem) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], np.ndarray, np.ndarray]:
    """{site: (means, sds)} of the exact posterior by SciPy, and mu and P."""
    x, y = problem.args[:2]
    precision = x.T @ x + STRENGTH * np.eye(x.shape[1])
    mu = np.linalg.solve(precision, x.T @ y)
    a, b = SHAPE + len(y) / 2, RATE + (y @ y - mu @ precision @ mu) / 2
    beta = stats.t(2 * a, mu, np.sqrt(b / a * np.diag(np.linalg.inv(precision))))
    tau = stats.gamma(a, scale=1 / b)
    return {"beta": (beta.mean(), beta.std()), "tau": (tau.mean(), tau.std())}, mu, precision


def _gaussian_parameters(eta: Gaussian) -> tuple[Array, Array]:
    covariance = jnp.linalg.inv(symmetric(eta.matrix))
    return covariance @ eta.linear, covariance


def _gaussian_log_normaliser(eta: Gaussian) -> Array:
    root = jnp.linalg.cholesky(symmetric(eta.matrix))
    mean = jnp.linalg.solve(symmetric(eta.matrix), eta.linear)
    return 0.5 * (eta.linear @ mean + len(mean) * jnp.log(2 * jnp.pi)) - jnp.log(jnp.diag(root)).sum()


def _gamma_log_normaliser(eta: Gamma) -> Array:
    return gammaln(eta.log + 1) - (eta.log + 1) * jnp.log(eta.value)
