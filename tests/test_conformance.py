"""Every model with a closed form against every check of `conformance`: a new model is one line more in MODELS."""

from functools import cache

import conformance
import jax
import linear_regression
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
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


MODELS = {
    "mixture of 2 in 1 dimension": (lambda: mixture(1, 2), mixture_guide),
    "mixture of 3 in 2 dimensions": (lambda: mixture(2, 3), mixture_guide),
    "mixture with a prior for each component": (a_prior_for_each_component, mixture_guide),
    "linear regression": (linear_regression.linear_regression, linear_regression.guide),
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
