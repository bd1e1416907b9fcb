"""Read and check tables: files, arrays and frames become one finite float64 matrix with named columns."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import DataError, SettingError, unknown
from .sources import Contents, listed, opened

_INDEX = re.compile(r"|unnamed: \d+|__index_level_\d+__|index|rownames|row_?n(umbe)?r|id", re.IGNORECASE)
_WORDS = {"string": "text", "object": "objects", "boolean": "booleans"}
_COLLINEAR = 1e-8  # 1 - |correlation| below which two columns say the same
_CODES = 10  # no more distinct whole numbers than this look like categories
_HUGE = 1e30  # a variance is a square, and its Monte Carlo error a fourth power of that


@dataclass(frozen=True, eq=False)
class Table:
    """A checked table: every cell finite, every column named."""

    values: np.ndarray  # (rows, columns) float64, C-contiguous, read-only
    columns: tuple[str, ...]  # x0, x1, ... where the source has no names
    left_out: tuple[str, ...]  # not numeric, not chosen, or a numbering of the rows
    not_numeric: tuple[str, ...]  # of these, `name (type)` of each that nobody chose to leave out
    name: str  # "faithful.csv", "array" or "frame"
    sha256: str  # of shape, names and values: the same from every kind of source
    warnings: tuple[str, ...]  # one sentence each: the fact and what follows
    # A `streamed.Source` where the table is larger than memory; `values` is then a sample of its rows.
    streamed: Any = None

    @property
    def count(self) -> int:
        """Rows of the whole table."""
        return len(self.values) if self.streamed is None else self.streamed.summary.count

    @property
    def mean(self) -> np.ndarray:
        """Of each column, all rows counted, (columns,)."""
        return self.values.mean(0) if self.streamed is None else self.streamed.summary.mean

    @property
    def sd(self) -> np.ndarray:
        """Of each column, all rows counted, (columns,)."""
        return self.values.std(0) if self.streamed is None else self.streamed.summary.sd


def read(source: Any, *, columns: Sequence[str] | None = None, minimum_rows: int = 1, distances: bool = True) -> Table:
    """Read a table, take its numeric columns and check every cell.

    Args:
        source: a path to .csv, .tsv, .parquet or .npy; a two-dimensional array (numpy, JAX, xarray, a list of
            rows); a frame (pandas, polars, pyarrow); or a table that was read before.
        columns: names of the columns to take, in this order; all numeric ones where None.
        minimum_rows: the fewest rows that will do.
        distances: whether to warn of columns in which distances between rows mean little, or covariances cannot be learned.

    Returns:
        The values (rows, columns) as float64, with names, a hash and warnings.

    Raises:
        DataError: the source is missing, unreadable, or not a finite numeric table of enough rows.
        SettingError: a chosen column does not exist, or is chosen twice.
    """
    if isinstance(source, Table):
        return _again(source, columns, minimum_rows)
    found = opened(source)
    if found.rows < max(minimum_rows, 1):
        has = f"too few rows ({found.rows})" if found.rows else "no rows"
        raise DataError(f"{found.label} has {has}; want at least {max(minimum_rows, 1)}.")
    taken, notes = _choose(found, columns)
    # Adding 0 turns -0.0 into 0.0: a csv file need not keep that sign, so the hash must not see it.
    values = np.ascontiguousarray(np.column_stack([found.numeric[name] for name in taken]) + 0.0)
    if not np.isfinite(values).all():
        raise _not_finite(values, taken, found)
    _representable(values, taken, found.label)
    values.flags.writeable = False
    head = json.dumps([values.shape, taken]).encode()
    return Table(
        values=values,
        columns=tuple(taken),
        left_out=tuple(name for name in found.names if name not in set(taken)),
        not_numeric=tuple(
            f"{name} ({_WORDS.get(kind, kind)})" for name, kind in found.other.items() if columns is None
        ),
        name=found.label if found.label not in ("the array", "the frame") else found.label[4:],
        sha256=_fingerprint(head, values),
        warnings=(*found.notes, *notes, *(_cautions(values, taken) if distances else ())),
    )


def _again(table: Table, columns: Sequence[str] | None, minimum_rows: int) -> Table:
    """A table that was read before."""
    if columns is not None and tuple(columns) != table.columns:
        raise SettingError(f"the table was read with columns {listed(table.columns)}; choose columns where it is read.")
    if table.count < minimum_rows:
        raise DataError(f"{table.name} has too few rows ({table.count}); want at least {minimum_rows}.")
    return table


def _fingerprint(head: bytes, values: np.ndarray) -> str:
    """SHA-256 of shape, names and cells, without a copy of them."""
    found = hashlib.sha256(head)
    found.update(memoryview(values.astype("<f8", copy=False)).cast("B"))
    return found.hexdigest()


def thin(values: np.ndarray, limit: int) -> np.ndarray:
    """Evenly spaced row indices, i (rows - 1) // (limit - 1): first and last included, at most `limit`."""
    if limit < 1:
        raise SettingError(f"limit is {limit}; want at least 1.")
    rows, limit = len(values), min(limit, len(values))
    return np.arange(limit) * (rows - 1) // max(limit - 1, 1)


