"""Whether this installation gives right answers: versions, devices, and the one bound that is known exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import jax
import numpy as np
from scipy.special import multigammaln  # pyright: ignore[reportAttributeAccessIssue] - it is there at run time

from vi_vs_mcmc.methods.cavi import CAVI
from vi_vs_mcmc.plugins import load, models
from vi_vs_mcmc.posterior import versions
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.programs import cores


def examine() -> Iterator[tuple[bool, str]]:
    """Each finding: whether it is good, and a line about it."""
    yield True, ", ".join(f"{name} {version}" for name, version in versions().items())
    kinds = Counter(device.device_kind for device in jax.devices())
    devices = ", ".join(f"{number} device{'s' if number > 1 else ''} of kind {kind}" for kind, number in kinds.items())
    yield True, f"JAX computes on {devices}; {cores()} cores may be used"
    yield (
        bool(models()),
        f"models: {', '.join(models()) or 'none; was the package installed, not only copied?'}",
    )
    error = abs(_bound() - one_component_evidence())
    yield error < 1e-8, f"with one component the ELBO is the log evidence: they differ by {error:.1e} nats"


@in_float64
def _bound() -> float:
    problem = load("gmm")(components=1)
    assert problem.conjugate is not None  # noqa: S101 - the mixture has one
    optima = CAVI(restarts=1).optima(problem.conjugate, jax.random.key(0))
    return float(optima.ascent.elbo[0])


def one_component_evidence() -> float:
    """log p(x) of the lecture's data under one normal-Wishart component: the ratio of two normalisers, in NumPy alone.

    Source: Bernardo and Smith (1994), Bayesian Theory, appendix A.
    """
    x = np.array(load("gmm")(components=1).args[0])
    rows, dimension = x.shape
    prior_inverse, beta, nu, mean = 10.0 * np.eye(dimension), 1.0, float(dimension), x.mean(0)
    offset = x.mean(0) - mean
    scatter = (x - x.mean(0)).T @ (x - x.mean(0))
    inverse = prior_inverse + scatter + beta * rows / (beta + rows) * np.outer(offset, offset)
    log_det = lambda a: np.linalg.slogdet(a)[1]
    wishart = 0.5 * nu * log_det(prior_inverse) - 0.5 * (nu + rows) * log_det(inverse)
    gamma = multigammaln(0.5 * (nu + rows), dimension) - multigammaln(0.5 * nu, dimension)
    return float(
        wishart + gamma + 0.5 * dimension * np.log(beta / (beta + rows)) - 0.5 * rows * dimension * np.log(np.pi)
    )
