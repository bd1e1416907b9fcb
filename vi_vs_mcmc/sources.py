"""Whatever holds a table, read as it is: a csv, parquet or npy file, an array, or a frame."""

from __future__ import annotations

import csv
import difflib
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError

FORMATS = (".csv", ".tsv", ".parquet", ".npy")
_MISSING = ("", "nan", "None", "<NA>")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_KINDS = {"O": "objects", "U": "text", "S": "text", "T": "text", "b": "booleans", "c": "complex numbers"}


@dataclass(frozen=True)
class Contents:
    """What a reader found, before anything is chosen or checked."""

    label: str  # "faithful.csv", "the array" or "the frame"
    rows: int
    names: list[str]
    numeric: dict[str, np.ndarray]  # each (rows,), missing cells as NaN
    other: dict[str, str] = field(default_factory=dict)  # column -> its type, in a word
    notes: list[str] = field(default_factory=list)
    line: Callable[[int], int] | None = None  # data row from 0 -> line of the file


def opened(source: Any) -> Contents:
    """The source's rows and columns.

    Raises:
        DataError: the source is missing, unreadable, or no table.
    """
    if isinstance(source, str | Path):
        return _file(Path(source).expanduser())
    if isinstance(source, list | tuple):
        try:
            source = np.asarray(source)
        except ValueError:
            raise DataError("the array is ragged; want a list of rows that are equally long.") from None
    if isinstance(source, np.ndarray):
        return _array(source, "the array")
    import narwhals as nw

    if nw.dependencies.is_into_dataframe(source):
        return _frame(nw.to_native(source, pass_through=True), "the frame")
    if hasattr(source, "__array__"):
        return _array(np.asarray(source), "the array")
    raise DataError(f"cannot read a table from a {type(source).__name__}; want a path, an array or a frame.")


def _file(path: Path) -> Contents:
    label, suffix, wanted = path.name, path.suffix.lower(), ", ".join(FORMATS)
    if not path.exists():
        close = difflib.get_close_matches(label, [p.name for p in path.parent.glob("*")], n=1, cutoff=0.75)
        hint = f"; did you mean {str(path.with_name(close[0]))!r}?" if close else "."
        raise DataError(f"there is no file {str(path)!r}{hint}")
    if path.is_dir():
        raise DataError(f"{str(path)!r} is a folder; want a file ({wanted}).")
    if suffix not in FORMATS:
        raise DataError(f"{label} has {f'extension {suffix}' if suffix else 'no extension'}; want {wanted}.")
    if path.stat().st_size == 0:
        raise DataError(f"{label} is empty (0 bytes); want a table.")
    try:
        if suffix == ".npy":
            with path.open("rb") as stream:
                return _array(np.lib.format.read_array(stream, allow_pickle=False), label)
        if suffix == ".parquet":
            import pyarrow.parquet

            with pyarrow.parquet.ParquetFile(path) as stream:
                return _frame(stream.read(), label)
        return _csv(path, "\t" if suffix == ".tsv" else ",")
    except DataError:
        raise
    except UnicodeDecodeError:
        raise DataError(f"{label} is not UTF-8 text; save it as UTF-8.") from None
    except (ValueError, OSError, EOFError, MemoryError, csv.Error) as error:  # pyarrow's are among these
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise DataError(f"{label} cannot be read as {suffix[1:]}, it may be damaged ({reason}).") from error


