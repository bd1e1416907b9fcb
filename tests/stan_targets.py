"""Log densities of posteriordb's Stan programs in NumPy and SciPy, written apart from the programs in `models/posteriordb`.

`target(posterior, theta, data)` is what Stan's `target` would be, up to a constant, at one constrained draw; arrays count from 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import stats
from scipy.integrate import solve_ivp
from scipy.special import logsumexp

Target = Callable[[Any, Any], float]
log, normal, cauchy = np.log, stats.norm.logpdf, stats.cauchy.logpdf


def target(posterior: str, theta: dict[str, np.ndarray], data: dict[str, np.ndarray]) -> float:
    """log p(theta, data) up to a constant, on the constrained scale."""
    model = posterior.split("-")[1]
    return float(TARGETS[model](SimpleNamespace(**theta), SimpleNamespace(**data)))


def z(x, times=1.0):
    return (x - np.mean(x)) / (times * np.std(x, ddof=1))


# The regressions: what is regressed, and its mean.
MEANS: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "earn_height": lambda d, b: (d.earn, b[0] + b[1] * d.height),
    "log10earn_height": lambda d, b: (log(d.earn) / log(10), b[0] + b[1] * d.height),
    "logearn_height": lambda d, b: (log(d.earn), b[0] + b[1] * d.height),
    "logearn_height_male": lambda d, b: (log(d.earn), b[0] + b[1] * d.height + b[2] * d.male),
    "logearn_interaction": lambda d, b: (
        log(d.earn),
        b[0] + b[1] * d.height + b[2] * d.male + b[3] * d.height * d.male,
    ),
    "logearn_interaction_z": lambda d, b: (
        log(d.earn),
        b[0] + b[1] * z(d.height) + b[2] * d.male + b[3] * z(d.height) * d.male,
    ),
    "logearn_logheight_male": lambda d, b: (log(d.earn), b[0] + b[1] * log(d.height) + b[2] * d.male),
    "kidscore_momhs": lambda d, b: (d.kid_score, b[0] + b[1] * d.mom_hs),
    "kidscore_momiq": lambda d, b: (d.kid_score, b[0] + b[1] * d.mom_iq),
    "kidscore_momhsiq": lambda d, b: (d.kid_score, b[0] + b[1] * d.mom_hs + b[2] * d.mom_iq),
    "kidscore_interaction": lambda d, b: (d.kid_score, b[0] + b[1] * d.mom_hs + (b[2] + b[3] * d.mom_hs) * d.mom_iq),
    "kidscore_interaction_c": lambda d, b: (
        d.kid_score,
        b[0]
        + b[1] * (hs := d.mom_hs - np.mean(d.mom_hs))
        + b[2] * (iq := d.mom_iq - np.mean(d.mom_iq))
        + b[3] * hs * iq,
    ),
    "kidscore_interaction_c2": lambda d, b: (
        d.kid_score,
        b[0] + b[1] * (d.mom_hs - 0.5) + (b[2] + b[3] * (d.mom_hs - 0.5)) * (d.mom_iq - 100),
    ),
    "kidscore_interaction_z": lambda d, b: (
        d.kid_score,
        b[0] + b[1] * z(d.mom_hs, 2) + (b[2] + b[3] * z(d.mom_hs, 2)) * z(d.mom_iq, 2),
    ),
    "kidscore_mom_work": lambda d, b: (d.kid_score, b[0] + np.array([0, 0, b[1], b[2], b[3]])[d.mom_work]),
    "mesquite": lambda d, b: (
        d.weight,
        b[0]
        + b[1] * d.diam1
        + b[2] * d.diam2
        + b[3] * d.canopy_height
        + b[4] * d.total_height
        + b[5] * d.density
        + b[6] * d.group,
    ),
    "logmesquite": lambda d, b: (
        log(d.weight),
        b[0]
        + log(d.diam1 ** b[1] * d.diam2 ** b[2] * d.canopy_height ** b[3] * d.total_height ** b[4] * d.density ** b[5])
        + b[6] * d.group,
    ),
    "logmesquite_logvolume": lambda d, b: (
        log(d.weight),
        b[0] + b[1] * (log(d.diam1) + log(d.diam2) + log(d.canopy_height)),
    ),
    "logmesquite_logva": lambda d, b: (
        log(d.weight),
        b[0] + (b[1] + b[2]) * log(d.diam1 * d.diam2) + b[1] * log(d.canopy_height) + b[3] * d.group,
    ),
    "logmesquite_logvash": lambda d, b: (
        log(d.weight),
        b[0]
        + (b[1] + b[2] + b[3]) * log(d.diam1)
        + (b[1] + b[2] - b[3]) * log(d.diam2)
        + b[1] * log(d.canopy_height)
        + b[4] * log(d.total_height)
        + b[5] * d.group,
    ),
    "logmesquite_logvas": lambda d, b: (
        log(d.weight),
        b[0]
        + (b[1] + b[2] + b[3]) * log(d.diam1)
        + (b[1] + b[2] - b[3]) * log(d.diam2)
        + b[1] * log(d.canopy_height)
        + b[4] * log(d.total_height)
        + b[5] * log(d.density)
        + b[6] * d.group,
    ),
    "nes": lambda d, b: (
        d.partyid7,
        b[0]
        + b[1] * d.real_ideo
        + b[2] * d.race_adj
        + np.array([0, 0, b[3], b[4], b[5]])[d.age_discrete]
        + b[6] * d.educ1
        + b[7] * d.gender
        + b[8] * d.income,
    ),
    "blr": lambda d, b: (d.y, (d.X * b).sum(1)),
}


def regression(model: str) -> Target:
    def of(t, d) -> float:
        y, mean = MEANS[model](d, t.beta)
        prior = 0.0
        if model in ("kidscore_momhs", "kidscore_momiq", "kidscore_momhsiq", "kidscore_interaction"):
            prior = cauchy(t.sigma, 0, 2.5)
        if model == "blr":
            prior = normal(t.beta, 0, 10).sum() + normal(t.sigma, 0, 10)
        return prior + normal(y, mean, t.sigma).sum()

    return of


def kilpisjarvi(t, d) -> float:
    prior = normal(t.alpha, d.pmualpha, d.psalpha) + normal(t.beta, d.pmubeta, d.psbeta)
    return prior + normal(d.y, t.alpha + t.beta * d.x, t.sigma).sum()


def diamonds(t, d) -> float:
    x = d.X[:, 1:]
    student = stats.t(3).logpdf
    prior = normal(t.b).sum() + student((t.Intercept - 8) / 10) + student(t.sigma / 10)
    return prior + normal(d.Y, t.Intercept - x.mean(0) @ t.b + x @ t.b, t.sigma).sum()


def schools(t, d) -> float:
    hyper = cauchy(t.tau, 0, 5) + normal(t.mu, 0, 5)
    return hyper + normal(t.theta, t.mu, t.tau).sum() + normal(d.y, t.theta, d.sigma).sum()


def schools_noncentred(t, d) -> float:
    hyper = cauchy(t.tau, 0, 5) + normal(t.mu, 0, 5)
    return hyper + normal(t.z).sum() + normal(d.y, t.z * t.tau + t.mu, d.sigma).sum()


def ark(t, d) -> float:
    total = normal(t.alpha, 0, 10) + normal(t.beta, 0, 10).sum() + cauchy(t.sigma, 0, 2.5)
    for now in range(d.K, len(d.y)):
        total += normal(d.y[now], t.alpha + sum(t.beta[k] * d.y[now - 1 - k] for k in range(d.K)), t.sigma)
    return total


def arma11(t, d) -> float:
    total = normal(t.mu, 0, 10) + normal(t.phi, 0, 2) + normal(t.theta, 0, 2) + cauchy(t.sigma, 0, 2.5)
    error = d.y[0] - t.mu - t.phi * t.mu
    total += normal(error, 0, t.sigma)
    for before, now in itertools.pairwise(d.y):
        error = now - t.mu - t.phi * before - t.theta * error
        total += normal(error, 0, t.sigma)
    return total


def garch11(t, d) -> float:
    assert t.alpha1 + t.beta1 < 1
    sd, total = d.sigma1, normal(d.y[0], t.mu, d.sigma1)
    for before, now in itertools.pairwise(d.y):
        sd = np.sqrt(t.alpha0 + t.alpha1 * (before - t.mu) ** 2 + t.beta1 * sd**2)
        total += normal(now, t.mu, sd)
    return total + log(1 - t.alpha1)  # beta1 is (1 - alpha1) times the parameter


def kernel(x, t) -> np.ndarray:
    return np.array([[t.alpha**2 * np.exp(-((a - b) ** 2) / (2 * t.rho**2)) for b in x] for a in x])


def gp_regr(t, d) -> float:
    prior = stats.gamma(25, scale=1 / 4).logpdf(t.rho) + normal(t.alpha, 0, 2) + normal(t.sigma, 0, 1)
    return prior + stats.multivariate_normal(cov=kernel(d.x, t) + t.sigma * np.eye(len(d.x))).logpdf(d.y)


def gp_pois_regr(t, d) -> float:
    prior = stats.gamma(25, scale=1 / 4).logpdf(t.rho) + normal(t.alpha, 0, 2) + normal(t.f_tilde).sum()
    f = np.linalg.cholesky(kernel(d.x, t) + 1e-10 * np.eye(len(d.x))) @ t.f_tilde
    return prior + stats.poisson.logpmf(d.k, np.exp(f)).sum()


def mixture(t, d) -> float:
    prior = normal(t.sigma, 0, 2).sum() + normal(t.mu, 0, 2).sum() + stats.beta(5, 5).logpdf(t.theta)
    parts = [log(share) + normal(d.y, t.mu[k], t.sigma[k]) for k, share in enumerate((t.theta, 1 - t.theta))]
    return prior + logsumexp(parts, axis=0).sum()


def filtered(start: np.ndarray, theta: np.ndarray, log_emission: np.ndarray) -> float:
    """log p(x) by scaled probabilities, not on the log scale."""
    total, p = 0.0, start
    for number, emission in enumerate(np.exp(log_emission)):
        p = (p if number == 0 else p @ theta) * emission
        total += log(p.sum())
        p = p / p.sum()
    return total


def hmm(t, emission: np.ndarray, alpha, *centred) -> float:
    theta = np.array([t.theta1, t.theta2])
    prior = sum(stats.dirichlet(alpha[k]).logpdf(theta[k] / theta[k].sum()) for k in range(2))
    prior += sum(normal(of, centre, 1).sum() for of, centre in centred)
    return prior + filtered(np.ones(2), theta, emission)


def hmm_example(t, d) -> float:
    return hmm(t, normal(d.y[:, None], t.mu, 1), np.ones((2, 2)), (t.mu, [3, 10]))


def hmm_drive_0(t, d) -> float:
    rate = vars(t)["lambda"]
    emission = log(t.phi) - t.phi * d.u[:, None] + log(rate) - rate * d.v[:, None]
    return hmm(t, emission, d.alpha, (t.phi, [0, 3]), (rate, [0, 3]))


def hmm_drive_1(t, d) -> float:
    mean = vars(t)["lambda"]
    emission = normal(d.u[:, None], t.phi, d.tau) + normal(d.v[:, None], mean, d.rho)
    return hmm(t, emission, d.alpha, (t.phi, [0, 3]), (mean, [0, 3]))


def solved(slope, start, times) -> np.ndarray:
    """(time, *): order 8, tight tolerances."""
    found = solve_ivp(slope, (0, times[-1]), np.atleast_1d(start), "DOP853", times, rtol=1e-11, atol=1e-12)
    assert found.success
    return found.y.T


def lotka_volterra(t, d) -> float:
    a, b, c, e = t.theta
    slope = lambda _, z: [(a - b * z[1]) * z[0], (-c + e * z[0]) * z[1]]
    states = solved(slope, t.z_init, np.arange(1.0, len(d.y) + 1))
    lognormal = lambda y, median, s: stats.lognorm(s=s, scale=median).logpdf(y)
    total = normal(t.theta[[0, 2]], 1, 0.5).sum() + normal(t.theta[[1, 3]], 0.05, 0.05).sum()
    total += lognormal(t.sigma, np.exp(-1), 1).sum() + lognormal(t.z_init, 10, 1).sum()
    return total + lognormal(d.y_init, t.z_init, t.sigma).sum() + lognormal(d.y, states, t.sigma).sum()


def one_compartment(t, d) -> float:
    def slope(time, c):
        return np.exp(-t.k_a * time) * d.D * t.k_a / d.V - t.V_m / d.V * c / (t.K_m + c)

    c = solved(slope, 0.0, d.times)[:, 0]
    prior = cauchy(t.k_a) + cauchy(t.K_m) + cauchy(t.V_m) + cauchy(t.sigma)
    return prior + stats.lognorm(s=t.sigma, scale=c).logpdf(d.C_hat).sum()


TARGETS: dict[str, Target] = {model: regression(model) for model in MEANS} | {
    "kilpisjarvi": kilpisjarvi,
    "diamonds": diamonds,
    "eight_schools_centered": schools,
    "eight_schools_noncentered": schools_noncentred,
    "arK": ark,
    "arma11": arma11,
    "garch11": garch11,
    "gp_regr": gp_regr,
    "gp_pois_regr": gp_pois_regr,
    "low_dim_gauss_mix": mixture,
    "hmm_example": hmm_example,
    "hmm_drive_0": hmm_drive_0,
    "hmm_drive_1": hmm_drive_1,
    "lotka_volterra": lotka_volterra,
    "one_comp_mm_elim_abs": one_compartment,
}
