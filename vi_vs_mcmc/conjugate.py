r"""What a model must say of itself to be solved in closed form: two scalar functions, A and l.

With global parameters theta, local latent z and q(theta) q(z) in the families below,

    log q(theta) = <eta, t(theta)> - A(eta)                     m = grad A(eta) = E_q[t]
    l_n(m)       = log int exp(E_q log p(x_n, z_n | theta)) dz_n

and everything closed-form is a derivative of the two:

    F(eta)    = eta0 + grad linked(m) + sum_n w_n grad l_n(m)               coordinate ascent iterates F
    ELBO(eta) = A(eta) - log Z0 - <eta - eta0, m> + linked(m) + sum_n w_n l_n(m)      grad ELBO = grad^2 A (F - eta)

eta, m and t share one pytree, {factor: leaves}; <., .> is the sum of elementwise products.

Source: Hoffman, Blei, Wang and Paisley (2013), Stochastic Variational Inference, JMLR 14, section 2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, Self

import jax
import jax.numpy as jnp
from jax import Array

Natural = Any  # {factor: leaves}: a natural parameter, or statistics in its shape
Rows = Any  # a pytree of arrays whose leading axis is the rows of the data


class Coordinates(Protocol):
    """A bijection between coordinates v, in which a sampler moves, and the program's unconstrained u. A pytree."""

    def to_program(self, v: Mapping[str, Array], /) -> tuple[dict[str, Array], Array]:
        """u, and log|du / dv|, ()."""
        ...

    def from_program(self, u: Mapping[str, Array], /) -> dict[str, Array]:
        """v."""
        ...


class Conjugate(ABC):
    """The closed-form structure of one model bound to its data: a frozen dataclass that is a pytree, arrays its leaves.

    What has a body here holds for most models. One whose rows have no z says so by deriving from `WithoutLocal`.
    """

    rows: Rows  # the data, as `local` takes them
    prior: Natural  # eta0; zeros for a factor whose prior lives in `linked`

    @abstractmethod
    def encode(self, x: Array) -> Rows:
        """Rows of the table, in the data's units, as `local` takes them."""

    @property
    @abstractmethod
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        """Factors that are updated together, in the order in which a sweep visits them."""

    @abstractmethod
    def log_normaliser(self, eta: Natural) -> Array:
        """A(eta), ()."""

    @abstractmethod
    def coefficients(self, m: Natural) -> Any:
        """c(m), linear in m: what a row needs of m, so that algebra common to all rows is done once; m itself will do."""

    @abstractmethod
    def local(self, coefficients: Any, batch: Rows) -> Array:
        """l_n(m) from c(m), (rows,), constants included; at m = t(theta) it is log p(x_n | theta)."""

    @abstractmethod
    def complete(self, m: Natural, z: Any, batch: Rows) -> Array:
        """log p(x_n, z_n | theta) at m = t(theta), (rows,); affine in the m of one block, with the statistics as slope."""

    @abstractmethod
    def draw_local(self, key: Array, m: Natural, batch: Rows) -> Any:
        """z ~ p(z | x, theta) of each row, at m = t(theta)."""

    @abstractmethod
    def outcomes(self, batch: Rows) -> Any:
        """Every value that the z of a row can take, leaves (values, rows, ...).

        Zeros (1, rows) where there is no z; None where they are too many to list, or a continuum.
        """

    @abstractmethod
    def sufficient(self, theta: Mapping[str, Array]) -> Natural:
        """t(theta) from the latent sites on their constrained scale, of the factors whose sites theta has."""

    @abstractmethod
    def log_jacobian(self) -> Array:
        """log |d theta' / d theta|, (), of the coordinates theta' that eta speaks of; 0 where they are the sites' own."""

    @abstractmethod
    def draw(self, key: Array, eta: Natural) -> dict[str, Array]:
        """One theta ~ q: {site: value}, deterministic sites included; eta may hold one block's factors only: then their sites."""

    @abstractmethod
    def moments(self, eta: Natural) -> dict[str, tuple[Array, Array]]:
        """{site: (mean, variance)} under q, of every site where both have a closed form."""

    @abstractmethod
    def mode(self, eta: Natural) -> dict[str, Array]:
        """argmax of <eta, t(theta)>: {site: value}, deterministic sites included; nan throughout a site that has none.

        The highest point of a density with respect to the sites' own constrained Lebesgue measure, at the natural
        parameter of a posterior given z: the M-step.
        """

    @abstractmethod
    def coordinates(self, eta: Natural) -> Coordinates:
        """Coordinates in which the posterior is rounder, by what q knows of it."""

    @abstractmethod
    def start(self, key: Array) -> Natural:
        """A first eta, drawn at random."""

    @abstractmethod
    def parameters(self, eta: Natural) -> dict[str, Array]:
        """q's parameters under their familiar names and in the data's units."""

    @property
    def prior_log_normaliser(self) -> Array:
        """log Z0: A over the factors whose proper prior is in `prior`. Here all; leave out one whose prior is in `linked`."""
        return self.log_normaliser(self.prior)

    def over(self, rows: Rows) -> Self:
        """The same structure over other rows, as `local` takes them."""
        return replace(self, rows=rows)  # pyright: ignore[reportArgumentType]

    def linked(self, m: Natural) -> Array:
        """Expected log-prior terms that tie factors together, (); zero for most models."""
        del m
        return jnp.zeros(())

    def canonical(self, eta: Natural) -> Natural:
        """eta with exchangeable labels in one order; eta itself where no labels are exchangeable."""
        return eta


class WithoutLocal(Conjugate):
    """A structure whose rows have no z: l_n is the expected log density of a row, and q(theta) all there is of q."""

    def complete(self, m: Natural, z: Any, batch: Rows) -> Array:
        """log p(x_n | theta), (rows,)."""
        del z
        return self.local(self.coefficients(m), batch)

    def draw_local(self, key: Array, m: Natural, batch: Rows) -> Array:
        """Zeros (rows,)."""
        del key, m
        return self.outcomes(batch)[0]

    def outcomes(self, batch: Rows) -> Array:
        """One value, the same for all rows: zeros (1, rows)."""
        return jnp.zeros((1, jax.tree.leaves(batch)[0].shape[0]), int)


def one_outcome(model: Conjugate) -> bool:
    """Whether the z of a row has one value only, or there is none: q(theta) is then all there is of q."""
    outcomes = jax.eval_shape(model.outcomes, model.rows)
    return outcomes is not None and jax.tree.leaves(outcomes)[0].shape[0] == 1
