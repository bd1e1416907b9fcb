r"""The normal law with unknown mean and precision, q(mu) q(tau): the smallest mean field there is.

    tau ~ Gamma(a, b),    mu | tau ~ N(m, 1 / (c tau)),    x_n ~ N(mu, 1 / tau)

l, the expected log density of a row (there is no z), and the prior of mu, which ties the factors and lives in `linked`:

    l_n    = (E[log tau] - log 2 pi - E[tau] (x_n^2 - 2 x_n E[mu] + E[mu^2])) / 2
    linked = (E[log tau] + log c - log 2 pi - c E[tau] (E[mu^2] - 2 m E[mu] + m^2)) / 2
    A      = that of a Gaussian and that of a gamma

Both are linear in t = (mu, -mu^2 / 2; log tau, -tau), so their slopes are the updates: q(mu) = N(m_N, 1 / (c_N E[tau])),
q(tau) = Gamma(a_N + 1/2, b + E_q[sum_n (x_n - mu)^2 + c (mu - m)^2] / 2).

Truth (normal-gamma), with c_N = c + N, m_N = (c m + N xbar) / c_N, a_N = a + N/2 and
b_N = b + (sum_n (x_n - xbar)^2 + c N (xbar - m)^2 / c_N) / 2:

    tau | x ~ Gamma(a_N, b_N),    mu | x ~ Student t(2 a_N; m_N, b_N / (a_N c_N))

At the fixed point of the updates q has the exact means, var_q(mu) / var(mu) = (a_N - 1) / a_N and
var_q(tau) / var(tau) = a_N / (a_N + 1/2): what mean field forgets is that mu is the less sure the smaller tau is.

What is known: everything. A posteriori tau, the rows' precision, is gamma, and mu, their mean, Student t. CAVI has the exact
means, sqrt((a_N - 1) / a_N) of mu's sd and sqrt(a_N / (a_N + 1/2)) of tau's, a_N = a + N/2: .94 and .97 with the 15 built-in
rows. LRVB has the exact sd of tau, and CAVI's of mu. CAVI, LRVB and Gibbs apply; EM and exact need one block, and mu and tau
are two.

Source: Bishop (2006), PRML, section 10.1.3. Data: Darwin (1876), as given by Fisher (1935), The Design of Experiments,
chapter 3; numbers from print, in the public domain.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array

from vi_vs_mcmc import data as tables
from vi_vs_mcmc import expfam
from vi_vs_mcmc.conjugate import WithoutLocal
from vi_vs_mcmc.coordinates import AsTheyAre
from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.expfam import Gamma, Gaussian
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

from ._settings import finite, positive
from ._settings import shape as gamma_shape

# Crossed less self-fertilised maize, eighths of an inch.
DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)
WIDE = 1e-3  # of a row: what a prior counts for that is to say little

Factors = dict  # {"mu": Gaussian, "tau": Gamma}, one of each


def program(x: Array, mean: float, strength: float, shape: float, rate: float) -> None:
    """The joint density of mu, tau and the rows x (N,)."""
    tau = numpyro.sample("tau", dist.Gamma(shape, rate))
    mu = numpyro.sample("mu", dist.Normal(mean, 1.0 / jnp.sqrt(strength * tau)))
    with numpyro.plate("observation", len(x)):
        numpyro.sample("x", dist.Normal(mu, 1.0 / jnp.sqrt(tau)), obs=x)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NormalStructure(WithoutLocal):
    """The `Conjugate` structure of q(mu) q(tau), in centred and scaled rows x' = (x - centre) / spread."""

    rows: Array  # x', (N,)
    prior: Factors
    mean: Array  # (), m'
    strength: Array  # (), c
    centre: Array  # ()
    spread: Array  # ()

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        return (("mu",), ("tau",))

    @property
    def prior_log_normaliser(self) -> Array:
        return expfam.gamma_log_normaliser(self.prior["tau"])

    def log_normaliser(self, eta: Factors) -> Array:
        return expfam.gaussian_log_normaliser(eta["mu"]) + expfam.gamma_log_normaliser(eta["tau"])

    def encode(self, x: Array) -> Array:
        return (x[:, 0] - self.centre) / self.spread

    def coefficients(self, m: Factors) -> tuple[Array, ...]:
        """E[mu], E[mu^2], E[log tau], E[tau]."""
        return m["mu"].linear[0, 0], -2.0 * m["mu"].matrix[0, 0, 0], m["tau"].log[0], -m["tau"].value[0]

    def local(self, coefficients: tuple[Array, ...], batch: Array) -> Array:
        mean, square, log_tau, tau = coefficients
        apart = batch**2 - 2.0 * batch * mean + square
        return 0.5 * (log_tau - np.log(2.0 * np.pi) - tau * apart) - jnp.log(self.spread)

    def linked(self, m: Factors) -> Array:
        """E[log p(mu | tau)]."""
        mean, square, log_tau, tau = self.coefficients(m)
        apart = square - 2.0 * self.mean * mean + self.mean**2
        return 0.5 * (log_tau + jnp.log(self.strength) - np.log(2.0 * np.pi) - self.strength * tau * apart)

    def sufficient(self, theta: Mapping[str, Array]) -> Factors:
        known = {
            "mu": lambda mu: expfam.gaussian_sufficient(((mu - self.centre) / self.spread)[None, None]),
            "tau": lambda tau: expfam.gamma_sufficient((tau * self.spread**2)[None]),
        }
        return {factor: t(theta[factor]) for factor, t in known.items() if factor in theta}

    def log_jacobian(self) -> Array:
        """mu' = mu / s gives -log s, tau' = s^2 tau gives 2 log s."""
        return jnp.log(self.spread)

    def draw(self, key: Array, eta: Factors) -> dict[str, Array]:
        key_mu, key_tau = jax.random.split(key)
        found = {}
        if "mu" in eta:
            found["mu"] = expfam.gaussian_draw(key_mu, eta["mu"])[0, 0]
        if "tau" in eta:
            found["tau"] = expfam.gamma_draw(key_tau, eta["tau"])[0]
        return self._in_data_units(found)

    def moments(self, eta: Factors) -> dict[str, tuple[Array, Array]]:
        mean, variance = expfam.gaussian_moments(eta["mu"])
        of_tau = expfam.gamma_moments(eta["tau"])
        return {
            "mu": (self.centre + self.spread * mean[0, 0], self.spread**2 * variance[0, 0]),
            "tau": (of_tau[0][0] / self.spread**2, of_tau[1][0] / self.spread**4),
        }

    def mode(self, eta: Factors) -> dict[str, Array]:
        return self._in_data_units(
            {"mu": expfam.gaussian_mode(eta["mu"])[0, 0], "tau": expfam.gamma_mode(eta["tau"])[0]}
        )

    def coordinates(self, eta: Factors) -> AsTheyAre:
        return AsTheyAre()

    def start(self, key: Array) -> Factors:
        """About a row's worth of knowledge, at random."""
        key_mu, key_tau = jax.random.split(key)
        mean, scale = jax.random.normal(key_mu, (1, 1)), jnp.exp(jax.random.normal(key_tau, (1,)))
        return {
            "mu": expfam.gaussian_natural(mean, jnp.ones((1, 1, 1))),
            "tau": expfam.gamma_natural(jnp.full(1, 5.0), 5.0 * scale),
        }

    def parameters(self, eta: Factors) -> dict[str, Array]:
        """Mean and sd of mu, shape and rate of tau."""
        mean, variance = self.moments(eta)["mu"]
        shape, rate = expfam.gamma_parameters(eta["tau"])
        return {"mean": mean, "sd": jnp.sqrt(variance), "shape": shape[0], "rate": rate[0] * self.spread**2}

    def _in_data_units(self, theta: dict[str, Array]) -> dict[str, Array]:
        units = {"mu": lambda mu: self.centre + self.spread * mu, "tau": lambda tau: tau / self.spread**2}
        return {site: units[site](value) for site, value in theta.items()}


