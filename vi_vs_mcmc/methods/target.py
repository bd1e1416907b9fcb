"""The posterior's density in the coordinates that chains, guides and optimisers move in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.distributions import biject_to
from numpyro.infer.util import log_density

from vi_vs_mcmc.call import Call
from vi_vs_mcmc.conjugate import Coordinates
from vi_vs_mcmc.coordinates import Standardised
from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.problem import Problem

Shape = tuple[tuple[str, tuple[int, ...]], ...]  # names and shapes of coordinates, in the order in which a row has them


@partial(
    jax.tree_util.register_dataclass, data_fields=["arrays", "supports", "coordinates"], meta_fields=["call", "batch"]
)
@dataclass(frozen=True)
class Target:
    """The posterior's density in the coordinates w that chains and guides move in."""

    call: Call
    arrays: Sequence[Any]
    supports: dict
    batch: tuple[tuple[str, int], ...]  # of each latent site: how many leading dimensions count its independent copies
    coordinates: Coordinates

    @classmethod
    def of(cls, problem: Problem, coordinates: Coordinates) -> Target:
        """The target of a problem's posterior."""
        batch = tuple((name, len(site.shape) - site.event_dim) for name, site in problem.latent.items())
        call, arrays = problem.bound
        return cls(call, jax.tree.map(jnp.asarray, arrays), problem.supports, batch, coordinates)  # on the device, once

    def log_density(self, w: Mapping[str, Array]) -> Array:
        """log p(x, theta) with respect to w, ()."""
        short = self.coordinates.to_sites(w) if isinstance(self.coordinates, Standardised) else None
        if short is not None:
            args, kwargs = self.call.arguments(self.arrays)
            return log_density(self.call.program, args, kwargs, short[0])[0] + short[1]
        u, log_det = self.coordinates.to_program(w)
        return self.call.log_density(self.arrays, u) + log_det

    def log_volume(self, w: Mapping[str, Array]) -> Array:
        """log|d theta / dw|, (): what `log_density` adds to the density of the constrained sites."""
        u, log_det = self.coordinates.to_program(w)
        transforms = {name: biject_to(support) for name, support in self.supports.items()}
        each = [t.log_abs_det_jacobian(u[name], t(u[name])).sum() for name, t in transforms.items()]
        return sum(each, log_det)

    def sites(self, w: Mapping[str, Array]) -> dict[str, Array]:
        """Latent and deterministic sites on their constrained scale."""
        return self.call.constrain(self.arrays, self.coordinates.to_program(w)[0])


@dataclass(frozen=True)
class LogDensity:
    """log p of a row of coordinates."""

    shape: Shape

    def __call__(self, target: Target, part: Any, row: Array) -> Array:
        """`part` is none: log p is no mean."""
        return target.log_density(tree_of(self.shape, row))


def shape_of(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> Shape:
    """In the order in which coordinates are written in a row."""
    return tuple(sorted(shapes))


def tree_of(shape: Shape, row: Array) -> dict[str, Array]:
    """Coordinates by name from one row of them."""
    ends = np.cumsum([int(np.prod(of)) for _, of in shape])
    return {name: part.reshape(of) for (name, of), part in zip(shape, jnp.split(row, ends[:-1]), strict=True)}


def small_enough(problem: Problem, name: str, most: int) -> None:
    """A SettingError where there are more coordinates than `most`."""
    size = sum(int(np.prod(site.shape)) for site in problem.latent.values())
    if size > most:
        raise SettingError(
            f"{name} keeps a matrix of all coordinates, {size} of them; want {most} at most; svi:AutoNormal keeps none"
        )
