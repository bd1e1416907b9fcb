"""Expectation maximisation: the highest point of the posterior density, from the same two scalar functions as CAVI.

With S = sum_n grad l_n(m) at m = t(theta), the statistics expected under q(z) = p(z | x, theta),

    E-step, then M-step:   theta' = argmax <eta0 + S, t(theta')>

    L(q, theta') = sum_n l_n(m) + <S, t(theta') - m> + log p(theta')       the bound; l is convex, so its tangent is below it
    log p(x, theta') = L(q, theta') + KL(q(z) || p(z | x, theta'))

An E-step raises L to log p and the KL to 0; an M-step raises L, and log p at least as much. The mode is the mode with
respect to the sites' own constrained coordinates (weights, means, precisions): modes move when coordinates change.

Source: Dempster, Laird and Rubin (1977), JRSS B 39; Neal and Hinton (1998), A view of the EM algorithm, in Jordan (ed.).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from xarray import Dataset, DataTree

from vi_vs_mcmc import engine, posterior
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.errors import NumericalError, SettingError, whole
from vi_vs_mcmc.methods.cavi import SAME
from vi_vs_mcmc.methods.maximise import Climb, climb, divergences, em_map
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import MODES, stream

LITTLE = 1e-6  # of the data's weight: a prior whose density has a highest point has one with so little data too
REMEDY = (
    "give a prior that has one (for the mixture: concentration of 1 or more, and degrees_of_freedom above the number of "
    "features)"
)


@dataclass(frozen=True)
class EM:
    """Alternate between the local variables' posterior and the parameters' mode.

    Attributes:
        restarts: random starts, climbed side by side in the same passes; the highest is kept.
        tol: the largest |F(eta) - eta| / (1 + |eta|) at which it has stopped, as for CAVI; eta = eta0 + S.
        max_steps: give up, and say so, after so many M-steps.
    """

    restarts: int = 8
    tol: float = 1e-8
    max_steps: int = 20_000

    name = "em"

    def __post_init__(self):
        if not 0 < self.tol < 1:
            raise SettingError(f"tol is {self.tol}; want a number between 0 and 1")
        for name in ("restarts", "max_steps"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))

    def suits(self, problem: Problem) -> Conjugate:
        """The structure that it works on; a SettingError where there is none, or it has several blocks."""
        model = problem.conjugate
        if model is None or len(model.blocks) > 1:
            raise SettingError(
                f"em needs a closed-form structure in one block, and {problem.name!r} has none; use svi:AutoDelta"
            )
        return model

    @in_float64
    def fit(self, problem: Problem, key: Array, *, chains: int, draws: int, progress=None) -> DataTree:
        """Climb to the mode; every draw is that one point.

        Returns:
            posterior (chain, draw, *event), constant; variational/elbo, log_joint, kl (sweep,), nats, after each M-step and
            before the next E-step; log_joint_start, where the climb began; mode_SITE. attrs elbo: the last log_joint.

        Raises:
            SettingError: no closed-form structure in one block, or a prior under which the density has no bound.
            NumericalError: the highest start ran off to where the density has no highest point.
        """
        model = self.suits(problem)
        start = engine.starts(model, stream(key, MODES), self.restarts)
        _refuse_unbounded(problem, model, start)
        found = climb(model, start, tol=self.tol, max_steps=self.max_steps, progress=progress)
        if found.left[0]:
            raise NumericalError(self._ran_off(problem, model, found))
        theta = {site: np.asarray(value) for site, value in _labelled(model, _first(found.eta)).items()}
        gaps = divergences(model, found)
        agree = np.abs(found.end() - found.end()[0]) <= SAME * (1 + abs(found.end()[0]))
        out = _variational(problem, theta, found, gaps, float(model.log_jacobian() - model.prior_log_normaliser))
        repeated = lambda value: np.broadcast_to(value, (chains, draws, *value.shape)).copy()
        return posterior.build(
            problem,
            self,
            {site: repeated(theta[site]) for site in problem.all_sites},
            status="converged" if found.converged[0] else "not converged",
            status_sentence=self._sentence(found, agree),
            work=f"{self.restarts} restarts, {found.steps.min()} to {found.steps.max()} steps",
            passes=int(found.steps.max()) + 1,
            variational=out,
            attrs={
                "elbo": float(out["log_joint"][-1]),
                "restarts": self.restarts,
                "restarts_agreeing": int(agree.sum()),
                "point_estimate": 1,
            },
        )

    def _sentence(self, found: Climb, agree: np.ndarray) -> str:
        if not found.converged[0]:
            moving = (
                f"still moving by {found.residual[0]:.1e} after {self.max_steps} steps, where {self.tol:.0e} is wanted"
            )
            if found.residual[0] < self.tol:
                moving = f"a site is still moving after {self.max_steps} steps, though no row is: a component that dies"
            return f"{moving}; raise max_steps"
        ran = found.left.sum()
        off = f"; {ran} ran off to where there is no highest point, lower down" if ran else ""
        return (
            f"{agree.sum()} of {len(agree)} restarts reached this mode{off}; "
            f"fixed point to {found.residual[0]:.0e} after {found.steps[0]} steps"
        )

    def _ran_off(self, problem: Problem, model: Conjugate, found: Climb) -> str:
        missing = _without_mode(problem, model, em_map(model, _first(found.eta))) or ["the parameters"]
        return (
            f"em: the highest of {self.restarts} starts ran off after {found.steps[0]} steps to where the density has no "
            f"highest point in {' and '.join(missing)}, as when a component keeps no row, or one alone; {REMEDY}, or fewer "
            "components"
        )


@jax.jit
def _labelled(model: Conjugate, eta: Natural) -> dict[str, Array]:
    return model.mode(model.canonical(eta))


def _first(eta: Natural) -> Natural:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), eta)


def _without_mode(problem: Problem, model: Conjugate, eta: Natural) -> list[str]:
    """The latent sites in which <eta, t(theta)> has no argmax."""
    mode = model.mode(eta)
    return [site for site in problem.latent if np.isnan(np.asarray(mode[site])).any()]


def _refuse_unbounded(problem: Problem, model: Conjugate, start: Natural) -> None:
    """A SettingError where the prior, with next to no data, has no highest point: nor then has the posterior."""
    eta = jax.tree.map(lambda s, p: p + LITTLE * (s[0] - p), start, model.prior)
    if missing := _without_mode(problem, model, eta):
        raise SettingError(
            "em looks for the highest point of the posterior density, and under this prior it is without bound in "
            f"{' and '.join(missing)}; {REMEDY}"
        )


def _variational(problem: Problem, theta: dict, found: Climb, gaps: np.ndarray, constant: float) -> Dataset:
    steps = int(found.steps[0])
    log_joint = found.log_joint[0, : steps + 1] + constant
    out = posterior.dataset(problem, theta, (), "mode_")
    out["elbo"] = ("sweep", found.bound[0, :steps] + constant)
    out["log_joint"] = ("sweep", log_joint[1:])
    out["kl"] = ("sweep", np.maximum(gaps, 0.0))  # rounding near 0 has either sign
    out["log_joint_start"] = log_joint[0]
    out["elbo_restarts"] = (("restart", "restart_sweep"), found.bound + constant)
    return out
