"""The pages in docs/methods tell the truth: settings are the dataclasses', commands parse, blocks print what is shown."""

from __future__ import annotations

import ast
import dataclasses
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

import vi_vs_mcmc as vm
from vi_vs_mcmc.cli import app
from vi_vs_mcmc.methods import exact, registry
from vi_vs_mcmc.methods.autoguide import guides
from vi_vs_mcmc.methods.dadvi import LARGEST as DADVI_LARGEST
from vi_vs_mcmc.methods.laplace import LARGEST as LAPLACE_LARGEST
from vi_vs_mcmc.methods.lrvb import FLAT
from vi_vs_mcmc.metrics import health
from vi_vs_mcmc.plugins import load, settings_of

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "methods"
TEXTS = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.md"))}
INDEX = TEXTS["README.md"]
PAGES = {name: text for name, text in TEXTS.items() if name != "README.md"}
HEADINGS = (
    "What it does",
    "What it takes",
    "What it gets wrong",
    "When to trust it, and what the report shows",
    "Settings",
    "Sources",
)
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.S)
NAME, DEFAULT = r"`(\w+)`", r"`([^`]+)`"

# what a page says, and where it has that from: (page, words of the page, file, words of the file)
QUOTED = [
    ("nuts.md", "R-hat 32", "vi_vs_mcmc/methods/nuts.py", "R-hat 32"),
    ("nuts.md", "diverges and fails its checks", "models/eight_schools.py", "NUTS diverges\nthere and fails its checks"),
    ("nuts.md", "on 16;", "docs/truth.md", "NUTS: problems on which its checks pass | 15 of 20 or more |  | "
     "`benchmarks/claims.py exact` | 16 |"),
    ("nuts.md", "2.76", "docs/truth.md", "| 2.76 |"),
    ("gibbs.md", "2.90", "docs/truth.md", "| 2.90 |"),
    ("gibbs.md", "R-hat 1.249, 12 effective draws", "docs/truth.md", "failed: R-hat 1.2490, ESS 12, 4 x 5000"),
    ("gibbs.md", ".56 to .99", "docs/truth.md", "weight 0.999; 25 starts; 0.56, 0.89, 0.99, 0.99"),
    ("exact.md", ".04 to 7.04 nats", "docs/truth.md", "| 0.04 to 7.04 |"),
    ("exact.md", "relative 1e-12", "tests/methods/test_exact.py", 'attrs["log_evidence"], log_evidence, rtol=1e-12'),
    ("cavi.md", ".66 to .87", "docs/truth.md", "| 0.6590 +- 0.0006 |"),
    ("cavi.md", ".66 to .87", "docs/truth.md", "| 0.8716 +- 0.0016 |"),
    ("cavi.md", "20 of 20 seeds", "docs/truth.md", "CAVI calibrated in 20 seeds | at least 19 | NUTS | "
     "`benchmarks/claims.py seeds` | 20 |"),
    ("cavi.md", "32 starts found 11 optima", "docs/truth.md", "distinct optima of 32 starts | at least 10 | another code | "
     "`benchmarks/claims.py iris` | 11 |"),
    ("cavi.md", "1.43", "docs/truth.md", "| 1.43 |"),
    ("lrvb.md", "1.43", "docs/truth.md", "| 1.43 |"),
    ("lrvb.md", "1.000 to 1.004", "docs/truth.md", "| 1.0041 +- 0.0024 |"),
    ("lrvb.md", ".98 to 1.00", "docs/truth.md", "| 0.983 to 1.003 |"),
    ("lrvb.md", "1.632", "docs/truth.md", "| 1.6323 |"),
    ("lrvb.md", ".242", "docs/truth.md", "| 0.2422 |"),
    ("lrvb.md", ".988", "docs/truth.md", "| 0.9878 |"),
    ("em.md", "whole posterior sd from the mean", "tests/methods/test_em.py", '(rows["bias"].abs() < 1).all()'),
    ("svi.md", ".86 to .97", "tests/models/test_eight_schools.py", "four seeds gave .86 to .97 and .58 to .63"),
    ("svi.md", ".58 to .63", "tests/models/test_eight_schools.py", "four seeds gave .86 to .97 and .58 to .63"),
]  # fmt: skip


def of_page(name: str) -> list[str]:
    """Names of the methods that a page is about, by the index."""
    rows = [row for row in INDEX.splitlines() if row.startswith("| `") and f"]({name})" in row]
    return [method for row in rows for method in re.findall(r"`([^`]+)`", row.split("|")[1])]


def settings(name: str) -> list[tuple[str, object]]:
    """(setting, default) of a page's table."""
    table = PAGES[name].partition("## Settings")[2].partition("\n## ")[0]
    rows = re.findall(rf"^\| {NAME} \| {DEFAULT} \|", table, re.M)
    return [(setting, ast.literal_eval(default)) for setting, default in rows]


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", "\n".join(TEXTS.values()), re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def blocks() -> list:
    """A page's Python with what it should print; those that fit something compile it, and are slow."""
    found = []
    for name, text in PAGES.items():
        for number, (code, printed) in enumerate(BLOCK.findall(text)):
            marks = [pytest.mark.slow] if "vm.fit(" in code else []
            found.append(pytest.param(code, printed, id=f"{name} {number}", marks=marks))
    return found


