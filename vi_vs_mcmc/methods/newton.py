"""The highest point of a smooth function of many coordinates: a trust region, conjugate gradients, and last Newton steps.

The quadratic model is solved inside the trust region by conjugate gradients, which need products with the Hessian only. The last
steps and the verdict on them use the whole Hessian, one product for each coordinate.

Source: Steihaug (1983), SIAM Journal on Numerical Analysis 20; SciPy's trust-ncg (Nocedal and Wright 2006, algorithm 7.2).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.optimize import minimize

HUGE = 1e300  # stands for what is not finite, where the trust region must shrink
ROUGH = 1e-4  # gradient, in nats for each unit of a coordinate, at which the last steps take over
LAST = 8  # last steps at most; two or three do
NEAR = 1e-3  # of an sd: a step that is left to go and does not matter
SAME = 0.05  # of an sd: climbs that ended so near each other found one maximum
AT_ONCE = 64  # products with the Hessian side by side


@dataclass(frozen=True)
class Surface:
    """The mean of function(shared, part, x) over the first `count` of `parts`, for x (P,).

    The count is no static number: more parts, among as many that there is room for, need no new compilation.
    """

    function: Callable[[Any, Any, Array], Array]  # hashable: what is equal shares a compiled program
    shared: Any
    parts: Any = None  # leaves (capacity, ...); None of a function that is no mean
    count: int = 1

    def slope(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient (P,)."""
        value, gradient = slope(self.function, self.shared, self.parts, self.count, x)
        return float(value), np.asarray(gradient)

    def product(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The Hessian at x times v, (P,)."""
        return np.asarray(_product(self.function, self.shared, self.parts, self.count, x, v))

    def curvature(self, x: np.ndarray) -> np.ndarray:
        """Minus the Hessian at x, (P, P)."""
        found = -np.asarray(_hessian(self.function, self.shared, self.parts, self.count, x))
        return 0.5 * (found + found.T)


class Peak(NamedTuple):
    """Where a climb ended."""

    point: np.ndarray  # (P,)
    height: float
    covariance: np.ndarray | None  # (P, P) inverse curvature; None where it does not curve down in every direction
    left: float  # the largest step that Newton would still take, in sds; infinite without a covariance
    steps: int

    @property
    def reached(self) -> bool:
        """Whether it is a strict maximum, and found."""
        return self.left < NEAR


def climb(surface: Surface, start: np.ndarray, *, max_steps: int, progress=None) -> Peak:
    """Uphill from `start` (P,)."""
    steps, reached = 0, start

    def down(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = surface.slope(x)
        fine = np.isfinite(value) and np.isfinite(gradient).all()
        return (-float(value), -gradient) if fine else (HUGE, np.zeros_like(x))

    def bend(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        product = -surface.product(x, v)
        return product if np.isfinite(product).all() else v  # as if it were round

    def count(x: np.ndarray) -> None:
        nonlocal steps, reached
        steps, reached = steps + 1, x.copy()
        if progress is not None:
            progress(min(steps, max_steps), max_steps)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what it says of steps that left the domain
        minimize(
            down,
            start,
            jac=True,
            hessp=bend,
            method="trust-ncg",
            callback=count,
            options={"gtol": ROUGH, "maxiter": max_steps},
        )
    x, (height, gradient) = reached, surface.slope(reached)
    for _ in range(LAST):
        covariance = _inverse(surface.curvature(x))
        if covariance is None:
            return Peak(x, float(height), None, np.inf, steps)
        step = covariance @ gradient
        left = float(np.abs(step / np.sqrt(np.diag(covariance))).max())
        new_height, new_gradient = surface.slope(x + step)
        if not (left < 1.0 and np.abs(new_gradient).max() < np.abs(gradient).max() and np.isfinite(new_height)):
            break
        x, height, gradient, steps = x + step, new_height, new_gradient, steps + 1
        if left < 1e-2 * NEAR:  # the next one would be its square
            break
    return Peak(x, float(height), covariance, left, steps)


def best_of(peaks: Sequence[Peak], what: str, max_steps: int) -> tuple[Peak, bool, str]:
    """The highest maximum, whether it is the highest point that any climb came to, and a sentence on it; `what` was climbed."""
    height = lambda peak: peak.height if np.isfinite(peak.height) else -np.inf
    highest = max(peaks, key=height)
    if highest.covariance is None:
        why = (
            f"{what} does not curve down in every direction where the highest climb ended, after {highest.steps} steps"
        )
        return (
            max(peaks, key=lambda peak: (peak.covariance is not None, height(peak))),
            False,
            f"{why}: no strict maximum",
        )
    if not highest.reached:
        why = f"{what} was still rising after {highest.steps} steps, {highest.left:.2g} sd from its maximum"
        return highest, False, why + ("; raise max_steps" if highest.steps >= max_steps else "")
    sd = np.sqrt(np.diag(highest.covariance))
    apart = [float((np.abs(peak.point - highest.point) / sd).max()) for peak in peaks]
    together = sum(distance < SAME for distance in apart)
    said = f"{together} of {len(peaks)} starts reached this maximum of {what}, to {highest.left:.0e} sd"
    lower = [
        highest.height - peak.height
        for peak, distance in zip(peaks, apart, strict=True)
        if distance >= SAME and peak.reached
    ]
    return highest, True, said + (f"; another one is {min(lower):.3g} nats lower" if lower else "")


def _inverse(curvature: np.ndarray) -> np.ndarray | None:
    """Its inverse, or None where it is not positive definite."""
    if not np.isfinite(curvature).all():
        return None
    try:
        np.linalg.cholesky(curvature)
        inverse = np.linalg.inv(curvature)
    except np.linalg.LinAlgError:
        return None
    inverse = 0.5 * (inverse + inverse.T)
    return inverse if np.isfinite(inverse).all() and (np.diag(inverse) > 0).all() else None


def _mean[T](of: Callable[[Any], T], parts: Any, count: Any) -> T:
    """The mean of `of(part)` over the first `count` parts; nothing is differentiated through it."""
    at = lambda i: of(jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, i, 0, False), parts))
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(at, 0))
    total = jax.lax.fori_loop(0, count, lambda i, sums: jax.tree.map(jnp.add, sums, at(i)), zero)
    return jax.tree.map(lambda leaf: leaf / count, total)


@partial(jax.jit, static_argnums=0)
def slope(function, shared, parts, count, x: Array) -> tuple[Array, Array]:
    """Value and gradient of the mean of function(shared, part, x), x (P,)."""
    return _mean(lambda part: jax.value_and_grad(function, argnums=2)(shared, part, x), parts, count)


@partial(jax.jit, static_argnums=0)
def _product(function, shared, parts, count, x: Array, v: Array) -> Array:
    return _mean(lambda part: _along(function, shared, part, x, v), parts, count)


@partial(jax.jit, static_argnums=0)
def _hessian(function, shared, parts, count, x: Array) -> Array:
    rows = lambda part: jax.lax.map(lambda v: _along(function, shared, part, x, v), jnp.eye(len(x)), batch_size=AT_ONCE)
    return _mean(rows, parts, count)


def _along(function, shared, part, x: Array, v: Array) -> Array:
    return jax.jvp(lambda x: jax.grad(function, argnums=2)(shared, part, x), (x,), (v,))[1]
