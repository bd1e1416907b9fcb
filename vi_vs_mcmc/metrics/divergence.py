"""KL divergences between the marginals of two posteriors, from draws alone, and right where VI is too narrow.

    KL(p || q) = E_p[log p(x) - log q(x)], in nats, averaged over the draws of p.

Where q is too narrow, draws of p lie where q has none, so q's density must be continued: neighbours and kernels cannot
(their KL saturates), a law with few parameters can. `density.py` fits one to each marginal. KL does not change when both
are put on another scale, so the fits may be made on x, log x or logit x, as both posteriors' draws allow.

Tried against quadrature with 4 000 reference and 40 000 method draws: the bias is within .01 nats or 3 % for normal, gamma,
log-normal, inverse gamma, Weibull, beta, Student-t and bimodal laws, of either posterior. What it cannot see:

- that a law ends: KL(method || reference) is infinite where the method leaves the reference's support, and a finite number
  is given;
- modes apart by more than about ten of their sds: KL(method || reference) reads high, by .02 nats at 12 sds, by over a nat
  at 100;
- against a reference with tails as heavy as those of a Student-t of 3 degrees of freedom, an average over draws finds the
  KL slowly, and its error is given too small.

Source: Kullback and Leibler (1951), Annals of Mathematical Statistics 22; the errors: van der Vaart (1998), chapters 5, 20.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from arviz_stats.base.array import array_stats
from xarray import Dataset

from vi_vs_mcmc.psis import FEW

from .density import Density, fit
from .marginals import Marginals, estimate

ATOM = 0.05  # share of the draws at one value that is an atom: there is no density
UNSEEN = 1e-6  # relative information below which a combination of parameters does not move the law


def kl_from_reference(method: Marginals, reference: Marginals) -> Dataset:
    """KL(reference || method) by parameter, in nats: large where the method is too narrow.

    What is lost, per draw of the truth, by believing the method's marginal. The error is of first order in the draws of
    both posteriors; between equal laws the value is above 0 by about 1 / (effective draws). nan for fewer than 100 draws and
    where 5 % of either's are equal: constants and counts have no density.
    """
    return _divergence(reference, method)


def kl_from_method(method: Marginals, reference: Marginals) -> Dataset:
    """KL(method || reference) by parameter, in nats: large where the method puts mass that the reference does not.

    The direction that variational inference minimises: it forgives a narrow method. Errors as in `kl_from_reference`.
    """
    return _divergence(method, reference)


def _divergence(of: Marginals, against: Marginals) -> Dataset:
    """KL(of || against), and its error: the log ratio's over the draws of the one, the fit's over those of the other.

    A fit by maximum likelihood moves with each of its draws by information^-1 score; KL by E_of[score] times that.
    """
    value, error = np.full((2, len(of.mean)), np.nan)
    for j in range(value.size):
        x, y = of.draws.values[..., j], against.draws.values[..., j]
        if not (_continuous(x) and _continuous(y)):
            continue
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        scales = ("x", *(("log",) if low > 0 else ()), *(("logit",) if low > 0 and high < 1 else ()))
        p, q = (fit(m.ravel(), _size(m, by.independent), scales) for m, by in ((x, of), (y, against)))
        log_ratio = p.logpdf(p.points) - q.logpdf(p.points)
        value[j] = p.weights @ log_ratio
        scores = q.scores(q.points)
        information = (scores * q.weights) @ scores.T
        slope = q.scores(p.points) @ p.weights
        influence = slope @ np.linalg.pinv(information, rcond=UNSEEN, hermitian=True) @ scores
        error[j] = np.hypot(_error(of, x, p, log_ratio), _error(against, y, q, influence))
    return estimate(of, value, error)


def _continuous(draws: np.ndarray) -> bool:
    """Whether there are enough draws to fit a density, and none of its values is taken again and again."""
    ordered, run = np.sort(draws, axis=None), int(ATOM * draws.size) + 1
    return draws.size >= FEW and not (ordered[run:] == ordered[:-run]).any()


def _error(of: Marginals, draws: np.ndarray, density: Density, influence: np.ndarray) -> float:
    """Standard error of the mean of a function known at the density's points."""
    if of.independent:
        variance = density.weights @ (influence - density.weights @ influence) ** 2
        return float(np.sqrt(variance / (draws.size - 1)))
    at_draws = np.interp(draws, density.points, influence)
    return float(of.error(at_draws[..., None])[0])


def _size(draws: np.ndarray, independent: bool) -> float:
    """How many independent draws they are worth."""
    if independent:
        return float(draws.size)
    found: Any = array_stats.ess(draws, chain_axis=0, draw_axis=1, method="mean")
    size = float(found)
    return float(np.clip(size, 4.0, draws.size)) if np.isfinite(size) else float(draws.size)
