"""A NumPyro program bound to a table: its arguments are matched by name to the columns.

An argument that is called as a column gets that column; a single one that is left gets the matrix of the columns that are
left, (rows, columns). What a setting names is set, and defaults stay.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vi_vs_mcmc import data as tables
from vi_vs_mcmc.data import Table
from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.problem import Problem

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def model_of(program: Callable[..., Any]) -> Callable[..., Problem]:
    """The program as a plugin's function: `model_of(program)("rows.csv", sigma=2.0)` is a Problem."""

    def model(data: Any = None, *, columns: Sequence[str] | None = None, **settings: Any) -> Problem:
        return bind(program, data, columns=columns, settings=settings)

    known = {"columns": inspect.Parameter("columns", inspect.Parameter.KEYWORD_ONLY, default=None)}
    known |= {p.name: p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in arguments(program)}
    model.__signature__ = inspect.Signature(list(known.values()))  # pyright: ignore[reportFunctionMemberAccess]
    model.__doc__, model.__name__ = program.__doc__, program.__name__
    return model


def arguments(program: Callable[..., Any]) -> list[inspect.Parameter]:
    """The arguments that have a name.

    Raises:
        SettingError: one has none.
    """
    found = list(inspect.signature(program).parameters.values())
    if odd := next((p for p in found if p.kind is inspect.Parameter.POSITIONAL_ONLY), None):
        raise SettingError(
            f"argument {odd.name!r} of {program.__name__} is positional only; nothing can be matched to it"
        )
    return [p for p in found if p.kind in NAMED]


def bind(
    program: Callable[..., Any],
    data: Any = None,
    *,
    columns: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Problem:
    """The program's posterior given a table.

    Args:
        program: a NumPyro model.
        data: a csv, tsv, parquet or npy file, an array, a frame; None where settings and defaults are all it takes.
        columns: which columns to take, by name; default every numeric one.
        settings: arguments by name; numbers and lists of numbers become arrays.

    Raises:
        SettingError: an argument that nothing matches, or several that could be the matrix.
        DataError: data that cannot be read or used.
    """
    given = {name: _as_array(value) for name, value in (settings or {}).items()}
    wanted = [p for p in arguments(program) if p.name not in given]
    table = None if data is None else tables.read(data, columns=columns, distances=False)
    matched, sources, cautions = ({}, {}, []) if table is None else _matched(program.__name__, wanted, table)
    missing = [p.name for p in wanted if p.default is p.empty and p.name not in matched]
    if missing:
        raise SettingError(
            f"{program.__name__} wants {', '.join(missing)}: give data with columns of these names, or --set {missing[0]}=VALUE"
        )
    return Problem(
        program,
        kwargs={**matched, **given},
        coords={} if table is None else {"column": table.columns},
        name=program.__name__,
        settings={**sources, **(settings or {})},
        table=table,
        cautions=tuple(cautions),
    )


def _matched(
    name: str, wanted: Sequence[inspect.Parameter], table: Table
) -> tuple[dict[str, Any], dict[str, str], list[tuple]]:
    """Arguments from columns, in words where each came from, and what the reader should know of those that are left."""
    by_name = [p.name for p in wanted if p.name in table.columns]
    matched: dict[str, Any] = {n: _column(table.values[:, table.columns.index(n)]) for n in by_name}
    rest = [i for i, column in enumerate(table.columns) if column not in matched]
    left = [p for p in wanted if p.name not in matched]
    open_ones = [p for p in left if p.default is p.empty] or [p for p in left if p.default is None]
    if len(open_ones) > 1:
        names = ", ".join(p.name for p in open_ones)
        raise SettingError(
            f"{name} wants {names}, and {table.name} has {', '.join(table.columns)}: one argument alone may be called as no "
            "column, and gets those that are left; rename, or set the others"
        )
    sources = {n: f"column {n}" for n in by_name}
    if open_ones and rest:
        matched[open_ones[0].name] = table.values[:, rest]
        sources[open_ones[0].name] = f"columns {', '.join(table.columns[i] for i in rest)}"
    kept = [p.name for p in left if p.default is None and p.name not in matched]
    return (
        matched,
        sources,
        [
            (
                f"Argument {n} kept its default, None.",
                "A site that it would have observed is then a parameter of the posterior.",
                f"name a column {n}, or --set {n}=VALUE",
            )
            for n in kept
        ],
    )


def _column(values: np.ndarray) -> np.ndarray:
    """Whole numbers as such, for they may count or index."""
    whole = (values == np.round(values)).all() and np.abs(values).max() < 2**31
    return values.astype(np.int64) if whole else values


def _as_array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, list) else value
