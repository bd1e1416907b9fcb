"""Print the numbers that the project claims of its main job, each beside what it is held against.

uv run python benchmarks/claims.py            # all, about ten minutes on two cores
uv run python benchmarks/claims.py lecture    # one of: lecture, overfitted, faithful, seeds, iris, theory
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

import jax
import numpy as np

import vi_vs_mcmc as vm
from vi_vs_mcmc import labels
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.metrics.spread import sd_ratio

TRUTH = Path(__file__).parent.parent / "tests" / "truth"
LONG = 15_000  # draws of each of four chains: sds with an ESS of 20 000 and more


def say(what: str, value: object, wanted: str) -> None:
    print(f"{what:62} {value!s:32} {wanted}", flush=True)


def ratios(problem: vm.Problem, seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """sd(CAVI, closed form) / sd(NUTS, long) by scalar, standard errors, names."""
    cavi = vm.fit(problem, "cavi", seed=seed, chains=1, draws=1000)
    nuts = vm.fit(problem, "nuts", seed=seed, draws=LONG)
    nuts, _ = labels.align(nuts, "component", labels.pivot_of(cavi, "component"))
    of = sd_ratio(marginals(cavi, problem.compared), reference := marginals(nuts, problem.compared))
    return of["value"].values, of["error"].values, reference.parameters


def span(values: np.ndarray) -> str:
    return f"{values.min():.3f} to {values.max():.3f}"


def lecture() -> None:
    """Three components on the lecture's data."""
    problem = vm.load("gmm")()
    cavi = vm.fit(problem, "cavi", seed=1)
    say("ELBO", f"{cavi.attrs['elbo']:.4f}", "-1753.36, by another code")
    marginal = f"{cavi.attrs['elbo_marginal']:.3f} +- {cavi.attrs['elbo_marginal_se']:.3f}"
    say("ELBO with z summed out", marginal, "-1752.33, by another code")
    say("largest fall of the ELBO", f"{np.diff(cavi['variational']['elbo'].values).min():.1e}", "none beyond rounding")
    found = vm.compare(problem, methods=["cavi"], seed=1)
    reference = found.summary["reference"]
    say("NUTS, 4 x 1000: largest R-hat", f"{reference['rhat_max']:.4f}", "below 1.01")
    say(
        "NUTS: smallest ESS, bulk and tail",
        f"{reference['ess_bulk_min']:.0f}, {reference['ess_tail_min']:.0f}",
        "above 1000",
    )
    say("NUTS: divergences", reference["divergences"], "0")
    value, error, names = ratios(problem, 1)
    of = lambda site: value[[n.startswith(site) for n in names]]
    say(f"sd(CAVI) / sd(NUTS), 4 x {LONG}: means (error {error.max():.3f})", span(of("means")), ".83 to .98")
    say("sd(CAVI) / sd(NUTS): weights", span(of("weights")), ".91 to 1.00")


def overfitted() -> None:
    """Six components on the lecture's data."""
    problem = vm.load("gmm")(components=6)
    cavi = vm.fit(problem, "cavi", seed=1)
    concentration = cavi["variational"]["q_concentration"].values
    say("K = 6: alpha of the components", np.round(concentration, 2), "three keep weight, three go back to 1")
    found = vm.compare(problem, methods=["cavi"], seed=1)
    reference = found.summary["reference"]
    say("K = 6: reference", reference["status"], "")
    say(
        "K = 6: R-hat, ESS of the occupied",
        f"{reference['rhat_max']:.4f}, {reference['ess_min']:.0f}",
        "below 1.01, above 400",
    )
    say("K = 6: divergences of 4000", reference["divergences"], "at most 4")
    say("K = 6: scalars left out of 36", len(reference["left_out"]), "18")
    say("K = 6: verdict", found.summary["verdicts"]["cavi"]["verdict"], "")


