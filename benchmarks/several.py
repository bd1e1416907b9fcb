"""Sections of `claims.py` on posteriors of several modes: what was found, what the reference saw, and what is then said."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from arviz_stats.base.array import array_stats
from said import DATA, TRUTH, Record, say, span
from xarray import DataTree

import vi_vs_mcmc as vm
from vi_vs_mcmc import labelfree, labels
from vi_vs_mcmc.metrics.importance import khat
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.metrics.spread import sd_ratio

RESTARTS = 32
SWEEPS = 100_000  # of Gibbs in each of four chains
THIN = 20
OTHER = "another code"


def iris() -> Iterator[Record]:
    """Iris: four measurements, three components, many optima."""
    x = np.loadtxt(DATA / "iris.csv", delimiter=",", skiprows=1)
    scale = (np.linalg.inv(np.cov(x.T)) / 2).tolist()
    prior = {"concentration": 2.0, "mean_precision": 0.1, "scale": scale, "degrees_of_freedom": 6.0}
    problem = vm.load("gmm")(x, components=3, **prior)
    gibbs = vm.fit(problem, vm.Gibbs(restarts=RESTARTS, thin=THIN), seed=1, draws=SWEEPS // THIN)
    yield from _across_chains(problem, gibbs)
    methods = [vm.CAVI(restarts=RESTARTS), vm.LRVB(restarts=RESTARTS)]
    found = vm.compare(problem, methods=methods, reference=vm.Gibbs(restarts=RESTARTS, thin=THIN), seed=1)
    modes = found.summary["modes"]
    yield from _modes(modes, "Gibbs")
    best, number = modes["modes"][0]["elbo"], modes["number"]
    yield say(f"iris: distinct optima of {RESTARTS} starts", number, "at least 10", against=OTHER, holds=number >= 10)
    holds = abs(best + 323.233) < 5e-4
    yield say("iris: best ELBO, nats", f"{best:.3f}", "-323.233", against=OTHER, holds=holds)
    for method in methods:
        yield from _narrow(problem, method, gibbs)
    yield from _tails(problem, methods[0])
    entry = found.summary["evidence"]
    if entry is not None:
        gap = entry["gaps"]["cavi"]
        parts = " + ".join(f"{gap[p]:.2f}" for p in ("labels", "local", "parameters"))
        what = "iris: log evidence - ELBO = labels + q(z) + q(theta)"
        yield say(what, f"{gap['total']:.2f} = {parts} (+- {gap['error']:.3f})", against=entry["sentence"])
    rule = found.summary["labels"]["rules"]
    if rule is not None:
        shown = f"{rule['parameter']}: {rule['sd']:.3g} or {rule['other_sd']:.3g}"
        what = "iris: sd that depends most on the relabelling rule"
        yield say(what, shown, ".54 or .63 for one mean", against=f"{OTHER}, by other rules; told, not judged")
    yield from _said("iris", found, "Gibbs")
    by_nuts = vm.compare(problem, methods=methods, reference=vm.NUTS(restarts=RESTARTS), seed=1)
    yield from _said("iris", by_nuts, "NUTS")


def galaxies() -> Iterator[Record]:
    """Galaxies: 82 velocities, three components."""
    problem = vm.load("gmm")(TRUTH / "galaxies.csv", components=3)
    yield from _story("galaxies", problem)


def overlap() -> Iterator[Record]:
    """Two round components in two dimensions, 2 sds apart, 300 rows."""
    rng = np.random.default_rng(0)
    side = rng.integers(2, size=300)
    x = rng.standard_normal((300, 2)) + np.outer(side - 0.5, [2.0, 0.0])
    yield from _story("overlap", vm.load("gmm")(x, components=2))


def _story(name: str, problem: vm.Problem) -> Iterator[Record]:
    methods = [vm.CAVI(restarts=RESTARTS), vm.LRVB(restarts=RESTARTS)]
    for judge in (vm.NUTS(restarts=RESTARTS), vm.Gibbs(restarts=RESTARTS, thin=THIN)):
        found = vm.compare(problem, methods=methods, reference=judge, seed=1)
        yield from _modes(found.summary["modes"], judge.label)
        yield from _said(name, found, judge.label)


def _narrow(problem: vm.Problem, method: Any, gibbs: DataTree) -> Iterator[Record]:
    """Sds of the best optimum against a long run of Gibbs, single components in one order, and the furthest mean."""
    tree = vm.fit(problem, method, seed=1, draws=250)
    tree, _ = labels.align(tree, "component", labels.pivot_of(gibbs, "component"))
    against = f"Gibbs, 4 x {SWEEPS} sweeps, labels in one order; {OTHER}"
    for site in ("weights", "means", "precisions", "covariances"):
        own, theirs = marginals(tree, (site,)), marginals(gibbs, (site,))
        of = sd_ratio(own, theirs)
        value, error = of["value"].values, of["error"].values
        low = value * np.exp(-2 * error)  # Gibbs has its own error
        what = f"iris: sd({method.name.upper()}) / sd(Gibbs): {site} (error {error.max():.3f})"
        yield say(what, span(value), ".2 to 1.0", against=against, holds=value.min() > 0.2 and low.max() <= 1.0)
        if site == "means":
            off = np.abs((own.mean - theirs.mean) / theirs.sd).max()
            what = f"iris: {method.name.upper()}'s furthest mean, Gibbs sds"
            yield say(what, f"{off:.2f}", "above 1", against=against, holds=off > 1)


def _across_chains(problem: vm.Problem, gibbs: DataTree) -> Iterator[Record]:
    """Label-free quantities of four long chains, each pair of chains against each other."""
    free = labelfree.label_free(problem, gibbs)
    if free is None:
        return
    for name, value in free["posterior"].to_dataset().items():
        flat = value.values.reshape(*value.shape[:2], -1)
        for j in range(flat.shape[-1]):
            z = _apart(flat[..., j])
            label = f"{name}[{j}]" if flat.shape[-1] > 1 else str(name)
            mean = ", ".join(f"{m:.4g}" for m in flat[..., j].mean(1))
            what = f"iris: {label}, mean by chain; largest difference / MCSE"
            yield say(what, f"{mean}; {z:.2f}", "below 4", against=f"Gibbs, 4 x {SWEEPS} sweeps", holds=z < 4)


def _apart(x: np.ndarray) -> float:
    """Largest difference of two chains' means over its standard error; draws (chain, draw)."""
    errors: Any = [array_stats.mcse(c[None], chain_axis=0, draw_axis=1, method="mean") for c in x]
    error = [float(e) for e in errors]
    pairs = combinations(range(len(x)), 2)
    return max(abs(x[a].mean() - x[b].mean()) / np.hypot(error[a], error[b]) for a, b in pairs)


