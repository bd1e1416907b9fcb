"""Many fits over many problems: one tidy table and one page, going on where it was stopped."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pandas as pd

from vi_vs_mcmc import studies as package
from vi_vs_mcmc.compare import chosen_seed
from vi_vs_mcmc.errors import SettingError, unknown


def studies() -> list[str]:
    """Every study: the files of `vi_vs_mcmc.studies` that do not begin with _."""
    return [found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_")]


def study(name: str, folder: str | Path, *, seed: int = 0, progress=None, **settings: Any) -> pd.DataFrame:
    """Run a named study, or what is left of it, and write study.csv, study.json and study.html.

    `overlap`: two round components in two dimensions, equal weights and unit variances, at growing distance; how much of
    its sds mean-field VI loses as the components begin to share rows. NUTS judges.

    `calibration`: truths drawn from the prior and rows from the model, many times over; how often a method's intervals hold the
    truth. No MCMC judges. Probabilities of every data set are written to probabilities.csv, verdicts to study.json.

    `posteriordb`: every method on every ported posterior of posteriordb: a report card. NUTS judges, and is itself held against
    posteriordb's reference draws.

    Args:
        name: "overlap", "calibration" or "posteriordb"; a file added to `vi_vs_mcmc.studies` is a study too.
        folder: where it is written; a finished cell, or lot of data sets, is not run again.
        seed: determines the study.
        progress: called as progress(stage, done, total).
        **settings: the study's own; None is the default. Those that are there:
            separations (overlap, calibration): distances between the two means, in sds; calibration takes one. Default 1.5 to
                5; for calibration 2.
            replicates (overlap, calibration): data sets at each separation. Default 3; for calibration 400.
            rows (overlap, calibration): of each data set. Default 300; for calibration 60.
            methods: what is judged. Default CAVI; for calibration CAVI and LRVB; for posteriordb six that need no closed form.
            draws: of each of 4 chains of NUTS, default 1000; for calibration of q, among which a truth is ranked, default 999.
            max_draws (overlap, posteriordb): of each chain at most, default 2000; 2500 for posteriordb.
            posteriors: names of posteriordb's; default all that are ported.

    Returns:
        overlap: one row per cell, method and scalar: separation, replicate, verdict, then the columns of comparison.csv.
        calibration: one row per method, scalar and level: the columns of `uniformity.coverage`.
        posteriordb: one row per posterior, method and scalar: posterior, verdict, method_khat, seconds, what is known and how far
            the reference is from it, then the columns of comparison.csv.

    Raises:
        SettingError: no such study, a setting that it has not or out of range, a method that does not apply, or a folder that
            holds a study with other settings.
        DataError: a study.json or a table in the folder that cannot be read.
        NumericalError: nothing of the study could be fitted.
    """
    module = _module(name)
    given = {setting: value for setting, value in settings.items() if value is not None}
    foreign = [setting for setting in given if setting not in module.DEFAULTS]
    if foreign:
        raise SettingError(f"study {name} has no setting {foreign[0]}; it has {', '.join(module.DEFAULTS)}")
    return module.run(Path(folder), {**module.DEFAULTS, **given}, chosen_seed(seed), progress)


def shown(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The few lines of a study's table that a terminal shows."""
    return _module(name).shown(table)


def _module(name: str) -> Any:
    if name not in (known := studies()):
        raise unknown("study", name, known)
    return importlib.import_module(f"{package.__name__}.{name}")
