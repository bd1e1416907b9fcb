"""Print the numbers that the project claims, each beside what it is held against; `truth.py` writes them down.

uv run python benchmarks/claims.py            # all, about half an hour on two cores
uv run python benchmarks/claims.py lecture    # any of the names in SECTIONS
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from known import calibration, closed, conformance, exact
from said import DATA, Record, Section, run, say, span, tests, within
from several import galaxies, iris, overlap

import vi_vs_mcmc as vm
from vi_vs_mcmc import evidence as log_evidence
from vi_vs_mcmc import labels
from vi_vs_mcmc.evidence.places import log_labels
from vi_vs_mcmc.metrics.importance import khat
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.metrics.spread import sd_ratio
from vi_vs_mcmc.streams import MODES, stream

LONG = 15_000  # draws of each of four chains of NUTS: sds with an ESS of 20 000 and more
LONG_GIBBS = 25_000  # of each of four chains of Gibbs, one in THIN sweeps
THIN = 5
SITES = ("weights", "means", "precisions", "covariances")
DERIVED = "covariances"  # functions of the precisions, with a heavy right tail
OTHER = "another code"
GIORDANO = "Giordano, Broderick and Jordan (2015), NIPS"


def ratios(problem: vm.Problem, method: Any, reference: Any) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """sd(method, closed form) / sd(reference) by scalar, standard errors of their logarithms, names."""
    aligned, _ = labels.align(reference, "component", labels.pivot_of(method, "component"))
    of = sd_ratio(marginals(method, SITES), theirs := marginals(aligned, SITES))
    return of["value"].values, of["error"].values, theirs.parameters


def gibbs(problem: vm.Problem) -> Any:
    return vm.fit(problem, vm.Gibbs(thin=THIN), seed=1, draws=LONG_GIBBS)


def starting(names: list[str], *sites: str) -> np.ndarray:
    return np.array([name.startswith(sites) for name in names])


def lecture() -> Iterator[Record]:
    """Three components on the lecture's data."""
    problem = vm.load("gmm")()
    cavi = vm.fit(problem, "cavi", seed=1)
    elbo, marginal, error = (cavi.attrs[name] for name in ("elbo", "elbo_marginal", "elbo_marginal_se"))
    yield say("ELBO, nats", f"{elbo:.4f}", "-1753.36", against=OTHER, holds=abs(elbo + 1753.36) < 0.005)
    holds = abs(marginal + 1752.33) < 4 * error + 0.005
    what = "ELBO with z summed out, nats"
    yield say(what, f"{marginal:.3f} +- {error:.3f}", "-1752.33", against=OTHER, holds=holds)
    fall = float(np.diff(cavi["variational"]["elbo"].values).min())
    what = "largest fall of the ELBO in a sweep, nats"
    yield say(what, f"{max(-fall, 0.0):.1e}", "none beyond rounding", against="theory", holds=fall > -1e-9)
    found = vm.compare(problem, methods=["cavi"], seed=1)
    of = found.summary["reference"]
    rhat = of["rhat_max"]
    yield say("NUTS, 4 x 1000: largest R-hat", f"{rhat:.4f}", "below 1.01", holds=rhat < 1.01)
    bulk, tail = of["ess_bulk_min"], of["ess_tail_min"]
    what = "NUTS: smallest ESS, bulk and tail"
    yield say(what, f"{bulk:.0f}, {tail:.0f}", "above 1000", holds=min(bulk, tail) > 1000)
    yield say("NUTS: divergences", of["divergences"], "0", holds=of["divergences"] == 0)
    value, error, names = ratios(problem, cavi, vm.fit(problem, "nuts", seed=1, draws=LONG))
    against, own = f"NUTS, 4 x {LONG}", starting(names, "means")
    what = f"sd(CAVI) / sd(NUTS): means (error {error[own].max():.3f})"
    yield say(what, span(value[own]), ".83 to .98", against=against, holds=within(value[own], 0.83, 0.98))
    own = starting(names, "weights")
    what = f"sd(CAVI) / sd(NUTS): weights (error {error[own].max():.3f})"
    yield say(what, span(value[own]), ".91 to 1.00", against=against, holds=within(value[own], 0.91, 1.0))


