"""A normal law in the coordinates of a target: draws of the sites with their densities, and moments in closed form."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.distributions import biject_to, transforms
from xarray import Dataset

from vi_vs_mcmc import flat, posterior
from vi_vs_mcmc.methods.target import Shape, Target, tree_of
from vi_vs_mcmc.problem import Problem


class Normal(NamedTuple):
    """N(mean, root root') of coordinates w, in the order of `shape_of`."""

    mean: np.ndarray  # (P,)
    root: np.ndarray  # (P, P) lower triangular; of independent coordinates their sds, (P,)

    @property
    def sd(self) -> np.ndarray:
        """Of each coordinate, (P,)."""
        return self.root if self.root.ndim == 1 else np.linalg.norm(self.root, axis=1)


def drawn(
    problem: Problem, target: Target, shape: Shape, law: Normal, key: Array, number: int
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Sites, leaves (number, ...), with log p and log q of each draw on the program's unconstrained scale, (number,)."""
    noise = np.asarray(jax.random.normal(key, (number, len(law.mean))))
    diagonal = law.root if law.root.ndim == 1 else np.diag(law.root)
    w = law.mean + (noise * law.root if law.root.ndim == 1 else noise @ law.root.T)
    log_q = -0.5 * (noise**2).sum(1) - np.log(diagonal).sum() - 0.5 * len(diagonal) * np.log(2.0 * np.pi)
    return evaluated(problem, target, shape, w, log_q)


def evaluated(
    problem: Problem, target: Target, shape: Shape, w: np.ndarray, log_q: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """As `drawn`, of rows w (number, P) whose log density in the target's coordinates is log_q (number,)."""
    u, log_volume = flat.in_batches(partial(_to_program, shape, tuple(problem.latent), target), w)
    theta, log_p = flat.evaluated(problem, u)
    return theta, log_p, log_q - log_volume


def moments(problem: Problem, target: Target, shape: Shape, law: Normal, response: np.ndarray | None = None) -> Dataset:
    """mean_SITE and sd_SITE of each latent site that is u itself, or linear in exp(u): a log-normal law.

    The target's coordinates must be the program's own, each in a unit of its own (`aligned` starting points).

    Args:
        problem: whose sites they are.
        target: whose coordinates `law` is of.
        shape: their order.
        law: of independent coordinates, where there is a response.
        response: the covariance (2 P, 2 P) that linear response gives to the means and log-sds of a factorised law. A site's
            variance is then g' C g, g the slope of E_q[site] in both: how E_q[site] responds to a tilt by the site itself.
    """
    names, number = tuple(problem.latent), len(law.mean)
    ends, _ = _to_program(shape, names, target, np.stack([law.mean, law.mean + law.sd]))
    mean, sd = np.asarray(ends[0]), np.asarray(ends[1] - ends[0])
    if response is None:
        blocks = np.stack([np.ones(number), np.zeros(number), np.zeros(number)])
    else:  # in units of sds: log-sds have none
        along = [
            np.diag(response[:number, :number]),
            np.diag(response[:number, number:]),
            np.diag(response[number:, number:]),
        ]
        blocks = np.stack(
            [_reordered(shape, names, part) for part in (along[0] / law.sd**2, along[1] / law.sd, along[2])]
        )
    means, sds, at = {}, {}, 0
    for name, (_, of) in zip(names, flat.coordinate_shapes(problem), strict=True):
        here = slice(at, at + int(np.prod(of)))
        at = here.stop
        found = _moments(biject_to(problem.latent[name].support), mean[here].reshape(of), sd[here].reshape(of))
        if found is not None:
            of_mean, cross, of_scale = (part.reshape(of) for part in blocks[:, here])
            slope = found.by_mean * sd[here].reshape(of), found.by_log_sd
            responded = slope[0] ** 2 * of_mean + 2.0 * slope[0] * slope[1] * cross + slope[1] ** 2 * of_scale
            means[name] = found.mean
            sds[name] = found.sd if response is None else np.sqrt(np.maximum(responded, 0.0))
    return posterior.dataset(problem, means, (), "mean_").merge(posterior.dataset(problem, sds, (), "sd_"))


class _Moments(NamedTuple):
    """Of f(u), u ~ N(mean, sd^2), and the slopes of the mean in u's mean and log sd."""

    mean: np.ndarray
    sd: np.ndarray
    by_mean: np.ndarray
    by_log_sd: np.ndarray


def _moments(transform: Any, mean: np.ndarray, sd: np.ndarray) -> _Moments | None:
    """None where f is neither linear nor linear in exp."""
    if isinstance(transform, transforms.IndependentTransform):
        return _moments(transform.base_transform, mean, sd)
    if isinstance(transform, transforms.IdentityTransform):
        return _Moments(mean, sd, np.ones_like(mean), np.zeros_like(mean))
    if isinstance(transform, transforms.ExpTransform):
        with np.errstate(over="ignore"):
            middle = np.exp(mean + 0.5 * sd**2)
            return _Moments(middle, middle * np.sqrt(np.expm1(sd**2)), middle, middle * sd**2)
    if isinstance(transform, transforms.ComposeTransform):
        found = _moments(transform.parts[0], mean, sd)
        for part in transform.parts[1:]:
            if found is None or not isinstance(part, transforms.AffineTransform):
                return None
            loc, scale = np.asarray(part.loc), np.asarray(part.scale)
            found = _Moments(
                loc + scale * found.mean, np.abs(scale) * found.sd, scale * found.by_mean, scale * found.by_log_sd
            )
        return found
    return None


def _reordered(shape: Shape, names: tuple[str, ...], row: np.ndarray) -> np.ndarray:
    """A number for each coordinate, from the order of a row to that of `names`."""
    tree = {name: np.asarray(part).ravel() for name, part in tree_of(shape, jnp.asarray(row)).items()}
    return np.concatenate([tree[name] for name in names])


@partial(jax.jit, static_argnums=(0, 1))
def _to_program(shape: Shape, names: tuple[str, ...], target: Target, rows: Array) -> tuple[Array, Array]:
    """Rows of u, in the order of `names`, and log|du / dw| of each."""

    def one(row: Array) -> tuple[Array, Array]:
        u, log_det = target.coordinates.to_program(tree_of(shape, row))
        return jnp.concatenate([jnp.ravel(u[name]) for name in names]), log_det

    return jax.vmap(one)(rows)
