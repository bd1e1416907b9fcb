"""What is typed, what comes back, and with which exit code."""

import importlib
import json
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vi_vs_mcmc import cli, exits, terminal
from vi_vs_mcmc.errors import SettingError

FEW = ("--draws", "100", "--max-draws", "100", "--method", "cavi", "--seed", "1")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal, "fast_restart", lambda: None)  # it would set float64 for every test after

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vi-vs-mcmc", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


def test_a_run_folder_is_written_checked_and_rendered_again(run):
    code, out, err = run("compare", "gmm", *FEW, "--out", "here")
    assert code == 0
    assert out.rstrip().endswith("here/report.html")
    assert "cavi" in err  # progress, not results
    before = Path("here/report.html").read_bytes()
    assert run("report", "here")[0] == 0
    assert Path("here/report.html").read_bytes() == before
    earlier = ("summary.json", "posteriors/gibbs.nc", "posteriors/mine.nc", "figures/old.json")
    for name in earlier:
        Path("there", name).parent.mkdir(parents=True, exist_ok=True)
        Path("there", name).write_text("of an earlier run")
    Path("here/posteriors/nuts.nc").replace("there/posteriors/mine.nc")
    code, _, _ = run("check", "here/posteriors/cavi.nc", "--against", "there/posteriors/mine.nc", "--out", "there")
    assert code == 0
    assert Path("there/report.html").exists()
    left = {path.name for path in Path("there/posteriors").iterdir()}
    assert left == {"cavi.nc", "nuts.nc", "mine.nc"}  # mine: the run was made from it
    assert not Path("there/figures/old.json").exists()


def test_names_and_sites_of_a_check_are_options_and_stans_files_a_pattern(run):
    head = "# method = sample (Default)\nlp__,{},mu\n"
    for chain in range(4):
        rows = [f"0,{a!r},{b!r}\n" for a, b in np.random.default_rng(chain).standard_normal((200, 2)).tolist()]
        Path(f"advi_{chain}.csv").write_text(head.format("b") + "".join(rows))
        Path(f"nuts_{chain}.csv").write_text(head.format("beta") + "".join(rows))
    arguments = ("check", "advi_*.csv", "--against", "nuts_*.csv", "--rename", "b=beta", "--sites", "beta", "--json")
    code, out, _ = run(*arguments)
    assert code == 0
    assert json.loads(out)["problem"]["title"] == "beta"
    assert Path("reports/advi-against-nuts/report.html").exists()


def test_a_csv_and_settings_reach_the_model_json_is_the_summary_strict_exits_1_and_the_command_holds_the_seed(
    run, lecture
):
    header = "height,width,kind"  # the built-in rows, whose shapes are compiled already, under other names
    rows = [f"{a!r},{b!r},leaf" for a, b in lecture.table.values.tolist()]
    Path("leaves.csv").write_text("\n".join([header, *rows]))
    arguments = ("compare", "gmm", "--data", "leaves.csv", "--set", "concentration=2", *FEW[:-2], "--strict", "--json")
    code, out, err = run(*arguments)
    summary = json.loads(out)
    assert code == 1  # overconfident
    assert {"left out: kind (text)", f"seed {summary['seed']}"} <= set(err.splitlines())
    assert summary == json.loads(Path("reports/gmm-leaves/summary.json").read_text("utf-8"))
    assert summary["command"] == " ".join(("vi-vs-mcmc", *arguments, "--seed", str(summary["seed"])))
    assert summary["data"]["columns"] == ["height", "width"]
    assert summary["data"]["left_out"] == ["kind"]
    assert summary["problem"]["settings"]["concentration"] == [2.0, 2.0, 2.0]
    assert Path("reports/gmm-leaves/report.html").exists()


def test_models_lists_each_with_its_settings(run):
    code, out, _ = run("models")
    assert code == 0
    assert {"eight_schools", "gmm"} <= {line.split(":")[0] for line in out.splitlines()}
    assert "--set degrees_of_freedom=" in out
    assert "nu, above D - 1" in out
    assert out.count("    What is known: ") >= 7
    assert "10 000 draws of posteriordb's" in " ".join(out.split())


