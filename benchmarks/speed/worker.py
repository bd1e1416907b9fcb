"""A contender in a process of its own, asked in turn: calls go in and answers come out as pickles, over two pipes."""

from __future__ import annotations

import importlib
import os
import pickle
import site
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class WorkerError(Exception):
    """What went wrong in the other process, in its own words."""


def on(place: str) -> dict[str, str]:
    """What lets JAX compute there: an accelerator is found by itself, whatever its maker calls it."""
    return {"JAX_PLATFORMS": "cpu" if place == "cpu" else ""}


class Worker:
    """`Worker(module)(function, **arguments)` calls a function of a module in another process.

    Args:
        module: its dotted name, under `benchmarks.speed`.
        python: which interpreter; this one by default.
        borrow: a folder of packages to look in after the interpreter's own.
        environment: variables to set.
    """

    def __init__(self, module: str, *, python: str = sys.executable, borrow: str = "", **environment: str):
        command = [python, "-m", f"{__package__}.worker", f"{__package__}.{module}", borrow]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __call__(self, function: str, **arguments: Any) -> Any:
        pipes = self._process.stdin, self._process.stdout
        if pipes[0] is None or pipes[1] is None:
            raise WorkerError("the process has no pipes")
        try:
            pickle.dump((function, arguments), pipes[0])
            pipes[0].flush()
            fine, value = pickle.load(pipes[1])
        except (EOFError, BrokenPipeError):
            raise WorkerError(f"{function}: the process ended with {self._process.wait()}") from None
        if not fine:
            raise WorkerError(value)
        return value

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def serve(module: str, borrow: str) -> None:
    """Answer calls until the other end closes."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    if borrow:
        site.addsitedir(borrow)
    while True:
        try:
            function, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = True, getattr(importlib.import_module(module), function)(**arguments)
        except Exception as error:  # whatever it is, the other side tells it
            answer = False, f"{type(error).__name__}: {error}"
        pickle.dump(answer, out)
        out.flush()


if __name__ == "__main__":
    serve(*sys.argv[1:3])
