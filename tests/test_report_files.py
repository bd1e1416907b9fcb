"""The files of a report: the same bytes every time, and clear about what a folder lacks."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from report_fixture import Recipe, load_summary, save_summary, write_mixture
from report_stories import told
from report_text import source

from vi_vs_mcmc.errors import DataError
from vi_vs_mcmc.report import write


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A small run folder to copy and to damage."""
    return write_mixture(tmp_path_factory.mktemp("whole") / "run", Recipe(draws=20))


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    shutil.copytree(told("overconfident"), tmp_path / "run", ignore=shutil.ignore_patterns("report.html", "figures"))
    write(tmp_path / "run")
    for path in sorted(p.relative_to(tmp_path / "run") for p in (tmp_path / "run").rglob("*") if p.is_file()):
        assert (tmp_path / "run" / path).read_bytes() == (told("overconfident") / path).read_bytes(), path


def test_every_figure_is_also_a_file_and_stale_ones_go(tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(told("one_parameter"), folder)
    (folder / "figures" / "old.json").write_text("{}")
    write(folder)
    drawn = set(re.findall(r'<div class="plot [^"]*" id="([^"]+)"', source(folder)))
    assert {p.stem for p in (folder / "figures").glob("*.json")} == drawn


def test_the_page_carries_its_table_and_summary_unchanged():
    folder = told("hostile_names")
    for name in ("comparison.csv", "summary.json"):
        block = re.search(
            rf'<script type="application/json" id="{re.escape(name)}">(.*?)</script>', source(folder), re.S
        )
        assert block
        assert json.loads(block[1]) == (folder / name).read_text(encoding="utf-8")


def test_the_policy_has_hashes_only():
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', source(told("overconfident")))
    assert policy
    assert "unsafe" not in policy[1]
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "summary.json").unlink(), "lacks summary.json"),
        (lambda f: (f / "comparison.csv").unlink(), "lacks comparison.csv"),
        (lambda f: (f / "posteriors" / "cavi.nc").unlink(), "lacks posteriors/cavi.nc"),
        (lambda f: (f / "summary.json").write_text("{"), "is not JSON"),
        (lambda f: (f / "summary.json").write_text("[]"), "has no schema_version"),
        (
            lambda f: save_summary(f, load_summary(f) | {"schema_version": 2}),
            "schema_version 2; this package reads version 1",
        ),
        (lambda f: save_summary(f, load_summary(f) | {"verdicts": {}}), "holds no verdicts"),
        (lambda f: save_summary(f, load_summary(f) | {"reference": None}), "does not name its reference"),
        (lambda f: (f / "posteriors" / "cavi.nc").write_bytes(b"no netCDF"), "cannot be read as a posterior"),
        (lambda f: (f / "comparison.csv").write_text("method,parameter\n"), "lacks the columns mean, sd"),
        (lambda f: (f / "comparison.csv").write_text(""), "is empty"),
        (
            lambda f: _replace_cell(f, "sd_ratio", "wide"),
            "'wide' in column sd_ratio, row 1; a number is wanted",
        ),
        (lambda f: _replace_cell(f, "parameter", "zeta", rows=99), "compares parameters that"),
    ],
)
def test_a_damaged_folder_is_one_clear_sentence(whole, tmp_path, spoil, message):
    folder = shutil.copytree(whole, tmp_path / "run")
    spoil(folder)
    with pytest.raises(DataError, match=re.escape(message)):
        write(folder)


def test_what_is_no_folder_is_said_to_be_none(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        write(tmp_path / "missing")


def _replace_cell(folder: Path, column: str, value: str, rows: int = 1) -> None:
    path = folder / "comparison.csv"
    table = list(csv.DictReader(path.read_text().splitlines()))
    for row in table[:rows]:
        row[column] = value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)
