"""The no-U-turn transition of a chain, one leapfrog step at a time.

A trajectory doubles until it turns back on itself. Written as nested loops, chains that run side by side wait for the longest
trajectory among them at every doubling; written as a machine that makes one leapfrog step a turn and ends a doubling,
or a trajectory, when it is due, no chain ever waits. A turn draws nothing at random: it is handed its noise, so that
a chain's draws follow from its own key alone, whatever runs beside it.

The metric is the identity; the caller hands over a density whose coordinates are scaled. The transition is NumPyro's:
multinomial within a doubling, biased to the newer half between them, and the generalised U-turn criterion at every
complete subtree.

Source: Hoffman and Gelman (2014), JMLR 15; Betancourt (2017), arXiv:1701.02434, A.4; Phan, Pradhan and Jankowiak (2019),
arXiv:1912.11554, on the iterative form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

TOO_FAR = 1000.0  # an error of the energy beyond it is called a divergence
GAMMA, EARLY, KAPPA = 0.05, 10.0, 0.75  # of dual averaging, as Hoffman and Gelman chose them


class Place(NamedTuple):
    """A point that a trajectory went through."""

    z: Array  # (D,)
    slope: Array  # (D,), of log p
    log_p: Array  # ()
    energy: Array  # (): of position and momentum, when it went through


class Step(NamedTuple):
    """The step size and what dual averaging knows of it; scalars."""

    size: Array
    goal: Array  # log of the size that it is drawn to at first
    lack: Array  # mean of target minus acceptance
    mean: Array  # weighted mean of log size
    count: Array


class Half(NamedTuple):
    """The doubling under way: leaves 0 to `leaf`, going out from one end of the trajectory."""

    chosen: Place
    log_weight: Array  # ()
    r_sum: Array  # (D,)
    leaf: Array  # (), int
    r_kept: Array  # (depth, D): momenta at the first leaf of each open subtree
    sums_kept: Array  # (depth, D): the sums of momenta up to there


class Chain(NamedTuple):
    """A trajectory under way; every leaf of one chain."""

    ends: Array  # (2, 3, D): z, r and slope at its two ends
    right: Array  # (), bool: where the doubling under way goes out
    chosen: Place
    energy: Array  # () at its start
    log_weight: Array
    r_sum: Array
    depth: Array
    half: Half
    accepted: Array  # the sum of acceptance probabilities
    steps: Array  # leapfrog steps, int; below zero before the first look
    step: Step


class Noise(NamedTuple):
    """What one turn may use."""

    momentum: Array  # (D,) standard normal
    log_uniform: Array  # (2,), logs of numbers on (0, 1)
    right: Array  # (), bool


class Draw(NamedTuple):
    """What a trajectory ends with; means nothing unless `over`."""

    over: Array
    z: Array
    log_p: Array
    energy: Array
    steps: Array
    diverging: Array
    accepted: Array


def at(z: Any, size: Any, goal: Any, depth: int) -> Chain:
    """Chains, of numpy arrays, that have looked at nothing yet: their first turn computes the slope where they stand.

    Args:
        z: where each stands, (chains, D).
        size: the step size of each, (chains,).
        goal: log of the size that dual averaging draws each to at first.
        depth: a trajectory may grow to 2^depth steps.
    """
    lead = z.shape[:1]
    zero: Any = np.zeros(lead)
    whole: Any = np.zeros(lead, np.int32)
    place = Place(z, 0 * z, zero, zero)
    kept: Any = np.zeros((*lead, depth, z.shape[1]))
    ends: Any = np.zeros((*lead, 2, 3, z.shape[1]))
    ends[:, :, 0] = z[:, None]
    half = Half(place, zero - np.inf, 0 * z, whole, kept, kept)
    step = Step(size, goal, zero, np.log(size), zero)
    return Chain(ends, zero > 0, place, zero, zero, 0 * z, whole, half, zero, whole - 1, step)


def begin(place: Place, step: Step, noise: Noise, depth: int) -> Chain:
    """A trajectory at its start; it may grow to 2^depth steps."""
    r, zero = noise.momentum, jnp.zeros(())
    whole = jnp.zeros((), jnp.int32)
    kept = jnp.zeros((depth, r.size))
    place = place._replace(energy=0.5 * r @ r - place.log_p)
    half = Half(place, -jnp.inf + zero, jnp.zeros_like(r), whole, kept, kept)
    end = jnp.stack([place.z, r, place.slope])
    return Chain(
        jnp.stack([end, end]),
        noise.right,
        place,
        place.energy,
        zero,
        r,
        whole,
        half,
        zero,
        whole,
        step,
    )


def turn(
    density: Callable[[Array], tuple[Array, Array]], chain: Chain, noise: Noise, target: Array, adapting: Array
) -> tuple[Chain, Draw]:
    """One leapfrog step, and what becomes due by it.

    Args:
        density: log p and its slope at z.
        chain: before.
        noise: of this turn.
        target: mean acceptance that the step size is adapted to.
        adapting: whether it is.
    """
    half, depth = chain.half, chain.half.r_kept.shape[0]
    z, r, slope = jnp.where(chain.right, chain.ends[1], chain.ends[0])
    by = jnp.where(chain.right, chain.step.size, -chain.step.size)
    r = r + 0.5 * by * slope
    z = z + by * r
    log_p, slope = density(z)
    r = r + 0.5 * by * slope
    energy = 0.5 * r @ r - log_p
    error = energy - chain.energy
    error = jnp.where(jnp.isnan(error), jnp.inf, error)
    here, end = Place(z, slope, log_p, energy), jnp.stack([z, r, slope])

    log_weight = jnp.logaddexp(half.log_weight, -error)
    chosen = _either(noise.log_uniform[0] < -error - log_weight, here, half.chosen)
    r_sum = half.r_sum + r
    turned, r_kept, sums_kept = _subtrees(half, r, r_sum)
    diverging = error > TOO_FAR
    new = chain.steps < 0
    broken = turned | diverging | new
    full = half.leaf + 1 >= 2**chain.depth
    half = Half(chosen, log_weight, r_sum, half.leaf + 1, r_kept, sums_kept)

    # the doubling joins the trajectory
    joins = full & ~broken
    taken = joins & (noise.log_uniform[1] < log_weight - chain.log_weight)
    whole = chain.r_sum + r_sum
    side = jnp.array([False, True]) == chain.right
    ends = jnp.where(side[:, None, None], end, chain.ends)
    over = broken | (full & (_turned(ends[0, 1], ends[1, 1], whole) | (chain.depth + 1 == depth)))
    accepted, steps = chain.accepted + jnp.minimum(1.0, jnp.exp(-error)), chain.steps + 1
    place = _either(taken, chosen, _either(new, here, chain.chosen))
    grown = chain._replace(
        ends=ends,
        right=jnp.where(joins, noise.right, chain.right),
        chosen=place,
        log_weight=jnp.where(joins, jnp.logaddexp(chain.log_weight, log_weight), chain.log_weight),
        r_sum=jnp.where(joins, whole, chain.r_sum),
        depth=chain.depth + joins,
        half=_either(
            joins, Half(place, -jnp.inf * jnp.ones(()), jnp.zeros_like(r), 0 * steps, r_kept, sums_kept), half
        ),
        accepted=accepted,
        steps=steps,
    )
    acceptance = accepted / jnp.maximum(steps, 1)
    step = _either(over & adapting & ~new, _adapted(chain.step, target - acceptance), chain.step)
    # within a doubling the end that it goes out from moves on with it: nothing asks for the old one before it joins
    return _either(over, begin(place, step, noise, depth), grown), Draw(
        over & ~new, place.z, place.log_p, place.energy, steps, diverging, acceptance
    )


def _adapted(step: Step, lack: Array) -> Step:
    count = step.count + 1.0
    mean_lack = step.lack + (lack - step.lack) / (count + EARLY)
    log_size = step.goal - jnp.sqrt(count) / GAMMA * mean_lack
    mean = step.mean + count**-KAPPA * (log_size - step.mean)
    return Step(jnp.exp(jnp.clip(log_size, -700.0, 700.0)), step.goal, mean_lack, mean, count)


def _subtrees(half: Half, r: Array, r_sum: Array) -> tuple[Array, Array, Array]:
    """Whether a subtree that this leaf completes has turned, and what is kept for those still open."""
    leaf = half.leaf
    last = jax.lax.population_count(leaf >> 1)  # where an even leaf is kept, and the innermost subtree of an odd one
    first = last - jax.lax.population_count((~leaf & (leaf + 1)) - 1) + 1
    at = jnp.arange(half.r_kept.shape[0])
    due = (at >= first) & (at <= last)
    turned = (_turned(half.r_kept, r, r_sum - half.sums_kept + half.r_kept) & due).any()
    keep = ((leaf % 2 == 0) & (at == last))[:, None]
    return turned, jnp.where(keep, r, half.r_kept), jnp.where(keep, r_sum, half.sums_kept)


def _turned(left: Array, right: Array, r_sum: Array) -> Array:
    """Whether momenta at the two ends (..., D) point against what lies between them."""
    between = r_sum - 0.5 * (left + right)
    return ((left * between).sum(-1) <= 0.0) | ((right * between).sum(-1) <= 0.0)


def _either[T](condition: Array, one: T, other: T) -> T:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), one, other)
