"""A program in a file and a table: arguments find their columns by name, and what cannot be matched is said."""

import os
import sys

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import vi_vs_mcmc as vm
from vi_vs_mcmc import in_file, plugins
from vi_vs_mcmc.bind import bind

ROWS = "dose,age,count\n0.5,30,2\n1.25,41,0\n2.0,25,7\n"


def regression(x, count, scale=1.0, group=None):
    beta = numpyro.sample("beta", dist.Normal(0, scale).expand([x.shape[1]]).to_event(1))
    numpyro.sample("y", dist.Poisson(np.exp(0.0) + (x @ beta) ** 2), obs=count)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return path


def test_an_argument_gets_the_column_of_its_name_and_the_one_left_over_the_others(file):
    problem = bind(regression, file)
    assert problem.kwargs["x"].tolist() == [[0.5, 30.0], [1.25, 41.0], [2.0, 25.0]]
    assert problem.kwargs["count"].tolist() == [2, 0, 7]
    assert problem.kwargs["count"].dtype == np.int64  # whole numbers may count or index
    assert problem.compared == ("beta",)
    assert problem.name == "regression"
    assert problem.table.columns == ("dose", "age", "count")


def test_columns_choose_and_settings_are_arguments_by_name(file):
    problem = bind(regression, file, columns=["age", "count"], settings={"scale": [2.0]})
    assert problem.kwargs["x"].tolist() == [[30.0], [41.0], [25.0]]
    assert problem.kwargs["scale"].tolist() == [2.0]
    assert problem.settings == {"count": "column count", "x": "columns age", "scale": [2.0]}


def test_an_argument_that_keeps_its_default_of_none_is_a_caution(file):
    ((fact, follows, remedy),) = bind(regression, file).cautions
    assert "group" in fact
    assert "parameter" in follows
    assert "--set group=" in remedy


def test_a_program_whose_only_open_argument_has_a_default_of_none_gets_the_matrix():
    def program(x=None):
        numpyro.sample("x", dist.Normal(numpyro.sample("mu", dist.Normal()), 1), obs=x)

    assert bind(program, np.ones((4, 2))).kwargs["x"].shape == (4, 2)
    assert set(bind(program).latent) == {"mu", "x"}


def test_a_column_of_two_values_may_be_an_outcome(tmp_path):
    rows = np.column_stack([np.random.default_rng(0).normal(size=40), np.arange(40) % 2])
    (tmp_path / "rows.csv").write_text("x,y\n" + "\n".join(f"{a},{b:g}" for a, b in rows))
    assert bind(lambda x, y: numpyro.sample("m", dist.Normal()), tmp_path / "rows.csv").table.warnings == ()


def two(a, b):
    numpyro.sample("mu", dist.Normal(a, b))


def test_two_arguments_that_no_column_matches_are_named_with_the_columns(file):
    with pytest.raises(vm.SettingError, match=r"two wants a, b, and rows.csv has dose, age, count"):
        bind(two, file)


def test_without_data_what_is_missing_is_named():
    with pytest.raises(vm.SettingError, match="two wants a, b: give data"):
        bind(two)
    assert bind(two, settings={"a": 0.0, "b": 1.0}).compared == ("mu",)


def test_a_matrix_that_no_column_is_left_for_is_missing(file):
    with pytest.raises(vm.SettingError, match="regression wants x"):
        bind(regression, file, columns=["count"])


SOURCE = '''
import numpyro, numpyro.distributions as dist
from vi_vs_mcmc import Problem

def program(dose, count):
    """Counts by dose."""
    rate = numpyro.sample("rate", dist.Gamma(1.0, 1.0))
    with numpyro.plate("row", len(dose)):
        numpyro.sample("y", dist.Poisson(rate * dose), obs=count)

def plugin(data=None, *, shape: float = 1.0) -> Problem:
    """A plugin."""
    return Problem(lambda: numpyro.sample("p", dist.Gamma(shape, 1.0)), name="plugin")
'''


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_a_program_in_a_file_is_a_model(module, file):
    model = plugins.load(f"{module}:program")
    assert plugins.described(model)[0] == "Counts by dose."
    assert set(plugins.settings_of(model)) == {"columns", "dose", "count"}
    assert model(str(file)).compared == ("rate",)
    assert plugins.short(f"{module}:program") == "mine-program"


def test_a_function_that_returns_a_problem_is_a_plugins_function(module):
    assert plugins.load(f"{module}:plugin")(shape=2.0).name == "plugin"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("{}", r"defines program, plugin; say which"),
        ("{}:progam", "did you mean 'program'"),
        ("{}x.py:program", "there is no file"),
    ],
)
def test_what_cannot_be_found_is_said(module, name, says):
    with pytest.raises(vm.SettingError, match=says):
        plugins.load(name.format(module))


def test_a_file_that_cannot_be_imported_says_why(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import nothing_of_this_name\n")
    with pytest.raises(vm.SettingError, match="ModuleNotFoundError"):
        plugins.load(str(path))


def test_a_file_runs_once_and_again_only_where_it_has_changed(tmp_path):
    path, ran = tmp_path / "counted.py", tmp_path / "ran"
    ran.write_text("")
    source = (
        f"from pathlib import Path\nran = Path({str(ran)!r})\nran.write_text(ran.read_text() + '.')\n"
        "def program(dose, count):\n    pass\n"
    )
    path.write_text(source)
    for _ in range(3):
        plugins.load(f"{path}:program")
    assert ran.read_text() == "."
    path.write_text(source.replace("program(", "other("))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
    assert plugins.load(f"{path}:other").__name__ == "other"
    assert ran.read_text() == ".."


def test_a_file_of_any_name_may_have_dataclasses_and_neighbours_and_hides_no_module(tmp_path):
    """Even `statistics.py`: the standard library's stays what it is, and the file's dataclass finds its own module."""
    import statistics

    (tmp_path / "neighbour_of_it.py").write_text("DOSE = 2.0\n")
    path = tmp_path / "statistics.py"
    path.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from neighbour_of_it import DOSE\n"
        "@dataclass(frozen=True)\n"
        "class Prior:\n"
        "    kind: ClassVar[str] = 'gamma'\n"
        "    rate: float = DOSE\n"
        "def program(dose, count):\n"
        "    return Prior()\n"
    )
    found = in_file.imported(path)
    assert found.Prior().rate == 2.0
    assert sys.modules[found.Prior.__module__] is found
    assert sys.modules["statistics"] is statistics
    assert not hasattr(statistics, "Prior")
