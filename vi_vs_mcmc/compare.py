"""Run methods on one problem and judge them against a reference."""

from __future__ import annotations

import inspect
import secrets
import time
from collections.abc import Sequence
from numbers import Real
from typing import Any

import jax
from xarray import DataTree

from vi_vs_mcmc import labels, posterior, record
from vi_vs_mcmc.errors import SettingError, real, whole
from vi_vs_mcmc.methods.cavi import CAVI, Optima
from vi_vs_mcmc.methods.registry import Method, defaults, fitted, refuse, resolve, resolved
from vi_vs_mcmc.metrics.importance import khat
from vi_vs_mcmc.names import file_name
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.programs import make_room
from vi_vs_mcmc.record import Comparison
from vi_vs_mcmc.reference_run import Reference, first_pivot
from vi_vs_mcmc.verdict import Tolerance

MAX_DRAWS = 5000  # of each chain of the reference, where nothing else is said
TABLE_DRAWS = 40_000  # of a VI method, for the table: their Monte Carlo error then stays below the reference's


@in_float64
def fit(
    problem: Problem,
    method: str | Method,
    *,
    seed: int | None = None,
    chains: int = 4,
    draws: int = 1000,
    progress=None,
) -> DataTree:
    """Fit one method to a problem; exchangeable labels come in one order.

    Args:
        problem: from `load("gmm")(...)` or `Problem(program, args=...)`.
        method: a name such as "cavi", or settings such as `CAVI(restarts=32)`.
        seed: determines the run; chosen and stored in the result where none is given.
        chains: of the result; for a VI method they mean nothing.
        draws: of each chain.
        progress: called as progress(stage, done, total).

    Returns:
        An ArviZ DataTree; see `vi_vs_mcmc.posterior`.

    Raises:
        SettingError: no problem, a method that is unknown or does not apply, or a setting out of range.
        NumericalError: the numbers left the finite ones.
    """
    _problem(problem)
    _ = problem.compared  # what is wrong with the program or its sites
    chosen = resolve(method)
    refuse(problem, chosen)
    chains, draws = whole("chains", chains), whole("draws", draws)
    seed = chosen_seed(seed)
    make_room()
    tree = fitted(problem, chosen, seed, chains=chains, draws=draws, progress=_stage(progress, chosen.name))
    if problem.exchangeable is None:
        return tree
    pivot = first_pivot(problem, tree, seed)
    if "variational" not in tree.children:
        pivot = labels.refine(tree, problem.exchangeable, pivot)
    return labels.align(tree, problem.exchangeable, pivot)[0]


@in_float64
def compare(
    problem: Problem,
    *,
    methods: Sequence[str | Method] | None = None,
    reference: str | Method = "nuts",
    seed: int | None = None,
    chains: int = 4,
    draws: int = 1000,
    max_draws: int | None = None,
    tolerance: float | Tolerance = 0.1,
    embed_data: bool = True,
    command: str | None = None,
    progress=None,
) -> Comparison:
    """Fit each method and a reference to one problem, and judge the methods against it.

    The reference samples on, doubling up to `max_draws`, while it fails only R-hat or ESS and while a verdict is
    inconclusive.

    Args:
        problem: what to fit.
        methods: names or settings; by default what applies cheaply.
        reference: a name or settings; it is believed only after its own checks.
        seed: determines the run; chosen and stored where none is given.
        chains: of the reference.
        draws: of each chain, to begin with.
        max_draws: of each chain, at most; by default 5000, or `draws` where that is more.
        tolerance: the share of an sd that does not matter, or a `Tolerance`.
        embed_data: keep at most 5 000 rows of the data in the result.
        command: the command line that does this again, for the record.
        progress: called as progress(stage, done, total).

    Raises:
        SettingError: no problem, a method that is unknown or does not apply, or a setting out of range.
        DataError: the data do not fit the model.
        NumericalError: the numbers left the finite ones.
    """
    began = time.perf_counter()
    _problem(problem)
    chosen = resolved(defaults(problem) if methods is None else methods)
    judge = resolve(reference)
    admit(problem, chosen, judge)
    chains, draws = whole("chains", chains), whole("draws", draws, posterior.FEWEST)
    max_draws = max(MAX_DRAWS, draws) if max_draws is None else whole("max_draws", max_draws, draws)
    tolerance = tolerance if isinstance(tolerance, Tolerance) else Tolerance(sd=real("tolerance", tolerance))
    seed = chosen_seed(seed)
    make_room()

    drawn = max(-(-TABLE_DRAWS // chains), max_draws, draws)
    trees = {}
    for m in chosen:
        trees[m.name] = fitted(problem, m, seed, chains=chains, draws=drawn, progress=_stage(progress, m.name))
    modes = _optima(problem, [*chosen, judge], seed)
    run = Reference(problem, judge, trees, tolerance, seed, chains, modes, progress)
    found, trees = run.sampled(draws, max_draws)
    shape = found.tree["posterior"].sizes["draw"]
    tails = {name: khat(tree) for name, tree in trees.items()}  # of all draws; those beyond the reference's are dropped
    evidence = run.evidence(found, trees, tails)
    trees = {found.name: found.tree} | {name: tree.isel(draw=slice(0, shape)) for name, tree in trees.items()}
    return record.comparison(
        found,
        trees,
        tolerance,
        kind="compare",
        problem=problem,
        seed=seed,
        command=command,
        embed_data=embed_data,
        tails=tails,
        more={"evidence": evidence, "modes": run.modes, "labels": run.labels},
        wall_seconds=time.perf_counter() - began,
    )


def chosen_seed(seed: int | None) -> int:
    """The seed given, or one chosen at random."""
    if seed is None:
        return secrets.randbelow(2**31)
    if isinstance(seed, bool) or not isinstance(seed, Real) or not 0 <= seed < 2**63 or seed % 1:
        raise SettingError(f"seed is {seed!r}; want a whole number from 0 to {2**63 - 1}")
    return int(seed)


def _optima(problem: Problem, methods: Sequence[Method], seed: int) -> Optima | None:
    """What coordinate ascent found, from as many restarts as the keenest method made."""
    if problem.conjugate is None:
        return None
    restarts = max(whole(f"restarts of {m.name}", getattr(m, "restarts", 0), 0) for m in (*methods, CAVI()))
    return CAVI(restarts=restarts).search(problem, jax.random.key(seed))


def _stage(progress, name: str):
    return None if progress is None else lambda done, total: progress(name, done, total)


def _problem(problem: Any) -> None:
    if not isinstance(problem, Problem):
        got = "a function" if inspect.isfunction(problem) else f"of type {type(problem).__name__}"
        raise SettingError(f"problem is {got}; want a Problem, from Problem(program, args=...) or load(name)(data)")


def admit(problem: Problem, methods: Sequence[Method], judge: Method) -> None:
    """Refuse what cannot work, before any work."""
    names = [m.name for m in methods]
    if not names:
        raise SettingError("no method to compare; name one, such as cavi")
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise SettingError(f"method {twice.pop()!r} is named twice")
    if judge.name in names:
        raise SettingError(
            f"{judge.name!r} is the reference and cannot be judged by itself; choose another --reference"
        )
    files: dict[str, str] = {}
    for name in (*names, judge.name):
        if (other := files.setdefault(file_name(name), name)) != name:
            raise SettingError(f"methods {other!r} and {name!r} would have one file, {file_name(name)}.nc; rename one")
    _ = problem.compared  # a wrong site name, a discrete site
    for method in (*methods, judge):
        refuse(problem, method)
