r"""The hidden Markov model in closed form: a mixture whose labels remember.

    pi ~ Dirichlet(alpha0)     P_k ~ Dirichlet(alpha_k)     (mu_k, Lambda_k) ~ normal-Wishart
    z_1 ~ pi     z_t ~ P_{z_{t-1}}     x_t ~ N(mu_{z_t}, Lambda_{z_t}^-1)

q(z) q(pi) prod_k q(P_k) q(mu_k, Lambda_k), all of theta in one block: given z the conjugate posterior is the exact one. A row
of the structure is a whole sequence, for only sequences are independent given theta. With E over q(theta), and t the logarithms
of pi and P and the normal-Wishart's statistics,

    A      = A_Dir(eta_pi) + sum_k A_Dir(eta_{P_k}) + sum_k A_NW(eta_k)
    l_n(m) = log sum_z exp(E[log pi_{z_1}] + sum_t E[log P_{z_{t-1} z_t}] + sum_t E[log N(x_t | mu_{z_t}, Lambda_{z_t}^-1)])

The sum over K^T paths is the forward algorithm at expected logarithms, which need not be those of any distribution; its
gradient holds the expected counts that Baum and Welch add to the prior. pi, means and precisions are a mixture's weights and
components, and `MixtureStructure` has all that is known of these; the rows are centred and scaled as there.

What is known: the exact posterior of short sequences, by a sum over all paths (`exact`).

Source: MacKay (1997), Ensemble learning for hidden Markov models; Beal (2003), PhD thesis, UCL, chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vi_vs_mcmc import expfam
from vi_vs_mcmc.conjugate import Conjugate

from ..gmm.coordinates import WhitenedMeans
from ..gmm.start import nearest_first, seeded_clusters
from ..gmm.structure import MixtureStructure, mixture_structure
from .forward import draw_paths, forward, log_emissions, log_evidence

LISTED = 2**20  # paths that are listed at most

Factors = dict  # {"initial": (K,), "transition": (K, K), "components": NormalWishart}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class WhitenedEmissions:
    """A mixture's whitened means; first states and transitions stay as NumPyro's bijections have them."""

    means: WhitenedMeans

    def to_program(self, v: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """u, and log|du / dv|, ()."""
        return self.means.to_program(v)

    def from_program(self, u: Mapping[str, Array]) -> dict[str, Array]:
        """v from u."""
        return self.means.from_program(u)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class HiddenMarkov(Conjugate):
    """The `Conjugate` structure, in the mixture's centred and scaled coordinates."""

    rows: tuple[Array, Array]  # x' (S, T, D), and which steps are real (S, T)
    prior: Factors
    mixture: MixtureStructure  # of pi, means and precisions; without rows of its own
    exchangeable: bool = field(metadata={"static": True})

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        return (("initial", "transition", "components"),)

    def log_normaliser(self, eta: Factors) -> Array:
        of_rows = jax.vmap(expfam.dirichlet_log_normaliser)(eta["transition"])
        return self.mixture.log_normaliser(_as_mixture(eta)) + of_rows.sum()

    def coefficients(self, m: Factors) -> dict[str, Array]:
        emissions = self.mixture.coefficients({"weights": jnp.zeros_like(m["initial"]), "components": m["components"]})
        return {"initial": m["initial"], "transition": m["transition"], "emissions": emissions}

    def local(self, coefficients: dict[str, Array], batch: Any) -> Array:
        x, real = batch
        emissions = log_emissions(coefficients["emissions"].T, x)
        value = log_evidence(coefficients["initial"], coefficients["transition"], emissions, real)
        return value - self._log_units(real)

    def encode(self, x: Array) -> tuple[Array, Array]:
        """A table as one sequence."""
        return self.mixture.encode(x)[None], jnp.ones((1, x.shape[0]))

    def complete(self, m: Factors, z: Array, batch: Any) -> Array:
        """At paths z (S, T); a padded step's state is any of the K, with the same probability."""
        x, real = batch
        emissions = jnp.moveaxis(log_emissions(self.coefficients(m)["emissions"].T, x), 2, 0)  # (S, T, K)
        seen = jnp.take_along_axis(emissions, z[..., None], 2)[..., 0]
        moved = m["transition"][z[:, :-1], z[:, 1:]]
        padded = (1.0 - real).sum(1) * np.log(len(self.prior["initial"]))
        value = m["initial"][z[:, 0]] + (real * seen).sum(1) + (real[:, 1:] * moved).sum(1)
        return value - padded - self._log_units(real)

    def draw_local(self, key: Array, m: Factors, batch: Any) -> Array:
        """Paths (S, T)."""
        x, real = batch
        emissions = log_emissions(self.coefficients(m)["emissions"].T, x)
        alpha = forward(m["initial"], m["transition"], emissions, real)
        return draw_paths(key, m["transition"], alpha, real)

    def outcomes(self, batch: Any) -> Array | None:
        """Every path, (K^T, S, T); None where they are too many to list."""
        states, (sequences, steps) = len(self.prior["initial"]), batch[1].shape
        number = states**steps
        if number > LISTED:
            return None
        paths = jnp.arange(number)[:, None] // states ** jnp.arange(steps) % states
        return jnp.broadcast_to(paths[:, None], (number, sequences, steps))

    def sufficient(self, theta: Mapping[str, Array]) -> Factors:
        of = self.mixture.sufficient({**theta, "weights": theta["initial"]})
        return {"initial": of["weights"], "transition": jnp.log(theta["transition"]), "components": of["components"]}

    def log_jacobian(self) -> Array:
        return self.mixture.log_jacobian()

    def draw(self, key: Array, eta: Factors) -> dict[str, Array]:
        rows = jnp.concatenate([eta["initial"][None], eta["transition"]])
        theta = expfam.dirichlet_normal_wishart_draw(key, rows, eta["components"])
        weights = theta["weights"]
        return {"initial": weights[0], "transition": weights[1:], **self.mixture.in_data_units(theta)}

    def moments(self, eta: Factors) -> dict[str, tuple[Array, Array]]:
        of = self.mixture.moments(_as_mixture(eta))
        transition = jax.vmap(expfam.dirichlet_moments)(eta["transition"])
        return {"initial": of.pop("weights"), "transition": transition, **of}

    def mode(self, eta: Factors) -> dict[str, Array]:
        of = self.mixture.mode(_as_mixture(eta))
        return {"initial": of.pop("weights"), "transition": jax.vmap(expfam.dirichlet_mode)(eta["transition"]), **of}

    def parameters(self, eta: Factors) -> dict[str, Array]:
        of = self.mixture.parameters(_as_mixture(eta))
        own = {"initial_concentration": of.pop("concentration"), "transition_concentration": eta["transition"] + 1.0}
        return own | of

    def canonical(self, eta: Factors) -> Factors:
        """States in order of decreasing expected time in them, where the prior cannot tell them apart."""
        if not self.exchangeable:
            return eta
        order = jnp.argsort(-eta["components"].quadratic)
        ordered = jax.tree.map(lambda leaf: leaf[order], eta)
        return {**ordered, "transition": ordered["transition"][:, order]}

    def coordinates(self, eta: Factors) -> WhitenedEmissions:
        return WhitenedEmissions(self.mixture.coordinates(_as_mixture(eta)))

    def start(self, key: Array) -> Factors:
        """k-means++ clusters of the steps as paths; where the prior tells states apart, half of the starts are in its order."""
        x, real = self.rows
        states = len(self.prior["initial"])
        key_cluster, key_order = jax.random.split(key)
        centres, label = seeded_clusters(key_cluster, x.reshape(-1, x.shape[-1]), states)
        if not self.exchangeable:
            wanted = expfam.normal_wishart_parameters(self.prior["components"]).mean
            place = jnp.argsort(nearest_first(centres, wanted))
            label = jnp.where(jax.random.bernoulli(key_order), place[label], label)
        paths, zero = label.reshape(real.shape), jax.tree.map(jnp.zeros_like, self.prior)
        statistics = jax.grad(lambda m: self.complete(m, paths, self.rows).sum())(zero)
        return jax.tree.map(jnp.add, self.prior, statistics)

    def _log_units(self, real: Array) -> Array:
        """What the density of a sequence in the data's units is smaller by, (S,)."""
        return real.sum(1) * jnp.log(self.mixture.spread).sum()


def _as_mixture(eta: Factors) -> dict[str, Any]:
    """The factors that a mixture has too."""
    return {"weights": eta["initial"], "components": eta["components"]}


def hidden_markov_structure(
    x: np.ndarray,
    real: np.ndarray,
    initial_concentration: np.ndarray,
    transition_concentration: np.ndarray,
    *,
    exchangeable: bool,
    centre: np.ndarray,
    spread: np.ndarray,
    **components: Any,
) -> HiddenMarkov:
    """Bind the structure to sequences and to the prior, both in the data's units (shapes as in `program.program`)."""
    mixture = mixture_structure(
        np.zeros((0, x.shape[-1])),
        initial_concentration,
        **components,
        exchangeable=exchangeable,
        centre=centre,
        spread=spread,
    )
    of = mixture.prior
    prior = {
        "initial": of["weights"],
        "transition": jnp.asarray(transition_concentration) - 1.0,
        "components": of["components"],
    }
    return HiddenMarkov((mixture.encode(jnp.asarray(x)), jnp.asarray(real)), prior, mixture, exchangeable)
