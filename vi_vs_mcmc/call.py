"""A program's call, apart from its arrays, and its coordinates: those that sites have, and the unconstrained ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.distributions import biject_to
from numpyro.infer.util import constrain_fn, potential_energy


class _Hole:
    """Stands where an array was taken out of the arguments."""


_HOLE = _Hole()


@dataclass(frozen=True)
class Call:
    """A program and all of its arguments but the arrays: hashable, so that `jax.jit` may treat it as static."""

    program: Callable[..., Any]
    structure: Any
    constants: tuple

    def __hash__(self) -> int:
        try:
            return hash((self.program, self.structure, self.constants))
        except TypeError:  # an argument that cannot be hashed: one compilation for each problem
            return id(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Call) or self.structure != other.structure or self.program is not other.program:
            return self is other
        return all(
            a is b or (type(a) is type(b) and _equal(a, b))
            for a, b in zip(self.constants, other.constants, strict=True)
        )

    def arguments(self, arrays: Sequence[Array]) -> tuple[tuple, dict]:
        """(args, kwargs) with the arrays back in place."""
        rest = iter(arrays)
        return jax.tree.unflatten(self.structure, [next(rest) if leaf is _HOLE else leaf for leaf in self.constants])

    def log_density(self, arrays: Sequence[Array], unconstrained: Mapping[str, Array]) -> Array:
        """log p(x, theta) with respect to the unconstrained coordinates, ()."""
        args, kwargs = self.arguments(arrays)
        return jnp.asarray(-potential_energy(self.program, args, kwargs, unconstrained))

    def constrain(self, arrays: Sequence[Array], unconstrained: Mapping[str, Array]) -> dict[str, Array]:
        """Latent and deterministic sites on their constrained scale."""
        args, kwargs = self.arguments(arrays)
        return constrain_fn(self.program, args, kwargs, unconstrained, return_deterministic=True)


def taken_apart(
    program: Callable[..., Any], args: tuple, kwargs: dict[str, Any]
) -> tuple[Call, tuple[np.ndarray, ...]]:
    """A call without its arrays, and these."""
    leaves, structure = jax.tree.flatten((args, kwargs))
    arrays = tuple(leaf for leaf in leaves if isinstance(leaf, np.ndarray))
    constants = tuple(_HOLE if isinstance(leaf, np.ndarray) else leaf for leaf in leaves)
    return Call(program, structure, constants), arrays


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except (TypeError, ValueError):
        return False


def unconstrain(supports: Mapping[str, Any], theta: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
    """Unconstrained coordinates u of the latent sites, by NumPyro's bijections, and log|d theta / d u|, ()."""
    values, total = {}, jnp.zeros(())
    for name, support in supports.items():
        transform = biject_to(support)
        values[name] = transform.inv(theta[name])
        total += jnp.sum(transform.log_abs_det_jacobian(values[name], theta[name]))
    return values, total