def test_some_sites_alone_are_compared_and_a_site_that_is_not_there_is_refused(run):
    short = ("--draws", "100", "--max-draws", "100", "--method", "laplace", "--seed", "1", "--json")
    code, _, _ = run("compare", "eight_schools", "--sites", "tau", *short)
    assert code == 0
    table = pd.read_csv("reports/eight_schools/comparison.csv")
    assert set(table["parameter"]) == {"tau"}
    code, _, err = run("compare", "eight_schools", "--sites", "tau,theta_0", *short)
    assert code == 2
    assert "no site 'theta_0'" in err


def test_doctor_finds_a_known_answer(run):
    code, out, _ = run("doctor")
    assert code == 0
    assert "the ELBO is the log evidence" in out
    assert "BAD" not in out


BAD = {  # name: (arguments, exit code, words that must be said)
    "an unknown model": (("compare", "gnm"), 2, "did you mean 'gmm'"),
    "an unknown method": (("compare", "gmm", "--method", "cavy"), 2, "did you mean 'cavi'"),
    "an unknown setting": (("compare", "gmm", "--set", "component=2"), 2, "did you mean 'components'"),
    "an unknown reference": (("compare", "gmm", "--reference", "nut"), 2, "did you mean 'nuts'"),
    "an unknown study": (("study", "overlop"), 2, "did you mean 'overlap'"),
    "a setting without a value": (("compare", "gmm", "--set", "components"), 2, "want KEY=VALUE"),
    "no component": (
        ("compare", "gmm", "--set", "components=0"),
        2,
        "components is 0; want a whole number, 1 to 1000000",
    ),
    "half a component": (("compare", "gmm", "--set", "components=2.5"), 2, "components is 2.5"),
    "a word for a number": (("compare", "gmm", "--set", "components=two"), 2, "components is 'two'"),
    "too few degrees of freedom": (
        ("compare", "gmm", "--set", "degrees_of_freedom=1"),
        2,
        "degrees_of_freedom is 1; want more than 1",
    ),
    "no concentration": (("compare", "gmm", "--set", "concentration=0"), 2, "concentration is 0; want more than 0"),
    "an indefinite scale": (("compare", "gmm", "--set", "scale=[[1,2],[2,1]]"), 2, "not positive definite"),
    "a lopsided scale": (("compare", "gmm", "--set", "scale=[[1,0.5],[0,1]]"), 2, "not symmetric"),
    "a scale of another shape": (
        ("compare", "gmm", "--set", "scale=[[1]]"),
        2,
        "scale has shape (1, 1); want (2, 2) or (3, 2, 2)",
    ),
    "a ragged mean": (("compare", "gmm", "--set", "mean=[[1,2],[3]]"), 2, "want numbers"),
    "columns that are no names": (("compare", "gmm", "--set", "columns=5"), 2, "columns is 5; want names of columns"),
    "a prior beyond all bounds": (("compare", "gmm", "--set", "degrees_of_freedom=1e12"), 2, "want 1e-09 to 1e+09"),
    "no restart": (("compare", "gmm", "--restarts", "0"), 2, "restarts is 0; want a whole number, 1 or more"),
    "fewer draws at most than to begin with": (
        ("compare", "gmm", "--draws", "300", "--max-draws", "200"),
        2,
        "max_draws is 200",
    ),
    "a folder for a file": (("check", ".", "--against", "b.nc"), 3, "is a folder; want a posterior"),
    "a negative tolerance": (("compare", "gmm", "--tolerance", "-1"), 2, "tolerance"),
    "no chain": (("compare", "gmm", "--chains", "0"), 2, "chains is 0"),
    "an option that does not exist": (("compare", "gmm", "--sead", "1"), 2, "--sead"),
    "a missing file": (("compare", "gmm", "--data", "missing.csv"), 3, "missing.csv"),
    "a renaming without a name": (
        ("check", "a.nc", "--against", "b.nc", "--rename", "b"),
        2,
        "--rename 'b': want THEIRS=OURS, for instance b=beta",
    ),
    "columns of a model that takes none": (
        ("compare", "eight_schools", "--columns", "a"),
        2,
        "eight_schools has no setting columns; it has",
    ),
    "a setting given twice": (
        ("compare", "gmm", "--set", "components=2", "--set", "components=3"),
        2,
        "setting 'components' is given twice",
    ),
    "columns given twice": (
        ("compare", "gmm", "--columns", "a", "--set", 'columns=["a"]'),
        2,
        "setting 'columns' is given twice",
    ),
    "a site named twice": (("compare", "normal", "--sites", "mu,mu"), 2, "site 'mu' is named twice"),
    "a renaming given twice": (
        ("check", "a.nc", "--against", "b.nc", "--rename", "b=x", "--rename", "b=y"),
        2,
        "--rename says twice what 'b' is: 'x' and 'y'",
    ),
    "a missing posterior": (("check", "a.nc", "--against", "b.nc"), 3, "no file a.nc"),
    "an empty run folder": (("report", "."), 3, "comparison.csv"),
    "a seed below 0 of a study": (("study", "overlap", "--seed", "-1"), 2, "seed is -1; want a whole number"),
    "a seed below 0 of calibration": (("study", "calibration", "--seed", "-1"), 2, "seed is -1; want a whole number"),
    "an endless separation": (("study", "overlap", "--separations", "2,inf"), 2, "separation is inf; want 0 to 1e+06"),
    "a huge separation": (
        ("study", "calibration", "--separations", "1e300"),
        2,
        "separation is 1e+300; want 0 to 1e+06",
    ),
    "a study of its own reference": (("study", "overlap", "--method", "nuts"), 2, "is the reference"),
    "a method that a study names twice": (
        ("study", "calibration", "--method", "cavi", "--method", "cavi"),
        2,
        "'cavi' is named twice",
    ),
    "a method that does not apply to a study": (
        ("study", "calibration", "--method", "exact"),
        2,
        "exact sums over 2^60 assignments",
    ),
    "a reference that does not apply": (("compare", "gmm", "--reference", "exact"), 2, "exact sums over 3^500"),
    "separations that are words": (("study", "overlap", "--separations", "near"), 2, "want numbers"),
    "a setting of another study": (("study", "calibration", "--max-draws", "10"), 2, "has no setting max_draws"),
    "fewer draws at most than at first": (
        ("study", "overlap", "--draws", "100", "--max-draws", "50"),
        2,
        "max_draws is 50; want a whole number, 100 or more",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_sentence_and_its_exit_code(run, name):
    arguments, code, words = BAD[name]
    got, out, err = run(*arguments)
    assert got == code
    assert out == ""
    assert words in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


BAD_DATA = {
    "a missing cell": ("a,b\n1,2\n3,\n5,6\n7,8\n", "column 'b'"),
    "a cell too large to square": ("a,b\n1,2\n3,1e300\n5,6\n7,8\n", "column 'b' of bad.csv holds 1e+300"),
    "a column too small to square": (
        "a,b\n1,2e-300\n3,1e-300\n5,6e-300\n7,8e-300\n",
        "column 'b' of bad.csv spans only",
    ),
    "an infinity": ("a,b\n1,2\n3,inf\n5,6\n7,8\n", "column 'b'"),
    "no row": ("a,b\n", "no rows"),
    "no numeric column": ("a\nx\ny\nz\nw\n", "numeric"),
    "fewer rows than components": ("a,b\n1,2\n3,4\n", "too few rows (2); want at least 3"),
    "nothing": ("", "empty"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_exit_3_and_say_what_is_wrong(run, name):
    text, words = BAD_DATA[name]
    Path("bad.csv").write_text(text)
    code, _, err = run("compare", "gmm", "--data", "bad.csv")
    assert code == 3
    assert words in err
    assert "bad.csv" in err


@pytest.mark.parametrize("shape", [(50,), (5, 5, 5)])
def test_arrays_of_another_dimension_exit_3(run, shape):
    np.save("bad.npy", np.zeros(shape))
    code, _, err = run("compare", "gmm", "--data", "bad.npy")
    assert code == 3
    assert "bad.npy" in err
    assert f"shape {shape}" in err


def test_an_output_folder_that_cannot_be_written_is_refused_before_any_work(run):
    Path("taken").write_text("a file")
    code, _, err = run("compare", "gmm", "--out", "taken")
    assert code == 2
    assert "cannot write to the folder taken" in err


def test_constant_and_collinear_columns_warn_of_what_follows(run):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 1))
    np.save("odd.npy", np.hstack([x, 2 * x, np.full((60, 1), 3.0)]))
    _, _, err = run("compare", "gmm", "--data", "odd.npy", "--chains", "0")  # refused right after the data are read
    assert "constant" in err
    assert "collinear" in err


def test_an_interrupt_that_an_import_turned_into_another_error_exits_130(run, monkeypatch):
    def interrupted(*_, **__):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("half imported") from None

    monkeypatch.setattr("vi_vs_mcmc.plugins.load", interrupted)
    code, _, err = run("compare", "gmm")
    assert (code, err) == (130, "vi-vs-mcmc: interrupted\n")


def test_an_error_that_nobody_foresaw_exits_70_with_its_traceback(run, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("not foreseen")

    monkeypatch.setattr("vi_vs_mcmc.plugins.load", broken)
    code, _, err = run("compare", "gmm")
    assert code == exits.UNEXPECTED == 70
    assert err.startswith("Traceback")
    assert err.endswith("RuntimeError: not foreseen\n")


def test_a_damaged_record_of_a_study_is_named(run):
    Path("broken").mkdir()
    Path("broken/study.json").write_text("{")
    code, _, err = run("study", "calibration", "--out", "broken")
    assert code == 3
    assert "broken/study.json cannot be read as JSON" in err
    assert err.count("\n") == 1


def test_a_study_without_its_record_is_not_gone_on_with(run):
    Path("lost").mkdir()
    Path("lost/study.csv").write_text("separation,replicate,verdict,method,parameter\n")
    code, _, err = run("study", "overlap", "--out", "lost")
    assert code == 3
    assert "lost holds study.csv without the settings that it came from" in err


@pytest.mark.parametrize("finished", [None, "study.csv", "probabilities.csv"])
def test_a_study_binds_its_folder_once_something_is_finished(run, monkeypatch, finished):
    def stop(*_, **__):
        raise SettingError("begun")

    monkeypatch.setattr(importlib.import_module("vi_vs_mcmc.studies.overlap"), "compare", stop)
    assert "begun" in run("study", "overlap", "--out", "here", "--rows", "20")[2]
    assert json.loads(Path("here/study.json").read_text("utf-8"))["rows"] == 20
    if finished is not None:
        Path("here", finished).write_text("separation,replicate,verdict,method,parameter\n")
    _, _, err = run("study", "overlap", "--out", "here", "--rows", "30")
    assert ("begun" if finished is None else "holds a study with rows = 20, not 30") in err
    assert run("study", "overlap", "--out", "here", "--seed", "-1")[0] == 2
    assert json.loads(Path("here/study.json").read_text("utf-8"))["rows"] == (30 if finished is None else 20)


def test_an_interrupt_exits_130(run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("vi_vs_mcmc.plugins.load", interrupted)
    code, _, err = run("compare", "gmm")
    assert code == 130
    assert "interrupted" in err


def test_restarts_reach_every_method_and_the_reference(run, monkeypatch):
    asked = {}

    def stop(_, **settings):
        asked.update(settings)
        raise SettingError("stopped here")

    monkeypatch.setattr(importlib.import_module("vi_vs_mcmc.compare"), "compare", stop)
    assert run("compare", "gmm", "--restarts", "3")[0] == 2
    assert [m.restarts for m in (*asked["methods"], asked["reference"])] == [3, 3, 3, 3]  # cavi, lrvb, svi and nuts
