r"""Simulation-based calibration: does a method's interval hold the truth as often as it says?

    theta ~ prior,   x ~ p(x | theta),   q fitted to x,   u = F_q(theta)

Over many such data sets u is uniform where q is the posterior, whatever the prior, and intervals hold what they promise. No MCMC
is needed: the truth is known. u is the randomised rank of the truth among L draws of q, (rank + uniform) / (L + 1), which is
uniform exactly if the truth and the draws are exchangeable.

The procedure that is judged is the one that users run: random starts, the best bound kept, fits that did not converge included.

Labels: in a mixture whose prior cannot tell its components apart, "the mean of component 0" has no calibrated answer without
a rule that names the components, and the rule would be judged with the method. Here each component has a prior mean of its own,
as far from the next as `separation`, with a prior sd of half a component's: the prior says which is which (at a separation of 2
the means come in the other order in 0.8 % of its draws), and u is uniform under the exact posterior for every scalar. The rows of
the two components overlap all the same: it is their shared rows that make mean field overconfident.

CAVI and LRVB are fitted by one compiled program, vmapped over data sets; every other method by its own `fit`, one data set after
the other. Draws of MCMC depend on each other, which blurs its ranks: u is uniform only up to its effective sample size.

Source: Talts, Betancourt, Simpson, Vehtari and Gelman (2018), Validating Bayesian Inference Algorithms with Simulation-Based
Calibration; Yao, Vehtari, Simpson and Gelman (2018), Yes, but Did It Work?, ICML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from jax.flatten_util import ravel_pytree

from vi_vs_mcmc import engine, response
from vi_vs_mcmc.call import Call, unconstrain
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.methods.cavi import CAVI
from vi_vs_mcmc.methods.gate import accepted, speaking
from vi_vs_mcmc.methods.lrvb import POLISHED, SOLVED
from vi_vs_mcmc.methods.registry import resolve
from vi_vs_mcmc.plugins import load
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import MODES, stream

TOGETHER = 50  # data sets in one vmap, and between two looks at the disk: some 20 MB of draws
SWEEPS = 2000  # of coordinate ascent at most; the slowest start of TOGETHER data sets decides
POLISHING = 2  # Newton steps, each kept only where it brings the fixed point nearer
VMAPPED = ("cavi", "lrvb")

CONCENTRATION = 5.0  # of the weights' Dirichlet: both components are occupied
MEAN_PRECISION = 4.0  # a component's mean has a prior sd of 1 / sqrt(4) of the component's own sd
DEGREES_OF_FREEDOM = 10.0  # of the precisions' Wishart, with expectation 1: a relative sd of sqrt(2 / 10)


class Simulated(NamedTuple):
    """A truth, and the problem of finding it."""

    truth: dict[str, np.ndarray]
    problem: Problem


@dataclass(frozen=True)
class Mixture:
    """Components in one dimension, evenly spaced a priori: the generative story in NumPy.

    weights ~ Dirichlet(5); precisions ~ Gamma(10/2, rate 10/2); means_k ~ N(centre_k, 1 / (4 precision_k)); x_n ~ N(means, 1 /
    precisions)[z_n], z_n ~ weights.

    Attributes:
        rows: of each data set.
        separation: between neighbouring prior means, in units of a typical component's sd.
        components: K; with one, mean field is exact.
    """

    rows: int = 60
    separation: float = 2.0
    components: int = 2

    @property
    def scalars(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Label of each distinct scalar: its site and index. The last weight is 1 minus the others."""
        each = range(self.components)
        places = [("weights", (k,)) for k in each[:-1]]
        places += [("means", (k, 0)) for k in each] + [("covariances", (k, 0, 0)) for k in each]
        return {f"{site}[{', '.join(map(str, index))}]": (site, index) for site, index in places}

    def simulate(self, rng: np.random.Generator) -> Simulated:
        """Draw a truth, and rows from it."""
        number = self.components
        centres = self.separation * (np.arange(number) - 0.5 * (number - 1))
        weights = rng.dirichlet(np.full(number, CONCENTRATION))
        precisions = rng.gamma(0.5 * DEGREES_OF_FREEDOM, 2.0 / DEGREES_OF_FREEDOM, number)
        means = centres + rng.standard_normal(number) / np.sqrt(MEAN_PRECISION * precisions)
        z = rng.choice(number, self.rows, p=weights)
        x = means[z] + rng.standard_normal(self.rows) / np.sqrt(precisions[z])
        truth = {"weights": weights, "means": means[:, None], "covariances": 1.0 / precisions[:, None, None]}
        problem = load("gmm")(
            x[:, None],
            components=number,
            concentration=CONCENTRATION,
            mean=centres[:, None],
            mean_precision=MEAN_PRECISION,
            scale=[[1.0 / DEGREES_OF_FREEDOM]],
            degrees_of_freedom=DEGREES_OF_FREEDOM,
        )
        return Simulated(truth, problem)


