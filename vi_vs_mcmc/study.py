"""Many comparisons over a grid of problems: one tidy table and one figure, going on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vi_vs_mcmc.compare import compare
from vi_vs_mcmc.errors import SettingError, unknown
from vi_vs_mcmc.plugins import load
from vi_vs_mcmc.problem import Problem


def study(
    name: str,
    folder: str | Path,
    *,
    separations: Sequence[float] = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0),
    replicates: int = 3,
    rows: int = 300,
    methods: Sequence[str] = ("cavi",),
    draws: int = 1000,
    max_draws: int = 2000,
    seed: int = 0,
    progress=None,
) -> pd.DataFrame:
    """Run a named study, or what is left of it, and write study.csv, study.json, figure.json and study.html.

    `overlap`: two round components in two dimensions, equal weights and unit variances, at growing distance; how much of
    its sds mean-field VI loses as the components begin to share rows.

    Args:
        name: "overlap".
        folder: where it is written; a finished cell is not run again.
        separations: distances between the two means, in sds.
        replicates: data sets at each separation.
        rows: of each data set.
        methods: what is judged.
        draws: of each of 4 chains of NUTS.
        max_draws: at most.
        seed: determines the study.
        progress: called as progress(stage, done, total).

    Returns:
        One row per cell, method and scalar: separation, replicate, verdict, then the columns of comparison.csv.

    Raises:
        SettingError: no such study, a setting out of range, or a folder that holds a study with other settings.
    """
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    if replicates < 1 or rows < 10 or not separations or min(separations) < 0:
        raise SettingError("want 1 or more replicates, 10 or more rows, and separations of 0 or more")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "study": name,
        "rows": rows,
        "methods": list(methods),
        "draws": draws,
        "max_draws": max_draws,
        "seed": seed,
    }
    table = _resumed(folder, settings)
    cells = [(s, r) for s in separations for r in range(replicates)]
    done = set() if table.empty else set(zip(table["separation"], table["replicate"], strict=True))
    for number, (separation, replicate) in enumerate(cells):
        if progress is not None:
            progress(name, number, len(cells))
        if (separation, replicate) in done:
            continue
        problem = STUDIES[name](separation, np.random.default_rng([seed, replicate, round(1000 * separation)]), rows)
        found = compare(
            problem,
            methods=methods,
            seed=seed + replicate,
            draws=draws,
            max_draws=max_draws,
            embed_data=False,
        )
        verdicts = {m: ", ".join(v["verdict"]) for m, v in found.summary["verdicts"].items()}
        cell = found.table.assign(separation=float(separation), replicate=replicate)
        cell = cell.assign(verdict=[verdicts[m] for m in cell["method"]])
        front = ["separation", "replicate", "verdict"]
        cell = cell.loc[:, front + [c for c in cell.columns if c not in front]]
        table = cell if table.empty else pd.concat([table, cell], ignore_index=True)
        _replace(folder / "study.csv", table.to_csv(index=False))
    if progress is not None:
        progress(name, len(cells), len(cells))
    _draw(table, folder)
    return table


def _overlap(separation: float, rng: np.random.Generator, rows: int) -> Problem:
    side = rng.integers(0, 2, rows)
    x = rng.standard_normal((rows, 2)) + np.outer(side - 0.5, [separation, 0.0])
    return load("gmm")(x, components=2)


STUDIES: dict[str, Callable[[float, np.random.Generator, int], Problem]] = {"overlap": _overlap}


def _resumed(folder: Path, settings: dict[str, Any]) -> pd.DataFrame:
    record = folder / "study.json"
    if record.exists():
        before = json.loads(record.read_text("utf-8"))
        differ = [k for k in settings if before.get(k) != settings[k]]
        if differ:
            key = differ[0]
            raise SettingError(
                f"{folder} holds a study with {key} = {before.get(key)!r}, not {settings[key]!r}; choose another --out"
            )
    _replace(record, json.dumps(settings, indent=1) + "\n")
    table = folder / "study.csv"
    return pd.read_csv(table) if table.exists() else pd.DataFrame()


def _draw(table: pd.DataFrame, folder: Path) -> None:
    from vi_vs_mcmc.figures.overlap import overlap

    figure = overlap(table)
    _replace(folder / "figure.json", str(figure.to_json()))
    options = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
    _replace(folder / "study.html", figure.to_html(include_plotlyjs=True, config=options, div_id="overlap"))


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)
