"""A report card: every method on every ported posterior of posteriordb. NUTS judges, and is held against posteriordb's own draws.

What is said of a method is said of its scalars: sd ratio, bias and coverage against NUTS, with their Monte Carlo limits; and of
the method as a whole k-hat and seconds. A posterior that NUTS failed on has no verdict, and its numbers count in no summary.

Source: Magnusson et al. (2024), arXiv 2407.04967 (posteriordb); the regressions' summary is that of Giordano, Ingram and
Broderick (2024), JMLR 25: sd_err = (sd - sd_NUTS) / sd_NUTS.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vi_vs_mcmc import posterior
from vi_vs_mcmc.compare import compare, fit
from vi_vs_mcmc.errors import NumericalError, SettingError, unknown, whole
from vi_vs_mcmc.files import replace_text
from vi_vs_mcmc.methods.registry import refuse, resolve
from vi_vs_mcmc.metrics.known import against_known
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.plugins import choices, load
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.record import Comparison
from vi_vs_mcmc.studies import _card
from vi_vs_mcmc.studies._folder import Table, as_json, cells, record
from vi_vs_mcmc.studies._settings import method_names
from vi_vs_mcmc.studies._summary import summarised

MODEL = "posteriordb"
DEFAULTS = {
    "posteriors": None,
    "methods": ("svi:AutoNormal", "svi:AutoMultivariateNormal", "laplace", "dadvi", "dadvi-lr", "pathfinder"),
    "draws": 1000,
    "max_draws": 2500,
}
COLUMNS = ("family", "verdict", "method", "parameter", "sd_ratio", "method_khat", "seconds")
FEW = 100  # draws, to see which method fails
COMPARISON = "comparison"  # stands for a method where none is found at fault
KNOWN = {"known_mean": "known_mean", "known_sd": "known_sd", "known_z": "mean_z", "known_ratio": "sd_ratio"}


def run(folder: Path, chosen: dict[str, Any], seed: int, progress) -> Table:
    """Compare on each posterior in turn; a method that fails on one is left out there, and it is said."""
    methods = method_names(MODEL, chosen["methods"])
    draws = whole("draws", chosen["draws"], posterior.FEWEST)
    most = whole("max_draws", chosen["max_draws"], draws)
    settings = {"study": MODEL, "methods": methods, "draws": draws, "max_draws": most, "seed": seed}
    names = _posteriors(chosen["posteriors"])
    failed = _failures(folder)

    def compared(name: str) -> Table | None:
        problem = load(MODEL)(posterior=name)
        suited, refused = _suited(problem, methods)
        found, failures = _compared(problem, suited, seed=seed, draws=draws, max_draws=most)
        failures |= refused
        failed.pop(name, None)
        if failures:
            failed[name] = failures
        replace_text(folder / "study.json", as_json({**settings, "failed": failed}))
        return None if found is None else _rows(problem, found)

    table = cells(folder, settings, ("posterior",), [(name,) for name in names], compared, progress, COLUMNS)
    shortfall = {name: failed[name] for name in names if name in failed}
    if table.empty or not (table := table.loc[table["posterior"].isin(names)]).size:
        raise NumericalError(f"no posterior could be compared: {shortfall}")
    summary = summarised(table, methods)
    made = {
        "versions": posterior.versions(),
        "date": datetime.now(UTC).date().isoformat(),
        "command": _command(settings, [] if chosen["posteriors"] is None else names),
    }
    whole_record = {**settings, "failed": failed, "made": made, "summary": summary}
    replace_text(folder / "study.json", as_json(whole_record))
    _card.write(folder, table, {**whole_record, "failed": shortfall})
    return table


def _failures(folder: Path) -> dict[str, dict[str, str]]:
    """What failed before, in posteriors that are not run again."""
    path = folder / "study.json"
    found = record(path).get("failed", {}) if path.exists() else {}
    return {name: of for name, of in found.items() if isinstance(of, dict)}


def _command(settings: dict[str, Any], names: list[str]) -> str:
    words = ["vi-vs-mcmc", "study", MODEL]
    words += [word for method in settings["methods"] for word in ("--method", method)]
    words += [word for name in names for word in ("--posterior", name)]
    for option in ("draws", "max_draws", "seed"):
        words += [f"--{option.replace('_', '-')}", str(settings[option])]
    return shlex.join(words)


def _compared(
    problem: Problem, methods: list[str], *, seed: int, draws: int, max_draws: int
) -> tuple[Comparison | None, dict[str, str]]:
    """The comparison of those methods that can be fitted, and what each of the others said.

    A failed comparison does not name the method: each is then fitted alone. Where none fails so, it was the judge, or what is
    computed of both: there is no comparison, and what was said stands under "comparison".
    """
    failures: dict[str, str] = {}
    try:
        return compare(
            problem, methods=methods, seed=seed, draws=draws, max_draws=max_draws, embed_data=False
        ), failures
    except NumericalError as error:
        whole_error = str(error)
    for method in methods:
        try:
            fit(problem, method, seed=seed, draws=FEW)
        except NumericalError as error:
            failures[method] = str(error)
    kept = [method for method in methods if method not in failures]
    if not failures or not kept:
        return None, failures or {COMPARISON: whole_error}
    try:
        return compare(problem, methods=kept, seed=seed, draws=draws, max_draws=max_draws, embed_data=False), failures
    except NumericalError as error:
        return None, {**failures, COMPARISON: str(error)}


def shown(table: Table) -> Table:
    """Of each posterior and method: the middle of the sd ratios, the worst bias, k-hat, seconds, the verdict."""
    groups: Any = table.loc[table["judged"].astype(bool)].groupby(["posterior", "method"], sort=False)
    return groups.agg(
        sd_ratio=("sd_ratio", "median"),
        worst_bias=("bias", lambda bias: bias.abs().max()),
        khat=("method_khat", "first"),
        seconds=("seconds", "first"),
        verdict=("verdict", "first"),
    ).reset_index()


def _posteriors(given: Any) -> list[str]:
    known = list(choices(MODEL)["posterior"])
    if given is None:
        return known
    if isinstance(given, str) or not given:
        raise SettingError(f"posteriors is {given!r}; want a list of names, such as sblri-blr")
    for name in given:
        if name not in known:
            raise unknown("posterior", name, known)
    return list(dict.fromkeys(given))


def _suited(problem: Problem, methods: list[str]) -> tuple[list[str], dict[str, str]]:
    """Those that suit the problem, and what the others said."""
    kept, refused = [], {}
    for method in methods:
        try:
            refuse(problem, resolve(method))
        except SettingError as error:
            refused[method] = str(error)
            continue
        kept.append(method)
    return kept, refused


def _rows(problem: Problem, found: Comparison) -> Table:
    """The comparison's rows, with what is said of the whole method, and of the reference beside what is known.

    A scalar without a variance keeps what is known of it, but no distance from it.
    """
    verdicts, reference = found.summary["verdicts"], found.summary["reference"]["method"]
    table = found.table
    of = lambda field: [verdicts[m].get(field) for m in table["method"]]
    front: dict[str, Any] = {
        "family": problem.program.__module__.rpartition(".")[2],  # the file that its program is in
        "verdict": [", ".join(words) for words in of("verdict")],
        "method_khat": np.array(of("khat"), float),
        "seconds": np.array(of("wall_seconds"), float),
        "reference_seconds": float(found.posteriors[reference].attrs["wall_seconds"]),
    }
    known = problem.known or {}
    beside = against_known(marginals(found.posteriors[reference], problem.compared), known).set_index("parameter")
    bare = [label for label in beside.index if not getattr(known[label], "has_variance", True)]
    beside.loc[bare, ["mean_z", "sd_ratio"]] = np.nan
    for column, of_known in KNOWN.items():
        front[column] = beside.loc[list(table["parameter"]), of_known].to_numpy()  # a KeyError for a label unknown
    return short(pd.concat([pd.DataFrame(front, index=table.index), table], axis=1))


def short(table: Table) -> Table:
    """The same numbers to six digits: their Monte Carlo errors are in the third."""
    digits = lambda value: float(f"{value:.6g}")
    return table.assign(**{str(c): table[c].map(digits) for c in table.select_dtypes("float").columns})