@in_float64
def normal(
    data: Any = None,
    *,
    mean: float | None = None,
    strength: float = WIDE,
    shape: float = 1.0,
    rate: float | None = None,
    columns: Sequence[str] | None = None,
) -> Problem:
    """A normal law with unknown mean and precision: mean field at its smallest, and the exact posterior known.

    Args:
        data: a table of one column; None for Darwin's 15 differences between crossed and self-fertilised maize.
        mean: prior mean of mu; default the data's mean.
        strength: c, how many rows the prior mean counts for; default 0.001.
        shape: a of tau ~ Gamma(a, b); default 1, with which a small rate is a nearly flat density.
        rate: b; default 0.001 times the data's variance.
        columns: the one column to take, by name.

    Raises:
        SettingError: a setting of the wrong kind or range, or more than one column.
        DataError: data that cannot be read or used.
    """
    builtin = data is None
    table = tables.read(np.array(DARWIN, float)[:, None] if builtin else data, columns=columns, distances=False)
    name, *others = table.columns
    if others:
        raise SettingError(
            f"{table.name} has columns {', '.join(table.columns)}, and normal takes one; say --columns {name}"
        )
    if builtin:
        table = dataclasses.replace(table, name="darwin")
    x, centre = table.values[:, 0], float(table.mean[0])
    spread = float(table.sd[0]) or 1.0
    prior = {
        "mean": finite("mean", mean, centre),
        "strength": positive("strength", strength),
        "shape": gamma_shape("shape", shape),
        "rate": positive("rate", rate, WIDE * spread**2),
    }
    return Problem(
        program,
        args=(x,),
        kwargs=prior,
        conjugate=NormalStructure(
            rows=jnp.asarray((x - centre) / spread),
            prior={
                "mu": Gaussian(jnp.zeros((1, 1)), jnp.zeros((1, 1, 1))),
                "tau": Gamma(jnp.full(1, prior["shape"] - 1.0), jnp.full(1, prior["rate"] / spread**2)),
            },
            mean=jnp.asarray((prior["mean"] - centre) / spread),
            strength=jnp.asarray(prior["strength"]),
            centre=jnp.asarray(centre),
            spread=jnp.asarray(spread),
        ),
        sites=("mu", "tau"),
        name="normal",
        settings=prior,
        table=table,
        title="normal" if builtin else f"normal, {name}",
        priors="tau, the rows' precision, Gamma({shape:.4g}, rate {rate:.4g}); "
        "mu, their mean, N({mean:.4g}, 1 / ({strength:.4g} tau))".format(**prior),
    )
