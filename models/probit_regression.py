r"""Bayesian probit regression, q(beta) prod_n q(z_n): a continuous local variable.

    beta_k ~ N(0, s^2),    z_n ~ N(x_n' beta, 1),    y_n = [z_n > 0]

written for columns in units of their sds about their means; the first is 1. (The code turns them so that they are orthonormal,
`_design`, and the prior with them.) With sigma_n = +1 where y_n = 1 and
-1 elsewhere, u = x_n' E[beta] and the best q(z_n), a normal of mean u and sd 1 cut off where sigma_n z is below 0,

    l_n = log int_{sigma_n z > 0} exp E_q[log N(z | x_n' beta, 1)] dz = log Phi(sigma_n u) + (u^2 - x_n' E[beta beta'] x_n) / 2
    A   = that of a Gaussian

The second term is minus half the variance of x_n' beta under q; at t(beta) it is 0, and l_n is log p(y_n | beta). The slope of
l_n in t = (beta, -beta beta' / 2) is (E[z_n] x_n, x_n x_n'), so q(beta) has the covariance (X'X + I / s^2)^-1: as if every z
were known. That is what mean field forgets; y_n tells at most 2 / pi = .64 of what z_n would, so where the prior is weak
q's sds are some .8 of the posterior's and less.

What is known: the maximum-likelihood line of the built-in data is published, -34.94 + 19.73 dose, and log p(y | beta) is a sum
of log Phi. There CAVI has .59 of the intercept's sd and .49 of the slope's, and LRVB 1.00 of both. All coefficients
share one block. CAVI, LRVB, Gibbs and EM apply; exact does not, for z is continuous.

Source: Albert and Chib (1993), JASA 88, for the Gibbs sampler; Ormerod and Wand (2010), American Statistician 64, for q.
Data: Bliss (1935), Annals of Applied Biology 22: beetles killed by five hours of carbon disulphide; in the public domain. The
maximum of the likelihood, in many textbooks (Dobson and Barnett, An Introduction to Generalized Linear Models, section 7.3), is
Phi(-34.94 + 19.73 dose).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from jax import Array
from jax.scipy import special

from vi_vs_mcmc import expfam
from vi_vs_mcmc.conjugate import Conjugate
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

from ._design import Design, WhitenedCoefficients, designed, events
from ._settings import positive

DOSES = (1.6907, 1.7242, 1.7552, 1.7842, 1.8113, 1.8369, 1.8610, 1.8839)  # log10 of mg / l
BEETLES = (59, 60, 62, 56, 63, 59, 62, 60)
KILLED = (6, 13, 18, 28, 52, 53, 61, 60)
FAR = 30.0  # sds, beyond which a tail's probability is known by its logarithm only
NEWTON = 4  # steps to a quantile there; three reach the last digit

Factors = dict  # {"beta": Gaussian, one of K coordinates}

log_ndtr = partial(special.log_ndtr, series_order=8)  # of the default 3 the tail has nine digits


def program(x: Array, y: Array, scale: Array) -> None:
    """The joint density of coefficients and response, z integrated out, in the data's units.

    Args:
        x: design matrix (N, K), columns about their means.
        y: response (N,), 0 or 1.
        scale: prior sd of each coefficient, (K,).
    """
    beta = numpyro.sample("beta", dist.Normal(0.0, scale).to_event(1))
    u = x @ jnp.asarray(beta)
    with numpyro.plate("observation", len(y)):  # log odds, since Phi(u) by itself has no digits left where u is large
        numpyro.sample("y", dist.Bernoulli(logits=log_ndtr(u) - log_ndtr(-u)), obs=y)


def beyond(key: Array, a: Array) -> Array:
    """A standard normal draw above each a, (...): by inverting its survival function, in the far tail on the log scale."""
    share = jax.random.uniform(key, a.shape, minval=np.finfo(float).tiny)
    near = -special.ndtri(share * special.ndtr(-jnp.minimum(a, FAR)))
    far = jnp.maximum(a, FAR)
    wanted = log_ndtr(-far) + jnp.log(share)
    found = jnp.sqrt(far**2 - 2.0 * jnp.log(share))
    for _ in range(NEWTON):
        value, slope = log_ndtr(-found), -jnp.exp(-0.5 * found**2 - 0.5 * np.log(2.0 * np.pi) - log_ndtr(-found))
        found -= (value - wanted) / slope
    return jnp.where(a < FAR, near, found)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ProbitStructure(Conjugate):
    """The `Conjugate` structure of q(beta) and q(z), in the design's units."""

    rows: tuple[Array, Array]  # x (N, K), sigma (N,)
    prior: Factors
    design: Design

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        return (("beta",),)

    def log_normaliser(self, eta: Factors) -> Array:
        return expfam.gaussian_log_normaliser(eta["beta"])

    def encode(self, x: Array) -> tuple[Array, Array]:
        y = self.design.response(x)
        sign = jnp.where(y == 1.0, 1.0, jnp.where(y == 0.0, -1.0, jnp.nan))  # another y gives an ELBO that is refused
        return self.design.matrix(x), sign

    def coefficients(self, m: Factors) -> tuple[Array, Array]:
        """E[beta] (K,), E[beta beta'] (K, K)."""
        return m["beta"].linear[0], -2.0 * expfam.symmetric(m["beta"].matrix[0])

    def local(self, coefficients: tuple[Array, Array], batch: tuple[Array, Array]) -> Array:
        (mean, product), (x, sign) = coefficients, batch
        u = x @ mean
        return log_ndtr(sign * u) + 0.5 * (u**2 - ((x @ product) * x).sum(-1))

    def complete(self, m: Factors, z: Array, batch: tuple[Array, Array]) -> Array:
        (mean, product), x = self.coefficients(m), batch[0]
        square = z**2 - 2.0 * z * (x @ mean) + ((x @ product) * x).sum(-1)
        return -0.5 * (np.log(2.0 * np.pi) + square)

    def draw_local(self, key: Array, m: Factors, batch: tuple[Array, Array]) -> Array:
        x, sign = batch
        u = x @ m["beta"].linear[0]
        return u + sign * beyond(key, -sign * u)

    def outcomes(self, batch: tuple[Array, Array]) -> None:
        """z is continuous."""

    def sufficient(self, theta: Mapping[str, Array]) -> Factors:
        return {"beta": expfam.gaussian_sufficient(self.design.turned(theta["beta"])[None])}

    def log_jacobian(self) -> Array:
        return self.design.log_volume()

    def draw(self, key: Array, eta: Factors) -> dict[str, Array]:
        return {"beta": self.design.in_data_units(expfam.gaussian_draw(key, eta["beta"])[0])}

    def moments(self, eta: Factors) -> dict[str, tuple[Array, Array]]:
        of = self.parameters(eta)
        return {"beta": (of["mean"], jnp.diagonal(of["covariance"]))}

    def mode(self, eta: Factors) -> dict[str, Array]:
        return {"beta": self.design.in_data_units(expfam.gaussian_mode(eta["beta"])[0])}

    def coordinates(self, eta: Factors) -> WhitenedCoefficients:
        of = self.parameters(eta)
        return WhitenedCoefficients(of["mean"], jnp.linalg.cholesky(of["covariance"]))

    def start(self, key: Array) -> Factors:
        """About a row's worth of knowledge, at random."""
        mean = jax.random.normal(key, self.prior["beta"].linear.shape)
        return {"beta": expfam.gaussian_natural(mean, jnp.eye(mean.shape[1])[None])}

    def parameters(self, eta: Factors) -> dict[str, Array]:
        """Mean and covariance of beta."""
        mean, covariance = expfam.gaussian_parameters(eta["beta"])
        return {"mean": self.design.in_data_units(mean[0]), "covariance": self.design.covariance(covariance[0])}


