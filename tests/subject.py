"""A model with a closed form, measured: the numbers that the checks of `conformance` look at, each computed once.

Coordinate ascent is compiled once: it always runs on a tilted log joint. What else is compiled is run once, so that the
compiler is told not to optimise, and each number has a program of its own: one of all of them takes twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro.distributions import biject_to
from numpyro.infer.util import log_density

import vi_vs_mcmc as vm
from vi_vs_mcmc import engine, response
from vi_vs_mcmc.ascent import Ascent, ascend
from vi_vs_mcmc.call import Call, unconstrain
from vi_vs_mcmc.conjugate import Conjugate, Natural

DRAWS = 20_000  # of theta
LOCAL_DRAWS = 4_000  # of z, at one theta
DENSITIES = 8  # draws at which densities are compared
STARTS = 4
TILTS = 3
STEP = 0.002  # of a tilt by one sd; fourth-order differences and TOL then leave 1e-7 of a slope at most
TOL, SWEEPS = 1e-12, 5_000  # of coordinate ascent

once = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tilted:
    """A structure whose log joint has <push, t(theta)> more: what is not said here is the structure's own."""

    of: Any
    push: Natural

    @property
    def prior(self) -> Natural:
        return jax.tree.map(jnp.add, self.of.prior, self.push)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)


@dataclass(frozen=True, eq=False)
class Subject:
    """A problem with a closed form, and its q as a NumPyro program of `Conjugate.parameters`."""

    problem: vm.Problem
    guide: Callable[[Mapping[str, Array]], None]

    @property
    def model(self) -> Any:
        return self.problem.conjugate

    @cached_property
    def start(self) -> dict[str, Any]:
        """Starts of coordinate ascent, and what is known in closed form at the first of them, eta."""
        return _numpy(_started(self.model, jax.random.key(1)))

    @cached_property
    def draws(self) -> tuple[dict[str, np.ndarray], Natural]:
        """Draws of q at eta and their t, leaves (DRAWS, ...)."""
        return _numpy(_drawn(self.model, jax.random.key(2), self.start["eta"]))

    @cached_property
    def alone(self) -> list[tuple[dict[str, np.ndarray], Natural]]:
        """As `draws`, of each block alone."""
        if len(self.model.blocks) == 1:
            return [self.draws]
        parts = [{factor: self.start["eta"][factor] for factor in block} for block in self.model.blocks]
        return [_numpy(_drawn(self.model, jax.random.key(3), part)) for part in parts]

    @cached_property
    def densities(self) -> dict[str, Any]:
        """log p and log q, ours and NumPyro's, and the program's own sites, at the first draws."""
        (call, arrays), few = self.problem.bound, jax.tree.map(lambda leaf: leaf[:DENSITIES], self.draws[0])
        return _numpy(_densities(call, self.guide, arrays, self.problem.supports, self.model, self.start["eta"], few))

    @cached_property
    def local(self) -> dict[str, Any]:
        """l and its statistics at m = t of the first draw: by the engine, over every outcome, and over draws of z."""
        return _numpy(_local(self.model, self._t(0), jax.random.key(4)))

    @cached_property
    def lines(self) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        """complete (rows,) and linked () at three points of a line in the m of each block."""
        return _numpy(_along_a_line(self.model, self._t(0), self._t(1), jax.random.key(5)))

    @cached_property
    def step(self) -> dict[str, Any]:
        """At eta and at eta in its canonical order, (2, ...): the ELBO, F, the ELBO's gradient, V (F - eta)."""
        return _numpy(_step(self.model, self.start["eta"]))

    @cached_property
    def mode(self) -> dict[str, Any]:
        """The mode, <eta, t> there and at draws, and its gradient there in unconstrained coordinates."""
        return _numpy(_mode(self.model, self.problem.supports, self.start["eta"], self.draws[1]))

    @cached_property
    def coordinates(self) -> tuple[np.ndarray, ...]:
        """u of a draw, there and back, and the log determinant, ours and that of the Jacobian."""
        theta = jax.tree.map(lambda leaf: leaf[0], self.draws[0])
        return _numpy(_coordinates(self.model, self.start["eta"], self.problem.supports, theta))

    @cached_property
    def ascent(self) -> Ascent:
        """Coordinate ascent from all starts."""
        return self._ascend(jax.tree.map(np.zeros_like, self.start["eta"]), self.start["starts"])

    @cached_property
    def tilted(self) -> dict[str, Any]:
        """How E_q[h] moves with the fixed point under a tilt, and what linear response says, (h, TILTS).

        s c is the tilt of the log joint by s <c, t(theta)>; each c is the difference of two draws' t, so that it has eta's
        symmetries. Tilts and the h, all closed-form means, are in units of their sds.
        """
        ascent = self.ascent
        optima = jax.tree.map(lambda leaf: leaf[np.full(STARTS, np.argmax(ascent.elbo))], ascent.eta)
        t = self.draws[1]
        by = jax.tree.map(lambda leaf: leaf[1 : 1 + TILTS] - leaf[:1], t)
        each = lambda t, c: np.tensordot(t, c, (range(1, t.ndim), range(1, t.ndim)))  # <c, t>, (DRAWS, TILTS)
        tilts = jax.tree.leaves(jax.tree.map(each, t, by))
        sds = np.sum(tilts, 0).std(0)
        by = jax.tree.map(lambda c: c / sds.reshape(-1, *(1,) * (c.ndim - 1)), by)
        steps = STEP * np.array([-2.0, -1.0, 1.0, 2.0])
        times = lambda i, s: jax.tree.map(lambda c: s * c[i], by)
        moved = [self._ascend(times(i, s), optima) for i in range(TILTS) for s in steps]
        fixed = jax.tree.map(lambda *leaves: np.stack([leaf[0] for leaf in leaves]), *(found.eta for found in moved))
        found = _numpy(_responded(self.model, jax.tree.map(lambda leaf: leaf[0], optima), by, fixed))
        means = found["means"].reshape(TILTS, len(steps), -1)
        slope = np.tensordot([1.0, -8.0, 8.0, -1.0], means, (0, 1)) / (12 * STEP)
        return {**found, "slope": slope.T, "converged": all(f.converged.all() for f in moved)}

    def _ascend(self, push: Natural, starts: Natural) -> Ascent:
        """Coordinate ascent under a tilt, from starts (STARTS, ...)."""
        tilted: Any = Tilted(self.model, push)
        return ascend(tilted, starts, tol=TOL, max_sweeps=SWEEPS)

    def _t(self, number: int) -> Natural:
        return jax.tree.map(lambda leaf: leaf[number], self.draws[1])


