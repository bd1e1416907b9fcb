"""Every number the page shows beyond the table and the summary, from the posteriors' draws."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vi_vs_mcmc.errors import DataError
from vi_vs_mcmc.figures.palette import Style, styles
from vi_vs_mcmc.names import known
from vi_vs_mcmc.report.comparison import Comparison
from vi_vs_mcmc.report.curves import correlation, density, grid, held
from vi_vs_mcmc.report.folder import Run
from vi_vs_mcmc.report.scalars import stack
from vi_vs_mcmc.report.words import code

BINS = 20  # of a rank plot
CHOOSABLE = 240  # parameters that can be chosen on the page; the table lists all
MATRIX = 40  # parameters in a correlation matrix
DOTS = 400  # reference draws in a pair plot
CHAINS = 8  # in a rank plot

Array = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """A run folder as the page sees it. Parameters are indexed as in `names`, in the table's order."""

    run: Run
    styles: dict[str, Style]
    names: list[str]
    judged: NDArray[np.bool_]  # (parameter,)
    draws: dict[str, Array]  # method -> (chain, draw, parameter)
    order: list[int]  # judged parameters first, those furthest from the reference first
    chosen: int  # the parameter the page opens with
    against: str  # the method that heat maps and ellipses open with

    @property
    def reference(self) -> str:
        """The method the others are judged against."""
        return self.run.reference

    @property
    def methods(self) -> list[str]:
        """The judged methods."""
        return self.run.methods

    @property
    def failed(self) -> bool:
        """Whether the reference failed its own checks, so that no number may be read as a verdict."""
        return self.run.summary["reference"].get("status") == "failed"

    def tells(self, fact: str) -> bool:
        """Whether there is something to say of a fact such as `khat`: draws that were made elsewhere may not tell it."""
        known = any(v.get(fact) is not None for v in self.run.summary["verdicts"].values())
        return known or self.run.summary.get("kind") != "check"

    @property
    def tolerance(self) -> tuple[float, float]:
        """What is tolerated: a share of an sd, and a distance of means in reference sds."""
        given = self.run.summary.get("tolerance") or {}
        return float(given.get("sd") or 0.1), float(given.get("mean") or 0.25)

    def label(self, method: str) -> str:
        """A method in a sentence: its spoken name; one that only a file knows is code, or the reference."""
        if known(method):
            return self.styles[method].label
        return "the reference" if method == self.reference else code(method)

    @property
    def reference_label(self) -> str:
        """The reference in a sentence."""
        return self.label(self.reference)

    @cached_property
    def counted(self) -> list[int]:
        """The parameters that findings and figures rest on, furthest first; all of them if none is judged."""
        return [j for j in self.order if self.judged[j]] or self.order

    @cached_property
    def apart(self) -> list[int]:
        """The parameters that are left out of the verdict while others are not, in the table's order."""
        return sorted(set(self.order) - set(self.counted))

    @cached_property
    def reasons(self) -> dict[str, str]:
        """Why a parameter is left out, where the summary says so."""
        entries = self.run.summary["reference"].get("left_out") or []
        return {e["parameter"]: str(e.get("reason") or "") for e in entries}

    def words(self, method: str) -> list[str]:
        """The verdict on a method, as its list of words."""
        return list(self.run.summary["verdicts"][method].get("verdict") or ["no verdict"])

    @property
    def wide(self) -> list[str]:
        """Methods that have a width to compare, not a single point; all of them if none has."""
        return [m for m in self.methods if "point estimate" not in self.words(m)] or self.methods

    @property
    def standing(self) -> list[str]:
        """Methods whose numbers say something about the family: fitted, and more than a point."""
        silent = {"no verdict", "not converged", "point estimate"}
        return [m for m in self.methods if not silent & set(self.words(m))]

    def column(self, method: str, name: str) -> Array:
        """One measured column of a method, shape (parameter,); a point has no width to measure."""
        if name.startswith(("sd_ratio", "coverage90")) and "point estimate" in self.words(method):
            return np.full(len(self.names), np.nan)
        return self.run.table.column(method, name, self.names)

    @cached_property
    def mean(self) -> dict[str, Array]:
        """Posterior means, (parameter,) per method; the table's where it has them."""
        return self._moment("mean", lambda d: np.nanmean(d, axis=(0, 1)))

    @cached_property
    def sd(self) -> dict[str, Array]:
        """Posterior sds, (parameter,) per method."""
        return self._moment("sd", lambda d: np.nanstd(d, axis=(0, 1), ddof=1))

    def _moment(self, name: str, from_draws: Callable[[Array], Array]) -> dict[str, Array]:
        out = {}
        for m in [self.reference, *self.methods]:
            own = self.column(m, name) if m != self.reference else self.column(self.methods[0], f"reference_{name}")
            out[m] = np.where(np.isfinite(own), own, from_draws(self.draws[m]))
        return out

    @cached_property
    def flat(self) -> dict[str, Array]:
        """Draws of all chains together, sorted, (draw, parameter) per method."""
        return {m: np.sort(d.reshape(-1, d.shape[-1]), axis=0) for m, d in self.draws.items()}

    @cached_property
    def quantiles(self) -> dict[str, Array]:
        """5, 50 and 95 %, (3, parameter) per method."""
        return {m: np.quantile(d, [0.05, 0.5, 0.95], axis=0) for m, d in self.flat.items()}

    @cached_property
    def held(self) -> dict[str, Array]:
        """Reference probability inside central intervals, (level, parameter) per judged method."""
        reference = self.flat[self.reference]
        return {m: held(self.flat[m], reference) for m in self.methods}

    @cached_property
    def grids(self) -> Array:
        """Where densities are drawn, (parameter, GRID); by quantiles for what has no settled posterior."""
        apart = set(self.apart)
        return np.stack(
            [grid([self.flat[m][:, j] for m in self.draws], heavy=j in apart) for j in range(len(self.names))]
        )

    @cached_property
    def densities(self) -> dict[str, Array]:
        """Kernel densities on the grids, (parameter, GRID) per method; a point is a spike."""
        return {
            m: np.stack([density(self.flat[m][:, j], self.grids[j]) for j in range(len(self.names))])
            for m in self.draws
        }

    @cached_property
    def correlations(self) -> dict[str, Array]:
        """Correlations of all pairs, (parameter, parameter) per method; 0 where a parameter does not move."""
        return {m: correlation(d.reshape(-1, d.shape[-1])) for m, d in self.draws.items()}

    @cached_property
    def partners(self) -> list[list[int]]:
        """For each counted parameter the (up to three) others whose correlation `against` changes most."""
        change = np.abs(self.correlations[self.against] - self.correlations[self.reference])
        moving = [i for i in sorted(self.counted) if self.sd[self.reference][i] > 0]
        out = []
        for j in range(len(self.names)):
            others = [i for i in moving if i != j] if j not in self.apart else []
            out.append(sorted(others, key=lambda i: (-round(change[i, j], 6), i))[:3])
        return out

    @cached_property
    def matrix(self) -> list[int]:
        """The parameters of the correlation matrices: all, or the furthest ones, in the table's order."""
        return sorted(self.counted[:MATRIX])

    @cached_property
    def dots(self) -> Array:
        """Some reference draws, evenly spaced over the chains, (dot, parameter)."""
        flat = self.draws[self.reference].reshape(-1, len(self.names))
        dots = DOTS if len(self.names) <= 60 else DOTS // 2
        return flat[np.unique(np.linspace(0, len(flat) - 1, dots).astype(int))]

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """Counts of ranks over all chains, (parameter, chain, BINS)."""
        d = self.draws[self.reference]
        chains, draws, n = d.shape
        ranked = np.empty((n, chains * draws))
        order = np.argsort(d.reshape(-1, n), axis=0, kind="stable")
        np.put_along_axis(ranked, order.T, np.arange(chains * draws)[None].repeat(n, 0), axis=1)
        bins = (ranked * BINS // (chains * draws)).astype(int).reshape(n, chains, draws)
        return np.stack([(bins == b).sum(axis=-1) for b in range(BINS)], axis=-1)[:, :CHAINS]


def look(run: Run) -> View:
    """Choose what the page shows and gather its draws.

    Raises:
        DataError: no parameter of the table is in the reference's posterior.
    """
    table = run.table
    parameters = table.parameters
    points = {m for m, v in run.summary["verdicts"].items() if "point estimate" in (v.get("verdict") or [])}
    distance = _distance(table, points)
    ranked = sorted(
        range(len(parameters)),
        key=lambda i: (parameters[i] not in table.judged_parameters, -distance[parameters[i]], i),
    )
    _, present = stack(run.posteriors[run.reference], parameters)
    ranked = [i for i in ranked if present[i]]
    if not ranked:
        raise DataError(f"{run.folder} compares parameters that posteriors/{run.reference}.nc does not have.")
    kept = sorted(ranked[:CHOOSABLE])
    place = {i: k for k, i in enumerate(kept)}
    names = [parameters[i] for i in kept]
    order = [place[i] for i in ranked if i in place]
    against = _against(run)
    first = [name for name in named(run.summary["verdicts"][against]) if name in names]
    return View(
        run=run,
        styles=styles(run.reference, run.methods),
        names=names,
        judged=np.array([n in table.judged_parameters for n in names]),
        draws={m: stack(run.posteriors[m], names)[0] for m in [run.reference, *run.methods]},
        order=order,
        chosen=names.index(first[0]) if first else order[0],
        against=against,
    )


def named(verdict: dict[str, Any]) -> list[str]:
    """Parameters that a verdict is about: those that its sentence names, in order, then the worst."""
    said = re.findall(r"`([^`]+)`", str(verdict.get("sentence") or ""))
    worst = (verdict.get("worst_parameter"), verdict.get("worst_bias_parameter"))
    return [*said, *(str(name) for name in worst if name is not None)]


def _against(run: Run) -> str:
    """The first method found wrong, else the first that is not a correction that worked."""
    wrong = ("overconfident", "underconfident", "biased", "not converged", "inconclusive")
    for word in wrong:
        for method in run.methods:
            if word in (run.summary["verdicts"][method].get("verdict") or []):
                return method
    point = lambda method: "point estimate" in (run.summary["verdicts"][method].get("verdict") or [])
    return next((m for m in run.methods if not point(m)), run.methods[0])


def _distance(table: Comparison, points: set[str]) -> dict[str, float]:
    """How far the furthest method is from the reference: |log sd ratio|, then the mean's distance."""
    ratio, bias = table.numbers["sd_ratio"], np.nan_to_num(np.abs(table.numbers["bias"]))
    far = np.abs(np.log(np.where(ratio > 0, ratio, 1))) + 1e-3 * bias
    out = dict.fromkeys(table.parameters, 0.0)
    for method, name, value in zip(table.method, table.parameter, np.where(table.judged, far, 0.0), strict=True):
        if method in points and len(points) < len(set(table.method)):
            continue  # a point has no width to be wrong
        out[name] = max(out[name], float(np.nan_to_num(value)))
    return out
