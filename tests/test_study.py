"""A study is a tidy table and a figure, and goes on where it was stopped."""

import json

import numpy as np
import pandas as pd
import pytest

import vi_vs_mcmc as vm

pytestmark = pytest.mark.slow  # its data have a shape that no other test compiles for

GRID = {"separations": [2.5, 5.0], "replicates": 1, "rows": 120, "draws": 200, "max_draws": 400}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    vm.study("overlap", folder, **GRID)
    return folder


def test_one_row_per_cell_method_and_scalar(folder):
    table = pd.read_csv(folder / "study.csv")
    assert list(table.columns[:5]) == ["separation", "replicate", "verdict", "method", "parameter"]
    assert len(table) == 2 * 12  # 2 weights, 4 means, 6 entries of covariances
    assert set(table["separation"]) == {2.5, 5.0}


def test_overlap_makes_mean_field_narrower(folder):
    table = pd.read_csv(folder / "study.csv")
    near, far = (table[table["separation"] == s]["sd_ratio"].median() for s in (2.5, 5.0))
    assert near < 0.8 < far < 1.05


def test_the_figure_and_the_page_are_written(folder):
    figure = json.loads((folder / "figure.json").read_text("utf-8"))
    assert figure["layout"]["xaxis"]["title"]["text"].startswith("distance between the two means")
    assert "overlap" in (folder / "study.html").read_text("utf-8")


def test_what_is_finished_is_not_run_again_and_what_is_missing_is(folder, monkeypatch):
    import importlib

    module = importlib.import_module("vi_vs_mcmc.study")
    whole = pd.read_csv(folder / "study.csv")
    whole[whole["separation"] == 2.5].to_csv(folder / "study.csv", index=False)  # stopped after the first cell
    calls, real = [], module.compare
    monkeypatch.setattr(module, "compare", lambda *a, **k: calls.append(1) or real(*a, **k))
    table = vm.study("overlap", folder, **GRID)
    assert len(calls) == 1
    np.testing.assert_array_equal(table["sd_ratio"], whole["sd_ratio"])
    pd.testing.assert_frame_equal(pd.read_csv(folder / "study.csv"), whole)


def test_a_folder_of_another_study_is_refused(folder):
    with pytest.raises(vm.SettingError, match="holds a study with rows = 120, not 130"):
        vm.study("overlap", folder, **{**GRID, "rows": 130})
