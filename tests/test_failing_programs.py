"""A program that cannot be traced, or that leaves nothing to compare, is refused in a sentence before any work."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import pytest

import vi_vs_mcmc as vm


def own_mistake():
    raise RuntimeError("own mistake")


def own_assertion():
    assert False, "never here"  # noqa: B011, PT015


def wrong_shapes():
    numpyro.sample("a", dist.Normal(0.0, 1.0))
    return jnp.ones(3) + jnp.ones(4)


def subsample():
    a = numpyro.sample("a", dist.Normal(0.0, 1.0))
    with numpyro.plate("row", 5, subsample_size=2):
        numpyro.sample("y", dist.Normal(a, 1.0), obs=jnp.zeros(2))


def empty():
    numpyro.sample("a", dist.Normal(0.0, 1.0))
    numpyro.sample("b", dist.Normal(jnp.zeros(0), 1.0).to_event(1))


def branches():
    if numpyro.sample("a", dist.Normal(0.0, 1.0)) > 0:
        numpyro.sample("b", dist.Normal(0.0, 1.0))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (own_mistake, "program 'own_mistake': RuntimeError: own mistake"),
        (own_assertion, "program 'own_assertion': AssertionError: never here"),
        (wrong_shapes, "program 'wrong_shapes': TypeError: add got incompatible shapes"),
        (subsample, "plate 'row' takes 2 of 5 rows at a time"),
        (empty, r"site 'b' has shape \(0,\): there is nothing to compare"),
        (branches, "program 'branches': TracerBoolConversionError"),
    ],
)
def test_a_program_that_cannot_be_traced_is_said(program, words):
    with pytest.raises(vm.SettingError, match=words):
        vm.fit(vm.Problem(program), "laplace", seed=0, draws=4)


def of_one():
    numpyro.deterministic("step", jnp.floor(numpyro.sample("a", dist.Normal(0.0, 1.0)) * 0 + 3))
    numpyro.deterministic("nothing", jnp.nan * jnp.ones(2))
    numpyro.deterministic("one", jnp.ones(3))


@pytest.mark.parametrize(
    ("sites", "words"),
    [
        (("one", "step"), "every compared scalar is constant in the draws of laplace"),
        (("a", "nothing"), "site nothing of the program is not finite in 40000 of 40000 draws of svi:AutoDelta"),
    ],
)
def test_sites_without_spread_or_numbers_are_said_before_a_page_is_written(sites, words):
    problem = vm.Problem(of_one, sites=sites)
    with pytest.raises(vm.DataError, match=words):
        vm.compare(problem, methods=["svi:AutoDelta"], reference="laplace", seed=0, chains=2, draws=50, max_draws=50)


def test_a_site_named_twice_is_refused():
    with pytest.raises(vm.SettingError, match="site 'a' is named twice"):
        _ = vm.Problem(of_one, sites=("a", "a")).compared
