"""comparison.csv as columns: one row per judged method and parameter, NaN where a file has no number."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vi_vs_mcmc.errors import DataError

REQUIRED = (
    *("mean", "sd", "reference_mean", "reference_sd", "sd_ratio", "sd_ratio_low", "sd_ratio_high"),
    *("bias", "bias_low", "bias_high", "coverage90", "coverage90_low", "coverage90_high", "wasserstein1"),
)
OPTIONAL = (
    *("q05", "q50", "q95", "reference_q05", "reference_q50", "reference_q95"),
    *("sd_ratio_lowest", "sd_ratio_highest", "bias_lowest", "bias_highest"),
    *("reference_rhat", "reference_ess_bulk", "reference_ess_tail"),
    *("factorised", "factorised_low", "factorised_high"),  # the sd ratio that the best factorised normal would have
    *("corrected_mean", "corrected_sd", "khat"),  # by importance weights
    *("kl", "kl_low", "kl_high"),
    *("robust_ratio", "robust_ratio_low", "robust_ratio_high"),  # of half-widths of central 68 % intervals
)
_BLANK = {"", "nan", "none", "null"}


@dataclass(frozen=True)
class Comparison:
    """The table's rows in the file's order; every array has shape (row,)."""

    method: list[str]
    parameter: list[str]
    judged: NDArray[np.bool_]
    numbers: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.method)

    @cached_property
    def parameters(self) -> list[str]:
        """Every parameter once, in the file's order."""
        return list(dict.fromkeys(self.parameter))

    @cached_property
    def judged_parameters(self) -> set[str]:
        """Parameters on which some verdict rests."""
        return {p for p, j in zip(self.parameter, self.judged, strict=True) if j}

    @cached_property
    def place(self) -> dict[tuple[str, str], int]:
        """The first row of each method and parameter."""
        found: dict[tuple[str, str], int] = {}
        for i, key in enumerate(zip(self.method, self.parameter, strict=True)):
            found.setdefault(key, i)
        return found

    def column(self, method: str, name: str, parameters: Sequence[str]) -> NDArray[np.float64]:
        """One number of a method at each of the parameters, NaN where the table lacks the row."""
        rows = [self.place.get((method, p)) for p in parameters]
        column = self.numbers[name]
        return np.array([math.nan if i is None else column[i] for i in rows])


def parse(path: Path, text: str) -> Comparison:
    """Read the table.

    Raises:
        DataError: a column is missing, a row is too short or long, a cell is no number, or there are no rows.
    """
    lines = list(csv.reader(text.splitlines()))
    if not lines:
        raise DataError(f"{path} is empty; a header and one row per method and parameter are wanted.")
    head, body = lines[0], [line for line in lines[1:] if line]
    missing = [c for c in ("method", "parameter", *REQUIRED) if c not in head]
    if missing:
        raise DataError(f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}.")
    if not body:
        raise DataError(f"{path} has no rows; one per method and parameter is wanted.")
    for i, line in enumerate(body):
        if len(line) != len(head):
            raise DataError(f"{path} has {len(line)} cells in row {i + 1}; its header has {len(head)}.")
    cells = {name: [line[k] for line in body] for k, name in enumerate(head)}
    judged = [value.strip().lower() in ("true", "1") for value in cells.get("judged", ["true"] * len(body))]
    numbers = {name: _numbers(path, name, cells.get(name, [""] * len(body))) for name in (*REQUIRED, *OPTIONAL)}
    return Comparison(cells["method"], cells["parameter"], np.array(judged), numbers)


def _numbers(path: Path, name: str, cells: list[str]) -> NDArray[np.float64]:
    out = np.full(len(cells), math.nan)
    for i, cell in enumerate(cells):
        if cell.strip().lower() in _BLANK:
            continue
        try:
            out[i] = float(cell)
        except ValueError as error:
            raise DataError(f"{path} has {cell!r} in column {name}, row {i + 1}; a number is wanted.") from error
    return out
