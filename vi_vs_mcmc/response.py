r"""Linear response: how the fixed point of coordinate ascent moves when the log joint is tilted.

Tilt log p by s g(theta). The fixed point eta(s) obeys eta = F(eta) + s grad_m E_q[g], and the slope of E_q[h] along it is the
covariance that a posterior without mean field's independence would have, to first order:

    Cov(h, g) = Cov_q(h, g) + C_h' (I - M V)^-1 M C_g,        C_h = grad_eta E_q[h]
    V = grad^2 A (the covariance of t under q),   M = grad^2 (l + linked),   dF/deta = M V

No matrix of the size of eta is formed. I - M V is self-adjoint in the inner product <a, b>_V = a' V b and positive definite
where the ELBO has a strict maximum, so conjugate gradients solve it with one product by V and one by M (a data pass) a step;
`jax.vmap` shares the pass among all right-hand sides. A direction of non-positive curvature says that the fixed point is no
strict maximum.

Source: Giordano, Broderick and Jordan (2015), Linear Response Methods for Accurate Covariance Estimates, NIPS; (2018), JMLR 19.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from vi_vs_mcmc import engine
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.engine import inner

ACCURACY = 1e-12  # residual at which conjugate gradients stop, relative, in the norm of V
STEPS = 1000  # at most; exact arithmetic needs no more than eta has numbers
POWERS = 64  # products by M V that its spectral radius is read from


class Solution(NamedTuple):
    """w with (I - M V) w = b."""

    w: Natural
    steps: Array  # ()
    residual: Array  # (), relative to b
    positive: Array  # (), bool: no direction of non-positive curvature was met


def covariance_product(model: Conjugate, eta: Natural, v: Natural) -> Natural:
    """V v, V = grad^2 A(eta) = Cov_q(t, t)."""
    return jax.jvp(partial(jax.grad(engine.log_normaliser, argnums=1), model), (eta,), (v,))[1]


def curvature_product(model: Conjugate, m: Natural, v: Natural, tiles: engine.Tiles | None = None) -> Natural:
    """M v, M = grad^2 (sum_n l_n + linked) at m: one pass over the data."""

    def slope(m: Natural) -> Natural:
        return jax.tree.map(jnp.add, engine.total(model, m, tiles)[1], jax.grad(model.linked)(m))

    return jax.jvp(slope, (m,), (v,))[1]


def solve(model: Conjugate, eta: Natural, b: Natural) -> Solution:
    """Conjugate gradients in the V inner product on (I - M V) w = b."""
    m = jax.grad(engine.log_normaliser, argnums=1)(model, eta)
    by_v, by_m = (
        partial(covariance_product, model, eta),
        partial(curvature_product, model, m, tiles=engine.tiled(model)),
    )
    plus = lambda a, scale, b: jax.tree.map(lambda x, y: x + scale * y, a, b)

    def step(state):
        w, r, p, vp, rho, steps, positive = state
        image = plus(p, -1.0, by_m(vp))
        curvature = inner(vp, image)
        positive &= curvature > 0
        alpha = jnp.where(positive, rho / curvature, 0.0)
        w, r = plus(w, alpha, p), plus(r, -alpha, image)
        vr = by_v(r)
        new = inner(r, vr)
        beta = new / rho
        return w, r, plus(r, beta, p), plus(vr, beta, vp), new, steps + 1, positive

    vb = by_v(b)
    size = inner(b, vb)

    def unfinished(state):
        *_, rho, steps, positive = state
        return (rho > ACCURACY**2 * size) & (steps < STEPS) & positive

    zero = jax.tree.map(jnp.zeros_like, b)
    start = (zero, b, b, vb, size, jnp.asarray(0), jnp.asarray(True))
    w, *_, rho, steps, positive = jax.lax.while_loop(unfinished, step, start)
    # rounding can leave rho a hair below zero
    residual = jnp.where(size > 0, jnp.sqrt(jnp.maximum(rho, 0.0) / jnp.where(size > 0, size, 1.0)), 0.0)
    return Solution(w, steps, residual, positive)


class Response(NamedTuple):
    """What linear response adds to Cov_q, and how it was found."""

    added: Array  # (S, S): C' (I - M V)^-1 M C
    steps: Array  # (), of the slowest right-hand side
    residual: Array  # (), the worst
    positive: Array  # (), bool, of all


@jax.jit
def respond(model: Conjugate, eta: Natural, directions: Natural) -> Response:
    """What linear response adds to the covariances of S functions under q.

    Args:
        model: the closed-form structure.
        eta: a fixed point of coordinate ascent.
        directions: C_h = grad_eta E_q[h] of each function, leaves (S, ...).
    """
    m = jax.grad(engine.log_normaliser, argnums=1)(model, eta)
    found = jax.vmap(lambda c: solve(model, eta, curvature_product(model, m, c)))(directions)
    added = jax.vmap(lambda c: jax.vmap(lambda w: inner(c, w))(found.w))(directions)
    return Response(0.5 * (added + added.T), found.steps.max(), found.residual.max(), found.positive.all())


@jax.jit
def newton(model: Conjugate, eta: Natural) -> tuple[Natural, Array]:
    """eta + (I - M V)^-1 (F(eta) - eta), and whether the curvature was positive all along: the fixed point to the last digits."""
    step = jax.tree.map(jnp.subtract, engine.bound_and_map(model, eta)[1], eta)
    found = solve(model, eta, step)
    return jax.tree.map(jnp.add, eta, found.w), found.positive


@jax.jit
def spectral_radius(model: Conjugate, eta: Natural, start: Natural) -> Array:
    """The largest eigenvalue of dF/deta = M V, (), by powers of I + M V from `start`.

    Near 1 the fixed point is nearly flat in some direction, and a response that is linear there says little. In one block it is
    the rate at which coordinate ascent converges. Several blocks have negative eigenvalues too, as large as the positive ones:
    those say only that the blocks must be updated in turn, and the identity keeps the powers from finding them.
    """
    m, tiles = jax.grad(engine.log_normaliser, argnums=1)(model, eta), engine.tiled(model)

    def body(v: Natural, _):
        vv = covariance_product(model, eta, v)
        length = jnp.sqrt(inner(v, vv))
        unit = jax.tree.map(lambda x: x / length, vv)
        image = curvature_product(model, m, unit, tiles)
        return jax.tree.map(lambda x, y: x / length + y, v, image), inner(image, unit)

    return jax.lax.scan(body, start, None, POWERS)[1][-1]
