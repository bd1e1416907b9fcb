"""Probabilistic PCA as a problem: markers chosen, settings checked, priors filled in, program and closed form bound to data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vi_vs_mcmc import data as tables
from vi_vs_mcmc.data import Table
from vi_vs_mcmc.errors import DataError, SettingError
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

from .._settings import how_many, positive, scales, strengths
from .._settings import shape as gamma_shape
from .program import program
from .structure import components

BUILT_IN = Path(__file__).parents[1] / "data" / "iris.csv"
NOISE = 0.1  # of the columns' mean variance: what the default prior expects of the noise
DIMS = {
    "loadings": ("other", "latent"),
    "intercepts": ("other",),
    "latent_mean": ("latent",),
    "latent_precision": ("latent", "latent_2"),
    "mean": ("feature",),
    "covariance": ("feature", "feature_2"),
}


@in_float64
def ppca(
    data: Any = None,
    *,
    latent: int = 2,
    markers: Sequence[str] | None = None,
    loading_sd: float = 1.0,
    intercept_sd: float | None = None,
    mean_precision: float = 1.0,
    scale: Sequence[Sequence[float]] | None = None,
    degrees_of_freedom: float | None = None,
    shape: float = 2.0,
    rate: float | None = None,
    columns: Sequence[str] | None = None,
) -> Problem:
    """Probabilistic PCA: a covariance of low rank plus round noise; axes pinned to marker columns, mean and covariance compared.

    Noise is the same in all columns, so give them in one unit, or scaled. The default prior of the latent covariance has the
    markers' variances as its mean.

    Args:
        data: a csv, tsv, parquet or npy file, an array (N, D), a data frame, a table from `vm.stream`; None for 150 irises.
        latent: number of latent dimensions, Q, fewer than the columns; default 2.
        markers: Q columns that carry an axis each, by name; default the first pivots of the covariance's Cholesky factor.
        loading_sd: prior sd of the other columns' loadings; default 1.
        intercept_sd: prior sd of their intercepts; default the root of the columns' mean variance.
        mean_precision: beta, how many rows the latent mean's prior counts for; default 1.
        scale: Wishart scale W of the latent precision, (Q, Q); default diag(1 / (3 var x)) of the markers.
        degrees_of_freedom: Wishart nu, above Q - 1; default Q + 4.
        shape: a, of the noise's precision tau ~ Gamma(a, b); default 2.
        rate: b; default a tenth of the columns' mean variance, the prior mean of the noise's where a is 2.
        columns: which columns to take, by name; default every numeric one.

    Raises:
        SettingError: a setting of the wrong kind, shape or range, or a marker that is no column.
        DataError: data that cannot be read or used, or too few columns.
    """
    count = how_many("latent", latent)
    table = tables.read(BUILT_IN if data is None else data, columns=columns, minimum_rows=2)
    x, dimension = table.values, table.values.shape[1]
    if dimension <= count:
        raise DataError(f"{table.name} has {dimension} columns; want more than the {count} latent dimensions")
    order = _order(table, count, markers)
    variance = table.sd[order] ** 2
    spread = float(np.sqrt(variance.mean()))
    if not spread > 0:
        raise DataError(f"{table.name} is constant; want columns that vary")
    held = np.where(variance[:count] > 0, variance[:count], spread**2)
    prior = {
        "loading_sd": positive("loading_sd", loading_sd, 1.0),
        "intercept_sd": positive("intercept_sd", intercept_sd, spread),
        "mean_precision": float(strengths("mean_precision", mean_precision, 1.0, (1,))[0]),
        "scale": scales("scale", scale, np.diag(1.0 / (3.0 * held)), 1)[0],
        "degrees_of_freedom": float(
            strengths("degrees_of_freedom", degrees_of_freedom, count + 4.0, (1,), above=count - 1)[0]
        ),
        "shape": gamma_shape("shape", shape, 2.0),
        "rate": positive("rate", rate, NOISE * spread**2),
    }
    names = [table.columns[d] for d in order]
    return Problem(
        program,
        args=(x, order, table.mean),
        kwargs=prior,
        dims=DIMS,
        coords={"column": table.columns},
        conjugate=components(x, order, table.mean, **prior, spread=spread, count=table.count),
        sites=("mean", "covariance", "tau"),
        name="ppca",
        settings={"latent": count, "markers": names[:count], **prior, "scale": prior["scale"].tolist()},
        table=table,
        title=f"probabilistic PCA, {count} latent dimension{'s' if count > 1 else ''}",
        priors=_in_words(prior, names[:count]),
    )


def _order(table: Table, count: int, markers: Sequence[str] | None) -> np.ndarray:
    """The columns, markers first, (D,)."""
    known = list(table.columns)
    if markers is None:
        chosen = _pivots(np.atleast_2d(np.cov(table.values.T)), count)
    else:
        names = [markers] if isinstance(markers, str) else list(markers)
        if len(set(names)) != count or len(names) != count or not set(names) <= set(known):
            raise SettingError(
                f"markers is {', '.join(map(str, names))}; want {count} of the columns {', '.join(known)}"
            )
        chosen = [known.index(name) for name in names]
    return np.array([*chosen, *(d for d in range(len(known)) if d not in chosen)])


def _pivots(covariance: np.ndarray, count: int) -> list[int]:
    """The column with the largest variance, then the one with most left once that is known, and so on."""
    left, chosen = covariance.copy(), []
    for _ in range(count):
        free = [d for d in range(len(left)) if d not in chosen]
        best = max(free, key=lambda d: left[d, d])
        chosen.append(best)
        if left[best, best] > 0:
            left = left - np.outer(left[best], left[best]) / left[best, best]
    return chosen


def _in_words(prior: dict[str, Any], markers: list[str]) -> str:
    scale = np.array2string(prior["scale"], separator=", ", formatter={"float_kind": lambda v: f"{v:.4g}"})
    return (
        "markers {0}; loadings N(0, {loading_sd:.4g}^2); intercepts N(0, {intercept_sd:.4g}^2); latent mean and precision "
        "normal-Wishart, mean precision {mean_precision:.4g}, degrees of freedom {degrees_of_freedom:.4g}, scale {1}; "
        "tau, the noise's precision, Gamma({shape:.4g}, rate {rate:.4g})"
    ).format(", ".join(markers), scale.replace("\n", ""), **{k: v for k, v in prior.items() if k != "scale"})
