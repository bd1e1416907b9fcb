r"""Neal's funnel: a scale that is a parameter, and coordinates as wide as it says.

    v ~ N(0, 3^2),    x_i ~ N(0, exp(v))    (sd exp(v / 2))

Written as it stands (centred), the density has a mouth, a thousand times wider than its neck, and no step size fits both; a
normal q, factorised or not, covers a part of it. With x_i = exp(v / 2) z_i, z_i ~ N(0, 1), it is a round Gaussian in v and z.

What is known: v is N(0, 3^2) by itself, whatever the number of coordinates; z is standard normal. So a factorised normal q is
exact without centring, with equal importance ratios. In the centred program q(v) is too narrow and k-hat is far above .7;
Var[x_i] = exp(9 / 2) is finite, but of draws so heavy-tailed that no sampler finds it.

Source: Neal (2003), Slice sampling, Annals of Statistics 31, section 8; Papaspiliopoulos, Roberts and Skoeld (2007).
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.problem import Problem

from ._settings import how_many

SCALE = 3.0  # sd of v


def centred(dimension: int) -> None:
    """x itself is a parameter."""
    v = numpyro.sample("v", dist.Normal(0.0, SCALE))
    with numpyro.plate("coordinate", dimension):
        numpyro.sample("x", dist.Normal(0.0, jnp.exp(0.5 * v)))


def noncentred(dimension: int) -> None:
    """x = exp(v / 2) z, and z is a parameter."""
    v = numpyro.sample("v", dist.Normal(0.0, SCALE))
    with numpyro.plate("coordinate", dimension):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
        numpyro.deterministic("x", jnp.exp(0.5 * v) * z)


NECK = (
    "Centred, the coordinates\u2019 width is exp(v / 2): where v is low lies a neck.",
    "No step size of NUTS fits neck and mouth, so that it diverges and fails its checks; and a normal law, of one width for "
    "every v, lies outside of the density there: hence a high k-hat.",
    "--set parameters=noncentred",
)


def funnel(data: Any = None, *, dimension: int = 9, parameters: str = "centred") -> Problem:
    """Neal's funnel: no normal q fits it as it stands, and a factorised one fits it exactly without centring.

    Args:
        data: none; the posterior is the funnel itself.
        dimension: number of coordinates x, 1 or more; default 9.
        parameters: centred (x is a parameter; default) or noncentred (x = exp(v / 2) z); the law of v is the same.

    Raises:
        SettingError: data, other parameters, or no coordinate.
    """
    if data is not None:
        raise SettingError("funnel has no data: leave them out")
    programs = {"centred": centred, "noncentred": noncentred}
    if parameters not in programs:
        raise SettingError(f"parameters is {parameters!r}; want {' or '.join(programs)}")
    size = how_many("dimension", dimension)
    return Problem(
        programs[parameters],
        args=(size,),
        sites=("v",) if parameters == "centred" else ("v", "z"),
        dims={"x": ("coordinate",)},
        name="funnel",
        settings={"dimension": size, "parameters": parameters},
        title=f"funnel with {size} coordinates, {parameters}",
        priors="v, the log of the coordinates' variance, N(0, 3^2); x, the coordinates, N(0, exp(v / 2)^2)",
        cautions=(NECK,) if parameters == "centred" else (),
    )
