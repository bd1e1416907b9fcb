"""How often a verdict is wrong, where the right one is known: 200 seeds each in `benchmarks/rates.py`, the first 50 here.

A count is held to 5 % of 200, that is 10. With a true rate of .05 a count of 10 or fewer has the binomial probability .58;
with .025 it is .987, with .10 it is .008. So these limits let a verdict pass that is wrong in a fortieth of runs, and stop
one that is wrong in a tenth; a count of 0 puts the true rate below .015 with 95 % confidence (1 - .05^(1 / 200)). Of 50 seeds
5 may be wrong: that lets a true rate of .05 pass with probability .96, and one of .2 with .05. Of 25, 2: .87 and .10.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from xarray import Dataset, DataTree

import vi_vs_mcmc as vm
from vi_vs_mcmc import deeper

deeper.MOST = 0  # KL of each marginal has no part in a verdict

pytestmark = pytest.mark.slow

SEEDS = 200
WRONG = 10  # at most, of SEEDS; see above
RIGHT = SEEDS - WRONG  # at least
TESTED, FAILED = 50, 5  # of those seeds, and how many of them may be wrong
WHOLE, LOST = 25, 2  # where each is a whole comparison
CHAINS, DRAWS, SCALARS = 4, 1000, 20
FORGETS = np.repeat([0.2, 0.27, 0.33, 0.4], 5)  # autocorrelation of each scalar: a good run of NUTS
CORRELATION = 0.5  # within the first two groups of five; the others are independent


# --- a good reference, and VI draws of the same law, or of one with narrower marginals


def gaussian(rng: np.random.Generator, draws: int, forgets: np.ndarray | float) -> np.ndarray:
    """Stationary chains, standard normal in each scalar, (CHAINS, draws, SCALARS)."""
    root = np.eye(SCALARS)
    for at in (slice(0, 5), slice(5, 10)):
        root[at, at] = np.linalg.cholesky(CORRELATION + (1 - CORRELATION) * np.eye(5))
    x = rng.standard_normal((draws, CHAINS, SCALARS)) @ root.T
    if np.any(forgets):
        kept = np.sqrt(1 - np.square(forgets))
        for t in range(1, draws):
            x[t] = forgets * x[t - 1] + kept * x[t]
    return x.swapaxes(0, 1)


def skewed(u: np.ndarray) -> np.ndarray:
    """Of each five scalars three are normal, and two log-normal: skewness .95 and, mirrored, -.61. Every mean is 0."""
    x = u.copy()
    x[..., 3::5] = np.exp(0.3 * u[..., 3::5]) - np.exp(0.045)
    x[..., 4::5] = np.exp(0.02) - np.exp(0.2 * u[..., 4::5])
    return x


def posterior_of(x: np.ndarray, *, independent: bool) -> DataTree:
    groups = {"/posterior": Dataset({"x": (("chain", "draw", "scalar"), x)})}
    return DataTree.from_dict(groups | ({"/variational": Dataset()} if independent else {}))


def against_a_known_law(draws: int, scale: float = 1.0, *, said: bool = True, seeds: int = SEEDS) -> Counter[str]:
    """How many of the verdicts hold each word.

    Args:
        draws: of the VI posterior, in all.
        scale: its sds, as a share of the reference's.
        said: the file says that its draws are independent, as ours do.
        seeds: how many.
    """
    words: Counter[str] = Counter()
    for seed in range(seeds):
        rng = np.random.default_rng([seed, draws])
        reference = posterior_of(skewed(gaussian(rng, DRAWS, FORGETS)), independent=False)
        method = posterior_of(scale * skewed(gaussian(rng, draws // CHAINS, 0.0)), independent=said)
        words.update(vm.check(method, reference).summary["verdicts"]["vi"]["verdict"])
    return words


def test_draws_of_the_references_own_law_are_not_called_overconfident():
    for draws, said in ((40_000, True), (4_000, True), (4_000, False)):
        words = against_a_known_law(draws, said=said, seeds=TESTED)
        assert words["overconfident"] <= FAILED
        assert words["underconfident"] + words["biased"] + words["no verdict"] <= FAILED


def test_sds_at_the_limit_of_the_tolerance_are_not_called_overconfident():
    """The worst case, every ratio .9: an interval of 40 leaves it on that side in .00064 of seeds, one of 20 in .013, or 2.6."""
    assert against_a_known_law(40_000, 0.9, seeds=TESTED)["overconfident"] <= FAILED


def test_sds_beyond_the_tolerance_are_called_overconfident():
    assert against_a_known_law(4_000, 0.8, seeds=TESTED)["overconfident"] >= TESTED - FAILED


# --- the lecture's data: a reference that is too short, and an optimiser that is


@dataclass(frozen=True)
class Kept:
    """A posterior made once, as a method that hands it out."""

    name: str
    tree: DataTree
    label: str = "kept"
    describes: str = "made once"

    def fit(self, problem: vm.Problem, key, *, chains: int, draws: int, progress=None) -> DataTree:
        del problem, key, chains, progress
        return self.tree.isel(draw=slice(0, draws))


def against_a_short_run(problem: vm.Problem, draws: int, seeds: int = SEEDS) -> Counter[str]:
    """Verdicts on one CAVI posterior by so many runs of NUTS of so many draws in each of four chains."""
    cavi: Any = Kept("cavi", vm.fit(problem, "cavi", seed=0, draws=10_000))
    words: Counter[str] = Counter()
    for seed in range(seeds):
        found = vm.compare(problem, methods=[cavi], seed=seed, draws=draws, max_draws=draws)
        words.update(found.summary["verdicts"]["cavi"]["verdict"])
    return words


def steps_taken(tree: DataTree) -> int:
    """Of each start, read from the record: `2 starts of 19500 steps, ...`."""
    return int(tree.attrs["work"].split(" of ")[1].split()[0])


def of_an_unfinished_optimiser(problem: vm.Problem, seeds: int = SEEDS) -> tuple[Counter[str], int, int]:
    """Verdicts on fits by SVI that were stopped at a hundredth of the steps it needs; those steps; the steps taken."""
    reference = vm.fit(problem, "nuts", seed=0)
    whole = vm.fit(problem, vm.SVI(), seed=0, draws=DRAWS)
    if whole.attrs["status"] != "converged":
        raise vm.NumericalError(f"SVI did not converge: {whole.attrs['status_sentence']}")
    needed, taken = steps_taken(whole), 0
    words: Counter[str] = Counter()
    for seed in range(seeds):
        tree = vm.fit(problem, vm.SVI(max_steps=needed // 100), seed=seed, draws=DRAWS)
        taken = max(taken, steps_taken(tree))
        found = vm.check(tree, reference, exchangeable=problem.exchangeable)
        words.update(found.summary["verdicts"][tree.attrs["method"]]["verdict"])
    return words, needed, taken


def test_a_run_of_50_draws_gives_no_verdict(lecture):
    assert against_a_short_run(lecture, 50, WHOLE)["no verdict"] >= WHOLE - LOST


def test_svi_at_a_hundredth_of_its_steps_is_not_converged(lecture):
    words, _, _ = of_an_unfinished_optimiser(lecture, TESTED)
    assert words["not converged"] >= TESTED - FAILED