def overfitted() -> Iterator[Record]:
    """Six components on the lecture's data."""
    problem = vm.load("gmm")(components=6)
    alpha = vm.fit(problem, "cavi", seed=1)["variational"]["q_concentration"].values
    holds = (alpha > 10).sum() == 3 and (np.abs(alpha - 1) < 0.1).sum() == 3
    what = "K = 6: alpha of the components"
    yield say(what, np.round(alpha, 2), "three keep weight, three go back to 1", against="the prior's 1", holds=holds)
    found = vm.compare(problem, methods=["cavi"], seed=1)
    of = found.summary["reference"]
    yield say("K = 6: reference", of["status"])
    what, shown = "K = 6: R-hat, ESS of the occupied", f"{of['rhat_max']:.4f}, {of['ess_min']:.0f}"
    yield say(what, shown, "below 1.01, above 400", holds=of["rhat_max"] < 1.01 and of["ess_min"] > 400)
    most = int(0.001 * of["chains"] * of["draws"])
    what = f"K = 6: divergences of {of['chains'] * of['draws']}"
    yield say(what, of["divergences"], f"at most {most}", holds=of["divergences"] <= most)
    yield say("K = 6: scalars left out of 36", len(of["left_out"]))
    yield say("K = 6: verdict on CAVI", ", ".join(found.summary["verdicts"]["cavi"]["verdict"]))


def faithful() -> Iterator[Record]:
    """Old Faithful, two components, default priors: CAVI's sds against three references that share no draws."""
    problem = vm.load("gmm")(DATA / "faithful.csv", components=2)
    cavi = vm.fit(problem, "cavi", seed=2, draws=100_000)
    nuts, error, names = ratios(problem, cavi, vm.fit(problem, "nuts", seed=1, draws=LONG))
    other, other_error, _ = ratios(problem, cavi, gibbs(problem))
    log_weight = (cavi["sample_stats"]["log_p"] - cavi["sample_stats"]["log_q"]).values.ravel()
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    q = marginals(cavi, SITES)
    x = q.draws.values.reshape(weight.size, -1)
    importance = q.sd / np.sqrt(weight @ (x - weight @ x) ** 2)
    yield say("effective draws of importance sampling", f"{1 / (weight**2).sum():.0f} of {weight.size}")
    latent = ~starting(names, DERIVED)
    for title, of, e in ((f"NUTS, 4 x {LONG}", nuts, error), (f"Gibbs, 4 x {LONG_GIBBS}", other, other_error)):
        what = f"sd(CAVI) / sd(reference): weights, means, precisions (error {e[latent].max():.3f})"
        yield say(what, span(of[latent]), ".96 to 1.02", against=title, holds=within(of[latent], 0.96, 1.02))
        what = f"sd(CAVI) / sd(reference): covariances (error {e[~latent].max():.3f})"
        yield say(what, span(of[~latent]), "told: derived, heavy right tail", against=title)
    both = np.abs(np.log(nuts / other)) / np.hypot(error, other_error)
    yield say(
        "NUTS against Gibbs: largest |log sd ratio| / error", f"{both.max():.2f}", "below 4", holds=both.max() < 4
    )
    for name, a, e, b, f, c in zip(names, nuts, error, other, other_error, importance, strict=True):
        shown = f"{a:.3f} +- {e:.3f}; {b:.3f} +- {f:.3f}; {c:.3f}"
        yield say(f"sd(CAVI) / sd: {name}", shown, against="NUTS; Gibbs; importance sampling")


def seeds() -> Iterator[Record]:
    """Old Faithful by default settings, twenty seeds."""
    problem = vm.load("gmm")(DATA / "faithful.csv", components=2)
    verdicts = [vm.compare(problem, methods=["cavi"], seed=s).summary["verdicts"]["cavi"]["verdict"] for s in range(20)]
    found = sum(v == ["calibrated"] for v in verdicts)
    yield say("Old Faithful: CAVI calibrated in 20 seeds", found, "at least 19", against="NUTS", holds=found >= 19)