@in_float64
def probabilities(
    design: Mixture, methods: Sequence[str], replicates: Sequence[int], *, seed: int = 0, draws: int = 999
) -> pd.DataFrame:
    """u of every scalar of every data set and method.

    Args:
        design: where truths and rows come from.
        methods: names; CAVI and LRVB cost a fraction of the others.
        replicates: numbers of the data sets; with `seed`, each determines its own.
        seed: determines the study.
        draws: of q, among which the truth is ranked.

    Returns:
        One row per replicate, method and parameter: `u`, and whether the fit had `converged`.
    """
    sets = [design.simulate(np.random.default_rng([seed, replicate])) for replicate in replicates]
    key = jax.random.key(seed)
    keys = [jax.random.fold_in(key, replicate) for replicate in replicates]
    fast = tuple(m for m in methods if m in VMAPPED)
    found = _side_by_side(sets, keys, fast, draws) if fast else {}
    for method in methods:
        if method not in found:
            found[method] = _in_turn(sets, keys, method, draws)
    tables = []
    for at, replicate in enumerate(replicates):
        noise = np.random.default_rng([seed, replicate, 1])
        for method in methods:
            below, converged = found[method]
            rank = np.array([below[site][(at, *index)] for site, index in design.scalars.values()])
            u = (rank + noise.uniform(size=rank.size)) / (draws + 1)
            columns = {"method": method, "parameter": list(design.scalars), "u": u, "converged": bool(converged[at])}
            tables.append(pd.DataFrame({"replicate": replicate, **columns}))
    return pd.concat(tables, ignore_index=True)


Ranks = dict[str, np.ndarray]  # by site, leaves (data sets, ...): draws below the truth


def _in_turn(sets: Sequence[Simulated], keys: Sequence[Array], method: str, draws: int) -> tuple[Ranks, np.ndarray]:
    """Ranks under any method, and which fits converged."""
    ranks, converged = [], []
    for (truth, problem), key in zip(sets, keys, strict=True):
        chosen: Any = resolve(method)
        with speaking(problem, chosen):
            tree = chosen.fit(problem, key, chains=1, draws=draws)
        tree = accepted(problem, chosen, tree, chains=1, draws=draws)
        group = tree["posterior"].to_dataset()
        ranks.append({site: (group[site].values[0] < value).sum(0) for site, value in truth.items()})
        converged.append(tree.attrs.get("status") != "not converged")
    return {site: np.stack([r[site] for r in ranks]) for site in sets[0].truth}, np.array(converged)


