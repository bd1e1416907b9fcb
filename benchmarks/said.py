"""What a benchmark says: each number one line printed and one record, with what it is held against and whether it holds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

ROOT = Path(__file__).parent.parent
TRUTH = ROOT / "tests" / "truth"
DATA = ROOT / "models" / "data"


@dataclass(frozen=True)
class Record:
    """One number of one run."""

    what: str
    value: str
    wanted: str = ""
    against: str = ""  # where what is wanted comes from
    holds: bool | None = None  # None for a number that is told and not judged


Section = Callable[[], Iterator[Record]]


def say(what: str, value: object, wanted: str = "", *, against: str = "", holds: object = None) -> Record:
    """Print a number beside what is wanted of it, and hand back the record for `truth.py`."""
    short = "" if holds is None or bool(holds) else "  FALLS SHORT"
    print(f"{what:66} {value!s:52} {wanted}{short}", flush=True)
    return Record(what, str(value), wanted, against, None if holds is None else bool(holds))


def span(values: np.ndarray) -> str:
    """Smallest to largest."""
    return f"{np.min(values):.3f} to {np.max(values):.3f}"


def within(values, low: float, high: float) -> bool:
    """Whether all values are, to the three digits that are printed."""
    rounded = np.round(np.asarray(values), 3)
    return bool(((rounded >= low) & (rounded <= high)).all())


def gathered(name: str, section: Section) -> list[Record]:
    """Run one section; how long it took is printed and not kept, for it belongs to the machine."""
    jax.config.update("jax_enable_x64", True)
    began = time.perf_counter()
    found = list(section())
    print(f"{name}: {time.perf_counter() - began:.0f} seconds", flush=True)
    return found


def tests() -> None:
    """Let the experiments of the tests be imported."""
    for folder in (ROOT / "tests", ROOT / "tests" / "methods"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def run(sections: Mapping[str, Section]) -> None:
    """Run the sections that the command line names, or all."""
    for name in chosen(sections, sys.argv[1:]):
        gathered(name, sections[name])


def chosen(sections: Mapping[str, Section], names: list[str]) -> list[str]:
    """The names given, all where none is."""
    unknown = [name for name in names if name not in sections]
    if unknown:
        sys.exit(f"no section {unknown[0]!r}; want some of: {', '.join(sections)}")
    return names or list(sections)