def theory() -> Iterator[Record]:
    """Two components, 200 simulated data sets of 10 000 rows: CAVI and linear response against Fisher information."""
    tests()
    experiment: Any = importlib.import_module("test_theory")
    found = experiment.simulation(seed=0)
    unseen = experiment.information_sds()[0]
    worst = found.residual.max()
    yield say("largest residual of a fixed point", f"{worst:.1e}", "below 1e-10", holds=worst < 1e-10)
    of = unseen / experiment.GIBBS
    stored = f"Gibbs sds stored by {GIORDANO}"
    yield say("sd(Fisher) / sd(Gibbs)", span(of), ".99 to 1.01", against=stored, holds=within(of, 0.99, 1.01))
    against = f"Fisher information by quadrature; {GIORDANO}"
    average = lambda ratio: f"{ratio.mean():.4f} +- {ratio.std(ddof=1) / np.sqrt(len(ratio)):.4f}"
    for name, wanted, ratio in zip(experiment.NAMES, experiment.THEORY, found.cavi.T, strict=True):
        holds = abs(ratio.mean() - wanted) < 0.01
        yield say(
            f"sd(CAVI) / sd(Fisher): {name}", average(ratio), f"{wanted:.3f} +- .01", against=against, holds=holds
        )
    for name, ratio in zip(experiment.NAMES, found.lrvb.T, strict=True):
        holds = 0.985 <= ratio.mean() <= 1.015
        yield say(f"sd(LRVB) / sd(Fisher): {name}", average(ratio), ".985 to 1.015", against=against, holds=holds)


def lrvb() -> Iterator[Record]:
    """The lecture's data: closed-form sds of linear response against a long run of Gibbs."""
    problem = vm.load("gmm")()
    reference = gibbs(problem)
    against = f"Gibbs, {4 * LONG_GIBBS} draws, one in {THIN} sweeps"
    for method in ("lrvb", "cavi"):
        value, error, names = ratios(problem, vm.fit(problem, method, seed=1, draws=250), reference)
        for sites in (("weights", "means", "precisions"), (DERIVED,)):
            own = starting(names, *sites)
            what = f"sd({method.upper()}) / sd(Gibbs): {', '.join(sites)} (error {error[own].max():.3f})"
            wanted, holds = (".975 to 1.025", within(value[own], 0.975, 1.025)) if method == "lrvb" else ("", None)
            yield say(what, span(value[own]), wanted, against=against, holds=holds)


def evidence() -> Iterator[Record]:
    """The lecture's data: the log evidence by three roads, and the gap of CAVI's bound in its parts, nats."""
    problem, key = vm.load("gmm")(), jax.random.key(1)
    nuts = vm.fit(problem, "nuts", seed=1, draws=5000)
    pivot = labels.pivot_of(nuts, "component")
    corrected, cavi = (vm.fit(problem, method, seed=1, draws=10_000) for method in ("lrvb", "cavi"))
    corrected, cavi = (labels.align(tree, "component", pivot)[0] for tree in (corrected, cavi))
    shape = khat(corrected)
    own = None if shape is None else log_evidence.reweighted(problem, corrected, shape[0], pivot)
    optima = vm.CAVI().optima(problem.conjugate, stream(key, MODES))
    found = {
        "importance sampling from LRVB": own,
        "importance sampling from conjugate posteriors": log_evidence.importance(problem, optima, key, pivot),
        "bridge sampling from NUTS": log_evidence.bridge(problem, nuts, key, pivot),
    }
    known = {name: estimate for name, estimate in found.items() if estimate is not None}
    for name in found:
        if name not in known:
            yield say(f"log evidence: {name}", "none", "an estimate", holds=False)
            continue
        one, others = known[name], [e for n, e in known.items() if n != name]
        z = max(abs(one.log_evidence - e.log_evidence) / np.hypot(one.error, e.error) for e in others)
        shown = f"{one.log_evidence:.3f} +- {one.error:.3f}"
        wanted = f"within 4 errors of the others; {z:.1f}"
        yield say(f"log evidence: {name}", shown, wanted, against="each other", holds=z < 4)
    of = cavi.attrs
    best = log_evidence.best(list(known.values()))
    if best is None:
        return
    gap = log_evidence.gap(of["elbo"], of["elbo_marginal"], of["elbo_marginal_se"], best, log_labels(problem))
    parts = [gap[name] for name in ("labels", "local", "parameters")]
    shown = f"{gap['total']:.2f} = {' + '.join(f'{p:.2f}' for p in parts)} (+- {gap['error']:.3f})"
    what = "log evidence - ELBO = labels + q(z) + q(theta)"
    yield say(what, shown, "3.16 = 1.79 + 1.02 + .35", against=f"{OTHER}, which gave no error; told, not judged")


SECTIONS: dict[str, Section] = {
    f.__name__: f
    for f in (
        *(closed, conformance, exact, theory, lrvb, evidence, calibration),
        *(lecture, overfitted, faithful, seeds, iris, galaxies, overlap),
    )
}


if __name__ == "__main__":
    run(SECTIONS)
