"""Truths drawn from the prior and rows from the model: how often a method's intervals hold the truth. No MCMC judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vi_vs_mcmc import calibration, uniformity
from vi_vs_mcmc.errors import SettingError, whole
from vi_vs_mcmc.files import replace_text
from vi_vs_mcmc.methods.registry import refuse, resolved
from vi_vs_mcmc.studies import _page
from vi_vs_mcmc.studies._folder import Table, as_json, joined, resumed
from vi_vs_mcmc.studies._settings import distances, method_names

DEFAULTS = {"separations": (2.0,), "replicates": 400, "rows": 60, "methods": ("cavi", "lrvb"), "draws": 999}
CAPTION = (
    "Thick: the mean of all scalars; thin: each scalar. Below the diagonal intervals are too narrow, above it too wide. "
    "Grey: where the thin line of a calibrated method stays from end to end, in 95 of 100 studies of this size."
)


def run(folder: Path, chosen: dict[str, Any], seed: int, progress) -> Table:
    """Fit lot after lot of data sets; a lot is written once it is done."""
    from vi_vs_mcmc.figures.calibration import calibration as drawn
    from vi_vs_mcmc.figures.palette import styles

    replicates, rows = whole("replicates", chosen["replicates"]), whole("rows", chosen["rows"])
    separations, methods = distances(chosen["separations"]), method_names("calibration", chosen["methods"])
    if len(separations) != 1:
        raise SettingError(f"calibration wants one separation; got {len(separations)}")
    design = calibration.Mixture(rows, separations[0])
    settings = {
        "study": "calibration",
        "rows": design.rows,
        "separation": design.separation,
        "methods": methods,
        "draws": whole("draws", chosen["draws"]),
        "seed": seed,
    }
    first = design.simulate(np.random.default_rng(seed)).problem
    for method in resolved(methods):
        refuse(first, method)
    found = resumed(folder, settings, "probabilities.csv", ("replicate", "method", "parameter", "u", "converged"))
    done = set() if found.empty else set(found["replicate"])
    left = [replicate for replicate in range(replicates) if replicate not in done]
    for first in range(0, len(left), calibration.TOGETHER):
        if progress is not None:
            progress("calibration", replicates - len(left) + first, replicates)
        lot = left[first : first + calibration.TOGETHER]
        fitted = calibration.probabilities(design, methods, lot, seed=seed, draws=settings["draws"])
        found = joined(found, fitted)
        replace_text(folder / "probabilities.csv", found.to_csv(index=False))
    if progress is not None:
        progress("calibration", replicates, replicates)
    found = found.loc[found["replicate"] < replicates]
    table, verdicts = uniformity.coverage(found), uniformity.verdicts(found)
    replace_text(folder / "study.csv", table.to_csv(index=False))
    replace_text(folder / "study.json", as_json({**settings, "verdicts": verdicts}))
    held, parameters = uniformity.curves(found)
    figure = drawn(uniformity.GRID, held, parameters, uniformity.band(replicates), styles("", methods))
    sentences = [entry["sentence"] for entry in verdicts.values()]
    of_all = table.loc[table["parameter"] == uniformity.ALL]
    _page.write_figure(folder, "calibration", figure, sentences, shown(of_all), CAPTION)
    return table


def shown(table: Table) -> Table:
    """How often intervals of each level held the truth."""
    return pd.DataFrame(table[["method", "parameter", "level", "covered", "low", "high"]])
