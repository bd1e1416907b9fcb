"""Linear regression as a problem: settings checked, priors filled in, program and closed form bound to data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

from vi_vs_mcmc import expfam
from vi_vs_mcmc.data import Table
from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.expfam import Gaussian
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

from .._design import Design, designed
from .._settings import positive
from .._settings import shape as gamma_shape
from .cement import CEMENT, COLUMNS
from .program import regression
from .structure import Factors, RegressionStructure

WIDE = 1e-3  # of a row: what a prior counts for that is to say little


@in_float64
def linear_regression(
    data: Any = None,
    *,
    target: str | None = None,
    intercept: bool = True,
    strength: float = WIDE,
    shape: float = 1.0,
    rate: float | None = None,
    ard: bool = False,
    relevance_shape: float = 1.0,
    relevance_rate: float = 0.01,
    columns: Sequence[str] | None = None,
) -> Problem:
    """Linear regression with unknown noise, exact posterior known; or with a precision for each slope (ARD).

    Coefficients are in the data's units; the intercept is the response at the columns' means.

    Args:
        data: a table of the response and its predictors; None for the heat of 13 cements.
        target: the response's column, by name; default the last one.
        intercept: whether there is one; without, columns and response are taken as they stand.
        strength: c, how many rows the prior counts for: a coefficient, in sds of its column, has sd 1/sqrt(c tau); default 0.001.
        shape: a of tau ~ Gamma(a, b); default 1, with which a small rate is a nearly flat density.
        rate: b; default 0.001 times the response's variance.
        ard: whether each slope has a prior precision alpha of its own, for slope times sd(column) / sd(response).
        relevance_shape: a0 of alpha ~ Gamma(a0, b0); default 1.
        relevance_rate: b0; default 0.01.
        columns: which columns to take, by name, the response among them; default every numeric one.

    Raises:
        SettingError: a setting of the wrong kind or range, or a column that is not there.
        DataError: data that cannot be read or used.
    """
    builtin = data is None
    if builtin:
        data = pd.DataFrame(CEMENT, columns=list(COLUMNS))
    table, design = designed(data, target=target, columns=columns, intercept=intercept)
    if builtin:
        table = dataclasses.replace(table, name="cement")
    if not isinstance(ard, bool):
        raise SettingError(f"ard is {ard!r}; want true or false")
    variance, slopes = float(design.response_spread) ** 2, len(design.predictors)
    settings = {
        "strength": positive("strength", strength),
        "shape": gamma_shape("shape", shape),
        "rate": positive("rate", rate, WIDE * variance),
    }
    relevances = {
        "relevance_shape": gamma_shape("relevance_shape", relevance_shape),
        "relevance_rate": positive("relevance_rate", relevance_rate),
    }
    if ard:
        settings |= relevances
    target, names = table.columns[design.target], design.names(table.columns)
    of_alpha = {name: np.full(slopes, value) for name, value in relevances.items()} if ard else {}
    x, y = (np.asarray(of(jnp.asarray(table.values))) for of in (design.scaled, design.response))
    unit = np.asarray(design.unit)
    scale = unit / np.sqrt(settings["strength"])
    if ard:
        scale[-slopes:] = np.asarray(design.response_spread) * unit[-slopes:]
    mean = np.where(np.arange(len(unit)) == 0, np.asarray(design.response_centre), 0.0)
    return Problem(
        regression,
        args=(x / unit, y),
        kwargs={"mean": mean, "scale": scale, "shape": settings["shape"], "rate": settings["rate"], **of_alpha},
        dims={"beta": ("coefficient",)},
        coords={"coefficient": names, "slope": names[-slopes:]},
        conjugate=_structure(table, design, settings, of_alpha),
        sites=("beta", "tau", "alpha") if ard else ("beta", "tau"),
        name="linear_regression",
        settings={"target": target, "intercept": intercept, "ard": ard, **settings},
        table=table,
        title=f"linear regression of {target}{', ARD' if ard else ''}",
        priors=_in_words(settings, intercept=intercept, ard=ard),
    )


def _structure(
    table: Table, design: Design, settings: Mapping[str, float], of_alpha: Mapping[str, np.ndarray]
) -> RegressionStructure:
    number = len(design.unit)
    prior: Factors = {
        "beta": Gaussian(jnp.zeros((1, number)), jnp.zeros((1, number, number))),  # its prior is `linked`
        "tau": expfam.gamma_natural(
            jnp.full(1, settings["shape"]), jnp.full(1, settings["rate"] / design.response_spread**2)
        ),
    }
    if of_alpha:
        prior["alpha"] = expfam.gamma_natural(*(jnp.asarray(value) for value in of_alpha.values()))
    nothing = (jnp.zeros((0, number)), jnp.zeros(0))
    empty = RegressionStructure(nothing, prior, jnp.asarray(settings["strength"]), design)
    return empty.over(empty.encode(jnp.asarray(table.values)))


def _in_words(settings: Mapping[str, float], *, intercept: bool, ard: bool) -> str:
    tied = "N(0, 1 / ({strength:.4g} tau))".format(**settings)
    parts = ["tau, the noise's precision, Gamma({shape:.4g}, rate {rate:.4g})".format(**settings)]
    if ard:
        parts += [f"intercept {tied}"] if intercept else []
        parts += [
            "slopes N(0, 1 / alpha)",
            "alpha, a slope's prior precision, Gamma({relevance_shape:.4g}, rate {relevance_rate:.4g})".format(
                **settings
            ),
        ]
    else:
        parts.append(f"coefficients (beta) {tied}")
    about = "about their means, in units of their sds" if intercept else "in units of their root mean squares"
    return "; ".join([*parts, f"columns and response {about}"])
