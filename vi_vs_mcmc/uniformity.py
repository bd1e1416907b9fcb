r"""Do intervals keep their promise? Exact tests and intervals for what simulation-based calibration gives.

A truth theta_i drawn from the prior, data drawn from the model at theta_i, and a posterior q_i give u_i = F_{q_i}(theta_i), which
is uniform on (0, 1) where q is the posterior. Two questions are asked of n such numbers:

    of v_i = |2 u_i - 1|: the truth is inside the central interval of level c exactly if v_i <= c, so that the share of
        v_i <= c is the coverage at level c. Below c: intervals too narrow (u piles up at both ends); above c: too wide.
    of u_i: is the truth too often on one side?

A test of u against 1 - u asks neither of the first two: a symmetric pile at both ends passes it.

Both are answered by one statistic. With C_k the number of values below z_k = k / 100, and p_k the two-sided p-value of C_k under
Binomial(n, z_k), T = min_k p_k. Its law is exact: the C_k are those of a Poisson process given its total, a Markov chain. A
level of T turned round is a band that the whole curve stays in with a given probability.

Source: Talts, Betancourt, Simpson, Vehtari and Gelman (2018), Validating Bayesian Inference Algorithms with Simulation-Based
Calibration; Saeilynoja, Buerkner and Vehtari (2022), Graphical test for discrete uniformity, Statistics and Computing 32;
Clopper and Pearson (1934), Biometrika 26; Korn and Graubard (1998), Survey Methodology 24.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, binom, poisson

from vi_vs_mcmc.errors import DataError
from vi_vs_mcmc.names import between, count, percent, spoken

GRID = np.arange(1, 100) / 100
LEVELS = (0.5, 0.8, 0.9, 0.95)
SPOKEN = 0.9  # the level of which the sentences speak
ALPHA = 0.05
ALL = "mean of all"  # stands for a parameter where a row is the mean over all scalars
BISECTIONS = 40
TIE = 1.0 + 1e-9  # p-values of mirrored counts differ by rounding

Floats = NDArray[np.float64]


class Uniformity(NamedTuple):
    """Whether numbers are uniform, and where they depart most."""

    p_value: float
    at: float  # z where the share below it is the least likely
    excess: float  # share below `at`, minus `at`


def uniformity(u: ArrayLike) -> Uniformity:
    """The test that `n` independent numbers are uniform on (0, 1), exact for every n.

    Raises:
        DataError: no numbers, or some outside of [0, 1].
    """
    u = _checked(u)
    counts = (u[:, None] < GRID).sum(0)
    pointwise = _pointwise(len(u))[np.arange(len(GRID)), counts]
    worst = int(pointwise.argmin())
    excess = counts[worst] / len(u) - GRID[worst]
    return Uniformity(max(0.0, 1.0 - _inside(len(u), float(pointwise[worst]) * TIE)), float(GRID[worst]), float(excess))


@cache
def band(number: int, probability: float = 1.0 - ALPHA) -> tuple[Floats, Floats]:
    """Shares (low, high) at GRID: the ECDF of `number` uniforms stays between them everywhere, with at least `probability`."""
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _inside(number, middle) >= probability else (low, middle)
    allowed = _pointwise(number) > low
    return allowed.argmax(1) / number, (number - allowed[:, ::-1].argmax(1)) / number


def inside(u: ArrayLike, level: float) -> NDArray[np.bool_]:
    """Whether each truth is in its central interval of this level."""
    return np.abs(2.0 * np.asarray(u, float) - 1.0) <= level


def share(found: ArrayLike) -> tuple[float, float, float]:
    """A share with its 95 % interval (share, low, high), of bools (n,) or of bools (n, S) that depend on each other within a row.

    Clopper and Pearson's interval; of (n, S) it is that of the effective number of independent bools: share (1 - share) over the
    variance between rows (Korn and Graubard), n at least and n S at most.
    """
    rows = np.asarray(found, float)
    number = len(rows)
    value = float(rows.mean())
    size = float(number)
    if rows.ndim == 2:
        variance = rows.mean(1).var(ddof=1) / number if number > 1 else 0.0
        size = float(np.clip(value * (1.0 - value) / variance, number, rows.size)) if variance > 0 else size
    hits = value * size
    low = beta.ppf(ALPHA / 2, hits, size - hits + 1) if hits > 0 else 0.0
    high = beta.ppf(1 - ALPHA / 2, hits + 1, size - hits) if hits < size else 1.0
    return value, float(low), float(high)


def ecdf(u: ArrayLike) -> Floats:
    """Share of the values (n, ...) at or below each of GRID, (99, ...)."""
    u = np.asarray(u, float)
    return (u[None] <= GRID.reshape(-1, *(1,) * u.ndim)).mean(1)


def coverage(table: pd.DataFrame) -> pd.DataFrame:
    """How often central intervals held the truth.

    Args:
        table: columns replicate, method, parameter, u.

    Returns:
        One row per method, parameter (and `ALL`) and level: `nominal` and `covered` shares, the latter's 95 % limits `low` and
        `high`, the number of `data_sets`, and the p-values of the two tests of the module: `p_coverage`, `p_uniform`.
    """
    out = []
    for method, (parameters, u, _) in _by_method(table).items():
        tests = [{"p_coverage": _folded(x).p_value, "p_uniform": uniformity(x).p_value} for x in u.T]
        tests.append({"p_coverage": float("nan"), "p_uniform": float("nan")})
        for parameter, each, p_values in zip([*parameters, ALL], [*u.T, u], tests, strict=True):
            for level in LEVELS:
                shares = dict(zip(("covered", "low", "high"), share(inside(each, level)), strict=True))
                front = {"method": method, "parameter": parameter, "level": f"{100 * level:.0f} %", "nominal": level}
                out.append({**front, **shares, "data_sets": len(u), **p_values})
    return pd.DataFrame(out)


def curves(table: pd.DataFrame) -> tuple[dict[str, Floats], list[str]]:
    """By method the coverage at every level of GRID, (99, parameters), and the parameters."""
    each = _by_method(table)
    parameters = next(iter(each.values())).parameters
    return {method: ecdf(np.abs(2.0 * found.u - 1.0)) for method, found in each.items()}, parameters


def verdicts(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By method: `verdict` (a list of words), `sentence`, and the numbers in it.

    A word is said where a test rejects at 5 % after Bonferroni's correction for two tests of each scalar: `overconfident` or
    `underconfident` by the side of the coverage curve, else `off centre` where only u is not uniform. `as promised` is said
    where nothing is seen in so many data sets, which is no proof.
    """
    return {method: _verdict(method, found) for method, found in _by_method(table).items()}


