"""From numbers to a verdict, and a sentence that a person can act on.

A verdict is an equivalence test, not an impression: intervals that hold together with 95 % probability over every compared
sd and mean of one method (Sidak) are set against a tolerance. What is decided has its whole interval on one side. The 95 % are
those of one look: a reference that samples on while it is undecided looks up to four times, and where the truth lies exactly on a
limit all looks together miss it in up to 13 % of runs.

Source: Schuirmann (1987), two one-sided tests; Sidak (1967), JASA 62.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.metrics.health import Health
from vi_vs_mcmc.names import bare, between, count, percent, signed, spoken, the

NO_VERDICT, NOT_CONVERGED, POINT = "no verdict", "not converged", "point estimate"
OVER, UNDER, BIASED = "overconfident", "underconfident", "biased"
INCONCLUSIVE, CALIBRATED = "inconclusive", "calibrated"
OF_WIDTH = (
    *("worst_parameter", "sd_ratio_median", "coverage90_median", "coverage90_median_low", "coverage90_median_high"),
    *("coverage90_lowest", "coverage90_lowest_parameter", "coverage90_highest", "coverage90_worst"),
    *("overconfident_count", "underconfident_count"),
)
HOPELESS = 1e6  # draws beyond which more draws are not offered as a remedy


@dataclass(frozen=True)
class Tolerance:
    """What difference does not matter: a share of an sd, and a share of an sd on a mean."""

    sd: float = 0.1
    mean: float = 0.25

    def __post_init__(self):
        if not 0 < self.sd < 1:
            raise SettingError(f"tolerance is {self.sd}; want a share of an sd, between 0 and 1")
        if not 0 < self.mean < float("inf"):
            raise SettingError(f"the tolerance on a mean is {self.mean}; want a number above 0")

    def decide(self, rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """The rows that decide: `overconfident`, `underconfident`, `biased`, and `open` where an interval straddles a limit.

        `off centre` are those whose mean is not shown to be within its tolerance, decided or not.
        """
        low, high = rows["sd_ratio_lowest"], rows["sd_ratio_highest"]
        left, right = rows["bias_lowest"], rows["bias_highest"]
        over, under = high < 1 - self.sd, low > 1 + self.sd
        biased = (left > self.mean) | (right < -self.mean)
        centred = (left >= -self.mean) & (right <= self.mean)
        inside = (low >= 1 - self.sd) & (high <= 1 + self.sd) & centred
        return {
            OVER: rows.loc[over],
            UNDER: rows.loc[under],
            BIASED: rows.loc[biased],
            "open": rows.loc[~(over | under | biased | inside)],
            "off centre": rows.loc[~centred],
        }


def judge(
    rows: pd.DataFrame,
    health: Health,
    tolerance: Tolerance,
    *,
    method: str,
    reference: str,
    draws: int,
    status: str | None = "ok",
    status_sentence: str = "",
    point: bool = False,
) -> dict[str, Any]:
    """The verdict on one method.

    Args:
        rows: its rows of the comparison table, simultaneous limits included.
        health: of the reference.
        tolerance: what does not matter.
        method: its name.
        reference: the reference's name.
        draws: the reference's draws, all chains.
        status: "converged", "not converged" or "ok"; None where nobody knows.
        status_sentence: why.
        point: the method gives a point, not a distribution.

    Returns:
        The entry of `summary.json`: `verdict` (a list), `sentence`, and the numbers in it; None for those of a width
        where the method is a point.
    """
    judged = rows.loc[rows["judged"]]
    found = tolerance.decide(judged)
    words = _words(found, health, status, point=point, empty=judged.empty)
    return {
        "verdict": words,
        "sentence": _sentence(words, found, judged, health, tolerance, method, reference, draws, status_sentence),
        **_numbers(judged, found, point=point),
        "draws_to_decide": _to_decide(found["open"], tolerance, draws) if words == [INCONCLUSIVE] else None,
        "own_draws_too_few": words == [INCONCLUSIVE] and bool(_wanted(found["open"], tolerance, draws).iloc[0].own),
        "status": status,
        "status_sentence": status_sentence,
    }


def undecided(verdicts: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether more reference draws could change a verdict from inconclusive to something."""
    return any(entry["verdict"] == [INCONCLUSIVE] for entry in verdicts.values())


