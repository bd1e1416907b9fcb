"""A study is a tidy table and a figure, and goes on where it was stopped."""

import json

import numpy as np
import pandas as pd
import pytest

import vi_vs_mcmc as vm

slow = pytest.mark.slow  # its data have a shape that no other test compiles for

GRID = {"separations": [2.5, 5.0], "replicates": 1, "rows": 120, "draws": 200, "max_draws": 400}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    vm.study("overlap", folder, **GRID)
    return folder


@slow
def test_one_row_per_cell_method_and_scalar(folder):
    table = pd.read_csv(folder / "study.csv")
    assert list(table.columns[:5]) == ["separation", "replicate", "verdict", "method", "parameter"]
    assert len(table) == 2 * 12  # 2 weights, 4 means, 6 entries of covariances
    assert set(table["separation"]) == {2.5, 5.0}


@slow
def test_overlap_makes_mean_field_narrower(folder):
    table = pd.read_csv(folder / "study.csv")
    near, far = (table[table["separation"] == s]["sd_ratio"].median() for s in (2.5, 5.0))
    assert near < 0.8 < far < 1.05


@slow
def test_the_figure_and_the_page_are_written(folder):
    figure = json.loads((folder / "figure.json").read_text("utf-8"))
    assert figure["layout"]["xaxis"]["title"]["text"].startswith("distance between the two means")
    assert "overlap" in (folder / "study.html").read_text("utf-8")


@slow
def test_what_is_finished_is_not_run_again_and_what_is_missing_is(folder, monkeypatch):
    import importlib

    module = importlib.import_module("vi_vs_mcmc.studies.overlap")
    whole = pd.read_csv(folder / "study.csv")
    whole[whole["separation"] == 2.5].to_csv(folder / "study.csv", index=False)  # stopped after the first cell
    calls, real = [], module.compare
    monkeypatch.setattr(module, "compare", lambda *a, **k: calls.append(1) or real(*a, **k))
    table = vm.study("overlap", folder, **GRID)
    assert len(calls) == 1
    np.testing.assert_array_equal(table["sd_ratio"], whole["sd_ratio"])
    pd.testing.assert_frame_equal(pd.read_csv(folder / "study.csv"), whole)


@slow
def test_a_folder_of_another_study_is_refused(folder):
    with pytest.raises(vm.SettingError, match="holds a study with rows = 120, not 130"):
        vm.study("overlap", folder, **{**GRID, "rows": 130})


def test_a_study_is_one_file(tmp_path, monkeypatch):
    from vi_vs_mcmc import studies as package
    from vi_vs_mcmc.study import shown, studies

    text = """DEFAULTS = {"width": 2}
def run(folder, chosen, seed, progress):
    return (folder, chosen, seed)
def shown(table):
    return "shown"
"""
    (tmp_path / "third.py").write_text(text)
    (tmp_path / "_shared.py").write_text("")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    assert studies() == ["calibration", "overlap", "posteriordb", "third"]
    found: object = vm.study("third", tmp_path, seed=4, width=3)
    assert found == (tmp_path, {"width": 3}, 4)
    assert shown("third", pd.DataFrame()) == "shown"
    with pytest.raises(vm.SettingError, match="study third has no setting draws; it has width"):
        vm.study("third", tmp_path, draws=3)


def test_the_page_of_a_figure_has_its_numbers_as_a_table(tmp_path):
    import plotly.graph_objects as go

    from vi_vs_mcmc.studies import _page

    table = pd.DataFrame({"method": ["a<b", "c"], "median": [-0.5, np.nan]})
    _page.write_figure(tmp_path, "overlap", go.Figure(), ["It's <said>."], table, "How to read it.")
    page = (tmp_path / "study.html").read_text("utf-8")
    head, body = page.split("<body>")
    assert 'name="viewport"' in head
    assert "prefers-color-scheme: dark" in head
    assert '<main id="main"' in body
    assert "It&#x27;s &lt;said&gt;." in body
    assert '<th scope="row">a&lt;b</th><td>−0.5</td>' in body
    assert "<caption" in body
    assert json.loads((tmp_path / "figure.json").read_text("utf-8"))["data"] == []


def test_cells_that_are_there_are_not_made_again(tmp_path):
    from vi_vs_mcmc.studies._folder import cells

    made, told = [], []

    def make(at, number):
        made.append((at, number))
        return None if number == 2 else pd.DataFrame({"value": [at * number, 0.0]})

    run = lambda wanted: cells(
        tmp_path, {"study": "s"}, ("at", "number"), wanted, make, lambda *a: told.append(a), ["value"]
    )
    run([(0.5, 1)])
    found = run([(0.5, 1), (0.5, 2), (1.5, 3)])
    assert made == [(0.5, 1), (0.5, 2), (1.5, 3)]
    assert told[2:] == [("s", 0, 3), ("s", 1, 3), ("s", 2, 3), ("s", 3, 3)]
    assert list(found.columns) == ["at", "number", "value"]
    assert list(found["value"]) == [0.5, 0.0, 4.5, 0.0]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "study.csv"), found)


def test_a_method_that_calls_itself_otherwise_is_refused(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("class Mine:\n    name = 'own'\n\n    def fit(self): ...\n")
    with pytest.raises(vm.SettingError, match=r"by their own names, and '.*mine.py' calls itself 'own'"):
        vm.study("overlap", tmp_path / "study", methods=[str(path)])
