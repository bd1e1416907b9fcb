"""Coordinates that samplers and optimisers move in: the program's own unconstrained ones, or those in units of known sds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from vi_vs_mcmc.conjugate import Coordinates


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AsTheyAre:
    """The program's own coordinates."""

    def to_program(self, v: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """v itself."""
        return dict(v), jnp.zeros(())

    def from_program(self, u: Mapping[str, Array]) -> dict[str, Array]:
        """u itself."""
        return dict(u)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Standardised:
    """w = (v - centre) / scale: coordinates v in units of q's sds, so that no unit of the data slows the warm-up."""

    inner: Coordinates
    centre: dict[str, Array]
    scale: dict[str, Array]

    def to_program(self, w: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """u, and log|du / dw|, ()."""
        u, log_det = self.inner.to_program({name: self.centre[name] + self.scale[name] * w[name] for name in w})
        return u, log_det + jnp.sum(jnp.stack([jnp.log(scale).sum() for scale in self.scale.values()]))

    def to_sites(self, w: Mapping[str, Array]) -> tuple[dict[str, Array], Array] | None:
        """theta, and log|d theta / dw|, (), where the inner coordinates know a short way there."""
        to_sites = getattr(self.inner, "to_sites", None)
        if to_sites is None:
            return None
        theta, log_det = to_sites({name: self.centre[name] + self.scale[name] * w[name] for name in w})
        return theta, log_det + jnp.sum(jnp.stack([jnp.log(scale).sum() for scale in self.scale.values()]))

    def from_program(self, u: Mapping[str, Array]) -> dict[str, Array]:
        """w from u."""
        v = self.inner.from_program(u)
        return {name: (v[name] - self.centre[name]) / self.scale[name] for name in v}
