"""The report card's sums: of each method, over what was judged and where it converged.

    sd_err = sd / sd_NUTS - 1,    RMS = root of the mean square

over scalars; a method's own summary is over its own survivors, so that two methods are not of the same posteriors. `common` is
over the posteriors where every method converged. The regressions' summary is over their coefficients alone, without the noise's
sd: the source's table is of fixed effects.

Source: Giordano, Ingram and Broderick (2024), JMLR 25.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vi_vs_mcmc.metrics.marginals import POINTWISE

Table = Any  # a pandas frame, whose types no checker knows
NOISE = "sigma"  # of posteriordb's regressions
FACTORISED = ("dadvi", "svi:AutoNormal", "svi:AutoDiagonalNormal")  # independent normals
NO_VERDICT = "no verdict"
UNTOLD = (NO_VERDICT, "not converged")  # verdicts that make numbers say little
ZS, SHARE = 4.0, 0.05  # how far NUTS may be from what is known: standard errors of a mean, share of an sd


def without_variance(table: Table) -> Table:
    """Whether each row is of a scalar without a variance: something is known of it, but no distance from that."""
    return np.isfinite(table["known_mean"]) & ~np.isfinite(table["known_z"])


def judged(table: Table) -> Table:
    """Rows of scalars that were judged, and have a variance."""
    return table[table["judged"].astype(bool) & ~without_variance(table)]


def told(table: Table) -> Table:
    """Rows that count: scalars that were judged, by a reference that passed its checks, of a method that converged."""
    rows = judged(table)
    return rows[~rows["verdict"].isin(UNTOLD)]


def summarised(table: Table, methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of each method: sums over its survivors, over posteriors that all share, and over regressions' coefficients."""
    rows = told(table)
    able = int(table.loc[table["verdict"] != NO_VERDICT, "posterior"].nunique())
    linear = (rows["family"] == "regression") & (rows["parameter"] != NOISE)
    common = rows["posterior"].isin(shared(rows, methods))
    out = {}
    for method in methods:
        own = rows["method"] == method
        each: dict[str, Any] = {
            "all": {"of": able, **_sums(rows[own])},
            "common": _sums(rows[own & common]),
            "regressions": _sums(rows[own & linear]),
        }
        if method in FACTORISED:
            each["theory"] = _beside_theory(rows[own & linear], table)
        said = table.loc[table["method"] == method].drop_duplicates("posterior")["verdict"]
        words = said.str.split(", ").explode().value_counts()
        out[method] = {**each, "verdicts": {str(k): int(v) for k, v in words.items()}}
    return out


def shared(rows: Table, methods: Sequence[str]) -> list[str]:
    """Posteriors of which every method has rows that has any."""
    of = rows.loc[rows["method"].isin(methods)]
    counts = of.groupby("posterior")["method"].nunique()
    return [str(name) for name in counts.index[counts == of["method"].nunique()]]


def beside_known(table: Table) -> dict[str, Any]:
    """NUTS beside what is known, where it passed its checks: how many scalars, how many near, and which are not.

    Scalars without a variance count in neither, and are named.
    """
    one = table[table["verdict"] != NO_VERDICT].drop_duplicates(["posterior", "parameter"])
    bare = one[without_variance(one)]
    one = one[np.isfinite(one["known_z"])]
    near = (one["known_z"].abs() < ZS) & ((one["known_ratio"] - 1).abs() < SHARE)
    return {
        "scalars": len(one),
        "near": int(near.sum()),
        "beyond": one.loc[~near, ["posterior", "parameter", "known_z", "known_ratio"]].to_dict("records"),
        "bare": bare[["posterior", "parameter"]].to_dict("records"),
    }


def _sums(rows: Table) -> dict[str, Any]:
    error, bias = rows["sd_ratio"] - 1.0, rows["bias"]
    return {
        "posteriors": int(rows["posterior"].nunique()),
        "scalars": len(rows),
        "sd_err_median": _number(error.median()),
        "sd_err_rms": _number(np.sqrt((error**2).mean())),
        "sd_err_most": _most(error, rows),
        "sd_err_known": _number((rows["sd_ratio"] * rows["known_ratio"] - 1.0).abs().max()),  # beside what is known
        "bias_rms": _number(np.sqrt((bias**2).mean())),
        "bias_most": _most(bias, rows),
    }


def _most(values: Table, rows: Table) -> dict[str, Any] | None:
    """The posterior that gives most of a mean square, and its share."""
    squares = (values**2).groupby(rows["posterior"]).sum()
    if not (total := squares.sum()) > 0:
        return None
    return {"posterior": str(squares.idxmax()), "share": _number(squares.max() / total)}


def _beside_theory(rows: Table, table: Table) -> dict[str, Any]:
    """How far sd ratios are from theory's, sqrt((nu - 2) / nu) / sqrt(S_jj (S^-1)_jj), in standard errors.

    S is NUTS' covariance. Coefficients are a posteriori nearly of a t law with nu degrees of freedom, where the noise's own
    posterior has the coefficient of variation 1 / sqrt(2 nu): so nu is read from NUTS' mean and sd of it. q has the precision
    E_q[1 / noise^2] X'X, cut to its diagonal, and the t law a variance that is nu / (nu - 2) times as large as that precision
    says (`models/normal.py` and `models/linear_regression` have the formula).

    In sd_ratio times sqrt(S_jj) NUTS' sd of the scalar itself cancels, and the residual variance 1 / (S^-1)_jj is left, whose
    relative error is about that of the variance: the standard error is the sd ratio's own. Coefficients of one posterior share
    most of it, so the z's of one are not independent.
    """
    noise = table[(table["family"] == "regression") & (table["parameter"] == NOISE)].drop_duplicates("posterior")
    freedom = 0.5 * (noise["reference_mean"] / noise["reference_sd"]) ** 2
    nu = rows["posterior"].map(dict(zip(noise["posterior"], freedom, strict=True))).fillna(np.inf)
    wanted = rows["factorised"] * np.sqrt(np.maximum(1.0 - 2.0 / nu, 0.0))
    error = np.log(rows["sd_ratio_high"] / rows["sd_ratio_low"]) / (2 * POINTWISE)
    z = (np.log(rows["sd_ratio"] / wanted) / error).replace([np.inf, -np.inf], np.nan).dropna().abs()
    return {
        "coefficients": len(z),
        "within_2": int((z < 2).sum()),
        "largest_z": _number(z.max()),
        "rms_z": _number(np.sqrt((z**2).mean())),
    }


def _number(value: Any) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None
