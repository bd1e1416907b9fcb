"""The hidden Markov model as a problem: sequences cut from a table, settings checked, priors filled in, closed form bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vi_vs_mcmc import data as tables
from vi_vs_mcmc.data import Table
from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem

from .._settings import filled, how_many, in_words, scales, strengths
from .program import program
from .structure import hidden_markov_structure

BUILT_IN = Path(__file__).parents[1] / "data" / "faithful.csv"
DIMS = {
    "initial": ("state",),
    "transition": ("state", "state_2"),
    "means": ("state", "feature"),
    "precisions": ("state", "feature", "feature_2"),
    "covariances": ("state", "feature", "feature_2"),
}


@in_float64
def hidden_markov(
    data: Any = None,
    *,
    states: int = 2,
    sequence: str | None = None,
    initial_concentration: float | Sequence[float] = 1.0,
    transition_concentration: float | Sequence[float] | Sequence[Sequence[float]] = 1.0,
    mean: Sequence[float] | Sequence[Sequence[float]] | None = None,
    mean_precision: float | Sequence[float] | None = None,
    scale: Sequence[Sequence[float]] | Sequence[Sequence[Sequence[float]]] | None = None,
    degrees_of_freedom: float | Sequence[float] | None = None,
    columns: Sequence[str] | None = None,
) -> Problem:
    """Hidden Markov model: Dirichlet first state and transitions, normal-Wishart emissions; closed form, labels exchangeable.

    Rows are in the order of time. The default prior of an emission is that of a mixture's component: it lies where the data
    lie, with expected covariance diag(var x) / K^(2/D), and nu = D + 4.

    Args:
        data: a csv, tsv, parquet or npy file, an array (N, D), a data frame; None for 272 eruptions of Old Faithful.
        states: number of states, K; default 2.
        sequence: the column that says which sequence a row belongs to; by default all rows are one.
        initial_concentration: Dirichlet alpha of the first state, a number or (K,); default 1.
        transition_concentration: Dirichlet alpha of the state after each, a number, (K,) or (K, K); default 1.
        mean: prior mean of the means, (D,) or (K, D); default the data's mean.
        mean_precision: beta, how many rows the prior mean counts for, a number or (K,); default K^(-2/D).
        scale: Wishart scale W of the precisions, (D, D) or (K, D, D); default diag(K^(2/D) / (3 var x)).
        degrees_of_freedom: Wishart nu, above D - 1, a number or (K,); default D + 4.
        columns: which columns to take, by name; default every numeric one.

    Raises:
        SettingError: a setting of the wrong kind, shape or range; data that are streamed.
        DataError: data that cannot be read or used.
    """
    count = how_many("states", states)
    table, which = _read(BUILT_IN if data is None else data, columns, sequence, count)
    dimension, centre, spread = table.values.shape[1], table.mean, table.sd
    variance = np.where(spread > 0, spread**2, 1.0)
    shrink = float(count) ** (-2.0 / dimension)
    prior = {
        "initial_concentration": strengths("initial_concentration", initial_concentration, 1.0, (count,)),
        "transition_concentration": strengths(
            "transition_concentration", transition_concentration, 1.0, (count, count)
        ),
        "mean": filled("mean", mean, centre, (count, dimension)),
        "mean_precision": strengths("mean_precision", mean_precision, shrink, (count,)),
        "scale": scales("scale", scale, np.diag(1 / (3 * shrink * variance)), count),
        "degrees_of_freedom": strengths(
            "degrees_of_freedom", degrees_of_freedom, dimension + 4, (count,), above=dimension - 1
        ),
    }
    x, real = side_by_side(table.values, which)
    alike = _exchangeable(prior)
    return Problem(
        program,
        args=(x, real),
        kwargs=prior,
        dims=DIMS,
        coords={"column": table.columns},
        exchangeable="state" if alike and count > 1 else None,
        conjugate=hidden_markov_structure(x, real, **prior, exchangeable=alike, centre=centre, spread=spread),
        sites=("initial", "transition", "means", "covariances"),
        name="hidden_markov",
        settings={"states": count, "sequence": sequence, **{k: v.tolist() for k, v in prior.items()}},
        table=table,
        title=f"hidden Markov, {count} state{'s' if count > 1 else ''}",
        priors=in_words(prior),
    )


def side_by_side(x: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sequences x (S, T, D) in order of appearance, each padded with its first row, and which steps are real (S, T).

    Args:
        x: rows (N, D), those of one sequence in the order of time.
        which: the sequence of each row, (N,).
    """
    names, first = np.unique(which, return_index=True)
    parts = [x[which == name] for name in names[np.argsort(first)]]
    longest = max(len(part) for part in parts)
    padded = [np.concatenate([part, np.repeat(part[:1], longest - len(part), 0)]) for part in parts]
    return np.stack(padded), np.array([np.arange(longest) < len(part) for part in parts], float)


def _read(data: Any, columns: Sequence[str] | None, sequence: str | None, least: int) -> tuple[Table, np.ndarray]:
    """The table without the column that tells sequences apart, and that column, zeros where there is none."""
    chosen = columns if columns is None or sequence is None else [*columns, sequence]
    table = tables.read(data, columns=chosen, minimum_rows=least)
    if table.streamed is not None:
        raise SettingError("hidden_markov wants each sequence whole, so rows cannot be streamed; leave out --stream")
    if sequence is None:
        return table, np.zeros(len(table.values))
    if sequence not in table.columns or len(table.columns) == 1:
        raise SettingError(
            f"sequence is {sequence!r}; want a numeric column of {table.name} beside what is observed: it has "
            f"{', '.join(table.columns)}"
        )
    at = table.columns.index(sequence)
    values = np.delete(table.values, at, 1)
    values.flags.writeable = False
    rest = replace(
        table,
        values=values,
        columns=tuple(name for name in table.columns if name != sequence),
        left_out=(*table.left_out, sequence),
        warnings=tuple(said for said in table.warnings if repr(sequence) not in said),
    )
    return rest, table.values[:, at]


def _exchangeable(prior: dict[str, np.ndarray]) -> bool:
    """Whether the prior is the same with its states in any other order."""
    moves = prior["transition_concentration"]
    apart = moves[~np.eye(len(moves), dtype=bool)]  # none of one state
    same = [np.all(value == value[:1]) for name, value in prior.items() if name != "transition_concentration"]
    return bool(all(same) and np.ptp(np.diag(moves)) == 0 and (apart == apart[:1]).all())
