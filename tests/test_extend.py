"""docs/extend.md tells the truth: each of its files, alone in a folder, adds what it says to an untouched package."""

import re
from pathlib import Path

import numpy as np
import pytest

import vi_vs_mcmc as vm

TEXT = (Path(__file__).parents[1] / "docs" / "extend.md").read_text()
FILES = {name: code for name, code in re.findall(r"```python\n# file: (\S+)\n(.*?)```", TEXT, flags=re.S)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The page's files and a csv in the working folder, and a distribution that has the measure."""
    for name, code in FILES.items():
        (tmp_path / name).write_text(code)
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    rows = "\n".join(f"{a},{b}" for a, b in zip(x, 2 * x + rng.normal(size=20), strict=True))
    (tmp_path / "points.csv").write_text(f"x,y\n{rows}\n")
    info = tmp_path / "extended-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extended\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[vi_vs_mcmc.metrics]\niqr_ratio = iqr_ratio:iqr_ratio\n[vi_vs_mcmc.methods]\nwidened = widened:Widened\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_a_method_and_a_measure_are_a_file_each(folder):
    """Mean-field and one line: no correlation to lose, so widening by 1.5 is what the page should find."""
    assert set(FILES) == {"mine.py", "plugin.py", "widened.py", "iqr_ratio.py"}
    problem = vm.load("mine.py:line")("points.csv")
    found = vm.compare(problem, methods=["widened.py:Widened"], seed=1, draws=500, max_draws=500)
    slope = found.table.set_index("parameter").loc["slope"]
    # 4 x 500 draws: the reference's sd is known to some 3 %, and Student's tail is 2 % wider
    assert abs(slope["sd_ratio"] - 1.5) < 0.2
    assert abs(slope["iqr_ratio"] - 1.5) < 0.25
    assert found.summary["verdicts"]["widened"]["verdict"] == ["underconfident"]
    assert found.summary["verdicts"]["widened"]["khat"] is not None
    assert found.posteriors["widened"].attrs["wall_seconds"] > 0


def test_a_model_with_settings_is_a_file(folder):
    problem = vm.load("plugin.py:coin")(None, shape=2.0)
    fitted = vm.fit(problem, "laplace", seed=0, draws=10)
    # Beta(9, 5) of logit p: the mode of the density of u is 9 / 14
    assert abs(fitted["posterior"]["p"].values.mean() - 9 / 14) < 0.2


def test_its_names_are_found(folder):
    from vi_vs_mcmc.methods.registry import known
    from vi_vs_mcmc.metrics import measures

    assert "widened" in known()
    assert "iqr_ratio" in measures()
