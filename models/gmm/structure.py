r"""The mixture in closed form: q(z) q(weights) prod_k q(mu_k, Lambda_k), by hand.

The updates of a sweep, in the order in which they are computed (numbers as in docs/derivation.md; PRML 10.46-10.67):

    log rho_nk = E[log w_k] + E[log|Lambda_k|]/2 - E[(x_n - mu_k)' Lambda_k (x_n - mu_k)]/2 - D/2 log 2 pi     (9)
    r_nk       = rho_nk / sum_j rho_nj                                                                     (10)
    N_k = sum_n r_nk,   N_k xbar_k = sum_n r_nk x_n,   N_k (S_k + xbar_k xbar_k') = sum_n r_nk x_n x_n'     (11)
    alpha_k = alpha_0 + N_k,  beta_k = beta_0 + N_k,  nu_k = nu_0 + N_k,
    m_k = (beta_0 m_0 + N_k xbar_k) / beta_k,
    W_k^-1 = W_0^-1 + N_k S_k + beta_0 N_k / beta_k (xbar_k - m_0)(xbar_k - m_0)'                           (12)

(11) is the gradient of l, written by hand below; adding it to the prior's natural parameters is (12) exactly, and
`NormalWishartParameters` reads alpha, beta, m, W, nu back.

The rows are centred and scaled once, and the prior with them: at an offset of 1e6 sds, squares would lose every digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vi_vs_mcmc import expfam
from vi_vs_mcmc.conjugate import Conjugate
from vi_vs_mcmc.expfam import NormalWishart, NormalWishartParameters

from .coordinates import WhitenedMeans
from .features import features
from .mixture import coefficients
from .start import nearest_first, seeded_clusters

START_ROWS = 20_000  # k-means++ looks at so many rows at most; coordinate ascent then looks at all

Factors = dict  # {"weights": (K,), "components": NormalWishart}


@jax.custom_vjp
def log_evidence_of_rows(coefficients: Array, x: Array) -> Array:
    """l_n = log sum_k rho_nk, (rows,), from the coefficients (P, K) of the features."""
    return _forward(coefficients, x)[0]


def _forward(coefficients: Array, x: Array):
    of_rows = features(x)
    log_rho = coefficients.T @ of_rows  # (9), components by rows: all that follows runs along the rows
    highest = log_rho.max(0)
    rho = jnp.exp(log_rho - highest)
    total = rho.sum(0)
    return highest + jnp.log(total), (rho, total, of_rows)


def _backward(residuals, row_weights: Array):
    """The slope in each coefficient: N_k, N_k xbar_k and the lower half of N_k (S_k + xbar_k xbar_k'), (11), rows weighted."""
    rho, total, of_rows = residuals
    responsibilities = rho * (row_weights / total)  # (10), rows weighted: a division for each row, not for each number
    return (responsibilities @ of_rows.T).T, None  # the data are constants


log_evidence_of_rows.defvjp(_forward, _backward)


def statistics(responsibilities: Array, x: Array) -> Factors:
    """(11): counts N_k, sums N_k xbar_k and products N_k (S_k + xbar_k xbar_k'), in the shape of eta."""
    dimension = x.shape[1]
    sums = (features(x) @ responsibilities).T  # one product: (K, 1 + D + D (D + 1) / 2)
    counts, linear, products = sums[:, 0], sums[:, 1 : 1 + dimension], sums[:, 1 + dimension :]
    row, column = np.tril_indices(dimension)
    matrix = jnp.zeros((len(counts), dimension, dimension), sums.dtype).at[:, row, column].set(products)
    matrix = matrix.at[:, column, row].set(products)
    return {"weights": counts, "components": NormalWishart(counts, counts, linear, matrix)}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MixtureStructure(Conjugate):
    """The `Conjugate` structure of the mixture, in centred and scaled coordinates x' = (x - centre) / spread."""

    rows: Array  # x', (N, D)
    prior: Factors
    centre: Array  # (D,)
    spread: Array  # (D,)
    count: Array  # (), all rows, where `rows` is a sample of them
    exchangeable: bool = field(metadata={"static": True})

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        return (("weights", "components"),)

    def log_normaliser(self, eta: Factors) -> Array:
        return expfam.dirichlet_log_normaliser(eta["weights"]) + expfam.normal_wishart_log_normaliser(eta["components"])

    def coefficients(self, m: Factors) -> Array:
        return coefficients(m["weights"], m["components"]).T

    def local(self, coefficients: Array, batch: Array) -> Array:
        return log_evidence_of_rows(coefficients, batch) - jnp.log(self.spread).sum()

    def encode(self, x: Array) -> Array:
        return (x - self.centre) / self.spread

    def complete(self, m: Factors, z: Array, batch: Array) -> Array:
        log_rho = self.coefficients(m).T @ features(batch)
        return jnp.take_along_axis(log_rho, z[None], 0)[0] - jnp.log(self.spread).sum()

    def draw_local(self, key: Array, m: Factors, batch: Array) -> Array:
        """Labels (rows,), by the responsibilities (10) at theta."""
        return jax.random.categorical(key, self.coefficients(m).T @ features(batch), axis=0)

    def outcomes(self, batch: Array) -> Array:
        """Labels (K, rows): one row of K equal labels for each component."""
        components = self.prior["weights"].shape[0]
        return jnp.broadcast_to(jnp.arange(components)[:, None], (components, batch.shape[0]))

    def sufficient(self, theta: Mapping[str, Array]) -> Factors:
        means = (theta["means"] - self.centre) / self.spread
        precisions = theta["precisions"] * self._product
        return {
            "weights": jnp.log(theta["weights"]),
            "components": expfam.normal_wishart_sufficient(means, precisions),
        }

    def log_jacobian(self) -> Array:
        """Each mu' = mu / s gives -sum log s, each Lambda' = s Lambda s gives (D + 1) sum log s; K of both."""
        components, dimension = self.prior["components"].linear.shape
        return components * dimension * jnp.log(self.spread).sum()

    def draw(self, key: Array, eta: Factors) -> dict[str, Array]:
        theta = expfam.dirichlet_normal_wishart_draw(key, eta["weights"], eta["components"])
        return {"weights": theta["weights"], **self.in_data_units(theta)}

    def moments(self, eta: Factors) -> dict[str, tuple[Array, Array]]:
        of = expfam.normal_wishart_moments(eta["components"])
        mean, variance = of["means"]
        factor = self._product
        return {
            "weights": expfam.dirichlet_moments(eta["weights"]),
            "means": (self.centre + self.spread * mean, self.spread**2 * variance),
            "precisions": (of["precisions"][0] / factor, of["precisions"][1] / factor**2),
            "covariances": (of["covariances"][0] * factor, of["covariances"][1] * factor**2),
        }

    def mode(self, eta: Factors) -> dict[str, Array]:
        of = expfam.normal_wishart_mode(eta["components"])
        return {"weights": expfam.dirichlet_mode(eta["weights"]), **self.in_data_units(of)}

    def parameters(self, eta: Factors) -> dict[str, Array]:
        """alpha, beta, m, W, nu, in the data's units."""
        of = expfam.normal_wishart_parameters(eta["components"])
        return {
            "concentration": eta["weights"] + 1.0,
            "mean_precision": of.mean_precision,
            "mean": self.centre + self.spread * of.mean,
            "scale": jnp.linalg.inv(of.scale_inverse) / self._product,
            "degrees_of_freedom": of.degrees_of_freedom,
        }

    def canonical(self, eta: Factors) -> Factors:
        """Components in order of decreasing weight, where the prior cannot tell them apart."""
        if not self.exchangeable:
            return eta
        order = jnp.argsort(-eta["weights"])
        return jax.tree.map(lambda leaf: leaf[order], eta)

    def coordinates(self, eta: Factors) -> WhitenedMeans:
        of = self.parameters(eta)
        return WhitenedMeans(of["mean"], of["mean_precision"])

    def start(self, key: Array) -> Factors:
        """k-means++ clusters; where the prior tells components apart, every other start gives each its nearest cluster."""
        x = self.rows[:: max(1, -(-self.rows.shape[0] // START_ROWS))]
        components = self.prior["weights"].shape[0]
        key_cluster, key_order = jax.random.split(key)
        centres, label = seeded_clusters(key_cluster, x, components)
        hard = jax.nn.one_hot(label, components) * (self.count / x.shape[0])
        if not self.exchangeable:
            wanted = expfam.normal_wishart_parameters(self.prior["components"]).mean
            order = nearest_first(centres, wanted)
            hard = jnp.where(jax.random.bernoulli(key_order), hard[:, order], hard)
        return jax.tree.map(jnp.add, self.prior, statistics(hard, x))

    def responsibilities(self, theta: Mapping[str, Array], x: Array) -> Array:
        """p(z_n = k | x_n, theta), (rows, K), for rows in the data's units."""
        m = self.sufficient(theta)
        return jax.nn.softmax(self.coefficients(m).T @ features(self.encode(x)), 0).T

    def in_data_units(self, theta: Mapping[str, Array]) -> dict[str, Array]:
        return {
            "means": self.centre + self.spread * theta["means"],
            "precisions": theta["precisions"] / self._product,
            "covariances": theta["covariances"] * self._product,
        }

    @property
    def _product(self) -> Array:
        return self.spread[:, None] * self.spread[None, :]


def mixture_structure(
    x: np.ndarray,
    concentration,
    mean,
    mean_precision,
    scale,
    degrees_of_freedom,
    *,
    exchangeable: bool,
    centre: np.ndarray | None = None,
    spread: np.ndarray | None = None,
    count: int | None = None,
) -> MixtureStructure:
    """Bind the structure to rows x (N, D) and to the prior in the data's units (shapes as in `program.mixture`).

    `centre`, `spread` and `count` are those of all rows, where x is a sample of them.
    """
    centre, spread = x.mean(0) if centre is None else centre, x.std(0) if spread is None else spread
    spread = np.where(spread > 0, spread, 1.0)
    return MixtureStructure(
        jnp.asarray((x - centre) / spread),
        _natural_prior(concentration, mean, mean_precision, scale, degrees_of_freedom, centre, spread),
        jnp.asarray(centre),
        jnp.asarray(spread),
        jnp.asarray(float(len(x) if count is None else count)),
        exchangeable,
    )


@jax.jit  # one program in the place of a dozen
def _natural_prior(concentration, mean, mean_precision, scale, degrees_of_freedom, centre, spread) -> Factors:
    """eta of the prior in the scaled coordinates."""
    scale_inverse = jnp.linalg.inv(scale) / (spread[:, None] * spread[None, :])
    familiar = NormalWishartParameters(mean_precision, (mean - centre) / spread, scale_inverse, degrees_of_freedom)
    return {"weights": concentration - 1.0, "components": expfam.normal_wishart_natural(familiar)}
