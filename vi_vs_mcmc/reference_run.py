"""The reference of a comparison: sampled until the verdicts stand, with what it tells of labels, modes and the evidence."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np
from xarray import DataTree

from vi_vs_mcmc import carried, evidence, labelfree, labels, posterior
from vi_vs_mcmc.against import Found, Measured, constant, look
from vi_vs_mcmc.conjugate import one_outcome
from vi_vs_mcmc.deeper import deepened
from vi_vs_mcmc.errors import DataError, SettingError
from vi_vs_mcmc.evidence.places import log_labels, spread
from vi_vs_mcmc.labels import Pivot
from vi_vs_mcmc.methods.cavi import CAVI, Optima
from vi_vs_mcmc.methods.gate import accepted, speaking
from vi_vs_mcmc.methods.nuts import NUTS
from vi_vs_mcmc.methods.registry import Method, fitted
from vi_vs_mcmc.metrics.health import DIVERGENT, ESS, RHAT, Check
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.modes import explored
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import stream
from vi_vs_mcmc.verdict import Tolerance, undecided

MANY_ROWS = 200_000  # beyond which the Gibbs chains behind importance sampling would cost more than the comparison
EARLY = 200  # draws of each chain after which transitions that diverged are counted for the first time
SPARE = 1.1  # draws asked for beyond those that a look says are needed

PRECISE = 0.05  # nats; two estimates that precise, and independent, need no third


@dataclass(frozen=True)
class Seen:
    """One look at the reference: by labels, and without them where they cannot carry a verdict."""

    found: Found
    measured: dict[str, Measured]
    by: Found | None = None
    why: str | None = None

    @property
    def deciding(self) -> Found:
        """The look that the verdicts rest on."""
        return self.found if self.by is None else self.by


class Reference:
    """One reference run, and what was learned on the way: `modes` and `labels`, entries of `summary.json` or None."""

    def __init__(
        self,
        problem: Problem,
        judge: Method,
        trees: dict[str, DataTree],
        tolerance: Tolerance,
        seed: int,
        chains: int,
        optima: Optima | None,
        progress: Any,
    ):
        self._problem, self._judge, self._trees, self._tolerance = problem, judge, trees, tolerance
        self._key, self._chains, self._optima, self._progress = jax.random.key(seed), chains, optima, progress
        self._seed = seed
        self._first = None if problem.exchangeable is None else first_pivot(problem, trees.get("cavi"), seed)
        self._free = carried.free(problem, trees)
        self._pivot: Pivot | None = None
        self.modes: dict[str, Any] | None = None
        self.labels: dict[str, Any] | None = None

    def sampled(self, draws: int, max_draws: int) -> tuple[Found, dict[str, DataTree]]:
        """The reference, sampled until the verdicts stand or `max_draws` is reached, and every method against it.

        Labels follow the reference's own draws, starting from the order that coordinate ascent gives. Where transitions
        diverged, a sampler that can be more careful begins again, once. A run is so kept because few transitions diverged, and
        one that missed a neck has fewer: near the limit its tails are a little light.
        """
        judge, note, again = self._judge, self._stage(self._judge.name), ""
        began, sampler = time.perf_counter(), self._begun(judge)
        while True:
            if sampler is None:
                tree = fitted(self._problem, judge, self._seed, chains=self._chains, draws=draws, progress=note)
            else:
                careful: Method | None = judge.careful() if isinstance(judge, NUTS) else None
                diverged = self._advanced(sampler, draws, careful)
                if careful is not None and diverged:
                    again = f", again with smaller steps as {diverged} draws diverged"
                    spent = time.perf_counter() - began
                    judge, sampler = careful, self._begun(careful)
                    sampler.seconds += spent
                    continue
                tree = self._result(sampler, draws)
                tree.attrs["work"] = tree.attrs.get("work", "") + again
            seen = self._judged(tree)
            health, verdicts = seen.deciding.health, seen.deciding.verdicts
            wanted = (health.hopeful and not health.passed) or (health.passed and undecided(verdicts))
            if sampler is None or not wanted or draws >= max_draws:
                return self._finished(seen)
            draws = min(max(2 * draws, self._needed(seen, draws)), max_draws)

    def _advanced(self, sampler: Any, draws: int, careful: Method | None) -> int:
        """Sample on to `draws`, and count the transitions that diverged where they are more than so many may hold, else 0.

        Where it could begin again, it looks early: what is too many by then stays too many.
        """
        for number in (draws,) if careful is None else (min(EARLY, draws), draws):
            with speaking(self._problem, self._judge):
                sampler.sample(number, progress=self._stage(self._judge.name))
            diverged = int(np.sum(sampler.joined("diverging").get("diverging", 0)))
            if diverged > DIVERGENT * self._chains * draws:
                return diverged
        return 0

    def _needed(self, seen: Seen, draws: int) -> int:
        """Draws of each chain that effective sample sizes and undecided verdicts ask for, as this look can tell."""
        health, verdicts = seen.deciding.health, seen.deciding.verdicts
        effective = np.fmin(health.ess_bulk, health.ess_tail)
        share = np.nanmin(effective[seen.deciding.judged], initial=np.inf) / ESS
        total = max((entry["draws_to_decide"] or 0 for entry in verdicts.values()), default=0)
        return int(SPARE * max(draws / max(share, 1e-3), total / self._chains))

    def _begun(self, judge: Method) -> Any:
        """A sampler that can go on, or None where the method has none."""
        if not hasattr(judge, "begin"):
            return None
        note = self._stage(judge.name)
        with speaking(self._problem, judge):
            return judge.begin(self._problem, self._key, chains=self._chains, progress=note)  # pyright: ignore

    def _result(self, sampler: Any, draws: int) -> DataTree:
        """The sampler's posterior, checked as any method's."""
        with speaking(self._problem, self._judge):
            tree = sampler.result()
        tree = accepted(self._problem, self._judge, tree, chains=self._chains, draws=draws)
        tree.attrs["seed"] = self._seed
        return tree

    def evidence(self, found: Found, trees: Mapping[str, DataTree], tails: Mapping[str, Any]) -> dict[str, Any] | None:
        """Every estimate of the log evidence that can be had, the best first, and each method's gap in its parts."""
        problem, estimates = self._problem, []
        key = stream(self._key, "evidence")
        for tree in trees.values():
            if "log_evidence" in tree.attrs:
                estimates.append(
                    evidence.Estimate(float(tree.attrs["log_evidence"]), 0.0, "exact", "a sum over assignments")
                )
        for name, tree in self._trees.items():  # as they were drawn: log q is known there, and not where labels moved
            if tails.get(name) is not None:
                own = evidence.reweighted(problem, tree, tails[name][0], self._pivot)
                estimates += [own] if own is not None else []
        if found.health.passed and found.why_label_free is None:
            bridged = evidence.bridge(problem, found.tree, key, self._pivot)
            estimates += [bridged] if bridged is not None else []
        few = problem.table is None or len(problem.table.values) <= MANY_ROWS
        good = sum(e.error < PRECISE for e in estimates)
        if self._optima is not None and few and good < 2:
            estimates.append(evidence.importance(problem, self._optima, key, self._pivot))
        out, best = evidence.recorded(estimates, log_labels(problem)), evidence.best(estimates)
        if out is None or best is None:
            return None
        gaps = {}
        for name, tree in trees.items():
            attrs = tree.attrs
            if "elbo" in attrs and not attrs.get("point_estimate", 0) and "log_evidence" not in attrs:
                marginal, error = attrs.get("elbo_marginal"), attrs.get("elbo_marginal_se")
                if attrs["method"] == "cavi" and problem.conjugate is not None and one_outcome(problem.conjugate):
                    marginal, error = attrs["elbo"], 0.0  # the same number, known exactly
                kept = out["labels"] - spread(problem, self._trees[name], self._pivot)
                gaps[name] = evidence.gap(float(attrs["elbo"]), marginal, error, best, max(kept, 0.0))
        return out | {"gaps": gaps}

    def _judged(self, tree: DataTree) -> Seen:
        """One look, by labels where they carry a verdict, else by what needs none."""
        problem, dim = self._problem, self._problem.exchangeable
        if constant(posterior.scalars(tree, problem.compared).values).all():
            raise DataError(
                f"every compared scalar is constant in the draws of {self._judge.name}: there is no spread to compare"
            )
        moved, aligned, raw = None, self._trees, tree
        if dim is not None and self._first is not None:
            self._pivot = labels.refine(tree, dim, self._first)
            tree, moved = labels.align(tree, dim, self._pivot)
            aligned = {name: labels.align(of, dim, self._pivot)[0] for name, of in self._trees.items()}
        measured = {name: Measured(of, marginals(of, problem.compared)) for name, of in aligned.items()}
        modes, more = None, []
        if self._optima is not None:
            modes = explored(problem, self._optima, tree, stream(self._key, "modes explored"))
            self.modes = modes.recorded()
            if modes.number > 1:
                more = [Check("R-hat of the optima visited", modes.rhat, f"below {RHAT}", modes.rhat < RHAT)]
        found = look(
            self._judge.name, tree, measured, problem.compared, self._tolerance, problem=problem, moved=moved, more=more
        )
        if dim is None or self._pivot is None:
            return Seen(found, measured)
        rule = carried.rules(raw, dim, self._pivot, marginals(tree, problem.compared), found.judged)
        why = carried.doubt(found, modes, rule, self._tolerance)
        self.labels = {"rules": None if rule is None else asdict(rule), "why_label_free": why}
        by = None if why is None else carried.without_labels(found, problem, self._free, self._tolerance, more)
        # single components that failed their own checks need no second failure beside them
        use = by is not None and (by.health.passed or found.health.passed)
        return Seen(found, measured, by if use else None, why)

    def _finished(self, seen: Seen) -> tuple[Found, dict[str, DataTree]]:
        """The last look, measured in full."""
        found = deepened(seen.found, seen.measured, self._problem.compared, self._problem)
        trees = {name: of.tree for name, of in seen.measured.items()}
        if self.labels is not None:
            free = seen.by or carried.without_labels(seen.found, self._problem, self._free, self._tolerance)
            self.labels["label_free"] = carried.recorded(free)
        if seen.by is None or seen.why is None:
            return found, trees
        by = deepened(seen.by, self._free, labelfree.SITES)
        return carried.carry(found, by, seen.why), carried.with_label_free(trees, self._free)

    def _stage(self, name: str):
        progress = self._progress
        return None if progress is None else lambda done, total: progress(name, done, total)


def first_pivot(problem: Problem, cavi: DataTree | None, seed: int) -> Pivot:
    """What each label looks like: by coordinate ascent where the model has a closed form, else by the draws themselves."""
    dim = str(problem.exchangeable)
    if problem.conjugate is not None and (cavi is None or cavi.attrs["method"] != "cavi"):
        cavi = CAVI().fit(problem, jax.random.key(seed), chains=1, draws=1000)
    if cavi is None:
        raise SettingError(f"labels along {dim!r} are exchangeable and the model has no closed form to order them by")
    return labels.pivot_of(cavi, dim) if cavi.attrs["method"] == "cavi" else labels.settle(cavi, dim)
