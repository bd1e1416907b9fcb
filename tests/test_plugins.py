"""Models are found by name, and say what they are and which settings they take."""

import contextlib
import re
import subprocess
import sys

import numpy as np
import pytest

import vi_vs_mcmc as vm
from vi_vs_mcmc import plugins


def test_a_model_is_loaded_by_name():
    assert vm.load("gmm").__name__ == "gmm"


def test_the_closest_name_is_suggested():
    with pytest.raises(vm.SettingError, match="did you mean 'gmm'"):
        vm.load("gmmm")


def test_every_model_has_a_line_and_every_setting_a_meaning():
    for name in plugins.models():
        line, meanings = plugins.described(vm.load(name))
        assert line
        assert set(meanings) == set(plugins.settings_of(vm.load(name)))


@pytest.mark.parametrize("name", plugins.models())
def test_what_is_known_of_a_model_is_its_modules_paragraph(name):
    known = plugins.known(name)
    assert known.startswith("What is known: ")
    assert known.endswith(".")
    assert "\n" not in known


SPOKEN = {"CAVI": vm.CAVI(), "LRVB": vm.LRVB(), "Gibbs": vm.Gibbs(), "EM": vm.EM(), "exact": vm.Exact()}
ROWS = [[1.0, 2.0], [1.5, 0.5], [4.0, 4.5], [5.0, 4.0], [2.0, 1.0]]  # few, so that exact can list every assignment
FEW = {"gmm": ROWS, "hidden_markov": ROWS}
CLOSED = ("gmm", "hidden_markov", "hierarchical_normal", "linear_regression", "normal", "ppca", "probit_regression")


@pytest.mark.parametrize("name", CLOSED)
def test_the_closed_form_methods_said_to_apply_to_a_model_are_those_that_take_it(name):
    problem = vm.load(name)(np.array(FEW[name]) if name in FEW else None)
    suited = set()
    for spoken, method in SPOKEN.items():
        with contextlib.suppress(vm.SettingError):
            method.suits(problem)
            suited.add(spoken)
    said = re.search(r"[.:] ([\w, ]+) apply", plugins.known(name))
    assert said
    assert set(re.findall(r"\w+", said[1])) - {"and"} == suited


MEANS = {("gmm", "mean"), ("hidden_markov", "mean"), ("hierarchical_normal", "mean"), ("normal", "mean")}
ZERO = MEANS | {("correlated_gaussian", "correlation")}  # may be 0; a mean may be below
UNFIT = [
    (name, setting, value)
    for name in plugins.models()
    for setting, of in plugins.settings_of(vm.load(name)).items()
    if re.search(r"\b(int|float)\b", str(of.annotation))
    for value in (float("nan"), float("inf"), 1e100, 0.0, -2.0)
    if not (value == 0 and (name, setting) in ZERO) and not (value == -2 and (name, setting) in MEANS)
]


@pytest.mark.parametrize(("name", "setting", "value"), UNFIT)
def test_a_number_that_does_not_fit_is_refused_by_the_settings_name(name, setting, value):
    matrix = setting == "scale" and name in ("gmm", "hidden_markov", "ppca")
    given = [[value, 0.0], [0.0, value]] if matrix else value
    with pytest.raises(
        vm.SettingError, match=f"^{setting} .*{'' if matrix else f'{value:g}'.replace('+', '.')}.*; .*want"
    ):
        vm.load(name)(**{setting: given})


def test_what_is_known_is_read_without_importing_the_model():
    code = "import sys; from vi_vs_mcmc import plugins; print(plugins.known('funnel')); print(*sys.modules)"
    known, modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.splitlines()
    assert known.startswith("What is known: v is N(0, 3^2)")
    assert "vi_vs_mcmc.models" in modules.split()
    assert "vi_vs_mcmc.models.funnel" not in modules.split()


def test_another_distribution_adds_models_by_the_same_door(tmp_path, monkeypatch):
    package = tmp_path / "more_models"
    (package / "coin").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "coin" / "__init__.py").write_text(
        "import numpyro, numpyro.distributions as dist\n"
        "from vi_vs_mcmc import Problem\n"
        "def coin(data=None, *, a: float = 1.0):\n"
        '    """A coin.\n\n    Args:\n        a: how fair.\n    """\n'
        "    return Problem(lambda: numpyro.sample('p', dist.Beta(a, a)))\n"
    )
    info = tmp_path / "more_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vi_vs_mcmc.models]\nmore = more_models\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert {"coin", "gmm"} <= set(plugins.models())
    assert plugins.described(vm.load("coin")) == ("A coin.", {"a": "how fair."})
    assert plugins.known("coin") == ""
    assert vm.load("coin")(a=2.0).compared == ("p",)
