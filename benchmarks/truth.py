"""Write docs/truth.md: every number the project claims, what it is held against, and how to run that check.

uv run python benchmarks/truth.py                       # run all sections, then write: about an hour on two cores
uv run python benchmarks/truth.py --only lrvb evidence  # run these; of the others the last numbers stay
uv run python benchmarks/truth.py --write               # run nothing, write again

The last numbers are kept in benchmarks/last.json. No number is typed here: sections of `claims.py` and `rates.py` say them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import claims
import rates
from said import ROOT, Record, Section, chosen, gathered

LAST = ROOT / "benchmarks" / "last.json"
DOCUMENT = ROOT / "docs" / "truth.md"
NOT_RUN = "not run yet"
PACKAGES = ("jax", "numpyro", "numpy", "scipy", "arviz-stats", "vi-vs-mcmc")


@dataclass(frozen=True)
class Topic:
    """Sections on one subject, and the tests that hold the same."""

    title: str
    sections: tuple[str, ...]
    tests: tuple[str, ...]


TOPICS = (
    Topic("Closed forms", ("closed",), ("tests/test_closed_forms.py", "tests/test_docs.py")),
    Topic("Conformance", ("conformance",), ("tests/test_conformance.py", "tests/test_expfam.py")),
    Topic("Exact posterior", ("exact",), ("tests/methods/test_exact.py", "tests/methods/test_gibbs.py")),
    Topic("Linear response", ("theory", "lrvb"), ("tests/methods/test_theory.py", "tests/methods/test_lrvb.py")),
    Topic("Evidence", ("evidence",), ("tests/test_evidence.py",)),
    Topic("Error rates", ("equal", "limit", "beyond", "short", "unfinished"), ("tests/test_error_rates.py",)),
    Topic("Calibration", ("calibration",), ("tests/test_calibration.py",)),
    Topic(
        "Main job",
        ("lecture", "overfitted", "faithful", "seeds", "iris", "galaxies", "overlap"),
        (
            "tests/methods/test_truth.py",
            "tests/methods/test_cavi.py",
            "tests/methods/test_nuts.py",
            "tests/methods/test_trajectory.py",
        ),
    ),
)

Last = Mapping[str, Mapping[str, Any]]


def sections() -> dict[str, Section]:
    """Every section by name, in the order of the document."""
    known = claims.SECTIONS | rates.SECTIONS
    return {name: known[name] for topic in TOPICS for name in topic.sections}


def command(section: str) -> str:
    """The file and the name that run one section."""
    return f"benchmarks/{'rates' if section in rates.SECTIONS else 'claims'}.py {section}"


def last() -> dict[str, Any]:
    """What each section said when it last ran, with the versions that it ran under."""
    return json.loads(LAST.read_text("utf-8")) if LAST.exists() else {}


def keep(name: str, records: list[Record]) -> None:
    """Replace one section's numbers."""
    entry = {"versions": {p: version(p) for p in PACKAGES}, "records": [asdict(r) for r in records]}
    everything = last() | {name: entry}
    LAST.write_text(
        json.dumps({n: everything[n] for n in sorted(everything)}, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )


def document(kept: Last) -> str:
    """docs/truth.md from the last numbers."""
    judged = [
        r["holds"] for name in sections() for r in kept.get(name, {}).get("records", []) if r["holds"] is not None
    ]
    missing = [name for name in sections() if name not in kept]
    lines = [
        "# Truth",
        "",
        "Every number that the project claims, what it is held against, and how to run that check. Written by",
        "`benchmarks/truth.py`; edit nothing here.",
        "",
        "```sh",
        "uv run python benchmarks/truth.py --only lrvb  # run a section again, and write this page",
        'uv run pytest -m "" tests/methods/test_lrvb.py  # the tests that hold it, slow ones too',
        "```",
        "",
        f"{sum(judged)} of the {len(judged)} numbers below that are judged hold. One that falls short says **no**. A dash marks",
        "a number that is told and not judged. A +- is a Monte Carlo standard error. Another code is an independent program",
        "whose printed numbers are compared.",
    ]
    if missing:
        lines += ["", f"Sections {NOT_RUN}: {', '.join(f'`{name}`' for name in missing)}."]
    for topic in TOPICS:
        lines += ["", f"## {topic.title}", ""]
        lines += [f"Tests: {', '.join(f'`{path}`' for path in topic.tests)}."]
        for name in topic.sections:
            lines += _section(name, kept.get(name))
    return "\n".join(lines) + "\n"


def _section(name: str, entry: Mapping[str, Any] | None) -> list[str]:
    about = (sections()[name].__doc__ or "").splitlines()[0]
    check = f"`{command(name)}`"
    rows = ["| claim | wanted | held against | check | last run | holds |", "|---|---|---|---|---|---|"]
    if entry is None:
        return ["", about, "", *rows, f"| {name} | | | {check} | {NOT_RUN} | – |"]
    for r in entry["records"]:
        holds = {True: "yes", False: "**no**", None: "–"}[r["holds"]]
        cells = [_cell(r[field]) for field in ("what", "wanted", "against")]
        rows.append(f"| {' | '.join([*cells, check, _cell(r['value']), holds])} |")
    under = ", ".join(f"{package} {number}" for package, number in entry["versions"].items())
    return ["", about, "", *rows, "", f"Last run under {under}."]


def _cell(text: str) -> str:
    """Text that no table or formula takes for its own marks."""
    for mark in ("\\", "|", "*", "_", "^", "<", "$", "~", "`"):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def main() -> None:
    """Run sections, keep their numbers, write the document."""
    parser = argparse.ArgumentParser(description="Write docs/truth.md.")
    parser.add_argument("--only", nargs="+", default=[], help="sections to run")
    parser.add_argument("--write", action="store_true", help="run nothing")
    given = parser.parse_args()
    known = sections()
    for name in [] if given.write else chosen(known, given.only):
        keep(name, gathered(name, known[name]))
        _write(DOCUMENT)
    _write(DOCUMENT)


def _write(path: Path) -> None:
    path.write_text(document(last()), "utf-8")


if __name__ == "__main__":
    main()
