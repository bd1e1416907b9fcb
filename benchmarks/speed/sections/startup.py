"""What one waits for before anything is computed, and how long the second run of the same shapes takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..figures import bars
from ..rows import Context, Plain, Row, Section
from ..timing import seconds, span, timed
from ..worker import ROOT, Worker

QUICK_ENOUGH = 0.5  # seconds
SECOND_RUN = 3.0  # seconds
ESS = 400
IMPORTS = ("numpy", "jax", "numpyro", "xarray", "plotly.graph_objects", "pandas", "arviz_stats", "arviz")
HEAVY = ("jax", "numpy", "xarray")


def run(context: Context) -> Iterator[Row]:
    repeats = context.pick(1, 3)
    command = str(Path(sys.executable).parent / "vi-vs-mcmc")
    bare = _spent([sys.executable, "-c", "pass"], repeats)
    yield _row("python -c pass", bare, note="the interpreter itself, part of all that follow")
    yield _row("vi-vs-mcmc --help", _spent([command, "--help"], repeats), QUICK_ENOUGH)
    yield _row("import vi_vs_mcmc", _spent([sys.executable, "-c", "import vi_vs_mcmc"], repeats), QUICK_ENOUGH)
    found = _loaded("import vi_vs_mcmc")
    said = f"{', '.join(found)}" if found else "none of them"
    yield Row("import vi_vs_mcmc: JAX, numpy, xarray loaded", said, wanted="none", met=not found)
    for name in IMPORTS:
        yield _row(f"import {name}", _spent([sys.executable, "-c", f"import {name}"], repeats), group="others")
    yield from _second_run(context)


def _row(claim: str, times: list[float], most: float | None = None, note: str = "", group: str = "ours") -> Row:
    middle = float(np.median(times))
    return Row(
        claim,
        span(times, "s"),
        wanted="" if most is None else f"under {most:g} s",
        met=None if most is None else middle < most,
        note=note,
        numbers={"label": claim, "seconds": times, "most": most, "group": group},
    )


def _spent(command: list[str], repeats: int) -> list[float]:
    """Wall times of a command in a fresh process each, files in the system's cache."""
    go = lambda: subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    go()
    return [timed(go)[0] for _ in range(repeats)]


def _loaded(code: str) -> list[str]:
    """Which of the heavy packages an import brings."""
    check = f"{code}; import sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def _second_run(context: Context) -> Iterator[Row]:
    """NUTS on the lecture's data in two processes that share nothing but a compilation cache."""
    enough = context.pick(100, ESS)
    with tempfile.TemporaryDirectory() as folder:
        cache = {
            "JAX_COMPILATION_CACHE_DIR": os.path.join(folder, "jax"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
            "XDG_CACHE_HOME": folder,
        }
        runs: list[dict[str, Any]] = []
        for _ in range(2 if context.quick else 4):
            with Worker("ours", **cache) as ours:
                runs.append(ours("to_ess", enough=enough, seed=1))
    first, later = runs[0], [r["seconds"] for r in runs[1:]]
    imports = [r["imports"] for r in runs[1:]]
    yield Row(
        f"Lecture's data, NUTS to ESS {enough}: first run",
        f"{seconds(first['seconds'])}; ESS {first['ess']:.0f}",
        note="cache empty, imports excluded",
        numbers={"seconds": [first["seconds"]]},
    )
    yield Row(
        f"Lecture's data, NUTS to ESS {enough}: second run",
        f"{span(later, 's')}; imports before it {span(imports, 's')}",
        wanted=f"under {SECOND_RUN:g} s",
        met=bool(np.median(later) < SECOND_RUN),
        note="a new process, cache warm, imports excluded",
        numbers={"seconds": later, "ess": runs[-1]["ess"], "parts": runs[-1]["parts"]},
    )


def figures(rows: list[Plain]) -> list[Any]:
    """Seconds of each command."""
    of = [r["numbers"] for r in rows if "label" in r["numbers"]]
    return [bars("startup-bars", "Seconds to start", [_bar(n) for n in of], "seconds of wall time", log=False)]


def _bar(of: Plain) -> tuple[str, float, float, float, float | None, bool | None]:
    times, middle = of["seconds"], float(np.median(of["seconds"]))
    met = None if of["most"] is None else middle < of["most"]
    return of["label"], middle, min(times), max(times), of["most"], met


SECTION = Section(
    "startup",
    6,
    "Starting up",
    "Wall time of commands and imports, each in a fresh process, files in the system's cache; then a whole run of NUTS in "
    "a new process, from building the problem to the draws, with a warm compilation cache.",
    run,
    figures,
)
