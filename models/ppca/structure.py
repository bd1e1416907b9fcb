r"""Probabilistic PCA in closed form, its axes pinned to observed columns so that there is one posterior mode.

    (nu, Psi) ~ normal-Wishart     (b_d, mu_d) ~ N(0, diag)     tau ~ Gamma(a, b)     z_n ~ N(nu, Psi^-1), of Q dimensions
    x_nd = z_nd + e_nd for d <= Q     x_nd = b_d' z_n + mu_d + e_nd for d > Q          e_nd ~ N(0, 1/tau)

The likelihood is that of Tipping and Bishop: x_n ~ N(mean, C), C = W Psi^-1 W' + I/tau with W = [I; b], any rank Q, plus round
noise. Their W with z ~ N(0, I) is one of a whole orbit: W R is as good for every rotation R, so no entry of W is identified,
each column's sign is arbitrary, q keeps to one point of the orbit, and neither a linear response nor an evidence is to be had
along it. Here Q columns, the markers, carry one axis each: loading 1 on it and 0 on the others, as factor analysts fix a scale.
Then loadings, latent mean and precision are identified, signs too, and every factor stays conjugate. What is compared is what
does not depend on the choice of markers: the mean, the covariance C, and tau. (The prior does: other markers are another prior.)
Columns are centred at their means first; by default markers are the pivots of the sample covariance's Cholesky factor, so that
no loading of that covariance exceeds 2^(Q - 1).

q(z) q(b, mu) q(nu, Psi) q(tau). With w_d = (b_d, mu_d), S = sum_d E[w_d w_d'] and E over q(theta),

    G = E[tau] (I + S_bb) + E[Psi]     h_n = E[tau] (x_n,markers + sum_d x_nd E[b_d] - S_bmu) + E[Psi nu]
    c_n = D/2 (E[log tau] - log 2 pi) - E[tau] (|x_n|^2 - 2 sum_d x_nd E[mu_d] + S_mumu) / 2 + E[log|Psi| - nu' Psi nu] / 2
    log p(x_n, z) = c_n + h_n' z - z' G z / 2 - Q/2 log 2 pi     l_n(m) = c_n + h_n' G^-1 h_n / 2 - log|G| / 2
    A = sum_d A_Gauss(eta_d) + A_NW(eta_z) + A_Gamma(eta_tau)

q(z_n) = N(G^-1 h_n, G^-1) is in the slope of l. (b, mu) and (nu, Psi) meet in no product, so they are one block and tau another.

Source: Tipping and Bishop (1999), JRSS B 61; Bishop (1999), Variational principal components, ICANN; Bollen (1989), Structural
Equations with Latent Variables, chapter 7, on marker variables. Known: at many rows C is the maximum likelihood's, whose noise
variance is the mean of the D - Q smallest eigenvalues of the sample covariance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from vi_vs_mcmc import expfam
from vi_vs_mcmc.conjugate import Conjugate
from vi_vs_mcmc.expfam import NormalWishartParameters, symmetric

from .program import implied

START_ROWS = 20_000  # that a start looks at, at most

Factors = dict  # {"loadings": Gaussian of D - Q, "latent": NormalWishart of 1, "tau": Gamma of 1}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class WhitenedLoadings:
    """v_d = L_d' (w_d - m_d) in the place of w_d = (b_d, mu_d), with q's mean m_d and precision L_d L_d'."""

    mean: Array  # (K, Q + 1)
    root: Array  # (K, Q + 1, Q + 1)

    def to_program(self, v: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """u, and log|du / dv|, ()."""
        solve = jax.vmap(lambda root, row: solve_triangular(root, row, lower=True, trans=1))
        rows = self.mean + solve(self.root, _joined(v))
        return {**v, **_apart(rows)}, -jnp.log(jnp.diagonal(self.root, axis1=1, axis2=2)).sum()

    def from_program(self, u: Mapping[str, Array]) -> dict[str, Array]:
        """v from u."""
        return {**u, **_apart(jnp.einsum("kji,kj->ki", self.root, _joined(u) - self.mean))}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Components(Conjugate):
    """The `Conjugate` structure, in x' = (x - centre) / spread with the markers first; one spread for all, as the noise is."""

    rows: Array  # x', (N, D)
    prior: Factors
    order: Array  # (D,) columns of the table, markers first
    centre: Array  # (D,) in the table's order
    spread: Array  # ()
    count: Array  # (), all rows, where `rows` is a sample of them

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        return (("loadings", "latent"), ("tau",))

    def log_normaliser(self, eta: Factors) -> Array:
        value = expfam.gaussian_log_normaliser(eta["loadings"]) + expfam.gamma_log_normaliser(eta["tau"])
        return value + expfam.normal_wishart_log_normaliser(eta["latent"])

    def coefficients(self, m: Factors) -> dict[str, Any]:
        products = -2.0 * symmetric(m["loadings"].matrix).sum(0)
        return {"rows": m["loadings"].linear, "products": products, "latent": m["latent"], "tau": m["tau"]}

    def local(self, coefficients: dict[str, Any], batch: Array) -> Array:
        constant, linear, matrix = self._given_z(coefficients, batch)
        square = jnp.einsum("ni,ij,nj->n", linear, expfam.inverse(matrix), linear)
        return constant + 0.5 * (square - expfam.log_det(matrix))

    def encode(self, x: Array) -> Array:
        return ((x - self.centre) / self.spread)[:, self.order]

    def complete(self, m: Factors, z: Array, batch: Array) -> Array:
        """At z (N, Q)."""
        constant, linear, matrix = self._given_z(self.coefficients(m), batch)
        value = constant + (linear * z).sum(1) - 0.5 * jnp.einsum("ni,ij,nj->n", z, matrix, z)
        return value - 0.5 * z.shape[1] * np.log(2.0 * np.pi)

    def draw_local(self, key: Array, m: Factors, batch: Array) -> Array:
        """z (N, Q)."""
        _, linear, matrix = self._given_z(self.coefficients(m), batch)
        root = jnp.linalg.cholesky(matrix)
        noise = jax.random.normal(key, linear.shape)
        return solve_triangular(root, solve_triangular(root, linear.T, lower=True) + noise.T, lower=True, trans=1).T

    def outcomes(self, batch: Array) -> None:
        """z is a continuum."""

    def sufficient(self, theta: Mapping[str, Array]) -> Factors:
        found = {}
        if "loadings" in theta:
            found["loadings"] = expfam.gaussian_sufficient(_joined(theta, self.spread))
        if "latent_mean" in theta:
            mean, precision = theta["latent_mean"] / self.spread, theta["latent_precision"] * self.spread**2
            found["latent"] = expfam.normal_wishart_sufficient(mean[None], precision[None])
        if "tau" in theta:
            found["tau"] = expfam.gamma_sufficient(theta["tau"][None] * self.spread**2)
        return found

    def log_jacobian(self) -> Array:
        """Intercepts and latent means are divided by the spread; the Q (Q + 1) / 2 entries of Psi, and tau, times its square."""
        others, latent = self.prior["loadings"].linear.shape[0], self.prior["latent"].linear.shape[1]
        return (latent * (latent + 1) + 2 - others - latent) * jnp.log(self.spread)

    def draw(self, key: Array, eta: Factors) -> dict[str, Array]:
        key_rows, key_latent, key_tau = jax.random.split(key, 3)
        sites = {}
        if "loadings" in eta:
            sites |= _apart(expfam.gaussian_draw(key_rows, eta["loadings"]), self.spread)
        if "latent" in eta:
            sites |= self._latent(expfam.normal_wishart_draw(key_latent, eta["latent"]))
        if "tau" in eta:
            sites["tau"] = expfam.gamma_draw(key_tau, eta["tau"])[0] / self.spread**2
        return self._with_implied(sites) if len(sites) == 5 else sites

    def moments(self, eta: Factors) -> dict[str, tuple[Array, Array]]:
        rows = expfam.gaussian_moments(eta["loadings"])
        mean, variance = _apart(rows[0], self.spread), _apart(rows[1], self.spread**2)
        latent, tau = expfam.normal_wishart_moments(eta["latent"]), expfam.gamma_moments(eta["tau"])
        square = self.spread**2
        return {
            **{site: (mean[site], variance[site]) for site in mean},
            "latent_mean": (self.spread * latent["means"][0][0], square * latent["means"][1][0]),
            "latent_precision": (latent["precisions"][0][0] / square, latent["precisions"][1][0] / square**2),
            "tau": (tau[0][0] / square, tau[1][0] / square**2),
        }

    def mode(self, eta: Factors) -> dict[str, Array]:
        sites = _apart(expfam.gaussian_mode(eta["loadings"]), self.spread)
        sites |= self._latent(expfam.normal_wishart_mode(eta["latent"]))
        return self._with_implied({**sites, "tau": expfam.gamma_mode(eta["tau"])[0] / self.spread**2})

    def coordinates(self, eta: Factors) -> WhitenedLoadings:
        mean, covariance = self._of_rows(eta)
        return WhitenedLoadings(mean, jnp.linalg.cholesky(expfam.inverse(covariance)))

    def start(self, key: Array) -> Factors:
        """What the rows say of the rest, were z the markers and a little noise."""
        x = self.rows[:: max(1, -(-self.rows.shape[0] // START_ROWS))]
        key_z, key_tau = jax.random.split(key)
        latent = self.prior["latent"].linear.shape[1]
        tau = 10.0 * jnp.exp(jax.random.normal(key_tau, (1,)))
        z = x[:, :latent] + jax.random.normal(key_z, (x.shape[0], latent)) / jnp.sqrt(tau)
        zero = jax.tree.map(jnp.zeros_like, {f: self.prior[f] for f in ("loadings", "latent")})
        known = expfam.gamma_sufficient(tau)
        slope = jax.grad(lambda m: self.complete({**m, "tau": known}, z, x).sum())(zero)
        more = jax.tree.map(lambda p, s: p + s * (self.count / x.shape[0]), {f: self.prior[f] for f in zero}, slope)
        shape = self.prior["tau"].log + 1.0 + 0.5 * self.count * x.shape[1]
        return {**more, "tau": expfam.gamma_natural(shape, shape / tau)}

    def parameters(self, eta: Factors) -> dict[str, Array]:
        """Of rows (b_d, mu_d) mean and covariance; of (nu, Psi) beta, m, W, nu; of tau shape and rate."""
        mean, covariance = self._of_rows(eta)
        of = expfam.normal_wishart_parameters(eta["latent"])
        shape, rate = expfam.gamma_parameters(eta["tau"])
        return {
            "loadings_mean": mean,
            "loadings_covariance": covariance,
            "mean_precision": of.mean_precision[0],
            "mean": self.spread * of.mean[0],
            "scale": jnp.linalg.inv(of.scale_inverse[0]) / self.spread**2,
            "degrees_of_freedom": of.degrees_of_freedom[0],
            "shape": shape[0],
            "rate": rate[0] * self.spread**2,
        }

    def _given_z(self, c: dict[str, Any], x: Array) -> tuple[Array, Array, Array]:
        """c_n (N,), h_n (N, Q) and G (Q, Q); the rows' units are in c_n."""
        latent, dimension = c["latent"].linear.shape[1], x.shape[1]
        tau, markers, others = -c["tau"].value[0], x[:, :latent], x[:, latent:]
        loadings, intercepts, products = c["rows"][:, :latent], c["rows"][:, latent], c["products"]
        matrix = tau * (jnp.eye(latent) + products[:latent, :latent]) - 2.0 * symmetric(c["latent"].matrix[0])
        linear = tau * (markers + others @ loadings - products[:latent, latent]) + c["latent"].linear[0]
        square = (x**2).sum(1) - 2.0 * others @ intercepts + products[latent, latent]
        constant = 0.5 * dimension * (c["tau"].log[0] - np.log(2.0 * np.pi)) - 0.5 * tau * square
        constant += c["latent"].log_det[0] + c["latent"].quadratic[0] - dimension * jnp.log(self.spread)
        return constant, linear, matrix

    def _of_rows(self, eta: Factors) -> tuple[Array, Array]:
        """Mean (K, Q + 1) and covariance (K, Q + 1, Q + 1) of (b_d, mu_d), in the data's units."""
        mean, covariance = expfam.gaussian_parameters(eta["loadings"])
        unit = jnp.ones(mean.shape[1]).at[-1].set(self.spread)
        return mean * unit, covariance * unit[:, None] * unit

    def _latent(self, of: Mapping[str, Array]) -> dict[str, Array]:
        return {"latent_mean": self.spread * of["means"][0], "latent_precision": of["precisions"][0] / self.spread**2}

    def _with_implied(self, sites: dict[str, Array]) -> dict[str, Array]:
        mean, covariance = implied(**sites, place=jnp.argsort(self.order))
        return {**sites, "mean": self.centre + mean, "covariance": covariance}


def _joined(sites: Mapping[str, Array], unit: Array | float = 1.0) -> Array:
    """Rows (b_d, mu_d / unit), (K, Q + 1)."""
    return jnp.concatenate([sites["loadings"], sites["intercepts"][:, None] / unit], 1)


def _apart(rows: Array, unit: Array | float = 1.0) -> dict[str, Array]:
    """The sites of rows (b_d, mu_d / unit)."""
    return {"loadings": rows[:, :-1], "intercepts": rows[:, -1] * unit}


def components(
    x: np.ndarray,
    order: np.ndarray,
    centre: np.ndarray,
    loading_sd: float,
    intercept_sd: float,
    mean_precision: float,
    scale: np.ndarray,
    degrees_of_freedom: float,
    shape: float,
    rate: float,
    *,
    spread: float,
    count: int,
) -> Components:
    """Bind the structure to rows x (N, D) and to the prior in the data's units (as `program.program` has them)."""
    latent, others, one = len(scale), x.shape[1] - len(scale), lambda number: jnp.full(1, number)
    sds = np.append(np.full(latent, loading_sd), intercept_sd / spread)
    precision = jnp.broadcast_to(jnp.diag(sds**-2.0), (others, latent + 1, latent + 1))
    familiar = NormalWishartParameters(
        one(mean_precision), jnp.zeros((1, latent)), jnp.linalg.inv(scale)[None] / spread**2, one(degrees_of_freedom)
    )
    prior = {
        "loadings": expfam.gaussian_natural(jnp.zeros((others, latent + 1)), precision),
        "latent": expfam.normal_wishart_natural(familiar),
        "tau": expfam.gamma_natural(one(shape), one(rate / spread**2)),
    }
    rows = jnp.asarray(((x - centre) / spread)[:, order])
    return Components(
        rows, prior, jnp.asarray(order), jnp.asarray(centre), jnp.asarray(spread), jnp.asarray(float(count))
    )
