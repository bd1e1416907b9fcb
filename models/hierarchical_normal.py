r"""A hierarchical normal in closed form: effects that share a population, each measured with a known error.

    tau ~ Gamma(a, b)     mu ~ N(m0, s0^2)     theta_j ~ N(mu, 1 / tau)     y_j ~ N(theta_j, sigma_j^2)

Each effect is a parameter that the reader wants, so theta is a factor like mu and tau, and no row has a local variable:
q(theta) q(mu) q(tau), theta and mu Gaussian, tau gamma. With t(theta_j) = (theta_j, -theta_j^2 / 2), t(mu) likewise and
t(tau) = (log tau, -tau), and E over q,

    A        = sum_j A_Gauss(eta_j) + A_Gauss(eta_mu) + A_Gamma(eta_tau)
    l_j(m)   = -log(2 pi sigma_j^2) / 2 - (y_j^2 - 2 y_j E[theta_j] + E[theta_j^2]) / (2 sigma_j^2)
    linked(m) = sum_j (E[log tau] - log 2 pi) / 2 - E[tau] (E[theta_j^2] - 2 E[theta_j] E[mu] + E[mu^2]) / 2

linked is log p(theta | mu, tau), which ties the three together: it is affine in the m of each. Its slopes are the familiar
updates, such as theta_j's precision 1 / sigma_j^2 + E[tau] and mu's precision 1 / s0^2 + J E[tau].

What is known: given tau, the y_j are jointly normal with mu and theta summed out, so p(tau | y) is a one-dimensional integral,
and every mean and sd of the posterior a mixture over it. Mean field must lose here: q(mu) does not know that theta moves with
it, nor q(tau) that a wider population lets every theta go. With the eight schools CAVI has .5 of the sds of mu and tau, .8 of
those of theta and .64 of the population sd's; LRVB .95 to .99, but .87 of that of tau, which is skewed. CAVI, LRVB and Gibbs
apply; EM and exact need one block, and theta, mu and tau are three.

tau is a precision; `population_sd` = tau^(-1/2) is what `eight_schools` calls tau.
Source: Rubin (1981), Journal of Educational Statistics 6, for the data; Gelman et al., Bayesian Data Analysis, section 5.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.scipy.special import gammaln

from vi_vs_mcmc import data as tables
from vi_vs_mcmc import expfam
from vi_vs_mcmc.conjugate import WithoutLocal
from vi_vs_mcmc.data import Table
from vi_vs_mcmc.errors import DataError, SettingError
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

from ._settings import finite, positive
from ._settings import shape as gamma_shape
from .eight_schools import EFFECTS, ERRORS

Factors = dict  # {"theta": Gaussian of J, "mu": Gaussian of 1, "tau": Gamma of 1}


def program(y: Array, sigma: Array, mean: float, mean_sd: float, shape: float, rate: float) -> None:
    """Effects theta (J,) of a normal population; y and sigma are (J,)."""
    mu = numpyro.sample("mu", dist.Normal(mean, mean_sd))
    tau = numpyro.sample("tau", dist.Gamma(shape, rate))
    sd = numpyro.deterministic("population_sd", 1.0 / jnp.sqrt(tau))
    with numpyro.plate("group", len(y)):
        theta = numpyro.sample("theta", dist.Normal(mu, sd))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class WhitenedEffects:
    """v_j = (theta_j - E[theta_j | mu, tau, y]) / sd(theta_j | mu, tau, y) in theta's place: standard normal a posteriori.

    Whether data or population hold an effect, no funnel is left: given mu and tau, the v_j are independent of them and of each
    other. Source: Papaspiliopoulos, Roberts and Skoeld (2007), Statistical Science 22, section 3.
    """

    y: Array  # (J,)
    precision: Array  # 1 / sigma^2, (J,)

    def to_program(self, v: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """u, of which tau's is log tau, and log|du / dv|, ()."""
        mean, precision = self._given(v)
        return {**v, "theta": mean + v["theta"] / jnp.sqrt(precision)}, -0.5 * jnp.log(precision).sum()

    def from_program(self, u: Mapping[str, Array]) -> dict[str, Array]:
        """v from u."""
        mean, precision = self._given(u)
        return {**u, "theta": (u["theta"] - mean) * jnp.sqrt(precision)}

    def _given(self, u: Mapping[str, Array]) -> tuple[Array, Array]:
        """Mean and precision of each effect given mu, tau and its own row, (J,) both."""
        tau = jnp.exp(u["tau"])
        precision = self.precision + tau
        return (self.precision * self.y + tau * u["mu"]) / precision, precision


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Hierarchy(WithoutLocal):
    """The `Conjugate` structure of q(theta) q(mu) q(tau), in y' = (y - centre) / spread, so that no unit slows the climb."""

    rows: tuple[Array, Array, Array]  # y', 1 / sigma'^2, and which effect each row is of; (J,) each
    prior: Factors
    centre: Array  # ()
    spread: Array  # ()

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        return (("theta",), ("mu",), ("tau",))

    @property
    def prior_log_normaliser(self) -> Array:
        """Of mu and tau; theta's prior is in `linked`."""
        return expfam.gaussian_log_normaliser(self.prior["mu"]) + expfam.gamma_log_normaliser(self.prior["tau"])

    def log_normaliser(self, eta: Factors) -> Array:
        gaussians = expfam.gaussian_log_normaliser(eta["theta"]) + expfam.gaussian_log_normaliser(eta["mu"])
        return gaussians + expfam.gamma_log_normaliser(eta["tau"])

    def coefficients(self, m: Factors) -> Any:
        return m["theta"]

    def local(self, coefficients: Any, batch: Any) -> Array:
        y, precision, which = batch
        which = which.astype(int)  # a pass in single precision makes floats of all
        first, second = coefficients.linear[which, 0], -2.0 * coefficients.matrix[which, 0, 0]
        square = y**2 - 2.0 * y * first + second
        return 0.5 * (jnp.log(precision / (2.0 * jnp.pi)) - precision * square) - jnp.log(self.spread)

    def encode(self, x: Array) -> tuple[Array, Array, Array]:
        """Rows (y, sigma) of the whole table, in its order."""
        y, sigma = x.T
        return (y - self.centre) / self.spread, (self.spread / sigma) ** 2, jnp.arange(x.shape[0])

    def linked(self, m: Factors) -> Array:
        """E log p(theta | mu, tau), ()."""
        theta, mu, tau = m["theta"], m["mu"], m["tau"]
        first, second = theta.linear.sum(), -2.0 * theta.matrix.sum()
        count = theta.linear.shape[0]
        square = second - 2.0 * first * mu.linear[0, 0] - 2.0 * count * mu.matrix[0, 0, 0]
        return 0.5 * (count * (tau.log[0] - np.log(2.0 * np.pi)) + tau.value[0] * square)

    def sufficient(self, theta: Mapping[str, Array]) -> Factors:
        scaled = lambda x: (jnp.reshape(x, (-1, 1)) - self.centre) / self.spread
        known = {
            "theta": lambda x: expfam.gaussian_sufficient(scaled(x)),
            "mu": lambda x: expfam.gaussian_sufficient(scaled(x)),
            "tau": lambda x: expfam.gamma_sufficient(jnp.reshape(x, 1) * self.spread**2),
        }
        return {factor: t(theta[factor]) for factor, t in known.items() if factor in theta}

    def log_jacobian(self) -> Array:
        """J effects and mu are divided by the spread, tau is multiplied by its square."""
        return (1.0 - self.prior["theta"].linear.shape[0]) * jnp.log(self.spread)

    def draw(self, key: Array, eta: Factors) -> dict[str, Array]:
        keys, sites = dict(zip(("theta", "mu", "tau"), jax.random.split(key, 3), strict=True)), {}
        if "theta" in eta:
            sites["theta"] = self.centre + self.spread * expfam.gaussian_draw(keys["theta"], eta["theta"])[:, 0]
        if "mu" in eta:
            sites["mu"] = self.centre + self.spread * expfam.gaussian_draw(keys["mu"], eta["mu"])[0, 0]
        if "tau" in eta:
            sites |= self._of_tau(expfam.gamma_draw(keys["tau"], eta["tau"])[0])
        return sites

    def moments(self, eta: Factors) -> dict[str, tuple[Array, Array]]:
        theta, mu = expfam.gaussian_moments(eta["theta"]), expfam.gaussian_moments(eta["mu"])
        tau = expfam.gamma_moments(eta["tau"])
        mean, square = _root_moments(*expfam.gamma_parameters(eta["tau"]))
        shifted = lambda mean, variance: (self.centre + self.spread * mean, self.spread**2 * variance)
        return {
            "theta": shifted(theta[0][:, 0], theta[1][:, 0]),
            "mu": shifted(mu[0][0, 0], mu[1][0, 0]),
            "tau": (tau[0][0] / self.spread**2, tau[1][0] / self.spread**4),
            "population_sd": (self.spread * mean[0], self.spread**2 * (square - mean**2)[0]),
        }

    def mode(self, eta: Factors) -> dict[str, Array]:
        return {
            "theta": self.centre + self.spread * expfam.gaussian_mode(eta["theta"])[:, 0],
            "mu": self.centre + self.spread * expfam.gaussian_mode(eta["mu"])[0, 0],
            **self._of_tau(expfam.gamma_mode(eta["tau"])[0]),
        }

    def coordinates(self, eta: Factors) -> WhitenedEffects:
        y, precision, _ = self.rows
        return WhitenedEffects(self.centre + self.spread * y, precision / self.spread**2)

    def start(self, key: Array) -> Factors:
        """What the rows say under a random population."""
        y, precision, _ = self.rows
        key_tau, key_mu = jax.random.split(key)
        tau, mu = jnp.exp(jax.random.normal(key_tau)), jax.random.normal(key_mu, (1, 1))
        total, half = (precision + tau)[:, None], 0.5 * y.size
        mean = ((precision * y)[:, None] + tau * mu) / total
        of_mu = jnp.ones((1, 1, 1)) * (self.prior["mu"].matrix + y.size * tau)
        shape = self.prior["tau"].log + 1.0 + half
        return {
            "theta": expfam.gaussian_natural(mean, total[:, None]),
            "mu": expfam.gaussian_natural(mu, of_mu),
            "tau": expfam.gamma_natural(shape, shape / tau),
        }

    def parameters(self, eta: Factors) -> dict[str, Array]:
        moments = self.moments(eta)
        shape, rate = expfam.gamma_parameters(eta["tau"])
        return {
            "theta_mean": moments["theta"][0],
            "theta_sd": jnp.sqrt(moments["theta"][1]),
            "mu_mean": moments["mu"][0],
            "mu_sd": jnp.sqrt(moments["mu"][1]),
            "shape": shape[0],
            "rate": rate[0] * self.spread**2,
        }

    def _of_tau(self, scaled: Array) -> dict[str, Array]:
        tau = scaled / self.spread**2
        return {"tau": tau, "population_sd": 1.0 / jnp.sqrt(tau)}