def _side_by_side(
    sets: Sequence[Simulated], keys: Sequence[Array], methods: tuple[str, ...], draws: int
) -> dict[str, tuple[Ranks, np.ndarray]]:
    """Ranks under CAVI and LRVB, TOGETHER data sets at a time; the last lot is filled up, so that one program serves all."""
    parts = []
    for first in range(0, len(sets), TOGETHER):
        numbers = [i % len(sets) for i in range(first, first + TOGETHER)]
        lot = [sets[i] for i in numbers]
        models, truths, arrays = (
            jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *values)
            for values in zip(*((s.problem.conjugate, s.truth, s.problem.bound[1]) for s in lot), strict=True)
        )
        problem = lot[0].problem
        found = _ranks(
            problem.bound[0],
            methods,
            CAVI().restarts,
            draws,
            problem.supports,
            models,
            arrays,
            truths,
            jnp.stack([keys[i] for i in numbers]),
        )
        parts.append(jax.tree.map(np.asarray, found))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(sets)], *parts)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _ranks(call: Call, methods, restarts: int, draws: int, supports, models, arrays, truths, keys):
    def one(model: Conjugate, arrays, truth: dict[str, Array], key: Array) -> dict[str, Any]:
        eta, residual = optimum(model, stream(key, MODES), restarts)
        theta = jax.vmap(lambda k: model.draw(k, eta))(jax.random.split(stream(key, "cavi"), draws))
        found = {"cavi": (theta, residual < CAVI().tol)}
        if "lrvb" in methods:
            moved, positive = corrected(model, call, arrays, supports, eta, theta)
            found["lrvb"] = moved, positive & (residual < POLISHED)
        below = lambda of: {site: (of[site] < value).sum(0) for site, value in truth.items()}
        return {method: (below(found[method][0]), found[method][1]) for method in methods}

    return jax.vmap(one)(models, arrays, truths, keys)


def optimum(model: Conjugate, key: Array, restarts: int) -> tuple[Natural, Array]:
    """The best fixed point of coordinate ascent from random starts, polished, and its residual; may be vmapped."""

    def ascended(eta: Natural) -> Natural:
        unfinished = lambda state: (state[1] >= CAVI().tol) & (state[2] < SWEEPS)

        def step(state):
            _, residual, new = engine.sweep(model, state[0])
            return new, residual, state[2] + 1

        return jax.lax.while_loop(unfinished, step, (eta, jnp.asarray(jnp.inf), jnp.asarray(0)))[0]

    ends = jax.vmap(ascended)(engine.starts(model, key, restarts))
    bounds = jax.vmap(lambda eta: engine.bound_and_map(model, eta)[0])(ends)
    eta = jax.tree.map(lambda leaf: leaf[jnp.nanargmax(bounds)], ends)

    def polish(state, _):
        eta, residual = state
        new, positive = response.newton(model, eta)
        nearer = engine.residual(model, new)
        keep = positive & (nearer < residual)
        return jax.tree.map(lambda a, b: jnp.where(keep, a, b), (new, nearer), state), None

    return jax.lax.scan(polish, (eta, engine.residual(model, eta)), None, POLISHING)[0]


def corrected(
    model: Conjugate, call: Call, arrays, supports, eta: Natural, theta: dict[str, Array]
) -> tuple[dict[str, Array], Array]:
    """Draws of q moved by linear response, as `methods.lrvb` moves them, and whether they could be; may be vmapped.

    u' = mean + L_LR L_q^-1 (u - mean) in unconstrained coordinates, whose response is that of their regression on t(theta).
    Where there is none the draws stay CAVI's, and the fit counts as not converged.
    """
    latent = {name: theta[name] for name in supports}
    u = jax.vmap(lambda t: unconstrain(supports, t)[0])(latent)
    shaped = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], u))[1]
    flat = jax.vmap(lambda value: ravel_pytree(value)[0])(u)
    statistics = jax.vmap(lambda t: ravel_pytree(model.sufficient(t))[0])(latent)
    centred, spread, sd = flat - flat.mean(0), statistics - statistics.mean(0), statistics.std(0)
    slopes = jnp.linalg.lstsq(spread / sd, centred)[0] / sd[:, None]
    as_eta = ravel_pytree(eta)[1]
    directions = jax.vmap(lambda slope: response.covariance_product(model, eta, as_eta(slope)))(slopes.T)
    found = response.respond(model, eta, directions)
    own = jnp.atleast_2d(jnp.cov(flat.T))
    root, wanted = jnp.linalg.cholesky(own), jnp.linalg.cholesky(own + found.added)
    positive = found.positive & (found.residual < SOLVED) & jnp.isfinite(wanted).all()
    moved = flat.mean(0) + centred @ jnp.linalg.solve(root.T, wanted.T)
    sites = jax.vmap(lambda value: call.constrain(arrays, shaped(value)))(moved)
    return {site: jnp.where(positive, sites[site], theta[site]) for site in theta}, positive
