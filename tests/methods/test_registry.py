"""Methods are found by name, by entry point and in a file; what is no method is refused with what is wanted."""

import pytest

import vi_vs_mcmc as vm
from vi_vs_mcmc.methods.registry import known, resolve, with_restarts

PRIOR = '''
from dataclasses import dataclass

import jax
import numpy as np

from vi_vs_mcmc import posterior


@dataclass(frozen=True)
class Prior:
    """Draws of N(0, scale^2) whatever the data say."""

    scale: float = 1.0

    name = "prior"

    def fit(self, problem, key, *, chains, draws, progress=None):
        z = jax.random.normal(key, (chains, draws))
        return posterior.build(problem, self.name, {n: self.scale * np.asarray(z) for n in problem.latent})
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "prior_method.py"
    path.write_text(PRIOR)
    return path


def test_a_method_in_a_file_is_found_by_its_path(file):
    assert resolve(str(file)).name == "prior"
    assert resolve(f"{file}:Prior").scale == 1.0
    with pytest.raises(vm.SettingError, match="did you mean 'Prior'"):
        resolve(f"{file}:Priot")


def test_a_method_of_another_distribution_comes_by_its_entry_point(file, tmp_path, monkeypatch):
    info = tmp_path / "more_methods-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more-methods\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vi_vs_mcmc.methods]\nprior = prior_method:Prior\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "prior" in known()
    assert resolve("prior").name == "prior"
    with pytest.raises(vm.SettingError, match="did you mean 'prior'"):
        resolve("priot")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("class Bare:\n    def fit(self): ...\n", "without a name"),
        ("class Picky:\n    name = 'x'\n    def __init__(self, a): ...\n    def fit(self): ...\n", "all have defaults"),
        ("x = 1\n", "nothing that would do"),
        ("raise SystemExit(3)\n", "cannot be imported: SystemExit: 3"),
    ],
    ids=["no name", "an argument without a default", "no class", "an end of the run"],
)
def test_what_is_no_method_is_refused(tmp_path, code, words):
    path = tmp_path / f"wrong_{abs(hash(code))}.py"
    path.write_text(code)
    with pytest.raises(vm.SettingError, match=words):
        resolve(str(path))


def test_restarts_go_to_the_methods_that_make_any():
    assert with_restarts("laplace", 3).restarts == 3
    assert with_restarts("dadvi-lr", 3).corrected
    assert with_restarts("exact", 3) == resolve("exact")


def test_a_method_keeps_its_own_restarts_unless_told(tmp_path):
    path = tmp_path / "patient.py"
    path.write_text(
        "from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass Patient:\n    restarts: int = 32\n"
        "    name = 'patient'\n\n    def fit(self, problem, key, *, chains, draws, progress=None): ...\n"
    )
    assert with_restarts(str(path), None).restarts == 32
    assert with_restarts(str(path), 3).restarts == 3
    assert with_restarts("laplace", None) == resolve("laplace")
