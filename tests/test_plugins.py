"""Models are found by name, and say what they are and which settings they take."""

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
    assert vm.load("coin")(a=2.0).compared == ("p",)
