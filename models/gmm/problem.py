"""The Bayesian Gaussian mixture as a problem: settings checked, priors filled in, program and closed form bound to data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from vi_vs_mcmc import data as tables
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

from .._settings import filled, how_many, in_words, scales, strengths
from . import lecture
from .program import mixture
from .structure import mixture_structure

DIMS = {
    "weights": ("component",),
    "means": ("component", "feature"),
    "precisions": ("component", "feature", "feature_2"),
    "covariances": ("component", "feature", "feature_2"),
}


@in_float64
def gmm(
    data=None,
    *,
    components: int = 3,
    concentration: float | Sequence[float] | None = None,
    mean: Sequence[float] | Sequence[Sequence[float]] | None = None,
    mean_precision: float | Sequence[float] | None = None,
    scale: Sequence[Sequence[float]] | Sequence[Sequence[Sequence[float]]] | None = None,
    degrees_of_freedom: float | Sequence[float] | None = None,
    columns: Sequence[str] | None = None,
) -> Problem:
    """Bayesian Gaussian mixture: Dirichlet weights, normal-Wishart components; closed form known, labels exchangeable.

    The default prior of your own data says that a component lies where the data lie and is smaller than they are: the
    expected covariance is diag(var x) / K^(2/D), and the prior sd of a component's mean is the data's sd. nu = D + 4, so
    that even an empty component's mean has a variance, and that variance an error. The built-in data have the
    lecture's prior: alpha = 1, beta = 1, m = the data's mean, W = 0.1 I, nu = D.

    Args:
        data: a csv, tsv, parquet or npy file, an array (N, D), a data frame, a table from `vm.stream`; None for the
            lecture's 500 points.
        components: number of components, K; default 3.
        concentration: Dirichlet alpha, a number or (K,); default 1.
        mean: prior mean of the component means, (D,) or (K, D); default the data's mean.
        mean_precision: beta, how many rows the prior mean counts for, a number or (K,); default K^(-2/D).
        scale: Wishart scale W of the precisions, (D, D) or (K, D, D); default diag(K^(2/D) / (3 var x)).
        degrees_of_freedom: Wishart nu, above D - 1, a number or (K,); default D + 4.
        columns: which columns to take, by name; default every numeric one.

    Raises:
        SettingError: a setting of the wrong kind, shape or range.
        DataError: data that cannot be read or used.
    """
    count = how_many("components", components)
    builtin = data is None
    if builtin:
        data = lecture.lecture_data()
    table = tables.read(data, columns=columns, minimum_rows=count)
    if builtin:
        table = dataclasses.replace(table, name="lecture")
    x, dimension = table.values, table.values.shape[1]
    centre, spread = table.mean, table.sd
    variance = np.where(spread > 0, spread**2, 1.0)
    shrink = 1.0 if builtin else float(count) ** (-2.0 / dimension)
    prior = {
        "concentration": strengths("concentration", concentration, 1.0, (count,)),
        "mean": filled("mean", mean, centre, (count, dimension)),
        "mean_precision": strengths("mean_precision", mean_precision, shrink, (count,)),
        "scale": scales(
            "scale", scale, 0.1 * np.eye(dimension) if builtin else np.diag(1 / (3 * shrink * variance)), count
        ),
        "degrees_of_freedom": strengths(
            "degrees_of_freedom",
            degrees_of_freedom,
            dimension + (0 if builtin else 4),
            (count,),
            above=dimension - 1,
        ),
    }
    exchangeable = all(np.all(value == value[:1]) for value in prior.values())
    return Problem(
        program=mixture,
        args=(x,),
        kwargs=prior,
        dims=DIMS,
        coords={"column": table.columns},
        exchangeable="component" if exchangeable and count > 1 else None,
        conjugate=mixture_structure(
            x, **prior, centre=centre, spread=spread, count=table.count, exchangeable=exchangeable
        ),
        sites=("weights", "means", "covariances"),
        name="gmm",
        settings={"components": count, **{k: v.tolist() for k, v in prior.items()}},
        truth=_truth(count) if builtin and columns is None else None,
        table=table,
        title=f"gmm, {count} component{'s' if count > 1 else ''}",
        priors=in_words(prior),
        cautions=_cautions(prior["degrees_of_freedom"].min(), dimension),
    )


def _cautions(degrees_of_freedom: float, dimension: int) -> tuple[tuple[str, str, str | None], ...]:
    if degrees_of_freedom > dimension + 1:
        return ()
    return (
        (
            "An empty component\u2019s mean has no finite sd.",
            f"The prior has {degrees_of_freedom:g} degrees of freedom in {dimension} dimensions; "
            "components that own rows are not affected.",
            f"--set degrees_of_freedom={dimension + 4}",
        ),
    )


def _truth(count: int) -> dict[str, np.ndarray] | None:
    if count != len(lecture.WEIGHTS):
        return None
    return {"weights": lecture.WEIGHTS, "means": lecture.MEANS, "covariances": lecture.COVARIANCES}
