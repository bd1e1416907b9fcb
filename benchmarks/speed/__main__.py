"""The command: run the sections that are named, or all, then write table and page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import __doc__ as what
from .page import render
from .peers import peers
from .rows import Context, sections
from .store import FOLDER, QUICK, last, measure
from .table import markdown
from .worker import Worker

COMMAND = "uv run python -m benchmarks.speed"


def write(folder: Path) -> None:
    """table.md and index.html from the last numbers."""
    results, known = last(folder), sections()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(markdown(results, known), "utf-8")
    (folder / "index.html").write_text(render(results, known, COMMAND), "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """0 where every section came to its end; what falls short is told, and no failure."""
    known = sections()
    parser = argparse.ArgumentParser(
        prog="benchmarks.speed", description=what, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(known), metavar="SECTION", help=", ".join(known))
    parser.add_argument("--quick", action="store_true", help="small shapes")
    parser.add_argument("--write", action="store_true", help="run nothing")
    parser.add_argument("--folder", type=Path, help="where to write; default: reports/benchmarks")
    parser.add_argument("--peers", metavar="PATH", help="Python of the second environment")
    chosen = parser.parse_args(arguments)
    folder = chosen.folder or (QUICK if chosen.quick else FOLDER)
    if chosen.write:
        write(folder)
        return 0
    with Worker("ours") as ours:
        seen = [platform for platform, _ in ours("platforms")]
    context = Context(chosen.quick, peers(chosen.peers), ("cpu", *(p for p in seen if p != "cpu")))
    fine = True
    for name in chosen.only or known:
        fine = measure(known[name], context, folder) and fine
        write(folder)
    print(f"\n{folder / 'index.html'}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