def _numpy(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


@once
def _started(model: Conjugate, key: Array) -> dict[str, Any]:
    starts = jax.vmap(model.start)(jax.random.split(key, STARTS))
    eta = jax.tree.map(lambda leaf: leaf[0], starts)
    return {
        "starts": starts,
        "eta": eta,
        "prior": model.prior,
        "m": jax.grad(model.log_normaliser)(eta),
        "moments": model.moments(eta),
        "point": model.local(
            model.coefficients(model.sufficient({site: mean for site, (mean, _) in model.moments(eta).items()})),
            model.rows,
        ),
    }


@once
def _drawn(model: Conjugate, key: Array, eta: Natural) -> tuple[dict[str, Array], Natural]:
    theta = jax.vmap(lambda k: model.draw(k, eta))(jax.random.split(key, DRAWS))
    return theta, jax.vmap(model.sufficient)(theta)


@partial(once, static_argnums=(0, 1))
def _densities(
    call: Call, guide: Callable, arrays, supports: dict, model: Conjugate, eta: Natural, few
) -> dict[str, Any]:
    def one(theta: Mapping[str, Array]) -> dict[str, Any]:
        latent = {name: theta[name] for name in supports}
        u, log_volume = unconstrain(supports, latent)
        q = log_density(partial(guide, model.parameters(eta)), (), {}, latent)[0]
        return {
            "log_p": (engine.log_p(model, dict(theta)) + log_volume, call.log_density(arrays, u)),
            "log_q": (engine.log_q(model, eta, dict(theta)), q),
            "sites": call.constrain(arrays, u),
        }

    return jax.vmap(one)(few)


@once
def _local(model: Conjugate, m: Natural, key: Array) -> dict[str, Any]:
    rows, outcomes = model.rows, model.outcomes(model.rows)
    slope = jax.grad(lambda m, z: model.complete(m, z, rows).sum())

    def one(key: Array) -> Array:
        return ravel_pytree(slope(m, model.draw_local(key, m, rows)))[0]

    every = None if outcomes is None else jax.vmap(lambda z: model.complete(m, z, rows))(outcomes)
    return {
        "rows": model.local(model.coefficients(m), rows),
        "a_few": model.local(model.coefficients(m), jax.tree.map(lambda leaf: leaf[1:4], rows)),
        "outcomes": None if every is None else jax.nn.logsumexp(every, axis=0),
        "slope": ravel_pytree(engine.total(model, m)[1])[0],
        "draws": jax.vmap(one)(jax.random.split(key, LOCAL_DRAWS)),
    }


@once
def _along_a_line(model: Conjugate, m: Natural, other: Natural, key: Array):
    z = model.draw_local(key, m, model.rows)

    def at(block: tuple[str, ...], share: float):
        part = {f: jax.tree.map(lambda a, b: (1 - share) * a + share * b, m[f], other[f]) for f in block}
        return model.complete({**m, **part}, z, model.rows), model.linked({**m, **part})

    return [[at(block, share) for share in (0.0, 0.5, 1.0)] for block in model.blocks]


@once
def _step(model: Conjugate, eta: Natural) -> dict[str, Any]:
    def one(eta: Natural) -> dict[str, Any]:
        (elbo, image), gradient = jax.value_and_grad(lambda e: engine.bound_and_map(model, e), has_aux=True)(eta)
        moved = jax.tree.map(jnp.subtract, image, eta)
        curved = response.covariance_product(model, eta, moved)
        return {"elbo": elbo, "image": model.canonical(image), "gradient": gradient, "curved": curved}

    return jax.vmap(one)(jax.tree.map(lambda *leaves: jnp.stack(leaves), eta, model.canonical(eta)))


@once
def _mode(model: Conjugate, supports: dict, eta: Natural, t: Natural) -> dict[str, Any]:
    mode = model.mode(eta)
    u = unconstrain(supports, {name: mode[name] for name in supports})[0]

    def height(u: Mapping[str, Array]) -> Array:
        return engine.inner(eta, model.sufficient({name: biject_to(supports[name])(u[name]) for name in supports}))

    value, gradient = jax.value_and_grad(height)(u)
    elsewhere = jax.vmap(lambda t: engine.inner(eta, t))(t)
    return {"sites": mode, "value": value, "elsewhere": elsewhere, "gradient": ravel_pytree(gradient)[0]}


@once
def _coordinates(model: Conjugate, eta: Natural, supports: dict, theta: Mapping[str, Array]) -> tuple[Array, ...]:
    coordinates = model.coordinates(eta)
    u = unconstrain(supports, {name: theta[name] for name in supports})[0]
    flat, shaped = ravel_pytree(coordinates.from_program(u))
    jacobian = jax.jacfwd(lambda v: ravel_pytree(coordinates.to_program(shaped(v))[0])[0])(flat)
    back, log_det = coordinates.to_program(shaped(flat))
    return ravel_pytree(u)[0], ravel_pytree(back)[0], log_det, jnp.linalg.slogdet(jacobian)[1]


@once
def _responded(model: Conjugate, optimum: Natural, by: Natural, fixed: Natural) -> dict[str, Any]:
    """E_q[h] at fixed points (..., h), and the slope of E_q[h] along each tilt `by` that linear response gives, (h, TILTS)."""
    sds = ravel_pytree([jnp.sqrt(variance) for _, variance in model.moments(optimum).values()])[0]
    means = lambda eta: ravel_pytree([mean for mean, _ in model.moments(eta).values()])[0] / sds
    directions = jax.jacrev(means)(optimum)
    own = jax.vmap(lambda c: response.covariance_product(model, optimum, c))(by)
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), directions, own)
    found = response.respond(model, optimum, both)
    under_q = jax.vmap(lambda h: jax.vmap(lambda c: engine.inner(h, c))(by))(directions)
    return {
        "means": jax.vmap(means)(fixed),
        "response": under_q + found.added[: len(sds), len(sds) :],
        "positive": found.positive,
    }
