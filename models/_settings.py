"""Priors as settings: numbers, vectors and matrices, checked and filled out to one for each component."""

from __future__ import annotations

import numpy as np

from vi_vs_mcmc.errors import SettingError, real, whole

HUGE = 1e70  # of any setting: squares and fourth powers of it stay among the floating-point numbers
MANY = 10**6  # of anything that is counted: more would not fit into memory
LARGEST = 1e9  # of a prior's strength: beyond it and below its inverse, log-gamma functions lose every digit


def numbers(name: str, value) -> np.ndarray:
    """A setting as an array of finite numbers."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise SettingError(f"{name} is {value!r}; want numbers") from None
    if not np.isfinite(array).all():
        raise SettingError(f"{name} holds a value that is not finite: {value!r}; want finite numbers")
    if np.abs(array).max(initial=0) > HUGE:
        raise SettingError(f"{name} holds {np.abs(array).max():.3g}; want {HUGE:.0e} at most in size")
    return array


def filled(name: str, value, default, shape: tuple[int, ...]) -> np.ndarray:
    """A setting, or its default where it is None, of the given shape; one entry of the first axis stands for all."""
    array = numbers(name, default if value is None else value)
    if array.shape not in (shape, shape[1:]):
        raise SettingError(f"{name} has shape {array.shape}; want {shape[1:] or 'a number'} or {shape}")
    return np.broadcast_to(array, shape).copy()


def strengths(name: str, value, default, shape: tuple[int, ...], *, above: float = 0.0) -> np.ndarray:
    """The same for what counts rows, (K,) or more: above a bound, and within reach of log-gamma functions."""
    array = numbers(name, default if value is None else value)
    array = filled(name, array if array.ndim else np.full(shape, array), default, shape)
    if not (array > above).all():
        raise SettingError(f"{name} is {array.min():g}; want more than {above:g}")
    if not ((array < LARGEST) & (array > 1 / LARGEST)).all():
        raise SettingError(
            f"{name} is {array.flat[np.abs(np.log(array)).argmax()]:g}; want {1 / LARGEST:g} to {LARGEST:g}"
        )
    return array


def scales(name: str, value, default, count: int) -> np.ndarray:
    """A symmetric positive definite matrix for each component, (K, D, D)."""
    dimension = len(default)
    array = filled(name, value, default, (count, dimension, dimension))
    if not np.allclose(array, np.swapaxes(array, 1, 2), rtol=1e-10, atol=0):
        raise SettingError(f"{name} is not symmetric; want a symmetric positive definite matrix")
    smallest = np.linalg.eigvalsh(array).min()
    if smallest <= 0:
        raise SettingError(
            f"{name} is not positive definite (smallest eigenvalue {smallest:.3g}); want a positive definite matrix"
        )
    return array


def how_many(name: str, value, least: int = 1) -> int:
    """How many of something, `least` to a million."""
    return whole(name, value, least, MANY)


def positive(name: str, value, default: float | None = None, *, largest: float = HUGE) -> float:
    """A number above 0 whose size, like its inverse's, is `largest` at most; or its default, as it stands, where it is None."""
    if value is None and default is not None:
        return float(default)
    number = real(name, value)
    if not 1 / largest <= number <= largest:
        raise SettingError(f"{name} is {number:g}; want a number above 0, from {1 / largest:.0e} to {largest:.0e}")
    return number


def shape(name: str, value, default: float | None = None) -> float:
    """The shape of a gamma: the same, within reach of log-gamma functions."""
    return positive(name, value, default, largest=LARGEST)


def finite(name: str, value, default: float) -> float:
    """A finite number, or its default where it is None."""
    number = float(default) if value is None else real(name, value)
    if not abs(number) <= HUGE:
        raise SettingError(f"{name} is {number:g}; want a finite number, {HUGE:.0e} at most in size")
    return number


def in_words(prior: dict[str, np.ndarray]) -> str:
    """The priors on one line: one value where all components share it."""
    parts = []
    four = lambda number: f"{number:.4g}"
    for name, value in prior.items():
        shown = value[0] if np.all(value == value[:1]) else value
        words = np.array2string(shown, separator=", ", max_line_width=1000, formatter={"float_kind": four})
        parts.append(f"{name.replace('_', ' ')} {words}")
    return "; ".join(part.replace("\n", "") for part in parts)
