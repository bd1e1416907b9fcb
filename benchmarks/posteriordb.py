"""NUTS on posteriordb's posteriors, beside posteriordb's own reference draws: one line for each scalar, then what falls short.

uv run python benchmarks/posteriordb.py                          # all 46
uv run python benchmarks/posteriordb.py --seed=2 arK-arK         # some, by another seed

A mean may be 4 Monte Carlo standard errors off, counting both sides', and an sd 5 %.
"""

from __future__ import annotations

import sys
import time

import jax
import numpy as np
import pandas as pd
from vi_vs_mcmc.models.posteriordb import CATALOGUE, reference

import vi_vs_mcmc as vm
from vi_vs_mcmc.metrics.health import DIVERGENT, health
from vi_vs_mcmc.metrics.known import against_known
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.programs import make_room

DRAWS = 2500  # of each of four chains
ZS = 4.0  # Monte Carlo standard errors that a mean may be off
SHARE = 0.05  # by which an sd may be
SHOWN = ["parameter", "mean", "known_mean", "mean_z", "sd", "known_sd", "sd_ratio", "sd_z"]


def against_reference(posterior: str, *, draws: int = DRAWS, seed: int = 1) -> pd.DataFrame:
    """NUTS on one posterior: the columns of `against_known`, then posterior, holds, checks, accept and seconds."""
    make_room()
    problem = vm.load("posteriordb")(posterior=posterior)
    bare = np.array([not known.has_variance for known in reference(posterior).values()])
    began = time.perf_counter()
    method: vm.NUTS | None = vm.NUTS()
    while method is not None:
        tree = vm.fit(problem, method, seed=seed, draws=draws)
        state = health(tree, of := marginals(tree, problem.compared), ~bare)
        accept = method.target_accept
        # As `compare` does: once more with smaller steps, where too many transitions diverged.
        method = method.careful() if (state.divergences or 0) > DIVERGENT * 4 * draws else None
    seconds = time.perf_counter() - began
    table = against_known(of, reference(posterior))
    mean, sd = table["mean_z"].abs() < ZS, (table["sd_ratio"] - 1).abs() < SHARE
    return table.assign(
        posterior=posterior,
        holds=(mean & sd) | bare,
        checks=state.failures() or "passed",
        accept=accept,
        seconds=seconds,
    )


def main() -> None:
    """Print the table of the posteriors named, or of all; a first argument --seed=N is the seed."""
    jax.config.update("jax_enable_x64", True)
    names, seed, tables = sys.argv[1:], 1, []
    if names and names[0].startswith("--seed="):
        seed = int(names.pop(0).removeprefix("--seed="))
    for posterior in names or CATALOGUE:
        tables.append(table := against_reference(posterior, seed=seed))
        first = table.iloc[0]
        print(f"{posterior}: {first.seconds:.0f} s, acceptance {first.accept}, checks: {first.checks}", flush=True)
        print(table[SHOWN].to_string(index=False, header=False, float_format="{:.5g}".format), flush=True)
        print("".join(f"    {name} FALLS SHORT\n" for name in table.parameter[~table.holds]), end="", flush=True)
    every = pd.concat(tables)
    print(f"{every.holds.sum()} of {len(every)} scalars of {len(tables)} posteriors hold")


if __name__ == "__main__":
    main()
