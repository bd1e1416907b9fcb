"""Bounds on the error of every mean and sd over what q's draws reach, or the reason why there are none.

They hold whatever shape the posterior has there; of a mode that no draw reached they cannot know.

From draws of q and log ratios log p~ - log q, p~ = p Z of unknown Z, importance sampling gives

    ELBO = E_q[log w] <= log Z = log E_q[w] <= CUBO = log E_q[w^2] / 2,    w = p~ / q,
    D = D_2(p || q) = 2 (CUBO - log Z) <= 2 (CUBO - ELBO),    chi^2 = e^D - 1 = E_q[(p / q - 1)^2],

and D, the Renyi divergence of order 2, bounds everything else. Coordinates are in q's sds about q's means, r is the distance
from there, and p is moved onto q by leaving what they share in its place:

    W_k <= 2^(1 - 1/k) (E_q r^(2k))^(1/(2k)) chi^(1/k)                                      (polynomial moments)
    W_k <= C_k (D^(1/k) + (D / 2)^(1/(2k))),  C_k = 2 min_e ((3/2 + log E_q e^(e r^k)) / e)^(1/k)  (exponential moments)

Single coordinates have sharper bounds than W_1 and W_2 of all at once, since D of a marginal is at most D:

    |mean_p - mean_q| <= chi sd_q                                                     (Hammersley, Chapman and Robbins)
    |sd_p - sd_q| <= W_2 of the marginal, and E_p (x - mean_q)^2 is within chi sd_q((x - mean_q)^2) of sd_q^2.

The bounds are sampled: D is taken at its upper 97.5 % Monte Carlo limit. That limit is to be believed only where the mean of
w^2 has a variance, a tail index k below 1/2 (at .5 to .7 it holds the truth in half of the cases). w^2 has twice the tail
index of w, so a normal q whose sd is .87 of the true one, or less, gets no certificate.

Source: Huggins, Kasprzak, Campbell and Broderick (2020), Validated variational inference via practical posterior error
bounds, AISTATS; Dieng et al. (2017), NeurIPS (CUBO); Villani (2009), Optimal Transport, theorem 6.15 (whose constant
2^(1 - 1/k) is sharper than the 2 of the paper); Bolley and Villani (2005), corollary 2.3; Chapman and Robbins (1951).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from arviz_stats.base.array import array_stats
from scipy.special import logsumexp

from vi_vs_mcmc.psis import FEW

from .marginals import POINTWISE

KHAT = 0.5  # tail index of the squared ratios from which on their mean has no variance, hence no error
STILL = 1e-8  # range of log ratios, in nats, that is rounding: p and q are the same
RATES = np.geomspace(1e-3, 1.0, 13)  # at which exponential moments are tried


@dataclass(frozen=True)
class Certificate:
    """What is certain of q's error, up to Monte Carlo error.

    Attributes:
        elbo: E_q[log w], nats, below log_evidence.
        log_evidence: log E_q[w].
        cubo: log E_q[w^2] / 2, above log_evidence.
        divergence: the estimate of D_2(p || q), 2 (cubo - log_evidence).
        divergence_error: its Monte Carlo standard error.
        divergence_bound: its upper 97.5 % limit, which the bounds below use.
        elbo_bound: 2 (cubo - elbo), the paper's bound on the same, for comparison: larger by 2 KL(q || p).
        khat: tail index of w^2.
        wasserstein1: bound on W_1(p, q) over all coordinates, in q's sds.
        wasserstein2: likewise on W_2.
        mean_error: (U,) bound on |mean_p - mean_q| / sd_q.
        sd_error: (U,) bound on |sd_p - sd_q| / sd_q.
    """

    elbo: float
    log_evidence: float
    cubo: float
    divergence: float
    divergence_error: float
    divergence_bound: float
    elbo_bound: float
    khat: float
    wasserstein1: float
    wasserstein2: float
    mean_error: np.ndarray
    sd_error: np.ndarray


@dataclass(frozen=True)
class NoCertificate:
    """Why nothing is certain, as a sentence."""

    reason: str


def certificate(log_ratio: np.ndarray, coordinates: np.ndarray) -> Certificate | NoCertificate:
    """Bounds on q's distance from p, from independent draws of q.

    Args:
        log_ratio: (S,) log p - log q at the draws, up to a constant.
        coordinates: (S, U) the draws, in coordinates where they have all their moments; they are standardised here.
    """
    log_ratio, coordinates = np.asarray(log_ratio, float).ravel(), np.asarray(coordinates, float)
    reason = _unfit(log_ratio, coordinates)
    if reason:
        return NoCertificate(reason)
    khat = _khat(2.0 * log_ratio)
    if not khat < KHAT:
        return NoCertificate(
            f"the squared importance ratios have a tail index k-hat of {khat:.2f}, not below {KHAT}, so their mean (the CUBO) "
            "has no reliable estimate: q is too narrow somewhere, or too far from the posterior for this many draws"
        )
    number, top = log_ratio.size, log_ratio.max()
    w = np.exp(log_ratio - top)
    first, second = w.mean(), (w**2).mean()
    log_evidence, cubo, elbo = np.log(first) + top, 0.5 * np.log(second) + top, log_ratio.mean()
    divergence = 2.0 * (cubo - log_evidence)
    error = (w**2 / second - 2.0 * w / first).std() / np.sqrt(number)
    bound = divergence + POINTWISE * error
    sds = coordinates.std(0)
    z = (coordinates - coordinates.mean(0)) / sds
    radius = np.sqrt((z**2).sum(1))
    whole = {k: min(_polynomial(radius, bound, k), _exponential(radius, bound, k)) for k in (1, 2)}
    chi = np.sqrt(np.expm1(bound))
    fourth = (z**4).mean(0)
    swing = chi * np.sqrt(np.maximum(fourth - 1.0, 0.0))  # of E_p z^2 about 1
    wider = np.sqrt(1.0 + swing) - 1.0
    narrower = 1.0 - np.sqrt(np.maximum(1.0 - swing - chi**2, 0.0))  # Var_p z = E_p z^2 - (mean_p - mean_q)^2
    transport = np.array([_polynomial(np.abs(column), bound, 2) for column in z.T])
    return Certificate(
        elbo=float(elbo),
        log_evidence=float(log_evidence),
        cubo=float(cubo),
        divergence=float(divergence),
        divergence_error=float(error),
        divergence_bound=float(bound),
        elbo_bound=float(2.0 * (cubo - elbo)),
        khat=khat,
        wasserstein1=min(whole.values()),  # W_1 <= W_2
        wasserstein2=whole[2],
        mean_error=np.full(z.shape[1], chi),
        sd_error=np.minimum(transport, np.maximum(wider, narrower)),
    )


def _unfit(log_ratio: np.ndarray, coordinates: np.ndarray) -> str:
    """What is wrong with the draws, or nothing."""
    if log_ratio.size < FEW:
        return f"{log_ratio.size} draws are too few to fit a tail: want at least {FEW}"
    for name, values in (("importance ratios", log_ratio), ("coordinates", coordinates)):
        bad = int((~np.isfinite(values)).sum())
        if bad:
            return f"{bad} of the {values.size} {name} are infinite or not numbers"
    if not (np.ptp(coordinates, axis=0) > 0).all():
        return "q does not move in some coordinate: it is a point, not a law"
    return ""


def _khat(log_weights: np.ndarray) -> float:
    if np.ptp(log_weights) <= STILL:
        return float("-inf")
    return float(array_stats.psislw(-log_weights)[1])  # ArviZ takes negative log ratios


def _polynomial(radius: np.ndarray, divergence: float, k: int) -> float:
    return float(2.0 ** (1 - 1 / k) * ((radius ** (2 * k)).mean() * np.expm1(divergence)) ** (0.5 / k))


def _exponential(radius: np.ndarray, divergence: float, k: int) -> float:
    """inf where no exponential moment has a reliable estimate."""
    best = np.inf
    power = radius**k
    for rate in RATES / power.mean():
        if not _khat(rate * power) < KHAT:  # the mean of exp(rate r^k) would read low
            break
        moment = logsumexp(rate * power) - np.log(power.size)
        best = min(best, 2.0 * ((1.5 + moment) / rate) ** (1 / k))
    return float(best * (divergence ** (1 / k) + (0.5 * divergence) ** (0.5 / k))) if divergence > 0 else 0.0
