"""A marginal's density from its draws, with tails that may be trusted where there are no draws.

    f(x) = f0(x) exp(sum_k c_k P_k(2 F0(x) - 1) - A(c))

f0 rules the tails: the normal, sinh-arcsinh (skewed, lighter or heavier tails) or Student-t law; where x is positive also
the log-normal and generalised gamma law (gamma, inverse gamma, Weibull, half-normal); between 0 and 1 also the logit-normal
and beta law. BIC chooses, so that normal draws are fitted by a normal law. The Legendre series in f0's own probability
mends the middle (several modes) and is a constant factor far out.

Source: Jones and Pewsey (2009), Biometrika 96 (sinh-arcsinh); Prentice (1974), Biometrika 61 (generalised gamma); Barron
and Sheu (1991), Annals of Statistics 19, and Ledwina (1994), JASA 89 (the series and its order).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import legendre
from scipy.optimize import minimize
from scipy.special import betainc, betaln, digamma, expit, gammainc, gammaincc, gammaln, logit, ndtr, stdtr

CELLS = 300  # points that stand for the draws of a fit, the extreme draws one by one
ORDERS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20)  # of the series
PATIENCE = 3  # orders without a gain after which no further one is tried
STEEP = 60.0  # nats between top and bottom of a series beyond which its integral is not resolved
NODES, WEIGHTS = legendre.leggauss(96)
WEIGHTS = WEIGHTS / 2.0  # of a mean over u = F0(x), uniform
BASIS = legendre.legvander(NODES, ORDERS[-1])[:, 1:]
WITHIN = ((-20.0, 20.0), (-12.0, 12.0), (-6.0, 6.0), (-3.0, 3.0))  # what a law's parameters may be
STEP = 1e-4  # of a numerical derivative by a parameter
SCALES = {  # to the scale of a law, and minus the log derivative of that
    "x": (lambda x: x, np.zeros_like),
    "log": (np.log, np.log),
    "logit": (logit, lambda x: np.log(x) + np.log1p(-x)),
}


@dataclass(frozen=True)
class Law:
    """One choice of f0.

    Attributes:
        log_density: of (parameters, t).
        slopes: its derivative by each parameter, (parameter, t).
        probability: F0.
        start: where the fit begins, on data of median 0 and scale 1: location, log scale, shapes.
        free: which parameters are fitted; the others stay at `start`.
        scale: what it is a law of, among SCALES.
        standard: whether it has a location and a scale.
    """

    log_density: Callable[..., np.ndarray]
    slopes: Callable[..., np.ndarray]
    probability: Callable[..., np.ndarray]
    start: tuple[float, ...]
    free: tuple[int, ...]
    scale: str = "x"
    standard: bool = True


@dataclass(frozen=True)
class Density:
    """A fitted marginal; `points` and `weights` stand for its draws."""

    points: np.ndarray
    weights: np.ndarray
    law: Law
    shift: float
    width: float
    theta: np.ndarray  # the law's, on (y - shift) / width, y on the law's scale
    series: np.ndarray

    def logpdf(self, x: np.ndarray, theta: np.ndarray | None = None) -> np.ndarray:
        """log f(x), in nats."""
        theta, t = self.theta if theta is None else theta, self._standard(x)
        log_f = self.law.log_density(theta, t) - np.log(self.width) - SCALES[self.law.scale][1](x)
        if self.series.size:
            log_f += _terms(self.law.probability(theta, t), self.series.size) @ self.series - _normaliser(self.series)
        return log_f

    def scores(self, x: np.ndarray) -> np.ndarray:
        """d log f(x) / d fitted parameter, (parameter, x)."""
        out = []
        for i in self.law.free:
            up, down = (self.theta + s * STEP * np.eye(self.theta.size)[i] for s in (1, -1))
            out.append((self.logpdf(x, up) - self.logpdf(x, down)) / (2.0 * STEP))
        if self.series.size:
            out += list((_terms(self.probability(x), self.series.size) - _moments(self.series)[0]).T)
        return np.array(out)

    def probability(self, x: np.ndarray) -> np.ndarray:
        """F0(x)."""
        return self.law.probability(self.theta, self._standard(x))

    def _standard(self, x: np.ndarray) -> np.ndarray:
        return (SCALES[self.law.scale][0](x) - self.shift) / self.width


def fit(draws: np.ndarray, size: float, scales: tuple[str, ...]) -> Density:
    """The density of draws that are not constant.

    Args:
        draws: (n,).
        size: how many independent ones they are worth.
        scales: among SCALES, those on which every draw is finite; x is one.
    """
    points, weights = _cells(draws)
    best, full = _fitted(points, weights, size, NORMAL), _fitted(points, weights, size, FULL)
    if full[1] > best[1]:  # not normal
        best = max(
            [full, *(_fitted(points, weights, size, a) for a in OTHERS if a.scale in scales)], key=lambda f: f[1]
        )
    return replace(best[0], series=_series(best[0].probability(points), weights, size))


def _cells(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and weights of runs of ordered draws, short at the ends."""
    x, n = np.sort(x), x.size
    if n <= CELLS:
        return x, np.full(n, 1.0 / n)
    ends = expit(np.linspace(-1, 1, CELLS // 2) * np.log(2.0 * n))
    at = np.unique(np.round(np.r_[ends, np.linspace(0, 1, CELLS // 2)] * n).astype(int))
    count = np.diff(at)
    return np.add.reduceat(x, at[:-1]) / count, count / n


def _fitted(points: np.ndarray, weights: np.ndarray, size: float, law: Law) -> tuple[Density, float]:
    """The most likely parameters of a law, and its log-likelihood less BIC's penalty."""
    y, shift, width = SCALES[law.scale][0](points), 0.0, 1.0
    if law.standard:
        low, shift, high = np.interp((0.16, 0.5, 0.84), np.cumsum(weights) - 0.5 * weights, y)
        width = 0.5 * (high - low) if high > low else np.sqrt(weights @ (y - weights @ y) ** 2)
    t, at, theta = (y - shift) / width, list(law.free), np.array(law.start)
    if law.log_density is _sinh_arcsinh and at == [0, 1]:
        theta[:2] = weights @ t, 0.5 * np.log(weights @ (t - weights @ t) ** 2)
    else:

        def loss(values):  # and its gradient
            theta[at] = values
            return -(law.log_density(theta, t) @ weights), -(law.slopes(theta, t) @ weights)[at]

        options = {"ftol": 1e-11, "gtol": 1e-6}
        theta[at] = minimize(
            loss, theta[at], jac=True, method="L-BFGS-B", bounds=[WITHIN[i] for i in at], options=options
        ).x
    found = Density(points, weights, law, float(shift), float(width), theta, np.zeros(0))
    return found, float(size * (weights @ found.logpdf(points)) - 0.5 * len(at) * np.log(size))


def _series(u: np.ndarray, weights: np.ndarray, size: float) -> np.ndarray:
    """Coefficients by maximum likelihood, a convex problem, at the order that BIC likes best."""
    moments = weights @ _terms(u, ORDERS[-1])
    c, best, gain, failed = np.zeros(0), np.zeros(0), 0.0, 0
    for order in ORDERS:
        c = _maximum(np.r_[c, np.zeros(order - c.size)], moments[:order])
        if np.ptp(BASIS[:, :order] @ c) > STEEP:
            break
        score = size * (moments[:order] @ c - _normaliser(c)) - 0.5 * order * np.log(size)
        best, gain, failed = (c, score, 0) if score > gain else (best, gain, failed + 1)
        if failed == PATIENCE:
            break
    return best


def _maximum(c: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Newton's method, its step halved until the likelihood rises."""
    value = _normaliser(c) - moments @ c
    for _ in range(50):
        mean, covariance = _moments(c)
        step = np.linalg.solve(covariance + 1e-10 * np.eye(c.size), mean - moments)
        length = 1.0
        while (new := _normaliser(c - length * step) - moments @ (c - length * step)) > value and length > 1e-6:
            length *= 0.5
        if not value - new > 1e-10:
            break
        c, value = c - length * step, new
    return c


def _terms(u: np.ndarray, order: int) -> np.ndarray:
    return legendre.legvander(2.0 * u - 1.0, order)[:, 1:]


def _normaliser(c: np.ndarray) -> float:
    exponent = BASIS[:, : c.size] @ c
    return float(exponent.max() + np.log(WEIGHTS @ np.exp(exponent - exponent.max())))


def _moments(c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the series' terms under it: the derivatives of A."""
    terms = BASIS[:, : c.size]
    p = WEIGHTS * np.exp(terms @ c - _normaliser(c))
    mean = p @ terms
    return mean, (terms * p[:, None]).T @ terms - np.outer(mean, mean)


def _sinh_arcsinh(theta, t):
    mu, log_sigma, epsilon, log_delta = theta
    t = (t - mu) * np.exp(-log_sigma)
    s = np.clip(np.exp(log_delta) * np.arcsinh(t) - epsilon, -300.0, 300.0)
    jacobian = np.logaddexp(s, -s) - np.log(2.0) + log_delta - 0.5 * np.log1p(t**2) - log_sigma
    return -0.5 * np.sinh(s) ** 2 - 0.5 * np.log(2 * np.pi) + jacobian


def _sinh_arcsinh_slopes(theta, t):
    mu, log_sigma, epsilon, log_delta = theta
    delta, t = np.exp(log_delta), (t - mu) * np.exp(-log_sigma)
    root, turned = np.sqrt(1.0 + t**2), np.arcsinh(t)
    s = np.clip(delta * turned - epsilon, -300.0, 300.0)
    by_s = np.tanh(s) - 0.5 * np.sinh(2.0 * s)
    by_t = by_s * delta / root - t / root**2
    return np.array([-by_t * np.exp(-log_sigma), -by_t * t - 1.0, -by_s, by_s * delta * turned + 1.0])


def _sinh_arcsinh_probability(theta, t):
    mu, log_sigma, epsilon, log_delta = theta
    t = (t - mu) * np.exp(-log_sigma)
    return ndtr(np.sinh(np.clip(np.exp(log_delta) * np.arcsinh(t) - epsilon, -300.0, 300.0)))


def _student(theta, t):
    mu, log_sigma, log_nu = theta
    nu, t = np.exp(log_nu), (t - mu) * np.exp(-log_sigma)
    constant = gammaln(0.5 * (nu + 1)) - gammaln(0.5 * nu) - 0.5 * np.log(np.pi * nu) - log_sigma
    return constant - 0.5 * (nu + 1) * np.log1p(t**2 / nu)


def _student_slopes(theta, t):
    nu, t = np.exp(theta[2]), (t - theta[0]) * np.exp(-theta[1])
    by_t = -(nu + 1) * t / (nu + t**2)
    by_nu = 0.5 * (digamma(0.5 * (nu + 1)) - digamma(0.5 * nu) - 1 / nu - np.log1p(t**2 / nu) - by_t * t / nu)
    return np.array([-by_t * np.exp(-theta[1]), -by_t * t - 1.0, nu * by_nu])


def _student_probability(theta, t):
    return stdtr(np.exp(theta[2]), (t - theta[0]) * np.exp(-theta[1]))


def _shape(q):
    q = q if abs(q) > 1e-3 else 1e-3  # the law of log x is normal at q = 0
    return q, q**-2.0


def _generalised_gamma(theta, t):
    q, k = _shape(theta[2])
    w = q * (t - theta[0]) * np.exp(-theta[1])
    return np.log(np.abs(q)) - theta[1] + k * np.log(k) - gammaln(k) + k * (w - np.exp(np.minimum(w, 300.0)))


def _generalised_gamma_slopes(theta, t):
    q, k = _shape(theta[2])
    t = (t - theta[0]) * np.exp(-theta[1])
    e = np.exp(np.minimum(q * t, 300.0))
    by_t = (1.0 - e) / q
    by_q = 1.0 / q - 2.0 * k / q * (np.log(k) + 1.0 - digamma(k) + q * t - e) + t * k * (1.0 - e)
    return np.array([-by_t * np.exp(-theta[1]), -by_t * t - 1.0, by_q])


def _generalised_gamma_probability(theta, t):
    q, k = _shape(theta[2])
    at = k * np.exp(np.minimum(q * (t - theta[0]) * np.exp(-theta[1]), 300.0))
    return gammainc(k, at) if q > 0 else gammaincc(k, at)


def _beta(theta, t):
    a, b = np.exp(theta)
    return -a * np.logaddexp(0.0, -t) - b * np.logaddexp(0.0, t) - betaln(a, b)


def _beta_slopes(theta, t):
    a, b = np.exp(theta)
    both = digamma(a + b)
    return np.array([a * (both - digamma(a) - np.logaddexp(0.0, -t)), b * (both - digamma(b) - np.logaddexp(0.0, t))])


def _beta_probability(theta, t):
    return betainc(*np.exp(theta), expit(t))


_SAS = (_sinh_arcsinh, _sinh_arcsinh_slopes, _sinh_arcsinh_probability, (0.0, 0.0, 0.0, 0.0))
NORMAL, FULL = Law(*_SAS, (0, 1)), Law(*_SAS, (0, 1, 2, 3))
OTHERS = (
    Law(*_SAS, (0, 1, 2)),
    Law(_student, _student_slopes, _student_probability, (0.0, 0.0, 2.0), (0, 1, 2)),
    Law(*_SAS, (0, 1), "log"),
    Law(
        _generalised_gamma, _generalised_gamma_slopes, _generalised_gamma_probability, (0.0, 0.0, 0.3), (0, 1, 2), "log"
    ),
    Law(*_SAS, (0, 1), "logit"),
    Law(_beta, _beta_slopes, _beta_probability, (1.0, 1.0), (0, 1), "logit", standard=False),
)
