"""Many fits over many problems: one tidy table and one figure, going on where it was stopped."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vi_vs_mcmc import posterior
from vi_vs_mcmc.compare import admit, chosen_seed, compare
from vi_vs_mcmc.errors import DataError, SettingError, real, unknown, whole
from vi_vs_mcmc.files import replace_text
from vi_vs_mcmc.methods.registry import refuse, resolve, resolved
from vi_vs_mcmc.plugins import load
from vi_vs_mcmc.problem import Problem

Table = pd.DataFrame
FARTHEST = 1e6  # distance of two means, in sds: rows keep ten digits
RESULTS = ("study.csv", "probabilities.csv")  # a folder with one of them holds finished work
CAPTION = (
    "Thick: the mean of all scalars; thin: each scalar. Below the diagonal intervals are too narrow, above it too wide. "
    "Grey: where the thin line of a calibrated method stays from end to end, in 95 of 100 studies of this size."
)


def study(
    name: str,
    folder: str | Path,
    *,
    separations: Sequence[float] | None = None,
    replicates: int | None = None,
    rows: int | None = None,
    methods: Sequence[str] | None = None,
    draws: int | None = None,
    max_draws: int | None = None,
    seed: int = 0,
    progress=None,
) -> pd.DataFrame:
    """Run a named study, or what is left of it, and write study.csv, study.json, figure.json and study.html.

    `overlap`: two round components in two dimensions, equal weights and unit variances, at growing distance; how much of
    its sds mean-field VI loses as the components begin to share rows. NUTS judges.

    `calibration`: truths drawn from the prior and rows from the model, many times over; how often a method's intervals hold the
    truth. No MCMC judges. Probabilities of every data set are written to probabilities.csv, verdicts to study.json.

    Args:
        name: "overlap" or "calibration".
        folder: where it is written; a finished cell, or lot of data sets, is not run again.
        separations: distances between the two means, in sds; calibration takes one. Default 1.5 to 5; for calibration 2.
        replicates: data sets at each separation. Default 3; for calibration 400.
        rows: of each data set. Default 300; for calibration 60.
        methods: what is judged. Default CAVI; for calibration CAVI and LRVB.
        draws: of each of 4 chains of NUTS, default 1000; for calibration of q, among which a truth is ranked, default 999.
        max_draws: of each chain at most, default 2000; calibration has none.
        seed: determines the study.
        progress: called as progress(stage, done, total).

    Returns:
        overlap: one row per cell, method and scalar: separation, replicate, verdict, then the columns of comparison.csv.
        calibration: one row per method, scalar and level: the columns of `uniformity.coverage`.

    Raises:
        SettingError: no such study, a setting that it has not or out of range, a method that does not apply, or a folder that
            holds a study with other settings.
        DataError: a study.json or a table in the folder that cannot be read.
    """
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    run, defaults = STUDIES[name]
    given = {
        "separations": separations,
        "replicates": replicates,
        "rows": rows,
        "methods": methods,
        "draws": draws,
        "max_draws": max_draws,
    }
    given = {setting: value for setting, value in given.items() if value is not None}
    foreign = [setting for setting in given if setting not in defaults]
    if foreign:
        raise SettingError(f"study {name} has no setting {foreign[0]}; it has {', '.join(defaults)}")
    chosen = {**defaults, **given}
    chosen["replicates"] = whole("replicates", chosen["replicates"])
    chosen["rows"] = whole("rows", chosen["rows"])
    chosen["separations"] = _distances(chosen["separations"])
    chosen["methods"] = _names(name, chosen["methods"])
    return run(Path(folder), chosen, chosen_seed(seed), progress)


def _overlap(folder: Path, chosen: dict[str, Any], seed: int, progress) -> Table:
    """Compare at each separation and replicate; a cell is written once it is done."""
    if chosen["rows"] < 10:
        raise SettingError(f"rows is {chosen['rows']}; want 10 or more")
    draws = whole("draws", chosen["draws"], posterior.FEWEST)
    settings = {
        "study": "overlap",
        "rows": chosen["rows"],
        "methods": chosen["methods"],
        "draws": draws,
        "max_draws": whole("max_draws", chosen["max_draws"], draws),
        "seed": seed,
    }
    first = _two_components(chosen["separations"][0], np.random.default_rng(seed), chosen["rows"])
    admit(first, resolved(chosen["methods"]), resolve("nuts"))
    table = _resumed(folder, settings, "study.csv", ("separation", "replicate", "verdict", "method", "parameter"))
    cells = [(s, r) for s in chosen["separations"] for r in range(chosen["replicates"])]
    done = set() if table.empty else set(zip(table["separation"], table["replicate"], strict=True))
    for number, (separation, replicate) in enumerate(cells):
        if progress is not None:
            progress("overlap", number, len(cells))
        if (separation, replicate) in done:
            continue
        rng = np.random.default_rng([seed, replicate, round(1000 * separation)])
        found = compare(
            _two_components(separation, rng, chosen["rows"]),
            methods=chosen["methods"],
            seed=seed + replicate,
            draws=settings["draws"],
            max_draws=settings["max_draws"],
            embed_data=False,
        )
        verdicts = {m: ", ".join(v["verdict"]) for m, v in found.summary["verdicts"].items()}
        cell = found.table.assign(separation=float(separation), replicate=replicate)
        cell = cell.assign(verdict=[verdicts[m] for m in cell["method"]])
        front = ["separation", "replicate", "verdict"]
        cell = cell.loc[:, front + [c for c in cell.columns if c not in front]]
        table = _joined(table, cell)
        replace_text(folder / "study.csv", table.to_csv(index=False))
    if progress is not None:
        progress("overlap", len(cells), len(cells))
    from vi_vs_mcmc.figures.overlap import overlap

    _page(folder, "overlap", overlap(table), [])
    return table


def _two_components(separation: float, rng: np.random.Generator, rows: int) -> Problem:
    side = rng.integers(0, 2, rows)
    x = rng.standard_normal((rows, 2)) + np.outer(side - 0.5, [separation, 0.0])
    return load("gmm")(x, components=2)


def _calibration(folder: Path, chosen: dict[str, Any], seed: int, progress) -> Table:
    """Fit lot after lot of data sets; a lot is written once it is done."""
    from vi_vs_mcmc import calibration, uniformity
    from vi_vs_mcmc.figures.calibration import calibration as drawn
    from vi_vs_mcmc.figures.palette import styles

    if len(chosen["separations"]) != 1:
        raise SettingError(f"calibration wants one separation; got {len(chosen['separations'])}")
    design = calibration.Mixture(chosen["rows"], chosen["separations"][0])
    methods, replicates = chosen["methods"], chosen["replicates"]
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
    found = _resumed(folder, settings, "probabilities.csv", ("replicate", "method", "parameter", "u", "converged"))
    done = set() if found.empty else set(found["replicate"])
    left = [replicate for replicate in range(replicates) if replicate not in done]
    for first in range(0, len(left), calibration.TOGETHER):
        if progress is not None:
            progress("calibration", replicates - len(left) + first, replicates)
        lot = left[first : first + calibration.TOGETHER]
        fitted = calibration.probabilities(design, methods, lot, seed=seed, draws=settings["draws"])
        found = _joined(found, fitted)
        replace_text(folder / "probabilities.csv", found.to_csv(index=False))
    if progress is not None:
        progress("calibration", replicates, replicates)
    found = found.loc[found["replicate"] < replicates]
    table, verdicts = uniformity.coverage(found), uniformity.verdicts(found)
    replace_text(folder / "study.csv", table.to_csv(index=False))
    replace_text(folder / "study.json", _json({**settings, "verdicts": verdicts}))
    held, parameters = uniformity.curves(found)
    figure = drawn(uniformity.GRID, held, parameters, uniformity.band(replicates), styles("", methods))
    _page(folder, "calibration", figure, [entry["sentence"] for entry in verdicts.values()], CAPTION)
    return table


def _names(study: str, methods: Sequence[str]) -> list[str]:
    """Known methods, each once; names alone can be written down for the next time."""
    names = [method.name for method in resolved(methods)]
    for method, name in zip(methods, names, strict=True):
        if not isinstance(method, str):
            raise SettingError(f"{study} wants methods by name, such as 'cavi'; got {method!r}")
        if names.count(name) > 1:
            raise SettingError(f"method {name!r} is named twice; want each once")
    if not names:
        raise SettingError(f"{study} wants one method or more")
    return names


def _distances(separations: Sequence[float]) -> list[float]:
    """Distances in range, each once."""
    if isinstance(separations, str) or not isinstance(separations, Iterable):
        raise SettingError(f"separations is {separations!r}; want a list of numbers")
    found = list(dict.fromkeys(real("separation", value) for value in separations))
    if not found:
        raise SettingError("no separation is given; want one or more")
    for value in found:
        if not 0 <= value <= FARTHEST:
            raise SettingError(f"separation is {value:g}; want 0 to {FARTHEST:g}, in sds")
    return found


STUDIES: dict[str, tuple[Callable[[Path, dict[str, Any], int, Any], Table], dict[str, Any]]] = {
    "overlap": (
        _overlap,
        {
            "separations": (1.5, 2.0, 2.5, 3.0, 4.0, 5.0),
            "replicates": 3,
            "rows": 300,
            "methods": ("cavi",),
            "draws": 1000,
            "max_draws": 2000,
        },
    ),
    "calibration": (
        _calibration,
        {"separations": (2.0,), "replicates": 400, "rows": 60, "methods": ("cavi", "lrvb"), "draws": 999},
    ),
}


def _resumed(folder: Path, settings: dict[str, Any], name: str, columns: Sequence[str]) -> Table:
    """What the folder holds of this study, empty at first; settings bind once something is finished.

    Raises:
        DataError: a record or a table that cannot be read, or a table without a record.
        SettingError: a study with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "study.json"
    before = _record(record) if record.exists() else None
    there = [result for result in RESULTS if (folder / result).exists()]
    if before is None and there:
        raise DataError(
            f"{folder} holds {there[0]} without the settings that it came from, study.json; choose another --out"
        )
    if before is not None and there:
        differ = [k for k in settings if before.get(k) != settings[k]]
        if differ:
            key = differ[0]
            raise SettingError(
                f"{folder} holds a study with {key} = {before.get(key)!r}, not {settings[key]!r}; choose another --out"
            )
    table = folder / name
    found = _table(table, columns) if table.exists() else pd.DataFrame()
    if before is None or not there:  # else it may hold a finished study's verdicts
        replace_text(record, _json(settings))
    return found


