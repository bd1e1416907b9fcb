"""Every model with a closed form against every check of `conformance`: a new model is one line more in MODELS."""

from functools import cache

import conformance
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import regressions
from subject import Subject

import vi_vs_mcmc as vm


def mixture(dimension: int, components: int, **priors) -> vm.Problem:
    """A mixture on clumps that overlap a little; degrees of freedom at which every moment's error has an error."""
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [2.5, 0.0], [0.0, 2.5]])[:components, :dimension]
    sizes = (20, 14, 10)[:components]
    x = np.concatenate([c + rng.normal(size=(n, dimension)) for c, n in zip(centres, sizes, strict=True)]) * 3.0 + 40.0
    return vm.load("gmm")(x, components=components, **{"degrees_of_freedom": dimension + 12.0, **priors})


def a_prior_for_each_component() -> vm.Problem:
    return mixture(
        2,
        2,
        concentration=[1.5, 4.0],
        mean=[[45.0, 40.0], [38.0, 52.0]],
        mean_precision=[0.5, 2.0],
        scale=[[[0.02, 0.005], [0.005, 0.01]], [[0.01, 0.0], [0.0, 0.03]]],
        degrees_of_freedom=[12.0, 17.5],
    )


def mixture_guide(q) -> None:
    """q of the mixture in NumPyro's own distributions."""
    numpyro.sample("weights", dist.Dirichlet(q["concentration"]))
    with numpyro.plate("component", len(q["concentration"])):
        precisions = numpyro.sample("precisions", dist.Wishart(q["degrees_of_freedom"], scale_matrix=q["scale"]))
        strength = q["mean_precision"][:, None, None] * precisions
        numpyro.sample("means", dist.MultivariateNormal(q["mean"], precision_matrix=strength))


def sequences(dimension: int, apart: float = 2.0, **settings) -> vm.Problem:
    """Four short sequences of unequal length, so that padding and the sum over all paths are seen; no transition is rare."""
    rng = np.random.default_rng(0)
    which = np.repeat([3.0, 1.0, 2.0, 5.0], [6, 4, 1, 5])
    x = 40.0 + 3.0 * (rng.normal(size=(len(which), dimension)) + apart * rng.integers(2, size=(len(which), 1)))
    rows = np.column_stack([x, which])
    prior = {"initial_concentration": 3.0, "transition_concentration": 3.0, "degrees_of_freedom": dimension + 12.0}
    return vm.load("hidden_markov")(rows, sequence=f"x{dimension}", **{**prior, **settings})


def three_states() -> vm.Problem:
    return sequences(1, apart=0.5, states=3, mean_precision=10.0, transition_concentration=10.0)


def states_told_apart() -> vm.Problem:
    return sequences(
        2,
        initial_concentration=[1.5, 3.0],
        transition_concentration=[[4.0, 1.5], [2.0, 3.0]],
        mean=[[45.0, 40.0], [38.0, 50.0]],
        mean_precision=[0.5, 2.0],
    )


def hidden_markov_guide(q) -> None:
    """q of the hidden Markov model in NumPyro's own distributions."""
    numpyro.sample("initial", dist.Dirichlet(q["initial_concentration"]))
    with numpyro.plate("state", len(q["initial_concentration"])):
        numpyro.sample("transition", dist.Dirichlet(q["transition_concentration"]))
        precisions = numpyro.sample("precisions", dist.Wishart(q["degrees_of_freedom"], scale_matrix=q["scale"]))
        strength = q["mean_precision"][:, None, None] * precisions
        numpyro.sample("means", dist.MultivariateNormal(q["mean"], precision_matrix=strength))


def hierarchical_guide(q) -> None:
    """q of the hierarchical normal."""
    numpyro.sample("mu", dist.Normal(q["mu_mean"], q["mu_sd"]))
    numpyro.sample("tau", dist.Gamma(q["shape"], q["rate"]))
    with numpyro.plate("group", len(q["theta_mean"])):
        numpyro.sample("theta", dist.Normal(q["theta_mean"], q["theta_sd"]))


def plane(latent: int, columns: int) -> vm.Problem:
    """Few rows near a plane, far from the origin; degrees of freedom at which every moment's error has an error."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(14, latent)) @ rng.normal(size=(latent, columns)) + 0.5 * rng.normal(size=(14, columns))
    prior = {"degrees_of_freedom": latent + 12.0, "shape": 6.0, "mean_precision": 2.0, "loading_sd": 2.0}
    return vm.load("ppca")(40.0 + 3.0 * x, latent=latent, **prior)


def ppca_guide(q) -> None:
    """q of probabilistic PCA; intercepts given loadings."""
    numpyro.sample("tau", dist.Gamma(q["shape"], q["rate"]))
    precision = numpyro.sample("latent_precision", dist.Wishart(q["degrees_of_freedom"], scale_matrix=q["scale"]))
    strength = q["mean_precision"] * precision
    numpyro.sample("latent_mean", dist.MultivariateNormal(q["mean"], precision_matrix=strength))
    mean, covariance = q["loadings_mean"], q["loadings_covariance"]
    inner, cross = covariance[:, :-1, :-1], covariance[:, :-1, -1]
    with numpyro.plate("other", len(mean)):
        loadings = numpyro.sample("loadings", dist.MultivariateNormal(mean[:, :-1], inner))
        slope = jnp.linalg.solve(inner, cross[..., None])[..., 0]
        given = mean[:, -1] + (slope * (loadings - mean[:, :-1])).sum(-1)
        sd = jnp.sqrt(covariance[:, -1, -1] - (slope * cross).sum(-1))
        numpyro.sample("intercepts", dist.Normal(given, sd))


MODELS = {
    "mixture of 2 in 1 dimension": (lambda: mixture(1, 2), mixture_guide),
    "mixture of 3 in 2 dimensions": (lambda: mixture(2, 3), mixture_guide),
    "mixture with a prior for each component": (a_prior_for_each_component, mixture_guide),
    "normal": (
        lambda: vm.load("normal")(np.arange(8.0)[:, None] ** 2, mean=20.0, strength=0.5),
        regressions.normal_guide,
    ),
    "linear regression": (regressions.linear, regressions.linear_guide),
    "linear regression without intercept": (lambda: regressions.linear(intercept=False), regressions.linear_guide),
    "linear regression with relevances": (lambda: regressions.linear(ard=True), regressions.linear_guide),
    "probit regression": (
        lambda: vm.load("probit_regression")(regressions.table(binary=True)),
        regressions.probit_guide,
    ),
    "hidden Markov model of 2 states": (lambda: sequences(1), hidden_markov_guide),
    "hidden Markov model of 3 states": (three_states, hidden_markov_guide),
    "hidden Markov model with a prior for each state": (states_told_apart, hidden_markov_guide),
    "hierarchical normal": (vm.load("hierarchical_normal"), hierarchical_guide),
    "probabilistic PCA of 1 dimension in 3": (lambda: plane(1, 3), ppca_guide),
    "probabilistic PCA of 2 dimensions in 4": (lambda: plane(2, 4), ppca_guide),
}
FAST = "linear regression"  # other tests see the mixture; these are minutes of compilation


@cache
def measured(name: str) -> Subject:
    make, guide = MODELS[name]
    return Subject(make(), guide)


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", [n if n == FAST else pytest.param(n, marks=pytest.mark.slow) for n in MODELS])
def test_every_model(name, check):
    with jax.enable_x64(True):
        check(measured(name))
