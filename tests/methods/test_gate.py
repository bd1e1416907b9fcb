"""What a method of someone else's gives is checked, and what goes wrong in it is said in a sentence that names it."""

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr

import vi_vs_mcmc as vm
from vi_vs_mcmc import posterior
from vi_vs_mcmc.methods.cavi import CAVI
from vi_vs_mcmc.methods.em import EM
from vi_vs_mcmc.methods.gibbs import Gibbs
from vi_vs_mcmc.methods.lrvb import LRVB
from vi_vs_mcmc.methods.nuts import NUTS
from vi_vs_mcmc.methods.registry import resolve
from vi_vs_mcmc.methods.svi import SVI

CHAINS, DRAWS = 2, 50


def program():
    numpyro.sample("slope", dist.Normal(0.0, 1.0))
    noise = numpyro.sample("noise", dist.HalfNormal(1.0))
    numpyro.deterministic("large", noise > 1.0)


PROBLEM = vm.Problem(program, sites=("slope", "noise", "large"))


def good(problem) -> dict:
    """What a method would hand to `posterior.build`; a test spoils one part."""
    slope, noise = np.random.default_rng(0).standard_normal((2, CHAINS, DRAWS))
    draws = {"slope": slope, "noise": np.abs(noise), "large": np.abs(noise) > 1}
    stats = {"log_p": -(slope**2), "log_q": -(slope**2)}
    return {"draws": draws, "sample_stats": stats, "variational": xr.Dataset(), "attrs": {"elbo": -1.0}}


class Given:
    """A method that gives what `spoil` leaves."""

    name = "mine"

    def __init__(self, spoil):
        self._spoil = spoil

    def fit(self, problem, key, *, chains, draws, progress=None):
        parts = good(problem)
        found = self._spoil(parts)
        return posterior.build(problem, self.name, **parts) if found is None else found


def fitted(spoil):
    return vm.fit(PROBLEM, Given(spoil), seed=0, chains=CHAINS, draws=DRAWS)


def draws(site, change):
    def spoil(parts):
        parts["draws"][site] = change(parts["draws"][site])

    return spoil


def moments(mean, sd):
    return lambda parts: parts.update(variational=xr.Dataset({"mean_slope": mean, "sd_slope": sd}))


def attribute(name, value):
    return lambda parts: parts["attrs"].update({name: value})


def stat(name, change):
    return lambda parts: parts["sample_stats"].update({name: change(parts["sample_stats"][name])})


def short(parts):
    parts["sample_stats"] = {name: value[:, :9] for name, value in parts["sample_stats"].items()}


def one(value):
    def change(array):
        array = array.copy()
        array[0, 3] = value
        return array

    return change


def turned(parts):
    values = {s: (("draw", "chain"), v.T) for s, v in parts["draws"].items()}
    return xr.DataTree.from_dict(
        {"/posterior": xr.Dataset({**values, "bogus": (("chain", "draw"), values["slope"][1].T)})}
    )


def bare(dims, shape):
    return lambda parts: xr.DataTree.from_dict(
        {"/posterior": xr.Dataset({s: (dims, np.ones(shape)) for s in parts["draws"]})}
    )


def test_an_indicator_counts_as_a_whole_number_and_dims_come_in_order():
    tree = fitted(turned)
    assert tree["posterior"]["large"].dtype == np.int64
    assert tree["posterior"]["slope"].dims == ("chain", "draw")
    assert "bogus" not in tree["posterior"]
    assert fitted(lambda parts: None).attrs["elbo"] == -1.0


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (draws("slope", lambda v: v * 1j), vm.SettingError, "draws of slope are complex"),
        (draws("slope", lambda v: v.astype(str)), vm.SettingError, "draws of slope are text"),
        (draws("slope", lambda v: v.astype(object)), vm.SettingError, "draws of slope are objects"),
        (draws("slope", lambda v: v > 0), vm.SettingError, "draws of slope are booleans"),
        (draws("slope", one(np.nan)), vm.NumericalError, "method mine: draws of slope are not finite, 1 of 100"),
        (draws("slope", one(np.inf)), vm.NumericalError, "draws of slope are not finite"),
        (draws("noise", lambda v: -v), vm.NumericalError, "100 of 100 draws of noise are outside its support"),
        (draws("large", lambda v: v * np.nan), vm.DataError, "site large of the program is not finite"),
        (draws("slope", lambda v: v.T), vm.SettingError, "fit together"),
        (draws("slope", lambda v: v[..., None]), vm.SettingError, r"slope has shape \(2, 50, 1\); want 2 dims"),
        (bare(("chain", "draw", "k"), (CHAINS, DRAWS, 2)), vm.SettingError, r"have shape \(2,\); the site has \(\)"),
        (
            lambda parts: parts.update(draws={"noise": parts["draws"]["noise"]}),
            vm.SettingError,
            "mine gave none for site slope",
        ),
        (lambda parts: parts["draws"].update(bogus=1.0), vm.SettingError, "no site of the program is called 'bogus'"),
        (stat("log_p", lambda v: v.ravel()), vm.SettingError, r"log_p has shape \(100,\); want \(chain, draw\)"),
        (short, vm.SettingError, r"want a number for each draw, \(chain, draw\) = \(2, 50\)"),
        (stat("log_q", one(np.nan)), vm.NumericalError, "log_q is not a finite number"),
        (stat("log_p", one(np.inf)), vm.NumericalError, "log_p is not a finite number"),
        (moments(("z", np.ones(3)), ("z", np.ones(3))), vm.SettingError, r"mean_slope is float64 of shape \(3,\)"),
        (moments(0.0, -1.0), vm.NumericalError, "sd_slope is negative"),
        (attribute("elbo", "high"), vm.SettingError, "attribute elbo is 'high'; want a finite number"),
        (attribute("wall_seconds", np.nan), vm.SettingError, "attribute wall_seconds is nan"),
        (attribute("note", object()), vm.SettingError, "attribute note is of type object"),
        (attribute("status", "fine"), vm.SettingError, "status is 'fine'; want one of ok"),
        (lambda parts: parts["draws"], vm.SettingError, "gave none for site slope"),
        (lambda parts: 1 / 0, vm.SettingError, "method mine: ZeroDivisionError: division by zero"),
        (lambda parts: parts["nosuch"], vm.SettingError, "method mine: KeyError: 'nosuch'"),
    ],
)
def test_what_is_wrong_with_a_methods_posterior_is_said(spoil, kind, words):
    with pytest.raises(kind, match=words):
        fitted(spoil)