def _words(
    found: Mapping[str, pd.DataFrame], health: Health, status: str | None, *, point: bool, empty: bool
) -> list[str]:
    if not health.passed or empty:
        return [NO_VERDICT]
    if status == "not converged":
        return [NOT_CONVERGED]
    if point:
        return [POINT]
    decided = [word for word in (OVER, UNDER, BIASED) if len(found[word])]
    return decided or ([INCONCLUSIVE] if len(found["open"]) else [CALIBRATED])


def _sentence(words, found, judged, health, tolerance, method, reference, draws, status_sentence) -> str:
    name, plain = the(reference), bare(reference)
    if words == [NO_VERDICT]:
        if judged.empty:
            return "Nothing is left to judge: every compared scalar is constant or belongs to an empty component."
        why = f"failed its own checks, so nothing can be said about {spoken(method)}: {health.failures()}."
        return f"{name[:1].upper()}{name[1:]} {why}"
    if words == [NOT_CONVERGED]:
        return f"Its optimum is not established, so this is not yet about its family: {status_sentence}."
    if words == [POINT]:
        return "A point, not a distribution: it has no spread to compare."
    hold = f"Its 90\u202f% intervals hold {_held(judged)} of the {plain} posterior{_which(judged)}"
    if words == [CALIBRATED]:
        far = _furthest(judged)
        return (
            f"{hold}; every sd is within {percent(tolerance.sd)} of {name}, the furthest being `{far.parameter}` at "
            f"{_ratio(far)}."
        )
    if words == [INCONCLUSIVE]:
        return f"{hold}; {_open(found['open'], tolerance, draws, reference)}"
    parts = [hold]
    if OVER in words:
        low = _lowest(found[OVER])
        parts.append(f"worst is `{low.parameter}`, {_width(low)} {_ratio(low)} of {name}")
    if UNDER in words:
        wide = found[UNDER].loc[found[UNDER]["sd_ratio"].idxmax()]
        parts.append(f"`{wide.parameter}` is too wide, {_width(wide)} {_ratio(wide)} of {name}")
    if BIASED in words:
        off = _most_biased(found[BIASED])
        by = f"{signed(off.bias)} {between(off.bias_lowest, off.bias_highest)}"
        parts.append(f"the mean of `{off.parameter}` is off by {by} {plain} sds")
    return "; ".join(parts) + "."


def _numbers(judged: pd.DataFrame, found: Mapping[str, pd.DataFrame], *, point: bool) -> dict[str, Any]:
    if judged.empty:
        return {"worst_parameter": None, "sd_ratio_median": None, "coverage90_median": None, "judged": 0}
    off = _most_biased(judged)
    return {
        **(dict.fromkeys(OF_WIDTH) if point else _widths(judged, found)),
        "biased_count": len(found[BIASED]),
        "off_centre_count": len(found["off centre"]),
        "judged": len(judged),
        "worst_bias_parameter": off.parameter,
        "worst_bias": float(off.bias),
    }