def test_every_method_has_a_page_that_the_index_names():
    told = [method for name in PAGES for method in of_page(name)]
    assert sorted(told) == sorted([*registry.PLAIN, "svi:GUIDE"])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_s_settings_and_their_defaults_are_the_dataclass_s(name):
    for method in of_page(name):
        resolved = registry.resolve(method.replace("GUIDE", "AutoNormal"))
        fields = [(f.name, f.default) for f in dataclasses.fields(type(resolved))]  # pyright: ignore
        assert settings(name) == fields


def test_every_autoguide_is_on_the_page_of_svi():
    assert all(f"`{guide}`" in PAGES["svi.md"] for guide in guides())


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_same_sections_as_the_others_and_can_be_read_in_one_go(name):
    text = PAGES[name]
    assert tuple(re.findall(r"^## (.*)$", text, re.M)) == HEADINGS
    assert len(text.splitlines()) <= 90
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 135


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_parses(words):
    program, name, *arguments = words
    assert program == "vi-vs-mcmc"
    command: Any = typer.main.get_command(app)
    context = command.commands[name].make_context(name, list(arguments))  # a usage error raises
    given = [pair.partition("=")[0] for pair in context.params["settings"] or []]
    assert set(given) <= set(settings_of(load(context.params["model"])))
    for method in [*(context.params["method"] or []), context.params["reference"]]:
        registry.resolve(method)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_a_command_and_a_call_for_each_of_its_methods(name):
    for method in of_page(name):
        said = method.partition(":")[0]
        assert any(word.partition(":")[0] == said for words in commands() for word in words), method
    calls = [code for code in re.findall(r"`([^`\n]*)`", PAGES[name]) if code.startswith(("vm.fit(", "vm.Exact("))]
    assert calls or "vm.fit(" in PAGES[name]
    for call in calls:
        settings_of_call = re.findall(r"(?:vm\.)?[A-Z]\w+\([^()]*\)", call)
        names = {type(m).__name__: type(m) for m in map(registry.resolve, [*registry.PLAIN, "svi:AutoNormal"])}
        for made in settings_of_call:
            assert eval(made, {"vm": vm, **names}) is not None  # a setting that there is not raises


@pytest.mark.parametrize(("code", "printed"), blocks())
def test_a_block_prints_what_is_shown_below_it(code, printed, capsys):
    assert printed, "a block without its output"
    exec(compile(code, "docs/methods", "exec"), {})
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_and_every_file_that_a_page_names_is_there(name):
    text = TEXTS[name]
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (FOLDER / target).exists(), target
    for path in re.findall(r"`((?:vi_vs_mcmc|models|tests|docs)/[\w./-]+\.\w+)`", text):
        assert (ROOT / path).is_file(), path


def test_the_index_is_linked_from_where_a_reader_begins():
    assert "(docs/methods/README.md)" in (ROOT / "README.md").read_text()
    assert "(methods/README.md)" in (ROOT / "docs" / "extend.md").read_text()


def test_what_a_page_quotes_in_quotation_marks_is_said_by_the_program():
    parts = [path.read_text() for path in (ROOT / "vi_vs_mcmc").rglob("*.py")]
    said = re.sub(r'"\s*\n\s*f?"', "", "\n".join(parts))  # a sentence may be written in several strings
    for name, text in PAGES.items():
        for quote in re.findall(r"“([^”]*)”", text):
            for words in quote.split("…"):
                assert " ".join(words.split()) in said, (name, quote)


@pytest.mark.parametrize(("name", "words", "file", "source"), QUOTED)
def test_a_number_that_a_page_quotes_is_in_its_source(name, words, file, source):
    assert words in " ".join(PAGES[name].split())
    assert source in (ROOT / file).read_text()


def test_limits_are_the_code_s():
    assert f"R-hat below {health.RHAT}" in PAGES["nuts.md"]
    assert f"R-hat below {health.RHAT}" in PAGES["gibbs.md"]
    assert f"effective draws {health.ESS:.0f} or more" in PAGES["nuts.md"]
    assert f"{health.DIVERGENT:.1%}".replace("%", " %") in PAGES["nuts.md"]
    assert f"E-BFMI {health.BFMI}"[1:].replace(" 0.", " .") in PAGES["nuts.md"]
    assert f"at most {health.DEEP:.0%}".replace("%", " %") in " ".join(PAGES["nuts.md"].split())
    assert f"Beyond {FLAT}".replace("0.", ".") in PAGES["lrvb.md"]
    thousands = lambda number: f"{number:,}".replace(",", " ")
    assert f"at most {thousands(LAPLACE_LARGEST)} coordinates" in PAGES["laplace.md"]
    assert f"at most {thousands(DADVI_LARGEST)} coordinates" in PAGES["dadvi.md"]
    rows = {components: max(n for n in range(1, 60) if components**n <= exact.LIMIT) for components in (2, 3, 4)}
    assert f"{rows[2]} rows of two components, {rows[3]} of three, {rows[4]} of four" in PAGES["exact.md"]