def test_a_reference_passes_the_same_gate():
    judge = Given(draws("slope", one(np.nan)))
    judge.name = "judge"
    with pytest.raises(vm.NumericalError, match="method judge: draws of slope are not finite"):
        vm.compare(PROBLEM, methods=[Ample()], reference=judge, seed=0, chains=CHAINS, draws=DRAWS, max_draws=DRAWS)


class Ample:
    """As many draws as are asked for."""

    name = "ample"
    suits = None

    def fit(self, problem, key, *, chains, draws, progress=None):
        slope, noise = np.random.default_rng(1).standard_normal((2, chains, draws))
        return posterior.build(problem, self.name, {"slope": slope, "noise": abs(noise), "large": abs(noise) > 1})


def test_a_numerical_error_names_its_method():
    def fails(parts):
        raise vm.NumericalError("the numbers left")

    with pytest.raises(vm.NumericalError, match="method mine: the numbers left"):
        fitted(fails)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "the name of method Other is ''"),
        ({"name": "x" * 400}, "400 characters; want a text of 1 to 100"),
        ({"name": 3}, "is 3; want a text"),
        ({"name": property(lambda self: 1 / 0)}, "has no name: ZeroDivisionError"),
        ({"suits": True}, "TypeError: 'bool' object is not callable"),
        ({"suits": lambda self, problem: False}, "does not suit 'program'"),
        ({"suits": lambda self, problem: {}["a"]}, "method ample: KeyError: 'a'"),
        (
            {"fit": lambda self, problem, key, chains, draws: None},
            "TypeError: .*unexpected keyword argument 'progress'",
        ),
    ],
)
def test_what_is_wrong_with_a_method_is_said(change, words):
    with pytest.raises(vm.SettingError, match=words):
        vm.fit(PROBLEM, type("Other", (Ample,), change)(), seed=0, chains=CHAINS, draws=DRAWS)


FILE = """
class Fails:
    name = "fails"
    def __init__(self): raise RuntimeError("boom")
    def fit(self): ...
def made(scale=1.0):
    import vi_vs_mcmc as vm
    return vm.Laplace()
def wants(problem): ...
def number(): return 3
"""


def test_a_function_of_a_file_makes_a_method_and_failures_are_said(tmp_path):
    path = tmp_path / "their_methods.py"
    path.write_text(FILE)
    assert resolve(f"{path}:made").name == "laplace"
    for name, words in {
        "Fails": "RuntimeError: boom",
        "wants": "defaults",
        "number": "is a int without a name",
    }.items():
        with pytest.raises(vm.SettingError, match=words):
            resolve(f"{path}:{name}")


@pytest.mark.parametrize(
    ("value", "words"),
    [("no_such_mod:W", "ModuleNotFoundError"), ("broken_ep:W", "SyntaxError"), ("whole_ep:Nope", "AttributeError")],
)
def test_an_entry_point_that_cannot_be_loaded_is_said(tmp_path, monkeypatch, value, words):
    (tmp_path / "broken_ep.py").write_text("def (:\n")
    (tmp_path / "whole_ep.py").write_text("")
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[vi_vs_mcmc.methods]\ntheirs = {value}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(vm.SettingError, match=f"method theirs cannot be loaded from {value}: {words}"):
        resolve("theirs")


@pytest.mark.parametrize("settings", [CAVI, EM, Gibbs, LRVB, NUTS, SVI])
def test_a_whole_number_given_as_a_float_is_kept_as_a_whole_number(settings):
    restarts = settings(restarts=3.0).restarts
    assert restarts == 3
    assert isinstance(restarts, int)
    with pytest.raises(vm.SettingError, match=r"restarts is 2\.5"):
        settings(restarts=2.5)