def faithful() -> None:
    """Old Faithful, two components, default priors; importance sampling is the second opinion."""
    problem = vm.load("gmm")(TRUTH / "faithful.csv", components=2)
    value, error, names = ratios(problem, 1)
    cavi = vm.fit(problem, "cavi", seed=2, draws=100_000)
    log_weight = (cavi["sample_stats"]["log_p"] - cavi["sample_stats"]["log_q"]).values.ravel()
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    q = marginals(cavi, problem.compared)
    x = q.draws.values.reshape(weight.size, -1)
    sd = np.sqrt(weight @ (x - weight @ x) ** 2)
    say("Old Faithful: effective draws of importance sampling", f"{1 / (weight**2).sum():.0f} of {weight.size}", "")
    for name, one, e, other in zip(names, value, error, q.sd / sd, strict=True):
        say(f"sd(CAVI) / sd(reference): {name}", f"{one:.3f} +- {e:.3f}; importance {other:.3f}", ".96 to 1.02")


def seeds() -> None:
    """Old Faithful by default settings, twenty seeds."""
    problem = vm.load("gmm")(TRUTH / "faithful.csv", components=2)
    verdicts = [vm.compare(problem, methods=["cavi"], seed=s).summary["verdicts"]["cavi"]["verdict"] for s in range(20)]
    say("Old Faithful: calibrated in 20 seeds", sum(v == ["calibrated"] for v in verdicts), "at least 19")


def iris() -> None:
    """Four measurements, three components, many optima."""
    x = np.loadtxt(TRUTH / "iris.csv", delimiter=",", skiprows=1)
    scale = (np.linalg.inv(np.cov(x.T)) / 2).tolist()
    prior = {"concentration": 2.0, "mean_precision": 0.1, "scale": scale, "degrees_of_freedom": 6.0}
    problem = vm.load("gmm")(x, components=3, **prior)
    cavi = vm.fit(problem, vm.CAVI(restarts=32), seed=1)
    say("iris: best ELBO of 32 starts", f"{cavi.attrs['elbo']:.3f}", "-323.233")
    began = time.perf_counter()
    found = vm.compare(problem, methods=[vm.CAVI(restarts=32)], reference=vm.NUTS(restarts=32), seed=1)
    rows, entry = found.table, found.summary["verdicts"]["cavi"]
    say("iris: reference", found.summary["reference"]["sentence"][:60], "")
    say("iris: verdict", entry["verdict"], "no verdict, or overconfident and biased")
    say("iris: lowest sd ratio", f"{rows['sd_ratio'].min():.2f}", "below .5, if the reference passed")
    say("iris: furthest mean, reference sds", f"{rows['bias'].abs().max():.2f}", "above 1, if the reference passed")
    say("iris: seconds", f"{time.perf_counter() - began:.0f}", "")


def theory() -> None:
    """Two components, 200 simulated data sets of 10 000 rows: CAVI and linear response against Fisher information."""
    sys.path.insert(0, str(TRUTH.parent / "methods"))
    experiment = importlib.import_module("test_theory")
    began = time.perf_counter()
    found = experiment.simulation(seed=0)
    exact = experiment.information_sds()[0]
    say("theory: largest residual of a fixed point", f"{found.residual.max():.1e}", "below 1e-10")
    say("theory: sd(Fisher) / sd(Gibbs), by another code", span(exact / experiment.GIBBS), ".99 to 1.01")
    average = lambda ratio: f"{ratio.mean():.4f} +- {ratio.std(ddof=1) / np.sqrt(len(ratio)):.4f}"
    for name, wanted, ratio in zip(experiment.NAMES, experiment.THEORY, found.cavi.T, strict=True):
        say(f"sd(CAVI) / sd(Fisher): {name}", average(ratio), f"{wanted:.3f} within .01")
    for name, ratio in zip(experiment.NAMES, found.lrvb.T, strict=True):
        say(f"sd(LRVB) / sd(Fisher): {name}", average(ratio), ".985 to 1.015")
    say("theory: seconds", f"{time.perf_counter() - began:.0f}", "")


def main() -> None:
    """Run the sections named, or all."""
    jax.config.update("jax_enable_x64", True)
    sections = {f.__name__: f for f in (lecture, overfitted, faithful, seeds, iris, theory)}
    for name in sys.argv[1:] or sections:
        sections[name]()


if __name__ == "__main__":
    main()
