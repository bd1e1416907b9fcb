"""Read a run folder: table, summary and posteriors, or say in one sentence what is wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from vi_vs_mcmc.errors import DataError
from vi_vs_mcmc.names import file_name
from vi_vs_mcmc.report.comparison import Comparison, parse

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Run:
    """What a run folder holds, in memory."""

    folder: Path
    summary: dict[str, Any]
    table: Comparison
    posteriors: dict[str, xr.DataTree]  # the reference and every judged method
    csv_text: str
    json_text: str

    @property
    def reference(self) -> str:
        """The name of the method the others are judged against."""
        return self.summary["reference"]["method"]

    @property
    def methods(self) -> list[str]:
        """The judged methods, in the order of the summary."""
        return list(self.summary["verdicts"])


def read(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        DataError: a file is missing or damaged, or the summary is of a version this package does not know.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; a report is made from a run folder such as reports/NAME.")
    json_text, csv_text = _text(folder, "summary.json"), _text(folder, "comparison.csv")
    summary = _summary(folder, json_text)
    table = parse(folder / "comparison.csv", csv_text)
    methods = [summary["reference"]["method"], *summary["verdicts"]]
    posteriors = {m: _posterior(folder, m) for m in methods}
    return Run(folder, summary, table, posteriors, csv_text, json_text)


def _text(folder: Path, name: str) -> str:
    path = folder / name
    if not path.is_file():
        raise DataError(f"{folder} lacks {name}; a run folder holds comparison.csv, summary.json and posteriors/.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8: {error.reason} at byte {error.start}.") from error


def _summary(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "summary.json"
    try:
        summary = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not JSON: {error.msg} in line {error.lineno}.") from error
    if not isinstance(summary, dict) or "schema_version" not in summary:
        raise DataError(f"{path} has no schema_version; version {SCHEMA_VERSION} is wanted.")
    if summary["schema_version"] != SCHEMA_VERSION:
        raise DataError(
            f"{path} has schema_version {summary['schema_version']!r}; this package reads version {SCHEMA_VERSION}."
        )
    reference, verdicts = summary.get("reference"), summary.get("verdicts")
    if not isinstance(reference, dict) or not isinstance(reference.get("method"), str):
        raise DataError(f"{path} does not name its reference; reference.method is wanted.")
    if not isinstance(verdicts, dict) or not verdicts or not all(isinstance(v, dict) for v in verdicts.values()):
        raise DataError(f"{path} holds no verdicts; one per judged method is wanted.")
    return summary


def _posterior(folder: Path, method: str) -> xr.DataTree:
    name = f"{file_name(method)}.nc"
    path = folder / "posteriors" / name
    if not path.exists():
        raise DataError(f"{folder} lacks posteriors/{name}, the draws of {method}.")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            loaded = tree.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} cannot be read as a posterior: {reason}") from error
    if "posterior" not in loaded.children:
        raise DataError(f"{path} has no group called posterior.")
    if not {"chain", "draw"} <= set(loaded["posterior"].dims):
        raise DataError(f"{path} has no chains and draws; its posterior needs the dims chain and draw.")
    return loaded
