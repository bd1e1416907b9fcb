"""What the table says of each method, as counts and phrases that are right whatever the numbers are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import capital, code, interval, listed, number, percent, plural, share, spelled


@dataclass(frozen=True)
class Finding:
    """One method's judged parameters: indices that are clearly off, and the ones furthest off."""

    method: str
    judged: int
    small: list[int]  # the whole interval of the sd ratio lies below the tolerance
    large: list[int]
    off: list[int]  # the whole interval of the mean's distance lies outside the tolerance
    unsure: int  # sd intervals that cross the edge of the tolerance
    worst: int | None  # furthest sd ratio
    shifted: int | None  # furthest mean

    @property
    def wrong(self) -> int:
        """How many sds are clearly off."""
        return len(self.small) + len(self.large)


def find(view: View, method: str) -> Finding:
    """Count what is clearly off for one method, over its judged parameters; a point has means, and no sds."""
    sd_tolerance, mean_tolerance = view.tolerance
    ratio, bias = view.column(method, "sd_ratio"), view.column(method, "bias")
    low, high = limits(view, method, "sd_ratio")
    left, right = limits(view, method, "bias")
    use = view.judged & np.isfinite(ratio) & (ratio > 0) & (method not in points(view))
    centred = view.judged & np.isfinite(bias)
    small = np.flatnonzero(use & (high < 1 - sd_tolerance))
    large = np.flatnonzero(use & (low > 1 + sd_tolerance))
    off = np.flatnonzero(centred & ((left > mean_tolerance) | (right < -mean_tolerance)))
    inside = use & (low >= 1 - sd_tolerance) & (high <= 1 + sd_tolerance)
    far = np.where(use, np.abs(np.log(np.where(use, ratio, 1))), -1.0)
    return Finding(
        method=method,
        judged=int(view.judged.sum()),
        small=small.tolist(),
        large=large.tolist(),
        off=off.tolist(),
        unsure=int(use.sum()) - int(inside.sum()) - len(small) - len(large),
        worst=int(far.argmax()) if use.any() else None,
        shifted=int(np.where(centred, np.abs(bias), -1.0).argmax()) if centred.any() else None,
    )


def limits(view: View, method: str, measure: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The simultaneous limits of a measure; where there are none, the pointwise ones, else the value."""
    value = view.column(method, measure)
    ends = []
    for wide, narrow in (("lowest", "low"), ("highest", "high")):
        end = view.column(method, f"{measure}_{wide}")
        end = np.where(np.isfinite(end), end, view.column(method, f"{measure}_{narrow}"))
        ends.append(np.where(np.isfinite(end), end, value))
    return ends[0], ends[1]


def points(view: View) -> list[str]:
    """Methods that give one point, so that no sd, interval or correlation of theirs means anything."""
    return [m for m in view.methods if "point estimate" in view.words(m)]


def centred(view: View) -> list[str]:
    """Methods whose means say something: those whose numbers stand, and points."""
    silent = {"no verdict", "not converged"}
    return [m for m in view.methods if not silent & set(view.words(m))]


def robust(view: View, method: str, parameter: str) -> str:
    """How wide a method is where an sd may not exist, as a clause; empty where it was not measured."""
    column = lambda name: float(view.run.table.column(method, name, [parameter])[0])
    value, label = column("robust_ratio"), view.reference_label
    if method in points(view) or not np.isfinite(value):
        return ""
    limits = interval(column("robust_ratio_low"), column("robust_ratio_high"))
    times = f"{number(value)} {limits}".rstrip()
    return f"its central {percent(0.68)} interval is {times} times as wide as under {label}"


def leading(view: View, findings: dict[str, Finding]) -> str | None:
    """The method a heading speaks of: of those whose fit stands, the one with most sds clearly off."""
    standing = view.standing
    return max(standing, key=lambda m: (findings[m].wrong, len(findings[m].off))) if standing else None


def worst_phrase(view: View, finding: Finding) -> str:
    """`p` has 0.76 [0.73, 0.80] of its sd under NUTS."""
    j = finding.worst
    if j is None:
        return ""
    low, high = limits(view, finding.method, "sd_ratio")
    ratio = number(view.column(finding.method, "sd_ratio")[j])
    bounds = interval(low[j], high[j])
    return f"{code(view.names[j])} has {ratio}{f' {bounds}' if bounds else ''} of its sd under {view.reference_label}"


def sd_phrase(view: View, finding: Finding) -> str:
    """What one method does to the sds, as a clause with the method as its subject."""
    name, tolerance = view.label(finding.method), percent(view.tolerance[0])
    if finding.small and finding.large:
        return f"{name} makes {plural(len(finding.small), 'sd')} too small and {spelled(len(finding.large))} too large"
    if finding.small:
        least = "at least " if len(finding.small) < finding.judged else ""
        return f"{name} makes {least}{share(len(finding.small), finding.judged, 'sd')} more than {tolerance} too small"
    if finding.large:
        return f"{name} makes {share(len(finding.large), finding.judged, 'sd')} more than {tolerance} too large"
    if finding.unsure:
        are = "is" if finding.judged == 1 else "are"
        return f"for {name}, {share(finding.unsure, finding.judged, 'sd')} {are} too close to the tolerance to call"
    return f"{name} keeps every sd within {percent(_furthest(view, finding))} of {view.reference_label}"


def unsettled(view: View, *, of: str = "widths") -> str:
    """A sentence on methods whose numbers say nothing of their family; empty if there are none.

    Args:
        view: the run.
        of: "widths", which a point has none of, or "means".
    """
    stopped = [view.label(m) for m in view.methods if "not converged" in view.words(m)]
    single = [view.label(m) for m in points(view)] if of == "widths" else []
    out = []
    if stopped:
        one = len(stopped) == 1
        out.append(f"{listed(stopped)} had not converged: {'its' if one else 'their'} numbers describe the optimiser.")
    if len(single) == 1:
        out.append(f"{single[0]} gives one point, which has no width to compare.")
    elif single:
        out.append(f"{listed(single)} give one point each, which has no width to compare.")
    return " ".join(out)


def no_conclusion(view: View) -> str:
    """What stands in place of a finding when the reference failed."""
    return (
        f"{capital(view.reference_label)} failed its own checks, so this compares two uncertain answers; "
        "it is shown for inspection, and nothing follows from it."
    )


def tolerated_mean(view: View) -> str:
    """The tolerance on a mean, in words."""
    share = view.tolerance[1]
    return "a quarter of an sd" if share == 0.25 else f"{number(share)} of an sd"


def sentences(*clauses: str) -> str:
    """Clauses as sentences, the empty ones left out."""
    return " ".join(capital(c) if c.endswith((".", "!", "?")) else f"{_lead(c)}." for c in clauses if c)


def _lead(clause: str) -> str:
    return clause if clause.startswith("`") else capital(clause)


def _furthest(view: View, finding: Finding) -> float:
    """The largest distance from 1 among judged sd ratios, rounded up to a whole percent."""
    j = finding.worst
    return 0.01 if j is None else float(np.ceil(100 * abs(view.column(finding.method, "sd_ratio")[j] - 1) - 1e-9)) / 100