def _widths(judged: pd.DataFrame, found: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    coverage = judged.loc[:, "coverage90"]
    worst = _lowest(judged) if len(found[OVER]) or not len(found[UNDER]) else judged.loc[judged["sd_ratio"].idxmax()]
    return {
        "worst_parameter": worst.parameter,
        "coverage90_worst": float(worst.coverage90),
        "sd_ratio_median": _median(judged, "sd_ratio"),
        **{f"coverage90_median{end}": _median(judged, f"coverage90{end}") for end in ("", "_low", "_high")},
        "coverage90_lowest": float(coverage.min()),
        "coverage90_lowest_parameter": judged.loc[coverage.idxmin()].parameter,
        "coverage90_highest": float(coverage.max()),
        "overconfident_count": len(found[OVER]),
        "underconfident_count": len(found[UNDER]),
    }


def _median(rows: pd.DataFrame, column: str) -> float:
    return float(rows.loc[:, column].median())


def _held(judged: pd.DataFrame) -> str:
    low, high = _median(judged, "coverage90_low"), _median(judged, "coverage90_high")
    return f"{percent(_median(judged, 'coverage90'))} {between(100 * low, 100 * high, 0)}"


def _which(judged: pd.DataFrame) -> str:
    return f" (median of {len(judged)} scalars)" if len(judged) > 1 else ""


def _width(row) -> str:
    """What was compared: the sd, or what stands for it where there is none."""
    scale = row.get("scale", "sd")
    return scale if scale == "sd" else f"width of the {scale.replace(' %', chr(0x202F) + '%')}"


def _ratio(row) -> str:
    return f"{row.sd_ratio:.2f} {between(row.sd_ratio_lowest, row.sd_ratio_highest)}"


def _lowest(rows: pd.DataFrame):
    return rows.loc[rows["sd_ratio"].idxmin()]


def _furthest(rows: pd.DataFrame):
    return rows.loc[rows["sd_ratio"].map(np.log).abs().idxmax()]


def _most_biased(rows: pd.DataFrame):
    return rows.loc[rows["bias"].abs().idxmax()]


def _times(half: np.ndarray, margin: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By how much the reference's draws must grow for `half` to be `margin`; and where the method's own part forbids it."""
    left, margin = margin**2 - half**2 * own, np.maximum(margin, 1e-12)
    with np.errstate(divide="ignore"):
        times = np.where(left > 0, half**2 * (1.0 - own) / left, np.inf)
    return np.where(half <= margin, (half / margin) ** 2, times), (left <= 0) & (own > 0)


def _wanted(rows: pd.DataFrame, tolerance: Tolerance, draws: int) -> pd.DataFrame:
    """By undecided scalar, the hardest first: `total` draws that would decide; whether `by_mean`; whether `own` draws forbid it.

    The reference's part of an interval shrinks as the square root of its draws; the part of the method's own draws stays.
    """
    ratio, bias = rows["sd_ratio"].to_numpy(), rows["bias"].to_numpy()
    margin = np.minimum(np.abs(ratio - (1 - tolerance.sd)), np.abs(ratio - (1 + tolerance.sd)))
    half = 0.5 * (rows["sd_ratio_highest"] - rows["sd_ratio_lowest"]).to_numpy()
    mean_margin = np.abs(np.abs(bias) - tolerance.mean)
    mean_half = 0.5 * (rows["bias_highest"] - rows["bias_lowest"]).to_numpy()
    by_sd, own = _times(half, margin, rows["sd_ratio_own"].to_numpy())
    by_mean, own_mean = _times(mean_half, mean_margin, rows["bias_own"].to_numpy())
    total = draws * np.fmax(by_sd, by_mean)
    out = rows.assign(total=total, by_mean=by_mean > by_sd, own=(own | own_mean) & (total > HOPELESS))
    return out.sort_values("total", ascending=False, kind="stable")


def _to_decide(rows: pd.DataFrame, tolerance: Tolerance, draws: int) -> int | None:
    """Reference draws, all chains, that would decide every scalar; None where no number would, or none is undecided."""
    total = _wanted(rows, tolerance, draws)["total"].to_numpy().max(initial=0.0)
    return int(round(float(total), -3)) if 0 < total <= HOPELESS else None


def _open(rows: pd.DataFrame, tolerance: Tolerance, draws: int, reference: str) -> str:
    """Which scalar is undecided, and about how many draws of the reference would decide, if any number would."""
    row = _wanted(rows, tolerance, draws).iloc[0]
    if row.total <= HOPELESS:
        more = f"about {count(int(round(row.total, -3)))} {bare(reference)} draws would decide"
    elif row.own:
        more = "the method\u2019s own draws are too few to decide, whatever the reference"
    else:
        more = "it lies too near the limit for any number of draws to decide"
    which = f"{_width(row)} {_ratio(row)} of {the(reference)}"
    if row.by_mean:
        which = f"its mean off by {signed(row.bias)} {between(row.bias_lowest, row.bias_highest)} {bare(reference)} sds"
    some = "one scalar is" if len(rows) == 1 else f"{len(rows)} scalars are"
    return f"{some} undecided, above all `{row.parameter}`, {which}: {more}."