def _choose(found: Contents, columns: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """The columns to take, and what to say of those that only number the rows."""
    if columns is not None:
        chosen = [columns] if isinstance(columns, str) else list(columns) if isinstance(columns, list | tuple) else []
        if not all(isinstance(name, str) for name in chosen) or not isinstance(columns, str | list | tuple):
            raise SettingError(f"columns is {columns!r}; want names of columns.")
        if not chosen or len(set(chosen)) < len(chosen):
            raise SettingError(f"columns is {listed(chosen) or 'empty'}; want at least one name, each once.")
        for name in chosen:
            if name not in found.names:
                raise unknown(f"column of {found.label}", name, found.names)
            if name in found.other:
                raise DataError(f"column {name!r} of {found.label} is not numeric but {found.other[name]}.")
        return chosen, []
    if not found.numeric:
        types = ", ".join(f"{name!r}: {kind}" for name, kind in found.other.items()) or "no columns at all"
        raise DataError(f"{found.label} has no numeric column, only {types}; want at least one.")
    named = {name: cells for name, cells in found.numeric.items() if _INDEX.fullmatch(name)}
    index = [name for name, cells in named.items() if found.rows and _counts(cells)]
    taken = [name for name in found.numeric if name not in index]
    follows = "only numbers the rows and is left out; to take it, name the columns with --columns."
    return (taken, [f"column {name!r} {follows}" for name in index]) if taken else (index, [])


def _counts(cells: np.ndarray) -> bool:
    """Whether a column numbers the rows, from 0 or from 1."""
    return cells[0] in (0, 1) and bool((cells - np.arange(len(cells)) == cells[0]).all())


def _not_finite(values: np.ndarray, names: list[str], found: Contents) -> DataError:
    bad = ~np.isfinite(values)
    row, column = divmod(int(bad.argmax()), len(names))
    held = "no value" if np.isnan(values[row, column]) else str(values[row, column])
    line = f" (line {found.line(row)} of the file)" if found.line else ""
    where = f"column {names[column]!r}, row {row + 1}{line}"
    among = listed([names[j] for j in np.flatnonzero(bad.any(axis=0))])
    more = f", the first of {bad.sum()} missing or infinite cells (in {among})" if bad.sum() > 1 else ""
    return DataError(f"{found.label} has {held} in {where}{more}; drop the rows or fill the cells.")


def _representable(values: np.ndarray, names: list[str], label: str) -> None:
    """Refuse a column whose squares leave the floating-point numbers."""
    for name, cells in zip(names, values.T, strict=True):
        high = np.abs(cells).max()
        width = np.ptp(cells) if high <= _HUGE else np.inf
        if high > _HUGE or 0 < width < 1 / _HUGE:
            got = f"holds {high:.3g}" if high > _HUGE else f"spans only {width:.3g}"
            raise DataError(
                f"column {name!r} of {label} {got}; want values up to {_HUGE:.0e} that span {1 / _HUGE:.0e} or more: "
                "give it in another unit."
            )


def _cautions(values: np.ndarray, names: list[str]) -> list[str]:
    """What a model will make of unusual columns."""
    scaled = values / np.maximum(np.abs(values).max(axis=0), np.finfo(float).tiny)
    varies = np.ptp(scaled, axis=0) > 8 * np.finfo(float).eps
    constant = [f"column {names[j]!r} is constant ({values[0, j]})" for j in np.flatnonzero(~varies)]
    follows = "its variance cannot be learned, the prior alone holds up every component's covariance"
    said = [f"{fact}: {follows}; drop it with --columns." for fact in constant if len(values) > 1]
    for j in np.flatnonzero(varies & (values == np.round(values)).all(axis=0)):
        codes = np.unique(values[:, j])
        if len(codes) <= _CODES and len(values) >= 2 * _CODES:
            fact = f"column {names[j]!r} holds only {', '.join(f'{c:.15g}' for c in codes)}, taken as numbers"
            said.append(f"{fact}: if they code categories, distances mean nothing; drop it with --columns.")
    facts = ["there are no more rows ({}) than columns ({})".format(*values.shape)]
    if len(values) > len(names):
        facts = _collinear(scaled[:, varies], [names[j] for j in np.flatnonzero(varies)])
    follows = "some direction has no spread, and there the prior alone decides the covariances"
    return said + [f"{fact}: {follows}; drop columns with --columns." for fact in facts]


def _collinear(values: np.ndarray, names: list[str]) -> Iterator[str]:
    """A fact for each column that the ones before it determine."""
    centred = values - values.mean(axis=0)
    centred /= np.sqrt((centred**2).sum(axis=0))
    correlation = centred.T @ centred
    # 1 - r^2 is 2 (1 - |r|) near |r| = 1, and no column leaves less than the smallest eigenvalue.
    if np.linalg.eigvalsh(correlation).min(initial=1) > 2 * _COLLINEAR:
        return
    left, kept = correlation.copy(), []  # left: the covariance that remains once the kept columns are known
    for j, name in enumerate(names):
        if left[j, j] > 2 * _COLLINEAR:
            kept.append(j)
            left -= np.outer(left[:, j], left[j]) / left[j, j]
            continue
        slopes = np.linalg.solve(correlation[np.ix_(kept, kept)], correlation[kept, j])
        others = [names[k] for k, slope in zip(kept, slopes, strict=True) if abs(slope) > 1e-3]
        yield f"column {name!r} is collinear with {listed(others)}"
