"""Tables larger than memory: Parquet files read block by block, each row once a pass, and never held."""

from __future__ import annotations

import hashlib
import itertools
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vi_vs_mcmc.errors import DataError, SettingError, unknown

BLOCK = 2**18  # rows that are worked on at once: a few MB, so that memory does not depend on the file
AHEAD = 3  # blocks read ahead of the one at work
SAMPLED = 20_000  # rows, evenly spaced, that starts are drawn from and pages show


@dataclass(frozen=True)
class RowGroup:
    """A part of a file that Parquet can read alone."""

    path: Path
    number: int
    first: int  # row of the file
    rows: int
    stamp: tuple[int, int]  # of the file: its size, and when it was last changed


@dataclass(frozen=True)
class Rows:
    """The numeric columns of Parquet files, or of some of their row groups."""

    groups: tuple[RowGroup, ...]
    columns: tuple[str, ...]
    name: str
    fingerprint: str  # of names, sizes, columns and row groups of all files: the same on every machine that holds them

    @property
    def count(self) -> int:
        """Rows in all groups."""
        return sum(group.rows for group in self.groups)

    def share(self, number: int, of: int) -> Rows:
        """The part of one of several processes: whole row groups, in order, about equally many rows each."""
        ends = np.cumsum([group.rows for group in self.groups])
        middle = ends - np.array([group.rows for group in self.groups]) / 2
        owner = np.minimum((middle / max(self.count, 1) * of).astype(int), of - 1)
        return replace(
            self, groups=tuple(group for group, own in zip(self.groups, owner, strict=True) if own == number)
        )

    def blocks(self, *, checked: bool = True) -> Iterator[np.ndarray]:
        """All rows in order, in arrays (BLOCK, columns), the last one shorter; read by a thread, AHEAD of their use.

        Column by column in memory, as they are in the file and as tiles want them. Rows that one pass has checked need no other.

        Raises:
            DataError: a file changed since it was opened, a cell is missing or infinite, or a file cannot be read.
        """
        ready: queue.Queue = queue.Queue(AHEAD)
        stopped = threading.Event()

        def put(item: Any) -> bool:
            while not stopped.is_set():
                try:
                    ready.put(item, timeout=0.1)
                except queue.Full:
                    continue
                return True
            return False

        def read() -> None:
            try:
                for block in self._whole(checked):
                    if not put(block):
                        return
                put(None)
            except BaseException as error:
                put(error)

        reader = threading.Thread(target=read, name="parquet reader", daemon=True)
        reader.start()
        try:
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stopped.set()
            reader.join()

    def _whole(self, checked: bool) -> Iterator[np.ndarray]:
        """Blocks of BLOCK rows from batches of any size."""
        block, filled = None, 0
        for batch in self._batches(checked):
            at, number = 0, len(batch[0])
            while at < number:
                if block is None:
                    kind = np.float32 if all(column.dtype == np.float32 for column in batch) else np.float64
                    block, filled = np.empty((len(batch), BLOCK), kind), 0
                take = min(BLOCK - filled, number - at)
                for row, column in zip(block, batch, strict=True):
                    row[filled : filled + take] = column[at : at + take]
                filled, at = filled + take, at + take
                if filled == BLOCK:
                    yield block.T
                    block = None
        if block is not None:
            yield block[:, :filled].T

    def _batches(self, checked: bool) -> Iterator[list[np.ndarray]]:
        """The columns of so many rows at a time, each (rows,)."""
        import pyarrow.parquet as parquet
        from pyarrow import ArrowException

        seen = 0
        for groups in _by_file(self.groups):
            path, row = groups[0].path, groups[0].first
            _unchanged(groups[0])
            try:
                with parquet.ParquetFile(path) as file:
                    for group in groups:  # one call each: a call for all keeps what it has read until its end
                        for batch in file.iter_batches(BLOCK, row_groups=[group.number], columns=list(self.columns)):
                            values = [batch.column(name).to_numpy(zero_copy_only=False) for name in self.columns]
                            if checked and not all(np.isfinite(column).all() for column in values):
                                raise _not_finite(np.stack(values, 1), self.columns, path, row)
                            row += batch.num_rows
                            seen += batch.num_rows
                            yield values
            except (ArrowException, OSError) as error:
                raise DataError(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from error
            _unchanged(groups[0])
        if seen != self.count:
            raise DataError(f"{self.name} gave {seen} rows where {self.count} were there when it was opened.")


def open_rows(source: str | Path | Sequence[str | Path], *, columns: Sequence[str] | None = None) -> Rows:
    """Parquet files as rows to stream: one file, a folder of files, or a list of them, all with the same columns.

    Args:
        source: path or paths.
        columns: which columns to take, by name; every numeric one where None.

    Raises:
        DataError: no file, a file that cannot be read, or files that differ in their columns.
        SettingError: a chosen column does not exist.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    paths = _paths(source)
    groups, numeric, state = [], None, hashlib.sha256()
    for path in paths:
        try:
            with parquet.ParquetFile(path) as file:
                schema, found = file.schema_arrow, file.metadata
                sizes = [found.row_group(i).num_rows for i in range(found.num_row_groups)]
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path.name} cannot be read as parquet: {str(error).splitlines()[0]}") from error
        kinds = {f.name: f.type for f in schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)}
        if numeric is not None and list(kinds) != list(numeric):
            raise DataError(f"{path.name} has other numeric columns than {paths[0].name}; want the same in every file.")
        numeric = kinds if numeric is None else numeric
        first = np.cumsum([0, *sizes])
        groups += [RowGroup(path, i, int(first[i]), rows, _stamp(path)) for i, rows in enumerate(sizes) if rows]
        state.update(repr((path.name, _stamp(path)[0], sizes, list(kinds.items()))).encode())
    numeric = numeric or {}
    taken = tuple(numeric) if columns is None else tuple(columns)
    for name in taken:
        if name not in numeric:
            raise unknown(f"numeric column of {paths[0].name}", name, numeric)
    if not taken or len(set(taken)) < len(taken):
        raise SettingError(f"columns is {list(taken)}; want at least one name, each once.")
    name = paths[0].name if len(paths) == 1 else f"{len(paths)} files in {paths[0].parent.name}"
    if not groups:
        raise DataError(f"{name} has no rows.")
    return Rows(tuple(groups), taken, name, state.hexdigest())


def _paths(source: str | Path | Sequence[str | Path]) -> list[Path]:
    if not isinstance(source, str | Path):
        return [path for one in source for path in _paths(one)]
    path = Path(source).expanduser()
    found = sorted(path.glob("*.parquet")) if path.is_dir() else [path] if path.exists() else []
    if not found:
        raise DataError(f"there is no parquet file at {str(path)!r}.")
    if odd := next((p for p in found if p.suffix.lower() != ".parquet"), None):
        raise DataError(f"{odd.name} cannot be streamed; only parquet files can: write it as one, or load it whole.")
    return found


def _stamp(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _unchanged(group: RowGroup) -> None:
    """Refuse a file that is no longer the one that was opened."""
    if not group.path.exists() or _stamp(group.path) != group.stamp:
        raise DataError(
            f"{group.path.name} changed while it was being used; its rows are no longer those of earlier passes."
        )


def _by_file(groups: Sequence[RowGroup]) -> Iterator[list[RowGroup]]:
    """Groups of one file together, in order."""
    for _, found in itertools.groupby(groups, lambda group: group.path):
        yield list(found)


def _not_finite(values: np.ndarray, columns: Sequence[str], path: Path, first: int) -> DataError:
    row, column = divmod(int((~np.isfinite(values)).argmax()), values.shape[1])
    return DataError(
        f"{path.name} has no finite value in column {columns[column]!r}, row {first + row + 1}; drop the rows or fill the cells."
    )
