"""A study's folder: its settings, what is finished and its table; going on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vi_vs_mcmc.errors import DataError, SettingError
from vi_vs_mcmc.files import replace_text

Table = pd.DataFrame
RESULTS = ("study.csv", "probabilities.csv")  # a folder with one of them holds finished work


def resumed(folder: Path, settings: dict[str, Any], name: str, columns: Sequence[str]) -> Table:
    """What the folder holds of this study, empty at first; settings bind once something is finished.

    Raises:
        DataError: a record or a table that cannot be read, or a table without a record.
        SettingError: a study with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.json"
    before = record(path) if path.exists() else None
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
        replace_text(path, as_json(settings))
    return found


def record(path: Path) -> dict[str, Any]:
    """A study.json as it is.

    Raises:
        DataError: not JSON, or no settings.
    """
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


def cells(
    folder: Path,
    settings: dict[str, Any],
    keys: Sequence[str],
    wanted: Sequence[tuple[Any, ...]],
    make: Callable[..., Table | None],
    progress,
    columns: Sequence[str] = (),
) -> Table:
    """Make the wanted cells that study.csv lacks, one by one; a cell is written once it is done.

    Args:
        folder: of the study.
        settings: that bind the folder; "study" among them.
        keys: columns that name a cell.
        wanted: the cells, in order: a value for each key.
        make: make(*cell) is the cell's rows without the keys; None where there are none to write.
        progress: called as progress(study, done, total), or None.
        columns: that a table from before must have, besides the keys.
    """
    table = resumed(folder, settings, "study.csv", (*keys, *columns))
    done = set() if table.empty else set(zip(*(table[key] for key in keys), strict=True))
    note = progress or (lambda *_: None)
    for number, cell in enumerate(wanted):
        note(settings["study"], number, len(wanted))
        if cell in done or (rows := make(*cell)) is None:
            continue
        front = pd.DataFrame(dict(zip(keys, cell, strict=True)), index=rows.index)
        table = joined(table, pd.concat([front, rows], axis=1))
        replace_text(folder / "study.csv", table.to_csv(index=False))
    note(settings["study"], len(wanted), len(wanted))
    return table


def joined(table: Table, more: Table) -> Table:
    """The rows of both."""
    return more if table.empty else pd.concat([table, more], ignore_index=True)


def as_json(of: dict[str, Any]) -> str:
    """A record as text."""
    return json.dumps(of, indent=1, ensure_ascii=False) + "\n"