def _tails(problem: vm.Problem, method: Any) -> Iterator[Record]:
    for draws in (1000, 10_000):
        tree = vm.fit(problem, method, seed=1, draws=draws)
        found = khat(tree)
        if found is not None:
            shape, threshold = found
            what = f"iris: CAVI's k-hat, {4 * draws} draws"
            wanted = f"above {threshold:.2f}: reweighting does not repair it"
            yield say(what, f"{shape:.2f}", wanted, against=f"{OTHER}: about .73", holds=shape > threshold)


def _modes(found: dict[str, Any], reference: str) -> Iterator[Record]:
    """Every optimum listed, with the share of the reference's draws that belong to it."""
    for number, mode in enumerate(found["modes"], 1):
        visits = ", ".join(f"{v:.2f}" for v in mode["visits"])
        shown = f"{mode['elbo']:.3f}; weight {mode['weight']:.3g}; {mode['restarts']} starts; {visits}"
        what = f"optimum {number}: ELBO; weight; starts; share of each {reference} chain"
        yield say(what, shown)


def _said(name: str, found: vm.Comparison, reference: str) -> Iterator[Record]:
    """What the reference and the verdicts say, and on what they stand."""
    summary, table = found.summary, found.table
    of = summary["reference"]
    shown = f"{of['status']}: R-hat {of['rhat_max']:.4f}, ESS {of['ess_min']:.0f}, 4 x {of['draws']}"
    yield say(f"{name}: {reference}", shown)
    why = summary["labels"]["why_label_free"]
    carried = "label-free quantities" if of.get("label_free") else "single components"
    yield say(f"{name}: by {reference}, the verdict rests on", carried, against=why or "")
    for method, entry in summary["verdicts"].items():
        judged = table[(table["method"] == method) & table["judged"]]
        says = ", ".join(entry["verdict"])
        yield say(f"{name}: verdict on {method.upper()} by {reference}", says)
        if len(judged):
            low, high = judged["sd_ratio"].min(), judged["sd_ratio"].max()
            kind = "judged" if of["status"] == "passed" else "told"
            what = f"{name}: sd ratios of {method.upper()} by {reference}, {kind}"
            yield say(what, f"{low:.3g} to {high:.3g}", "finite", against=reference, holds=np.isfinite(high))
