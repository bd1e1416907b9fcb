r"""One start of coordinate ascent, accelerated: what it knows, and where it looks next.

One sweep G moves a natural parameter x to G(x), and a look at x tells ELBO(x) and the move f = G(x) - x in one pass over the
data. f is the natural gradient of the ELBO, and g = V f its gradient, V = grad^2 A (no pass). So the last steps s = x' - x with
y = g - g' and z = f - f' make a limited-memory quasi-Newton method (L-BFGS) whose first guess of the curvature is the
Fisher information V: where y enters the two-loop recursion, z is its image under V^-1.

The predicted point is kept if the ELBO there is finite and no lower. Else the next look is at the plain sweep G(x), which never
lowers the ELBO: the bound never falls, and a prediction that fails costs one pass.

Source: Nocedal and Wright (2006), Numerical Optimization, section 7.2; Amari (1998), Neural Computation 10, on natural gradients.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

STEPS = 5  # steps that a prediction is made from
PLAIN = 10  # sweeps before the first prediction
SHORTEST = 1e-4  # of a predicted step, where longer ones leave the family
CURVED = 1e-10  # cosine between s and y below which a step tells nothing
ROUNDING = 1e-11  # relative ELBO loss that float64 sums over many rows can produce
VISIBLE = 0.01  # of that loss: a gain so small is for float64 to see


class Climber(NamedTuple):
    """Where one start stands; eta as a vector, (P,)."""

    point: Array  # the highest so far
    elbo: Array  # (), nats, there
    residual: Array  # (), there
    move: Array  # f there
    slope: Array  # g there
    trial: Array  # where to look next
    swept: Array  # (), bool: the trial is a plain sweep's end, not a prediction
    steps: Array  # s, (STEPS, P), the latest first
    bends: Array  # y of each
    turns: Array  # z of each
    known: Array  # (), how many of them are filled
    looks: Array  # (), so far
    done: Array  # (), bool


def begin(start: Array) -> Climber:
    """A climber that has looked at nothing yet."""
    none, empty = jnp.zeros_like(start), jnp.zeros((STEPS, start.size))
    # Bare numbers, which have a weaker type, would make the first chunk another program.
    low, high = jnp.full_like(start[0], -jnp.inf), jnp.full_like(start[0], jnp.inf)
    zero = jnp.asarray(0)
    yes, no = jnp.asarray(True), jnp.asarray(False)
    return Climber(start, low, high, none, none, start, yes, empty, empty, empty, zero, zero, no)


def step(
    at: Climber,
    elbo: Array,
    residual: Array,
    move: Array,
    slope: Array,
    log_normaliser,
    tol: Array,
    rounding: float = ROUNDING,
):
    """Take in what was seen at the trial, and choose the next; with the trace's entry, nan for one that had stopped.

    Args:
        at: where the start stands.
        elbo: seen at the trial, (); so are `residual`, `move` and `slope`.
        residual: the largest relative move, ().
        move: f, (P,).
        slope: g, (P,).
        log_normaliser: A of a vector (P,); not finite outside the family.
        tol: the stopping rule.
        rounding: the relative ELBO loss that may be one of digits alone.
    """
    elbo = jnp.where(jnp.isfinite(elbo), elbo, -jnp.inf)
    kept = at.swept | (elbo >= at.elbo - rounding * (1.0 + jnp.abs(at.elbo)))
    s, y, z = at.trial - at.point, at.slope - slope, at.move - move
    told = kept & (at.looks > 0) & (s @ y > CURVED * jnp.sqrt((s @ s) * (y @ y)))
    push = lambda kept, new: jnp.where(told, jnp.roll(kept, 1, 0).at[0].set(new), kept)
    choose = lambda new, old: jnp.where(kept, new, old)
    gain = VISIBLE * rounding * (1.0 + jnp.abs(elbo)) if rounding > ROUNDING else -jnp.inf
    over = (at.looks > PLAIN) & (elbo - at.elbo < gain)
    new = at._replace(
        point=choose(at.trial, at.point),
        elbo=choose(elbo, at.elbo),
        residual=choose(residual, at.residual),
        move=choose(move, at.move),
        slope=choose(slope, at.slope),
        steps=push(at.steps, s),
        bends=push(at.bends, y),
        turns=push(at.turns, z),
        known=jnp.where(told, jnp.minimum(at.known + 1, STEPS), at.known),
        looks=at.looks + 1,
        done=kept & ((residual < tol) | over),
    )
    way = predicted(new)
    plain = ~kept | (new.looks < PLAIN) | (new.known == 0) | ~(way @ new.slope > 0.0)
    length = _longest(lambda t: log_normaliser(new.point + t * way), ~plain)
    plain |= length < SHORTEST
    new = new._replace(trial=new.point + jnp.where(plain, new.move, length * way), swept=plain)
    entry = jnp.where(at.done, jnp.nan, new.elbo)
    return jax.tree.map(lambda a, b: jnp.where(at.done, a, b), at, new), entry


def predicted(at: Climber) -> Array:
    """The quasi-Newton step from a climber's point, (P,): L-BFGS, with V^-1 applied by what is known of it."""
    products = (at.steps * at.bends).sum(1)
    used = jnp.arange(STEPS) < at.known
    inverse = jnp.where(used, 1.0 / jnp.where(used, products, 1.0), 0.0)
    gradient, way, shares = at.slope, at.move, []
    for i in range(STEPS):
        shares.append(inverse[i] * (at.steps[i] @ gradient))
        gradient, way = gradient - shares[i] * at.bends[i], way - shares[i] * at.turns[i]
    stretch = products[0] / (at.bends[0] @ at.turns[0])
    way *= jnp.where(jnp.isfinite(stretch), jnp.maximum(stretch, 1.0), 1.0)
    for i in reversed(range(STEPS)):
        way += at.steps[i] * (shares[i] - inverse[i] * (at.bends[i] @ way))
    return way


def _longest(log_normaliser, wanted: Array) -> Array:
    """1, halved until A is finite there, ()."""
    outside = lambda t: wanted & (t >= SHORTEST) & ~jnp.isfinite(log_normaliser(t))
    return jax.lax.while_loop(outside, lambda t: 0.5 * t, jnp.ones(()))
