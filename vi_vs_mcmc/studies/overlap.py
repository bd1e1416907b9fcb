"""Two round components at growing distance: how much of its sds mean-field VI loses as they begin to share rows. NUTS judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vi_vs_mcmc import posterior
from vi_vs_mcmc.compare import admit, compare
from vi_vs_mcmc.errors import SettingError, whole
from vi_vs_mcmc.methods.registry import resolve, resolved
from vi_vs_mcmc.plugins import load
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.studies import _page
from vi_vs_mcmc.studies._folder import Table, cells
from vi_vs_mcmc.studies._settings import distances, method_names

DEFAULTS = {
    "separations": (1.5, 2.0, 2.5, 3.0, 4.0, 5.0),
    "replicates": 3,
    "rows": 300,
    "methods": ("cavi",),
    "draws": 1000,
    "max_draws": 2000,
}
CAPTION = "Dots: scalars of each data set; line: their median. Below 1 sds are too narrow; the band is 0.9 to 1.1."


def run(folder: Path, chosen: dict[str, Any], seed: int, progress) -> Table:
    """Compare at each separation and replicate."""
    replicates, rows = whole("replicates", chosen["replicates"]), whole("rows", chosen["rows"])
    separations, methods = distances(chosen["separations"]), method_names("overlap", chosen["methods"])
    if rows < 10:
        raise SettingError(f"rows is {rows}; want 10 or more")
    draws = whole("draws", chosen["draws"], posterior.FEWEST)
    settings = {
        "study": "overlap",
        "rows": rows,
        "methods": methods,
        "draws": draws,
        "max_draws": whole("max_draws", chosen["max_draws"], draws),
        "seed": seed,
    }
    admit(_two_components(separations[0], np.random.default_rng(seed), rows), resolved(methods), resolve("nuts"))

    def compared(separation: float, replicate: int) -> Table:
        rng = np.random.default_rng([seed, replicate, round(1000 * separation)])
        found = compare(
            _two_components(separation, rng, rows),
            methods=methods,
            seed=seed + replicate,
            draws=draws,
            max_draws=settings["max_draws"],
            embed_data=False,
        )
        verdicts = {m: ", ".join(v["verdict"]) for m, v in found.summary["verdicts"].items()}
        table = found.table.copy()
        table.insert(0, "verdict", [verdicts[m] for m in table["method"]])
        return table

    wanted = [(s, r) for s in separations for r in range(replicates)]
    columns = ("verdict", "method", "parameter")
    table = cells(folder, settings, ("separation", "replicate"), wanted, compared, progress, columns)
    from vi_vs_mcmc.figures.overlap import overlap

    _page.write_figure(folder, "overlap", overlap(table), [], shown(table), CAPTION)
    return table


def shown(table: Table) -> Table:
    """The middle and the ends of the sd ratios of each method and separation."""
    return table.groupby(["method", "separation"])["sd_ratio"].agg(["median", "min", "max"]).reset_index()


def _two_components(separation: float, rng: np.random.Generator, rows: int) -> Problem:
    side = rng.integers(0, 2, rows)
    x = rng.standard_normal((rows, 2)) + np.outer(side - 0.5, [separation, 0.0])
    return load("gmm")(x, components=2)
