"""One process of the section `streaming`: passes over a file, or over the same rows in memory. Prints JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

import numpy as np

from .timing import timed

COLUMNS, COMPONENTS, BATCH, GROUP = 4, 4, 1_000_000, 250_000


def write(path: Path, rows: int, *, dictionary: bool = False) -> None:
    """A file of float32 rows from four normals, made batch by batch; `dictionary` is how Parquet keeps repeated values."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    rng = np.random.default_rng(0)
    centres = 3.0 * rng.normal(size=(COMPONENTS, COLUMNS))
    schema = pa.schema([(f"x{j}", pa.float32()) for j in range(COLUMNS)])
    with parquet.ParquetWriter(path, schema, use_dictionary=dictionary) as file:
        for at in range(0, rows, BATCH):
            size = min(BATCH, rows - at)
            x = (centres[rng.integers(COMPONENTS, size=size)] + rng.normal(size=(size, COLUMNS))).astype(np.float32)
            file.write_table(pa.table(list(x.T), schema=schema), row_group_size=GROUP)


def main(path: str, passes: str, where: str) -> None:
    """Rows per second of a pass, seconds of each, and the peak of this process' memory."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import jax

    jax.config.update("jax_enable_x64", True)
    import vi_vs_mcmc as vm
    from vi_vs_mcmc import engine

    vm.use_every_core()
    source = vm.stream(path) if where == "file" else path
    problem = vm.load("gmm")(source, components=COMPONENTS)
    model, starts = problem.conjugate, 1
    expected = lambda eta: model.coefficients(jax.grad(model.log_normaliser)(eta))
    coefficients = jax.vmap(expected)(engine.starts(model, jax.random.key(0), starts))
    total = problem.source.total(model) if where == "file" else in_memory(model, starts)
    jax.block_until_ready(total(coefficients))
    spent = [timed(lambda: jax.block_until_ready(total(coefficients)))[0] for _ in range(int(passes))]
    rows = problem.table.count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"rows": rows, "seconds": spent, "rate": rows / float(np.median(spent)), "peak": peak}))


def in_memory(model, starts: int):
    """The sums of a pass over rows in memory, by all cores."""
    import jax

    from vi_vs_mcmc import engine, passes

    alone, tiles = passes.laid_out(model, starts)
    summed = lambda tiles, model, c: engine.side_by_side(lambda one: engine.summed(model, one, tiles), c)
    total = jax.jit(lambda tiles, model, c: passes.over_tiles(summed, tiles, model, c))
    return lambda coefficients: total(tiles, alone, coefficients)


if __name__ == "__main__":
    main(*sys.argv[1:])
