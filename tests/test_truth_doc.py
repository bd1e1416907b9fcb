"""docs/truth.md is what its generator makes of the last numbers, and every check that it names can be run."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

claims, rates, truth, said = (importlib.import_module(name) for name in ("claims", "rates", "truth", "said"))

TEXT = (ROOT / "docs" / "truth.md").read_text("utf-8")
FOLDERS = ("/work", "/tmp", "/home", "/root")


def entry(**change):
    record = {"what": "a|b", "value": "1", "wanted": "below 2", "against": "", "holds": True} | change
    return {"versions": {"numpy": "2"}, "records": [record]}


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_the_page_is_what_the_generator_makes_of_the_last_numbers():
    assert truth.document(truth.last()) == TEXT


def test_every_section_is_under_one_topic():
    named = [name for topic in truth.TOPICS for name in topic.sections]
    assert sorted(named) == sorted([*claims.SECTIONS, *rates.SECTIONS])


def test_the_last_numbers_are_those_of_sections_that_exist():
    assert set(truth.last()) <= set(truth.sections())


def test_every_check_names_a_file_and_a_section_of_it():
    checks = re.findall(r"`benchmarks/(\w+)\.py (\w+)`", TEXT)
    assert {name for _, name in checks} == set(truth.sections())
    for file, name in checks:
        assert name in {"claims": claims, "rates": rates}[file].SECTIONS


def test_every_file_that_it_names_exists():
    named = re.findall(r"(?:tests|benchmarks|docs)/[\w/]+\.\w+", TEXT)
    assert len(named) > 20
    for path in named:
        assert (ROOT / path).is_file(), path


def test_every_row_has_its_six_cells():
    for row in rows(TEXT):
        assert len(re.findall(r"(?<!\\)\|", row)) == 7, row


def test_it_names_no_folder_of_the_machine():
    assert not [folder for folder in FOLDERS if folder in TEXT]


def test_a_section_that_never_ran_says_so_and_has_no_number():
    text = truth.document({})
    assert sum(row.endswith(f"| {truth.NOT_RUN} | – |") for row in rows(text)) == len(truth.sections())
    assert f"Sections {truth.NOT_RUN}: `closed`" in text
    assert "0 of the 0 numbers" in text


@pytest.mark.parametrize(("holds", "says"), [(True, "yes"), (False, "**no**"), (None, "–")])
def test_a_number_says_whether_it_holds(holds, says):
    text = truth.document({"closed": entry(holds=holds)})
    assert rf"| a\|b | below 2 |  | `benchmarks/claims.py closed` | 1 | {says} |" in text


def test_one_section_run_again_replaces_its_own_numbers_only(tmp_path, monkeypatch):
    monkeypatch.setattr(truth, "LAST", tmp_path / "last.json")
    truth.keep("closed", [said.Record("one", "1")])
    truth.keep("exact", [said.Record("two", "2")])
    truth.keep("closed", [said.Record("three", "3", holds=True)])
    kept = truth.last()
    assert [kept[name]["records"][0]["what"] for name in ("closed", "exact")] == ["three", "two"]
    assert set(kept["closed"]["versions"]) == set(truth.PACKAGES)


def test_an_unknown_section_is_named():
    assert said.chosen({"a": lambda: iter(())}, []) == ["a"]
    with pytest.raises(SystemExit, match="no section 'b'; want some of: a"):
        said.chosen({"a": lambda: iter(())}, ["b"])
