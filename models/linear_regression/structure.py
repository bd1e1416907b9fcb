r"""Bayesian linear regression with unknown noise, q(beta) q(tau): two factors that data and prior tie together.

    tau ~ Gamma(a, b),    y_n ~ N(x_n' beta, 1 / tau)
    beta_k | tau ~ N(0, 1 / (c tau))        or, with `ard`, for slopes        beta_k ~ N(0, 1 / alpha_k), alpha_k ~ Gamma(a0, b0)

written for a response and columns in units of their sds about their means; the first is 1. Then, for E[.] under q,

    l_n    = (E[log tau] - log 2 pi - E[tau] (y_n^2 - 2 y_n x_n' E[beta] + x_n' E[beta beta'] x_n)) / 2
    linked = sum_k (E[log lambda_k] - log 2 pi - E[lambda_k] E[beta_k^2]) / 2,        lambda_k = c tau or alpha_k
    A      = that of a Gaussian and those of gammas

There is no z. Both are linear in t = (beta, -beta beta' / 2; log tau, -tau; log alpha, -alpha) of each factor, so their
slopes are the updates: q(beta) has the precision E[tau] X'X + diag E[lambda]; q(tau) and q(alpha_k) gather expected squares.
The code turns the columns so that they are orthonormal (`_design`) and speaks of their coefficients g, beta = turn g: then
the prior in `linked` is one of turn g, and a density with respect to g.

Truth without `ard` (normal-gamma), with P = X'X + c I, mu = P^-1 X'y, a_N = a + N/2, b_N = b + (y'y - mu' P mu) / 2:

    tau | y ~ Gamma(a_N, b_N),    beta_k | y ~ Student t(2 a_N; mu_k, (b_N / a_N) (P^-1)_kk)

At the fixed point of the updates q has the exact means, Cov_q(beta) = (a_N - 1) / a_N Cov(beta) and, with K coefficients,
var_q(tau) = a_N / (a_N + K/2) var(tau): the more coefficients for each row, the more q(tau) is too sure.

Source: Bishop (2006), PRML, exercise 3.12 and section 10.3; for `ard`, Tipping (2001), JMLR 1, and Drugowitsch (2013),
arXiv:1310.5438.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vi_vs_mcmc import expfam
from vi_vs_mcmc.conjugate import WithoutLocal

from .._design import Design, WhitenedCoefficients

# {"beta": Gaussian, one of K coordinates; "tau": Gamma, one; with `ard` "alpha": Gamma, one for each slope}
Factors = dict


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RegressionStructure(WithoutLocal):
    """The `Conjugate` structure of q(beta) q(tau), and q(alpha) where `prior` has it, in the design's units."""

    rows: tuple[Array, Array]  # x (N, K), y (N,)
    prior: Factors
    strength: Array  # (), c
    design: Design

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        return ("beta",), tuple(factor for factor in self.prior if factor != "beta")

    @property
    def prior_log_normaliser(self) -> Array:
        return sum((expfam.gamma_log_normaliser(self.prior[factor]) for factor in self.blocks[1]), jnp.zeros(()))

    def log_normaliser(self, eta: Factors) -> Array:
        gammas = [expfam.gamma_log_normaliser(eta[factor]) for factor in self.blocks[1]]
        return sum(gammas, expfam.gaussian_log_normaliser(eta["beta"]))

    def encode(self, x: Array) -> tuple[Array, Array]:
        of = self.design
        return of.matrix(x), (of.response(x) - of.response_centre) / of.response_spread

    def coefficients(self, m: Factors) -> tuple[Array, ...]:
        """E[beta] (K,), E[beta beta'] (K, K), E[log tau], E[tau]."""
        beta, tau = m["beta"], m["tau"]
        return beta.linear[0], -2.0 * expfam.symmetric(beta.matrix[0]), tau.log[0], -tau.value[0]

    def local(self, coefficients: tuple[Array, ...], batch: tuple[Array, Array]) -> Array:
        (mean, product, log_tau, tau), (x, y) = coefficients, batch
        square = y**2 - 2.0 * y * (x @ mean) + ((x @ product) * x).sum(-1)
        return 0.5 * (log_tau - np.log(2.0 * np.pi) - tau * square) - jnp.log(self.design.response_spread)

    def linked(self, m: Factors) -> Array:
        """E[log p(g | tau, alpha)]."""
        squares = self.design.squares(self.coefficients(m)[1])
        log_precision = jnp.broadcast_to(jnp.log(self.strength) + m["tau"].log, squares.shape)
        precision = jnp.broadcast_to(-self.strength * m["tau"].value, squares.shape)
        if "alpha" in m:
            tied = len(squares) - len(m["alpha"].log)
            log_precision = jnp.concatenate([log_precision[:tied], m["alpha"].log])
            precision = jnp.concatenate([precision[:tied], -m["alpha"].value])
        of_beta = 0.5 * (log_precision - np.log(2.0 * np.pi) - precision * squares).sum()
        return of_beta + self.design.log_turn()

    def sufficient(self, theta: Mapping[str, Array]) -> Factors:
        known = {
            "beta": lambda beta: expfam.gaussian_sufficient(self._turned(beta)[None]),
            "tau": lambda tau: expfam.gamma_sufficient((tau * self.design.response_spread**2)[None]),
            "alpha": expfam.gamma_sufficient,
        }
        return {factor: t(theta[factor]) for factor, t in known.items() if factor in theta}

    def log_jacobian(self) -> Array:
        """g is a linear map of beta / s, tau' = s^2 tau; s is the response's spread."""
        number = len(self.design.turn)
        return self.design.log_volume() + (2.0 - number) * jnp.log(self.design.response_spread)

    def draw(self, key: Array, eta: Factors) -> dict[str, Array]:
        key_beta, key_tau, key_alpha = jax.random.split(key, 3)
        found = {}
        if "beta" in eta:
            found["beta"] = expfam.gaussian_draw(key_beta, eta["beta"])[0]
        if "tau" in eta:
            found["tau"] = expfam.gamma_draw(key_tau, eta["tau"])[0]
        if "alpha" in eta:
            found["alpha"] = expfam.gamma_draw(key_alpha, eta["alpha"])
        return self._in_data_units(found)

    def moments(self, eta: Factors) -> dict[str, tuple[Array, Array]]:
        of = self.parameters(eta)
        of_tau, square = expfam.gamma_moments(eta["tau"]), self.design.response_spread**2
        found = {
            "beta": (of["mean"], jnp.diagonal(of["covariance"])),
            "tau": (of_tau[0][0] / square, of_tau[1][0] / square**2),
        }
        return found | ({"alpha": expfam.gamma_moments(eta["alpha"])} if "alpha" in eta else {})

    def mode(self, eta: Factors) -> dict[str, Array]:
        found = {"beta": expfam.gaussian_mode(eta["beta"])[0], "tau": expfam.gamma_mode(eta["tau"])[0]}
        return self._in_data_units(found | ({"alpha": expfam.gamma_mode(eta["alpha"])} if "alpha" in eta else {}))

    def coordinates(self, eta: Factors) -> WhitenedCoefficients:
        of = self.parameters(eta)
        return WhitenedCoefficients(of["mean"], jnp.linalg.cholesky(of["covariance"]))

    def start(self, key: Array) -> Factors:
        """About a row's worth of knowledge, at random."""
        keys = jax.random.split(key, 3)
        mean = jax.random.normal(keys[0], self.prior["beta"].linear.shape)
        found: Factors = {"beta": expfam.gaussian_natural(mean, jnp.eye(mean.shape[1])[None])}
        for factor, key in zip(self.blocks[1], keys[1:], strict=False):
            scale = jnp.exp(jax.random.normal(key, self.prior[factor].log.shape))
            found[factor] = expfam.gamma_natural(jnp.full_like(scale, 5.0), 5.0 * scale)
        return found

    def parameters(self, eta: Factors) -> dict[str, Array]:
        """Mean and covariance of beta, shape and rate of tau; with `ard` those of each alpha."""
        mean, covariance = expfam.gaussian_parameters(eta["beta"])
        shape, rate = expfam.gamma_parameters(eta["tau"])
        found = {
            "mean": self._in_data_units({"beta": mean[0]})["beta"],
            "covariance": self.design.covariance(covariance[0]) * self.design.response_spread**2,
            "shape": shape[0],
            "rate": rate[0] * self.design.response_spread**2,
        }
        if "alpha" in eta:
            found["relevance_shape"], found["relevance_rate"] = expfam.gamma_parameters(eta["alpha"])
        return found

    def _turned(self, beta: Array) -> Array:
        """The design's coefficients of a response in units of its spread, about its centre, (K,)."""
        return self.design.turned((beta - self._shift) / self.design.response_spread)

    def _in_data_units(self, theta: dict[str, Array]) -> dict[str, Array]:
        of = self.design
        units = {
            "beta": lambda g: self._shift + of.response_spread * of.in_data_units(g),
            "tau": lambda tau: tau / of.response_spread**2,
            "alpha": lambda alpha: alpha,
        }
        return {site: units[site](value) for site, value in theta.items()}

    @property
    def _shift(self) -> Array:
        """What coefficients are measured from, (K,): the intercept from the response's centre, which is 0 without one."""
        return jnp.zeros_like(self.design.unit).at[0].set(self.design.response_centre)
