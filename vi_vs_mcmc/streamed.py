"""Passes over rows that no machine holds whole: read by blocks, shared among processes, their sums added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from vi_vs_mcmc import engine
from vi_vs_mcmc.conjugate import Conjugate
from vi_vs_mcmc.data import Table
from vi_vs_mcmc.errors import DataError
from vi_vs_mcmc.parquet import BLOCK, SAMPLED, Rows, open_rows
from vi_vs_mcmc.passes import apart, placed, tell_of_one_core
from vi_vs_mcmc.peers import ALONE, Peers

Note = Callable[[int, int], None]  # (rows read by this process, rows it will read)


class Summary(NamedTuple):
    """What one pass tells of a table."""

    count: int
    mean: np.ndarray  # (columns,)
    sd: np.ndarray  # (columns,)
    sample: np.ndarray  # (at most SAMPLED, columns), evenly spaced rows


@dataclass(frozen=True, eq=False)
class Source:
    """A table larger than memory, as one of several processes sees it."""

    rows: Rows  # the share of this process
    peers: Peers
    summary: Summary  # of all rows
    checkpoint: Path | None = None

    def total(self, model: Conjugate, note: Note | None = None) -> Streamed:
        """What makes a pass over all rows of all processes."""
        tell_of_one_core(self.rows.count)
        return Streamed(model, self.rows, self.peers, note)


def stream(
    source: str | Path | Sequence[str | Path],
    *,
    columns: Sequence[str] | None = None,
    peers: Peers = ALONE,
    checkpoint: Path | None = None,
    note: Note | None = None,
) -> Table:
    """A table larger than memory: Parquet files that are read anew, block by block, at each pass over the data.

    Coordinate ascent fits it (`fit(load("gmm")(stream("big.parquet")), "cavi")`); methods that need a row's density at every
    draw do not. One pass is made here, for the columns' means and sds and a sample of rows.

    Args:
        source: a parquet file, a folder of them, or a list.
        columns: which columns to take, by name; every numeric one where None.
        peers: the processes that share the work, from `join`; each reads row groups of its own.
        checkpoint: a file in which coordinate ascent keeps how far it came, and from which it goes on.
        note: called with (rows read by this process, rows it will read).

    Raises:
        DataError: no rows, a missing or infinite cell, or a file that cannot be read.
        SettingError: a chosen column does not exist, or the processes were not started alike.
    """
    rows = open_rows(source, columns=columns)
    peers.agree({"files": rows.fingerprint, "columns": rows.columns})
    share = rows.share(peers.number, peers.of)
    summary = summarised(share, peers, note)
    flat = [name for name, sd in zip(rows.columns, summary.sd, strict=True) if not sd > 0]
    return Table(
        values=summary.sample,
        columns=rows.columns,
        left_out=(),
        not_numeric=(),
        name=rows.name,
        sha256=rows.fingerprint,
        warnings=tuple(f"column {name!r} is constant; drop it with --columns." for name in flat),
        streamed=Source(share, peers, summary, checkpoint),
    )


@dataclass(frozen=True)
class Streamed:
    """sum_n l_n and its slope in the coefficients, over all rows of all processes."""

    model: Conjugate
    rows: Rows
    peers: Peers
    note: Note | None = None

    def __call__(self, coefficients: Any) -> tuple[np.ndarray, Any]:
        """For coefficients with leaves (R, ...): every device works on a block of its own while the next are read."""
        few, devices = self.model.over(jax.tree.map(lambda leaf: leaf[:1], self.model.rows)), jax.local_device_count()
        nothing = (
            np.zeros(len(jax.tree.leaves(coefficients)[0])),
            jax.tree.map(lambda leaf: np.zeros(leaf.shape), coefficients),
        )
        sums = jax.tree.map(lambda leaf: np.stack([leaf] * devices), nothing)
        done, before = 0, None
        for blocks in batched(self.rows.blocks(checked=False), devices):
            counts = np.array([len(block) for block in blocks] + [0] * (devices - len(blocks)))
            columns = [_filled(block).T for block in blocks]  # as they lie in memory
            columns += columns[:1] * (devices - len(blocks))
            jax.block_until_ready(before)  # no more blocks are held than those at work and those that wait
            before, sums = sums, _added(sums, placed(columns), counts, few, coefficients)
            done += int(counts.sum())
            if self.note is not None:
                self.note(done, self.rows.count)
        return self.peers.added(jax.tree.map(lambda each: np.asarray(each).sum(0), sums))


def _filled(block: np.ndarray) -> np.ndarray:
    return block if len(block) == BLOCK else np.concatenate([block, np.repeat(block[:1], BLOCK - len(block), 0)])


@jax.jit
def _added(sums: Any, columns: Array, counts: Array, model: Conjugate, coefficients: Any):
    """Sums (devices, R, ...) with those of a block each, (devices, columns, BLOCK), of which the first `counts` rows count."""

    def own(share: tuple[Any, Array, Array], model: Conjugate, coefficients: Any):
        sums, columns, counts = share
        tiles = engine.tiled(model.over(columns[0].T), counts[0], starts=len(jax.tree.leaves(coefficients)[0]))
        encode = lambda rows: model.encode(rows.astype(float))
        found = engine.side_by_side(lambda one: engine.summed(model, one, tiles, encode), coefficients)
        return jax.tree.map(lambda a, b: a + b[None], sums, found)

    return apart(own, (sums, columns, counts), model, coefficients)


def summarised(rows: Rows, peers: Peers, note: Note | None = None) -> Summary:
    """Count, means, sds and evenly spaced rows of all processes' rows, in one pass.

    Raises:
        DataError: a cell is missing or infinite, or there are no rows.
    """
    counts = peers.gathered(np.array([rows.count]))[:, 0]
    total, first = int(counts.sum()), int(counts[: peers.number].sum())
    if not total:
        raise DataError(f"{rows.name} has no rows.")
    spacing = -(-total // SAMPLED)
    columns = len(rows.columns)
    count, mean, square = 0, np.zeros(columns), np.zeros(columns)
    sample = np.zeros((SAMPLED, columns))
    taken = 0
    for block in rows.blocks():
        x = block.astype(float)
        here = -(first + count) % spacing
        kept = x[here::spacing]
        sample[taken : taken + len(kept)] = kept
        taken += len(kept)
        count, mean, square = _merged((count, mean, square), (len(x), x.mean(0), ((x - x.mean(0)) ** 2).sum(0)))
        if note is not None:
            note(count, rows.count)
    parts = peers.gathered(np.concatenate([[count], mean, square, [taken]]))
    samples = peers.gathered(sample)
    merged = (0, np.zeros(columns), np.zeros(columns))
    for part in parts:
        if part[0]:
            merged = _merged(merged, (int(part[0]), part[1 : 1 + columns], part[1 + columns : -1]))
    shown = np.concatenate([own[: int(part[-1])] for own, part in zip(samples, parts, strict=True)])
    return Summary(total, merged[1], np.sqrt(merged[2] / total), shown)


def _merged(a: tuple, b: tuple) -> tuple:
    """Count, mean and sum of squared deviations of two sets of rows. Source: Chan, Golub and LeVeque (1983)."""
    count = a[0] + b[0]
    step = b[1] - a[1]
    return count, a[1] + step * (b[0] / count), a[2] + b[2] + step**2 * (a[0] * b[0] / count)