class _Found(NamedTuple):
    """What one method gave."""

    parameters: list[str]
    u: Floats  # (data sets, parameters)
    failed: int  # fits that did not converge


def _by_method(table: pd.DataFrame) -> dict[str, _Found]:
    """Methods and parameters in the order of the table."""
    out = {}
    for method, rows in table.groupby("method", sort=False):
        parameters = list(dict.fromkeys(rows["parameter"]))
        u, converged = (
            rows.pivot(index="replicate", columns="parameter", values=name).reindex(columns=parameters).to_numpy()
            for name in ("u", "converged")
        )
        out[str(method)] = _Found(parameters, u, int((~converged.all(1)).sum()))
    return out


def _verdict(method: str, found: _Found) -> dict[str, Any]:
    parameters, u, failed = found
    folded, plain = [_folded(x) for x in u.T], [uniformity(x) for x in u.T]
    tests = len(folded) + len(plain)
    seen = [test.excess for test in folded if tests * test.p_value < ALPHA]
    words = [word for word, sign in (("overconfident", -1), ("underconfident", 1)) if any(sign * x > 0 for x in seen)]
    smallest = min(test.p_value for test in (*folded, *plain))
    p_value = min(1.0, tests * smallest)
    words = words or (["off centre"] if p_value < ALPHA else ["as promised"])
    held = inside(u, SPOKEN)
    least = int(held.mean(0).argmin())
    mean, worst = share(held), share(held[:, least])
    shown = lambda of: f"{percent(of[0])} {between(100 * of[1], 100 * of[2], 0)}"
    sentence = f"{spoken(method)}'s {percent(SPOKEN)} intervals contain the truth in {shown(mean)} of {count(len(u))} data sets"
    if len(parameters) > 1:
        sentence += f", on the mean of {len(parameters)} scalars; least often for {parameters[least]}: {shown(worst)}"
    sentence += f". {_conclusion(words, parameters, plain)} (p {_small(p_value)})."
    if failed:
        are = "fit had not converged and is" if failed == 1 else "fits had not converged and are"
        sentence += f" {count(failed)} {are} counted."
    return {
        "verdict": words,
        "sentence": sentence,
        "p_value": p_value,
        "coverage90": mean[0],
        "coverage90_low": mean[1],
        "coverage90_high": mean[2],
        "worst_parameter": parameters[least],
        "worst_coverage90": worst[0],
        "data_sets": len(u),
        "not_converged": failed,
    }


def _conclusion(words: list[str], parameters: list[str], plain: list[Uniformity]) -> str:
    if words == ["as promised"]:
        return "Nothing speaks against them"
    if words == ["off centre"]:
        at = min(range(len(plain)), key=lambda i: plain[i].p_value)
        side = "above" if plain[at].excess < 0 else "below"
        return f"Their widths pass, but the truth of {parameters[at]} lies {side} their middle too often"
    return f"It is {words[0]}" if len(words) == 1 else f"It is {words[0]} for some scalars and {words[1]} for others"


def _small(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.2g}"


def _folded(u: ArrayLike) -> Uniformity:
    """The test of coverage at every level."""
    return uniformity(np.abs(2.0 * np.asarray(u, float) - 1.0))


def _checked(u: ArrayLike) -> Floats:
    array = np.asarray(u, float).ravel()
    if not array.size or not ((array >= 0) & (array <= 1)).all():
        raise DataError("a test of uniformity wants one or more probabilities, numbers from 0 to 1")
    return array


@cache
def _pointwise(number: int) -> Floats:
    """Two-sided p-value of each count at each z, (99, number + 1)."""
    counts = np.arange(number + 1)
    below = binom.cdf(counts, number, GRID[:, None])
    above = binom.sf(counts - 1, number, GRID[:, None])
    return np.minimum(1.0, 2.0 * np.minimum(below, above))


def _inside(number: int, level: float) -> float:
    """P(T > level): every count stays among those whose p-value is above `level`.

    The counts of a Poisson process of rate `number`, step by step, each step's counts outside of the band struck out; divided by
    the probability that its total is `number`.
    """
    allowed = _pointwise(number) > level
    step = number / (len(GRID) + 1)
    kernel = poisson.pmf(np.arange(int(step + 10.0 * np.sqrt(step)) + 40), step)  # what is left out is below 1e-18
    state = np.zeros(number + 1)
    state[0] = 1.0
    for keep in allowed:
        state = np.where(keep, np.convolve(state, kernel)[: number + 1], 0.0)
    last = np.convolve(state, kernel)[number]
    return float(min(1.0, last / poisson.pmf(number, number)))
