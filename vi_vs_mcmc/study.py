"""Many fits over many problems: one tidy table and one figure, going on where it was stopped."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vi_vs_mcmc.compare import compare
from vi_vs_mcmc.errors import SettingError, unknown, whole
from vi_vs_mcmc.plugins import load
from vi_vs_mcmc.problem import Problem

Table = pd.DataFrame
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
        SettingError: no such study, a setting that it has not or out of range, or a folder that holds a study with other
            settings.
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
    if not len(chosen["separations"]) or not min(chosen["separations"]) >= 0:
        raise SettingError("want separations of 0 or more, one at least")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return run(folder, chosen, seed, progress)


def _overlap(folder: Path, chosen: dict[str, Any], seed: int, progress) -> Table:
    """Compare at each separation and replicate; a cell is written once it is done."""
    if chosen["rows"] < 10:
        raise SettingError(f"rows is {chosen['rows']}; want 10 or more")
    settings = {
        "study": "overlap",
        "rows": chosen["rows"],
        "methods": list(chosen["methods"]),
        "draws": chosen["draws"],
        "max_draws": chosen["max_draws"],
        "seed": seed,
    }
    table = _resumed(folder, settings, "study.csv")
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
            draws=chosen["draws"],
            max_draws=chosen["max_draws"],
            embed_data=False,
        )
        verdicts = {m: ", ".join(v["verdict"]) for m, v in found.summary["verdicts"].items()}
        cell = found.table.assign(separation=float(separation), replicate=replicate)
        cell = cell.assign(verdict=[verdicts[m] for m in cell["method"]])
        front = ["separation", "replicate", "verdict"]
        cell = cell.loc[:, front + [c for c in cell.columns if c not in front]]
        table = _joined(table, cell)
        _replace(folder / "study.csv", table.to_csv(index=False))
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
    design = calibration.Mixture(chosen["rows"], float(chosen["separations"][0]))
    methods, replicates = _names(chosen["methods"]), chosen["replicates"]
    settings = {
        "study": "calibration",
        "rows": design.rows,
        "separation": design.separation,
        "methods": methods,
        "draws": whole("draws", chosen["draws"]),
        "seed": seed,
    }
    found = _resumed(folder, settings, "probabilities.csv")
    done = set() if found.empty else set(found["replicate"])
    left = [replicate for replicate in range(replicates) if replicate not in done]
    for first in range(0, len(left), calibration.TOGETHER):
        if progress is not None:
            progress("calibration", replicates - len(left) + first, replicates)
        lot = left[first : first + calibration.TOGETHER]
        fitted = calibration.probabilities(design, methods, lot, seed=seed, draws=settings["draws"])
        found = _joined(found, fitted)
        _replace(folder / "probabilities.csv", found.to_csv(index=False))
    if progress is not None:
        progress("calibration", replicates, replicates)
    found = found.loc[found["replicate"] < replicates]
    table, verdicts = uniformity.coverage(found), uniformity.verdicts(found)
    _replace(folder / "study.csv", table.to_csv(index=False))
    _replace(folder / "study.json", _json({**settings, "verdicts": verdicts}))
    held, parameters = uniformity.curves(found)
    figure = drawn(uniformity.GRID, held, parameters, uniformity.band(replicates), styles("", methods))
    _page(folder, "calibration", figure, [entry["sentence"] for entry in verdicts.values()], CAPTION)
    return table


def _names(methods: Sequence[str]) -> list[str]:
    """Known methods, each once; names alone can be written down for the next time."""
    from vi_vs_mcmc.methods.registry import resolve

    for method in methods:
        if not isinstance(method, str):
            raise SettingError(f"calibration wants methods by name, such as 'cavi'; got {method!r}")
        resolve(method)
    if not methods:
        raise SettingError("calibration wants one method or more")
    return list(dict.fromkeys(methods))


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


def _resumed(folder: Path, settings: dict[str, Any], name: str) -> Table:
    """What the folder holds of this study, empty at first."""
    record = folder / "study.json"
    if record.exists():
        before = json.loads(record.read_text("utf-8"))
        differ = [k for k in settings if before.get(k) != settings[k]]
        if differ:
            key = differ[0]
            raise SettingError(
                f"{folder} holds a study with {key} = {before.get(key)!r}, not {settings[key]!r}; choose another --out"
            )
    _replace(record, _json(settings))
    table = folder / name
    return pd.read_csv(table) if table.exists() else pd.DataFrame()


def _joined(table: Table, more: Table) -> Table:
    return more if table.empty else pd.concat([table, more], ignore_index=True)


def _json(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def _page(folder: Path, name: str, figure, sentences: list[str], caption: str = "") -> None:
    """figure.json, and one page: what was found, the figure, how to read it."""
    _replace(folder / "figure.json", str(figure.to_json()))
    options = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
    drawn = figure.to_html(include_plotlyjs=True, config=options, div_id=name, full_html=False)
    said = "".join(f"<p>{html.escape(sentence)}</p>\n" for sentence in sentences)
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;background:#fdfdfc}"
    )
    _replace(
        folder / "study.html",
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>{style}</style></head>\n'
        f"<body>\n<h1>Study: {name}</h1>\n{said}{drawn}\n<p>{html.escape(caption)}</p>\n</body></html>\n",
    )


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)