def _csv(path: Path, delimiter: str) -> Contents:
    import pyarrow.csv as arrow
    from pyarrow import ArrowInvalid

    first = next(_lines(path, delimiter), (0, []))[1]
    if delimiter == "," and len(first) == 1 and (other := _splits(path)):
        delimiter, first = other, next(_lines(path, other))[1]
    header = {bool(_NUMBER.fullmatch(cell)) for cell in first if cell.strip()} != {True}
    names = None if header else [f"x{j}" for j in range(len(first))]
    parse = arrow.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    try:
        table = arrow.read_csv(path, arrow.ReadOptions(column_names=names), parse)
    except ArrowInvalid:
        lengths = ((line, len(row)) for line, row in _lines(path, delimiter, strict=True))
        if odd := next((pair for pair in lengths if pair[1] != len(first)), None):
            got = "line {} has another number of cells ({}) than the first row ({})".format(*odd, len(first))
            raise DataError(f"{path.name} is ragged: {got}; want rows of one length.") from None
        raise
    if table.num_rows and "\n" in str(table.columns[-1][-1]):  # perhaps a quote that nothing closes
        deque(_lines(path, delimiter, strict=True), maxlen=0)
    found = _frame(table, path.name)
    if not header:
        found.notes.insert(0, f"{path.name} has no header: its first row is all numbers and counts as data.")
    return replace(found, line=lambda row: next(islice(_lines(path, delimiter), row + header, None))[0])


def _splits(path: Path) -> str | None:
    """What else than a comma splits the first two rows into equally many cells, more than one."""
    for delimiter in ";\t":
        lengths = {len(row) for _, row in islice(_lines(path, delimiter), 2)}
        if len(lengths) == 1 and lengths != {1}:
            return delimiter
    return None


def _lines(path: Path, delimiter: str, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the line it begins on."""
    with path.open(encoding="utf-8-sig", errors="strict" if strict else "replace", newline="") as stream:
        reader, line = csv.reader(stream, delimiter=delimiter, strict=strict), 1
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1


def _array(cells: np.ndarray, label: str) -> Contents:
    if cells.dtype.kind not in "iuf":
        kind = _KINDS.get(cells.dtype.kind, cells.dtype)
        raise DataError(f"{label} holds {kind}; want real numbers, and nan where one is missing.")
    if cells.ndim != 2:
        hint = "; for one column use x[:, None]" if cells.ndim == 1 and cells.size else ""
        raise DataError(f"{label} has shape {cells.shape}: want (rows, columns){hint}.")
    values = np.asarray(cells).astype(np.float64)
    values[np.ma.getmaskarray(cells)] = np.nan
    numeric = {f"x{j}": column for j, column in enumerate(values.T)}
    return Contents(label, len(values), list(numeric), numeric)


def _frame(native: Any, label: str) -> Contents:
    import narwhals as nw

    names = list(native.column_names if nw.dependencies.is_pyarrow_table(native) else native.columns)
    # pandas counts columns without names from 0.
    prefix = "x" if names == list(range(len(names))) else ""
    names = [f"{prefix}{name}" for name in names]
    if twice := list(Counter(names) - Counter(set(names))):
        raise DataError(f"{label} has more than one column called {listed(twice)}; rename them.")
    frame: Any = nw.from_native(native, eager_only=True)
    found = Contents(label, len(frame), names, {})
    for j, name in enumerate(names):
        series = frame[:, j]
        # A csv column without one value has no type; it is refused as missing, as a column of NaN is.
        if series.dtype.is_numeric() or series.null_count() == len(series):
            found.numeric[name] = series.to_numpy().astype(np.float64)
            continue
        found.other[name] = type(series.dtype).__name__.lower()
        share = np.mean([bool(_NUMBER.fullmatch(str(c).replace(",", "."))) for c in series.head(1000)])
        if found.other[name] in ("string", "object") and share > 0.5:
            cells = ((i, str(c)) for i, c in enumerate(series, 1) if str(c) not in _MISSING)
            odd = (f"row {i} holds {c!r}" for i, c in cells if not _NUMBER.fullmatch(c))
            found.other[name] += f" ({next(odd, 'of plain numbers')})"
            fact = f"column {name!r} is left out, though mostly numbers: it is {found.other[name]}"
            found.notes.append(f"{fact}; no model will see it; write plain numbers, missing cells as empty.")
    return found


def listed(names: Sequence[str]) -> str:
    """Eight names at most, and how many more there are."""
    return ", ".join(map(repr, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
