"""CAVI corrected by linear response: the same means, standard deviations that know of the correlations CAVI cut.

The table's sds come from the formula, for every scalar whose mean under q has a closed form. Draws, which serve pictures,
intervals and importance ratios, are q's own, moved affinely in unconstrained coordinates: u' = mean + L_LR L_q^-1 (u - mean),
with L L' the covariance of u under linear response and under q. They keep q's skewness and stay in the domain.

Source: Giordano, Broderick and Jordan (2018), Covariances, Robustness, and Variational Bayes, JMLR 19; see
`vi_vs_mcmc.response`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from xarray import Dataset, DataTree

from vi_vs_mcmc import engine, flat, posterior, response
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.methods.cavi import CAVI, drawn
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import stream

POLISHED = 1e-9  # residual of the fixed point beyond which its response is refused
SOLVED = 1e-6  # residual of conjugate gradients beyond which their answer is refused
POLISHING = 5  # Newton steps at most; one or two do
FLAT = 0.99  # spectral radius of dF/deta beyond which the answer is called fragile


@dataclass(frozen=True)
class LRVB:
    """Coordinate ascent, polished by Newton steps, then linear response.

    Attributes:
        restarts: of coordinate ascent; the best optimum is corrected.
        tol: of coordinate ascent.
        max_sweeps: of coordinate ascent.
    """

    restarts: int = 8
    tol: float = 1e-8
    max_sweeps: int = 20_000

    name = "lrvb"

    def __post_init__(self):
        of = CAVI(tol=self.tol, restarts=self.restarts, max_sweeps=self.max_sweeps)  # refuses what it would refuse
        for name in ("restarts", "max_sweeps"):
            object.__setattr__(self, name, getattr(of, name))

    def suits(self, problem: Problem) -> Conjugate:
        """The structure that it works on; a SettingError where there is none."""
        return problem.structure("lrvb", "svi:AutoMultivariateNormal")

    @in_float64
    def fit(self, problem: Problem, key: Array, *, chains: int, draws: int, progress=None) -> DataTree:
        """Fit q, correct it, and move its draws.

        Returns:
            posterior (chain, draw, *event); sample_stats log_p, log_q; variational/mean_*, sd_* in closed form.

        Raises:
            SettingError: the problem has no closed-form structure.
        """
        model = self.suits(problem)
        cavi = CAVI(self.tol, self.restarts, self.max_sweeps)
        optima = cavi.search(problem, key, progress=progress)
        eta, residual = _polished(model, jax.tree.map(jnp.asarray, optima.best()))
        sites = {site: (np.asarray(mean), np.asarray(var)) for site, (mean, var) in model.moments(eta).items()}
        directions = _directions(model, eta, tuple(sites))
        radius = float(response.spectral_radius(model, eta, jax.tree.map(lambda c: c.sum(0), directions)))
        theta, log_p, log_q = drawn(model, eta, stream(key, self.name), chains * draws, problem.supports)
        u = flat.rows(problem, theta)
        both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), directions, _of_draws(problem, model, eta, theta, u))
        found = response.respond(model, eta, both)  # sites first, then the draws' coordinates
        added, number = np.asarray(found.added), -u.shape[1]
        refusal = _refusal(residual, found)
        sds = _sds(sites, None if refusal else np.diag(added)[:number])
        if not refusal:
            theta, log_p, log_q, refusal = _moved(problem, theta, u, added[number:, number:], log_p, log_q)
        return posterior.build(
            problem,
            self,
            theta,
            chains=chains,
            status="not converged" if refusal else "converged",
            status_sentence=refusal or _sentence(found, radius),
            work=f"{self.restarts} restarts, {int(found.steps)} steps of conjugate gradients",
            passes=int(optima.ascent.sweeps.max()) * len(model.blocks) + int(found.steps) + response.POWERS,
            sample_stats={"log_p": log_p, "log_q": log_q},
            variational=_variational(problem, sites, sds),
            attrs={
                "spectral_radius": radius,
                "response_steps": int(found.steps),
                "empty": _empty(problem, sites),
                "closed_form": 1,
            },
        )


def _polished(model: Conjugate, eta: Natural) -> tuple[Natural, float]:
    """The fixed point to its last digits, and its residual: Newton steps, each kept only while it brings eta nearer."""
    residual = float(engine.residual(model, eta))
    for _ in range(POLISHING):
        new, positive = response.newton(model, eta)
        nearer = float(engine.residual(model, new))
        if not positive or not nearer < residual:
            break
        eta, residual = new, nearer
    return eta, residual


def _empty(problem: Problem, sites: dict[str, tuple[np.ndarray, np.ndarray]]) -> int:
    """Components whose weights hold less than one row, of a model that has weights; 0 of any other."""
    rows = 0 if problem.table is None else len(problem.table.values)
    return int((sites["weights"][0] * rows < 1.0).sum()) if "weights" in sites and rows else 0


def _refusal(residual: float, found: response.Response) -> str:
    """Why the response is not to be had; empty where it is."""
    if not residual < POLISHED:
        return f"the fixed point is known to {residual:.1e} only, where {POLISHED:.0e} is wanted; raise max_sweeps"
    if not found.positive:
        return "the fixed point is not a strict maximum of the ELBO: a direction of non-positive curvature; these sds are CAVI's"
    if not found.residual < SOLVED:
        return f"conjugate gradients stopped at a residual of {float(found.residual):.1e}; these sds are CAVI's"
    return ""


def _sentence(found: response.Response, radius: float) -> str:
    fragile = "; nearly flat in some direction, where a linear response says little" if radius > FLAT else ""
    return f"{int(found.steps)} steps of conjugate gradients; spectral radius of the update {radius:.3f}{fragile}"


@partial(jax.jit, static_argnums=2)
def _directions(model: Conjugate, eta: Natural, sites: tuple[str, ...]) -> Natural:
    """grad_eta E_q[h] of every entry of every site, leaves (S, ...); zero where the mean does not exist."""

    def means(eta: Natural) -> Array:
        moments = model.moments(eta)
        return jnp.concatenate([jnp.ravel(moments[site][0]) for site in sites])

    return jax.tree.map(lambda leaf: jnp.where(jnp.isfinite(leaf), leaf, 0.0), jax.jacrev(means)(eta))


def _sds(sites: dict[str, tuple[np.ndarray, np.ndarray]], added: np.ndarray | None) -> dict[str, np.ndarray]:
    """Corrected sds by site: the root of Var_q plus what linear response adds."""
    out, at = {}, 0
    for site, (mean, variance) in sites.items():
        more = 0.0 if added is None else added[at : at + mean.size].reshape(mean.shape)
        total = variance + more
        out[site] = np.sqrt(np.where(total > 0, total, np.nan))
        at += mean.size
    return out


def _variational(problem: Problem, sites, sds: dict[str, np.ndarray]) -> Dataset:
    means = posterior.dataset(problem, {site: mean for site, (mean, _) in sites.items()}, (), "mean_")
    return means.merge(posterior.dataset(problem, sds, (), "sd_"))


def _of_draws(problem: Problem, model: Conjugate, eta: Natural, theta: dict[str, np.ndarray], u: np.ndarray) -> Natural:
    """grad_eta E_q of each unconstrained coordinate, leaves (U, ...): V times its regression on t, from draws."""
    statistics = np.asarray(_statistics(model, {k: theta[k] for k in problem.latent}))
    centred, spread = u - u.mean(0), statistics - statistics.mean(0)
    scale = spread.std(0).clip(1e-300)
    slopes = np.linalg.lstsq(spread / scale, centred)[0] / scale[:, None]
    return _by_covariance(model, eta, jnp.asarray(slopes.T))


def _moved(problem: Problem, theta: dict[str, np.ndarray], u: np.ndarray, added: np.ndarray, log_p, log_q):
    """Draws in their new places, with log p and log q there, and why it could not be done."""
    own = np.atleast_2d(np.cov(u.T))
    try:
        root, wanted = np.linalg.cholesky(own), np.linalg.cholesky(own + added)
    except np.linalg.LinAlgError:
        why = "the covariance that linear response gives is not positive definite; these draws are CAVI's"
        return theta, log_p, log_q, why
    step = np.linalg.solve(root.T, wanted.T)  # (L_LR L_q^-1)'
    log_volume = np.log(np.diag(wanted)).sum() - np.log(np.diag(root)).sum()
    moved, log_p = flat.evaluated(problem, u.mean(0) + (u - u.mean(0)) @ step)
    return moved, log_p, log_q - log_volume, ""


@jax.jit
def _statistics(model: Conjugate, theta: dict[str, Array]) -> Array:
    """t of each draw, (draws, P), in the order of the leaves of eta."""
    return jax.vmap(lambda t: ravel_pytree(model.sufficient(t))[0])(theta)


@jax.jit
def _by_covariance(model: Conjugate, eta: Natural, slopes: Array) -> Natural:
    """V applied to each row of slopes, leaves (U, ...)."""
    shaped = ravel_pytree(eta)[1]
    return jax.vmap(lambda row: response.covariance_product(model, eta, shaped(row)))(slopes)