@in_float64
def probit_regression(
    data: Any = None,
    *,
    target: str | None = None,
    intercept: bool = True,
    scale: float = 2.5,
    columns: Sequence[str] | None = None,
) -> Problem:
    """Probit regression of a response of 0 and 1, with a normal prior; z, a latent normal for each row, is summed out.

    Coefficients are in the data's units; the intercept is for a row at the columns' means.

    Args:
        data: a table of the response, 0 or 1, and its predictors; None for Bliss' 481 beetles.
        target: the response's column, by name; default the last one.
        intercept: whether there is one; without, columns are taken as they stand.
        scale: prior sd of a coefficient, for a column in units of its sd; default 2.5.
        columns: which columns to take, by name, the response among them; default every numeric one.

    Raises:
        SettingError: a setting of the wrong kind or range, or a column that is not there.
        DataError: data that cannot be read or used, or a response that is neither 0 nor 1.
    """
    builtin = data is None
    if builtin:
        died = [np.repeat([1, 0], [killed, of - killed]) for of, killed in zip(BEETLES, KILLED, strict=True)]
        data = pd.DataFrame({"dose": np.repeat(DOSES, BEETLES), "killed": np.concatenate(died)})
    table, design = designed(data, target=target, columns=columns, intercept=intercept)
    if builtin:
        table = dataclasses.replace(table, name="beetles")
    scale, target = positive("scale", scale), table.columns[design.target]
    x, y = np.asarray(design.scaled(jnp.asarray(table.values))), events(table, design.target)
    unit, precision = np.asarray(design.unit), design.turn.T @ design.turn / scale**2
    prior = {"beta": expfam.gaussian_natural(jnp.zeros((1, len(unit))), precision[None])}
    empty = ProbitStructure((jnp.zeros((0, len(unit))), jnp.zeros(0)), prior, design)
    return Problem(
        program,
        args=(x / unit, y),
        kwargs={"scale": scale * unit},
        dims={"beta": ("coefficient",)},
        coords={"coefficient": design.names(table.columns)},
        conjugate=empty.over(empty.encode(jnp.asarray(table.values))),
        name="probit_regression",
        settings={"target": target, "intercept": intercept, "scale": scale},
        table=table,
        title=f"probit regression of {target}",
        priors=f"coefficients (beta) N(0, {scale:.4g}^2), columns "
        + ("about their means, in units of their sds" if intercept else "in units of their root mean squares"),
    )