def _root_moments(shape: Array, rate: Array) -> tuple[Array, Array]:
    """E[tau^(-1/2)] = sqrt(b) Gamma(a - 1/2) / Gamma(a) and E[1 / tau] = b / (a - 1) of gammas; infinite where a is too small."""
    inside = jnp.where(shape > 0.5, shape, 1.0)
    mean = jnp.sqrt(rate) * jnp.exp(gammaln(inside - 0.5) - gammaln(inside))
    square = rate / jnp.where(shape > 1.0, shape - 1.0, 1.0)
    return jnp.where(shape > 0.5, mean, jnp.inf), jnp.where(shape > 1.0, square, jnp.inf)


@in_float64
def hierarchical_normal(
    data: Any = None,
    *,
    mean: float | None = None,
    mean_sd: float | None = None,
    shape: float = 2.0,
    rate: float | None = None,
) -> Problem:
    """Hierarchical normal in closed form: effects of one population, each known with an error; eight schools by default.

    Args:
        data: a table with columns y and sigma, one row for each group; None for Rubin's eight schools.
        mean: m0, prior mean of mu; default the mean of y, and 0 for the eight schools.
        mean_sd: s0, prior sd of mu; default the sd of y, and 5 for the eight schools.
        shape: a, of the population's precision tau ~ Gamma(a, b); default 2.
        rate: b; default a times the variance of y, and a times 5^2 for the eight schools: tau's mean is a / b.

    Raises:
        SettingError: a setting that is not a number, or out of range; data that are streamed.
        DataError: no such columns, fewer than two rows, or an error that is not above 0.
    """
    table = _schools() if data is None else tables.read(data, minimum_rows=2, distances=False)
    if table.streamed is not None:
        raise SettingError(
            "hierarchical_normal has a parameter for each row, so rows cannot be streamed; leave out --stream"
        )
    if missing := {"y", "sigma"} - set(table.columns):
        raise DataError(f"{table.name} has no column {min(missing)!r}; want y and sigma, an effect and its error")
    y, sigma = (table.values[:, table.columns.index(name)] for name in ("y", "sigma"))
    if not (sigma > 0).all():
        raise DataError(f"{table.name} has an error sigma of {sigma.min():g}; want more than 0")
    centre, spread = float(y.mean()), float(y.std()) or float(sigma.mean())
    located, scaled = (0.0, 5.0) if data is None else (centre, spread)
    mean, mean_sd = finite("mean", mean, located), positive("mean_sd", mean_sd, scaled)
    shape = gamma_shape("shape", shape, 2.0)
    rate = positive("rate", rate, shape * scaled**2)
    prior = {"mean": mean, "mean_sd": mean_sd, "shape": shape, "rate": rate}
    return Problem(
        program,
        args=(y, sigma),
        kwargs=prior,
        sites=("mu", "tau", "population_sd", "theta"),
        dims={"theta": ("group",)},
        coords={"column": table.columns},
        conjugate=_structure(y, sigma, **prior, centre=centre, spread=spread),
        name="hierarchical_normal",
        settings=prior,
        table=table,
        title="hierarchical normal",
        priors=f"mu, the population's mean, N({mean:.4g}, {mean_sd:.4g}^2); "
        f"tau, its precision, Gamma({shape:.4g}, rate {rate:.4g}); theta, the effects, N(mu, 1 / tau)",
    )


def _structure(y, sigma, mean, mean_sd, shape, rate, *, centre: float, spread: float) -> Hierarchy:
    """The structure over y (J,) and sigma (J,), its prior given in the data's units."""
    count = len(y)
    zero = expfam.Gaussian(jnp.zeros((count, 1)), jnp.zeros((count, 1, 1)))
    one = lambda number: jnp.full(1, number)
    prior = {
        "theta": zero,
        "mu": expfam.gaussian_natural(
            one((mean - centre) / spread)[:, None], one((spread / mean_sd) ** 2)[:, None, None]
        ),
        "tau": expfam.gamma_natural(one(shape), one(rate / spread**2)),
    }
    rows = (jnp.asarray((y - centre) / spread), jnp.asarray((spread / sigma) ** 2), jnp.arange(count))
    return Hierarchy(rows, prior, jnp.asarray(centre), jnp.asarray(spread))


def _schools() -> Table:
    table = tables.read(np.column_stack([EFFECTS, ERRORS]), distances=False)
    return replace(table, columns=("y", "sigma"), name="eight schools")