def _record(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:  # not JSON, or not text
        raise DataError(f"{path} cannot be read as JSON, it may be damaged ({error}); choose another --out") from None
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no settings of a study; choose another --out")
    return found


def _table(path: Path, columns: Sequence[str]) -> Table:
    try:
        found = pd.read_csv(path)
    except ValueError as error:  # pandas' own errors are among these
        raise DataError(f"{path} cannot be read as csv, it may be damaged ({error}); choose another --out") from None
    if missing := [column for column in columns if column not in found.columns]:
        raise DataError(f"{path} lacks the column {missing[0]}, it may be damaged; choose another --out")
    return found


def _joined(table: Table, more: Table) -> Table:
    return more if table.empty else pd.concat([table, more], ignore_index=True)


def _json(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def _page(folder: Path, name: str, figure, sentences: list[str], caption: str = "") -> None:
    """figure.json, and one page: what was found, the figure, how to read it."""
    replace_text(folder / "figure.json", str(figure.to_json()))
    options = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
    drawn = figure.to_html(include_plotlyjs=True, config=options, div_id=name, full_html=False)
    said = "".join(f"<p>{html.escape(sentence)}</p>\n" for sentence in sentences)
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;background:#fdfdfc}"
    )
    replace_text(
        folder / "study.html",
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>{style}</style></head>\n'
        f"<body>\n<h1>Study: {name}</h1>\n{said}{drawn}\n<p>{html.escape(caption)}</p>\n</body></html>\n",
    )
