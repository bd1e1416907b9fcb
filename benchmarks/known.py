"""Sections of `claims.py` where the right answer is known: on paper, by a sum over all assignments, or since it was simulated."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from said import Record, say, tests
from scipy import stats
from xarray import Dataset, DataTree

import vi_vs_mcmc as vm
from vi_vs_mcmc import calibration as simulated
from vi_vs_mcmc import engine, evidence, uniformity
from vi_vs_mcmc.ascent import ascend
from vi_vs_mcmc.metrics.coverage import held
from vi_vs_mcmc.metrics.health import health
from vi_vs_mcmc.metrics.importance import khat
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.streams import MODES, stream

SAUL = "Margossian and Saul (2023), UAI"
BISHOP = "Bishop (2006), PRML, 10.1.2"
JMLR = "Giordano, Broderick and Jordan (2018), JMLR 19"
PSIS = "Vehtari et al. (2024), JMLR 25"
BY_HAND = "closed form"
ZS = 4.0  # Monte Carlo standard errors that a number may be away from the truth


def closed() -> Iterator[Record]:
    """Laws whose variational answer is known on paper."""
    tests()
    paper: Any = importlib.import_module("test_closed_forms")
    gaussian = paper.Gaussian
    for n, wanted in ((2, 0.75), (10, 0.55), (100, 0.505)):
        model = gaussian.of(np.zeros(n), paper.correlated(n, 0.5), factors=(tuple(range(n)),))
        eta = engine.bound_and_map(model, model.natural(np.zeros(n), np.ones(n)))[1]
        found = float(model.moments(eta)[1][0])
        what = f"var(q) / var(p), {n} normals, every correlation .5"
        yield say(what, f"{found:.6f}", f"{wanted}", against=SAUL, holds=abs(found - wanted) < 5e-4)

    mean, covariance = paper.rough()
    model = gaussian.of(mean, covariance)
    start = jax.tree.map(lambda leaf: leaf[None], model.natural(np.zeros(5), np.ones(5)))
    ascent = ascend(model, start, tol=1e-13, max_sweeps=20_000)
    eta = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), ascent.eta)
    conditional = 1 / np.diag(np.linalg.inv(covariance))
    off = np.abs(model.moments(eta)[1] / conditional - 1).max()
    what = "var(q) of five normals against 1 / (Sigma^-1)_ii, relative"
    yield say(what, f"{off:.1e}", "below 1e-8", against=BISHOP, holds=off < 1e-8)
    sd = np.sqrt(np.diag(covariance))
    shrinkage = np.log(np.diag(covariance) / conditional).sum()
    delinkage = np.linalg.slogdet(np.linalg.inv(covariance / np.outer(sd, sd)))[1]
    off = abs(float(ascent.elbo[0]) + 0.5 * (shrinkage - delinkage))
    what = "ELBO against -(shrinkage - delinkage) / 2, nats"
    yield say(what, f"{off:.1e}", "below 1e-8", against=SAUL, holds=off < 1e-8)
    off = np.abs(model.covariance(eta)[0] / covariance - 1).max()
    what = "linear response of five normals against Sigma, relative"
    yield say(what, f"{off:.1e}", "below 1e-8", against=JMLR, holds=off < 1e-8)

    model = gaussian.of(np.zeros(2), paper.correlated(2, 0.9), factors=((0, 1),))
    variance = float(model.moments(engine.bound_and_map(model, model.natural(np.zeros(2), np.ones(2)))[1])[1][0])
    yield say(
        "var(q) / var(p), correlation .9", f"{variance:.6f}", "0.19", against=BISHOP, holds=abs(variance - 0.19) < 1e-9
    )
    p = stats.norm.ppf((np.arange(40_000) + 0.5) / 40_000)
    share = float(held(np.sqrt(variance) * p[:, None], p[:, None], np.array([0.95]))[0, 0])
    what = "share of p inside q's 95 % interval there"
    yield say(what, f"{share:.4f}", ".607", against="2 Phi(1.96 sqrt(.19)) - 1", holds=abs(share - 0.607) < 5e-4)
    for q_sd, p_sd, wanted in ((1.0, 0.6, 2.268), (0.6, 1.0, 1.145)):
        model = gaussian.of(np.zeros(6), p_sd**2 * np.eye(6), factors=(tuple(range(6)),))
        found = -float(engine.bound_and_map(model, model.natural(np.zeros(6), np.full(6, q_sd**2)))[0])
        what = f"KL of N(0, {q_sd**2:.2g} I) from N(0, {p_sd**2:.2g} I), six dimensions, nats"
        yield say(what, f"{found:.4f}", f"{wanted}", against=BY_HAND, holds=abs(found - wanted) < 5e-4)
    yield _tail_index()
    yield from _over_dispersed(paper)
    yield _one_component()


def _tail_index(s: float = 0.6, draws: int = 40_000, fits: int = 50) -> Record:
    rng, found = np.random.default_rng(3), []
    for _ in range(fits):
        x = s * rng.standard_normal((4, draws // 4))
        density = {"log_p": stats.norm.logpdf(x), "log_q": stats.norm.logpdf(x / s) - np.log(s)}
        fit = khat(
            DataTree.from_dict({"/sample_stats": Dataset({n: (("chain", "draw"), v) for n, v in density.items()})})
        )
        found.append(np.nan if fit is None else fit[0])
    mean, error = np.mean(found), np.std(found, ddof=1) / np.sqrt(fits)
    begins = stats.norm.isf(0.5 * 3 * np.sqrt(draws) / draws)
    low = (1 - s**2) * begins / (stats.norm.pdf(begins) / stats.norm.sf(begins))
    wanted = f"{low:.3f} (where the tail is fitted) to {1 - s**2:.3f} (far out)"
    holds = low - ZS * error < mean < 1 - s**2 + ZS * error
    what = f"k-hat of N(0, {s**2:.2f}) against N(0, 1), mean of {fits}"
    return say(what, f"{mean:.3f} +- {error:.3f}", wanted, against=f"{PSIS}; k = 1 - s^2", holds=holds)


def _over_dispersed(paper: Any) -> Iterator[Record]:
    model = paper.over_dispersed()
    eta = paper.fixed_point(model, model.natural([0.3, -0.1], [0.3, 0.3]))
    axis = np.arange(-9.0, 9.0, 0.05)
    grid = np.stack([a.ravel() for a in np.meshgrid(axis, axis)], 1)
    exact = float(0.05**2 * np.exp(model.log_p(grid)) @ grid[:, 0] ** 2)
    found = (exact, float(model.moments(eta)[1][0]), float(model.covariance(eta)[0][0, 0]))
    for name, value, wanted, printed in zip(
        ("exact", "factorised q", "linear response"), found, (1.632, 0.242, 0.988), (1.635, 0.241, 0.976), strict=True
    ):
        what = f"over-dispersed density, variance: {name}"
        against = f"quadrature; {JMLR}, 5.1.4, prints {printed} by 10 000 draws"
        yield say(what, f"{value:.4f}", f"{wanted}", against=against, holds=abs(value - wanted) < 5e-4)


def _one_component() -> Record:
    cluster = importlib.import_module("test_exact").log_evidence_of_cluster
    problem = vm.load("gmm")(components=1)
    names = ("mean", "mean_precision", "scale", "degrees_of_freedom")
    exact = cluster(problem.args[0], *(np.asarray(problem.kwargs[n])[0] for n in names))
    elbo = vm.fit(problem, "cavi", seed=0, chains=1, draws=2).attrs["elbo"]
    wanted = f"{exact:.6f} to 1e-8"
    what = "ELBO of one component on the lecture's data, nats"
    return say(what, f"{elbo:.6f}", wanted, against="log evidence, Murphy (2007), 266", holds=abs(elbo - exact) < 1e-8)


def conformance() -> Iterator[Record]:
    """Every check of `tests/conformance.py` on every model with a closed form."""
    tests()
    checks = importlib.import_module("conformance").CHECKS
    module: Any = importlib.import_module("test_conformance")
    for name in module.MODELS:
        subject, passed = module.measured(name), 0
        for check in checks:
            try:
                check(subject)
                passed += 1
            except AssertionError as wrong:
                print(f"{name}: {check.__name__}: {wrong}")
        what, against = f"{name}: checks that pass", "autodiff, NumPyro's densities, draws, finite differences"
        yield say(what, f"{passed} of {len(checks)}", "all", against=against, holds=passed == len(checks))
        ours, theirs = subject.densities["log_p"]
        off = np.abs(ours - theirs).max()
        what = f"{name}: log p against the program's, nats"
        yield say(what, f"{off:.1e}", "below 1e-9", against="the NumPyro program", holds=off < 1e-9)
        found = subject.tilted
        off = np.abs(np.asarray(found["response"]) - found["slope"]).max() / np.abs(found["slope"]).max()
        what = f"{name}: linear response against the slope of a tilt"
        yield say(what, f"{off:.1e}", "below 1e-5", against="differences of the fixed point", holds=off < 1e-5)


def exact() -> Iterator[Record]:
    """Twenty random mixtures of at most 2^16 assignments, priors that tell components apart, in one and two dimensions."""
    tests()
    experiment: Any = importlib.import_module("test_exact")
    gaps, gibbs_z, nuts_z, evidence_z = [], [], [], []
    for seed in range(20):
        problem = experiment.tiny(seed)
        truth = vm.fit(problem, "exact", seed=seed, draws=10)
        log_evidence, moments = truth.attrs["log_evidence"], truth["variational"].to_dataset()
        gaps.append(log_evidence - vm.fit(problem, "cavi", seed=seed, draws=100).attrs["elbo"])
        gibbs = vm.fit(problem, vm.Gibbs(thin=20), seed=seed, draws=5000)
        gibbs_z.append(np.abs(experiment.z_scores(gibbs, moments)).max())
        nuts = vm.fit(problem, "nuts", seed=seed, draws=4000)
        of = marginals(nuts, problem.compared)
        if health(nuts, of, np.ones(len(of.parameters), bool)).passed:
            nuts_z.append(np.abs(experiment.z_scores(nuts, moments)).max())
        optima = vm.CAVI().optima(problem.conjugate, stream(jax.random.key(seed), MODES))
        found = evidence.importance(problem, optima, jax.random.key(seed))
        evidence_z.append((found.log_evidence - log_evidence) / found.error)
    against, z = "the sum over all assignments", np.abs(evidence_z).max()
    yield say("log evidence - ELBO, nats", span_of(gaps), "never below 0", against=against, holds=min(gaps) >= 0)
    what = "Gibbs: largest |mean or sd - exact| / MCSE"
    yield say(what, f"{max(gibbs_z):.2f}", f"below {ZS:.0f}", against=against, holds=max(gibbs_z) < ZS)
    yield say("NUTS: problems on which its checks pass", len(nuts_z), "15 of 20 or more", holds=len(nuts_z) >= 15)
    what = "NUTS: largest |mean or sd - exact| / MCSE there"
    yield say(what, f"{max(nuts_z):.2f}", f"below {ZS:.0f}", against=against, holds=max(nuts_z) < ZS)
    what = "log evidence by importance sampling: largest |z|"
    yield say(what, f"{z:.2f}", f"below {ZS:.0f}", against=against, holds=z < ZS)
    mean_square = float(np.mean(np.square(evidence_z)))
    off = ZS * np.sqrt(2 / 20)
    what = "log evidence: mean square of the 20 z"
    yield say(what, f"{mean_square:.2f}", f"1 +- {off:.2f}", against=against, holds=abs(mean_square - 1) < off)


def calibration() -> Iterator[Record]:
    """Truths drawn from the prior: how often 90 % intervals hold them, on the mean of all scalars."""
    known = "truths drawn from the prior; 95 % interval"
    one = simulated.probabilities(simulated.Mixture(components=1), ["cavi"], range(300))
    yield _promise("one component, where CAVI is exact", uniformity.verdicts(one)["cavi"], "as promised", known)
    few = uniformity.verdicts(simulated.probabilities(simulated.Mixture(rows=10), ["exact", "cavi"], range(300)))
    yield _promise("two components, 10 rows: the exact posterior", few["exact"], "as promised", known)
    yield _promise("two components, 10 rows: CAVI", few["cavi"], "overconfident", known)
    many = uniformity.verdicts(simulated.probabilities(simulated.Mixture(), ["cavi", "lrvb"], range(400)))
    yield _promise("two components, 60 rows: CAVI", many["cavi"], "overconfident", known)
    entry = many["lrvb"]
    shown = _shown(entry)
    nearer = abs(entry["coverage90"] - 0.9) < 0.5 * abs(many["cavi"]["coverage90"] - 0.9)
    wanted = "less than half as far from 90 % as CAVI"
    yield say("two components, 60 rows: LRVB", shown, wanted, against=known, holds=nearer)


def _promise(what: str, entry: dict[str, Any], wanted: str, against: str) -> Record:
    holds = entry["verdict"] == [wanted]
    return say(what, _shown(entry), wanted, against=against, holds=holds)


def _shown(entry: dict[str, Any]) -> str:
    low, high = 100 * entry["coverage90_low"], 100 * entry["coverage90_high"]
    word = ", ".join(entry["verdict"])
    return f"{100 * entry['coverage90']:.1f} % [{low:.1f}, {high:.1f}], {word}, {entry['data_sets']} data sets"


def span_of(values: list[float]) -> str:
    """Smallest to largest, two digits."""
    return f"{min(values):.2f} to {max(values):.2f}"
