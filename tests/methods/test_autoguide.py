"""The loss that SVI descends: NumPyro's own number, and one program whatever process asks for it."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import pytest
from numpy.testing import assert_allclose
from numpyro.infer import SVI, Trace_ELBO

from vi_vs_mcmc.methods import autoguide

LOWERED = """
import jax, numpyro, numpyro.distributions as dist
import vi_vs_mcmc as vm
from vi_vs_mcmc.methods import autoguide
from vi_vs_mcmc.coordinates import AsTheyAre
from vi_vs_mcmc.methods.target import Target

def program():
    for name in "abcdefgh":
        numpyro.sample(name, dist.Normal(0.0, 1.0))

target = Target.of(vm.Problem(program), AsTheyAre())
start = {name: jax.numpy.zeros(2) for name in "abcdefgh"}
keys = jax.random.split(jax.random.key(0), 2)
state = autoguide.begin("AutoNormal", 4, target, start, keys)
print(autoguide.block.lower("AutoNormal", 4, target, start, state, 0.01).as_text())
"""


def program():
    scale = numpyro.sample("scale", dist.HalfNormal(2.0))
    location = numpyro.sample("location", dist.Normal(0.0, 3.0).expand([3]).to_event(1))
    numpyro.sample("x", dist.Normal(location, scale), obs=jnp.array([0.3, -1.0, 2.0]))


@pytest.mark.parametrize("particles", [1, 4])
@pytest.mark.parametrize("guide", ["AutoNormal", "AutoLowRankMultivariateNormal", "AutoIAFNormal", "AutoDelta"])
def test_the_loss_and_its_slopes_are_numpyros_with_the_same_key(guide, particles):
    with jax.enable_x64(True):
        guide = getattr(numpyro.infer.autoguide, guide)(program)
        svi = SVI(program, guide, numpyro.optim.Adam(0.01), Trace_ELBO())
        parameters = svi.get_params(svi.init(jax.random.key(0)))
        both = [
            jax.value_and_grad(lambda p, loss=loss: loss.loss(jax.random.key(1), p, program, guide))(parameters)
            for loss in (autoguide.Loss(particles), Trace_ELBO(particles))
        ]
    jax.tree.map(lambda ours, theirs: assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10), *both)


@pytest.mark.slow  # two processes that import everything
def test_another_process_asks_for_the_same_program():
    lowered = [
        subprocess.run(
            [sys.executable, "-c", LOWERED],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert lowered[0] == lowered[1]
    assert "stablehlo" in lowered[0]
