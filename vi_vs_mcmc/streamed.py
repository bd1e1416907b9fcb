"""Passes over rows that no machine holds whole: read by blocks, shared among processes, their sums added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vi_vs_mcmc import engine
from vi_vs_mcmc.conjugate import Conjugate
from vi_vs_mcmc.data import Table
from vi_vs_mcmc.errors import DataError
from vi_vs_mcmc.parquet import BLOCK, SAMPLED, Rows, open_rows
from vi_vs_mcmc.passes import Device, pool, workers
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
        """For coefficients with leaves (R, ...). Every device works on blocks of its own."""
        devices = workers()
        few = self.model.over(jax.tree.map(lambda leaf: leaf[:1], self.model.rows))
        of = [jax.device_put((few, coefficients), device) for device in devices]
        nothing = jax.tree.map(lambda leaf: np.zeros(leaf.shape), coefficients)
        starts = len(jax.tree.leaves(nothing)[0])
        sums = [jax.device_put((np.zeros(starts), nothing), device) for device in devices]
        add = pool(len(devices)).submit
        at_work: list[Future | None] = [None] * len(devices)
        done = 0
        for turn, block in enumerate(self.rows.blocks()):
            at = turn % len(devices)
            if (last := at_work[at]) is not None:
                sums[at] = last.result()  # no more blocks are held than there are workers
            at_work[at] = add(_more, of[at][0], of[at][1], sums[at], block, devices[at])
            done += len(block)
            if self.note is not None:
                self.note(done, self.rows.count)
        sums = [before if last is None else last.result() for before, last in zip(sums, at_work, strict=True)]
        return self.peers.added(jax.tree.map(lambda *each: sum(np.asarray(part) for part in each), *sums))


def _more(model: Conjugate, coefficients: Any, sums: Any, block: np.ndarray, device: Device) -> Any:
    filled = block if len(block) == BLOCK else np.concatenate([block, np.repeat(block[:1], BLOCK - len(block), 0)])
    with jax.enable_x64(True):  # a setting of each thread
        return jax.block_until_ready(_added(model, coefficients, sums, jax.device_put(filled, device), len(block)))


@partial(jax.jit, donate_argnums=2)
def _added(model: Conjugate, coefficients: Any, sums: Any, block: Array, count: Array):
    """Sums with those of a block's first `count` rows."""
    tiles = engine.tiled(model.over(model.encode(block.astype(float))), count)
    return jax.tree.map(jnp.add, sums, engine.side_by_side(lambda c: engine.summed(model, c, tiles), coefficients))


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
