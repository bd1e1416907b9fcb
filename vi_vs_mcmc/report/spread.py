"""Section: are the posterior sds right, and if not, by how much? Then the means, and what intervals hold."""

from __future__ import annotations

import numpy as np

from vi_vs_mcmc.figures.forest import Bars, Scale, forest
from vi_vs_mcmc.figures.sd_sd import sd_sd
from vi_vs_mcmc.report import coverage, why
from vi_vs_mcmc.report.blocks import Block, Panel, Section, Table
from vi_vs_mcmc.report.findings import (
    Finding,
    centred,
    find,
    leading,
    limits,
    no_conclusion,
    points,
    sd_phrase,
    sentences,
    tolerated_mean,
    unsettled,
    worst_phrase,
)
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import code, interval, listed, number, percent, rough, share, spelled, trimmed

ROWS = 40  # of a forest


def spread(view: View) -> Section:
    """The section's figures: sd ratios, means, coverage, sd against sd, and why; of points only the means."""
    findings = {m: find(view, m) for m in view.methods}
    intro = "Are the posterior standard deviations right, and if not, by how much? And are the means?"
    if len(points(view)) == len(view.methods):
        return Section("spread", "Spread", f"{unsettled(view)} Are the means right?", (_means(view, findings),))
    blocks = [_ratios(view, findings), _means(view, findings), coverage.block(view), _scales(view, findings)]
    return Section("spread", "Spread", intro, (*blocks, *([found] if (found := why.block(view)) else [])))


def _ratios(view: View, findings: dict[str, Finding]) -> Block:
    shown, rest = _rows(view)
    title, what = _ratio_words(view, findings)
    low, high = 1 - view.tolerance[0], 1 + view.tolerance[0]
    label = view.reference_label
    scale = Scale(
        1.0,
        (low, high),
        f"sd under the method ÷ sd under {label}",
        "too narrow",
        "too wide",
        f"sd is {{}} of {label}",
    )
    read = (
        f"One row per parameter, furthest first. Left of 1, a method is surer than {label}. Bars are "
        f"{percent(0.95)} Monte "
        f"Carlo intervals that hold for all rows at once; inside the grey band ({trimmed(low)} to "
        f"{trimmed(high)}) a difference "
        "is too small to act on. The right-hand number is the row’s furthest ratio, bold where its whole "
        "interval is outside."
    )
    return Block(
        "forest",
        title,
        sentences(what, rest),
        read,
        [
            Panel(
                "forest",
                _forest(view, shown, "sd_ratio", scale),
                "sd ratio of each parameter by method, furthest first",
            )
        ],
        _measure_table(view, shown, "sd_ratio", "sd ratio with its simultaneous 95 % interval"),
    )


def _ratio_words(view: View, findings: dict[str, Finding]) -> tuple[str, str]:
    if view.failed:
        return "sd ratios, against a reference that failed its checks", no_conclusion(view)
    m = leading(view, findings)
    if m is None:
        return "The sd ratios do not describe the methods yet", unsettled(view)
    lead, tolerance = findings[m], percent(view.tolerance[0])
    others = [findings[o] for o in view.standing if o != m]
    rest = "; ".join(sd_phrase(view, f) for f in others)
    if lead.wrong:
        return sd_phrase(view, lead), sentences(worst_phrase(view, lead), rest, unsettled(view))
    if any(f.unsure for f in [lead, *others]):
        title = f"No sd is clearly more than {tolerance} off"
    else:
        title = f"Every sd is within {tolerance} of {view.reference_label}"
    return title, sentences(sd_phrase(view, lead), f"furthest, {worst_phrase(view, lead)}", rest, unsettled(view))


def _means(view: View, findings: dict[str, Finding]) -> Block:
    shown, rest = _rows(view, by="bias")
    title, what = _mean_words(view, findings)
    edge, label = view.tolerance[1], view.reference_label
    scale = Scale(0.0, (-edge, edge), f"difference of means, in sds of {label}", "lower", "higher", "mean is {} sd off")
    read = (
        f"One row per parameter, furthest first: the method’s posterior mean minus that of {label}, in sds of "
        f"{label}. "
        f"Inside the grey band ({trimmed(-edge)} to {trimmed(edge)}) a shift is tolerated."
    )
    figure = _forest(view, shown, "bias", scale)
    panel = Panel("centre", figure, "difference of posterior means by method, furthest first")
    table = _measure_table(view, shown, "bias", "difference of means in reference sds, simultaneous 95 % interval")
    return Block("centre", title, sentences(what, rest), read, [panel], table)


def _mean_words(view: View, findings: dict[str, Finding]) -> tuple[str, str]:
    if view.failed:
        return "Distances of means, from a reference that failed its checks", no_conclusion(view)
    standing = [findings[m] for m in centred(view) if findings[m].shifted is not None]
    if not standing:
        return "The means do not describe the methods yet", unsettled(view, of="means")
    worst = max(standing, key=lambda f: (len(f.off), abs(_bias(view, f))))
    furthest = max(standing, key=lambda f: abs(_bias(view, f)))
    where = f"{code(view.names[furthest.shifted or 0])} under {view.label(furthest.method)} is furthest off"
    where += f", by {number(_bias(view, furthest), sign=True)} sd"
    if worst.off:
        title = f"{_movers(view, standing)} more than {tolerated_mean(view)} off"
        calm = [view.label(f.method) for f in standing if not f.off]
        return title, sentences(where, _calm(calm), unsettled(view, of="means"))
    title = f"No mean is off by more than {number(abs(_bias(view, furthest)))} of an sd under {view.reference_label}"
    if abs(_bias(view, furthest)) > view.tolerance[1]:
        title = f"No mean is clearly more than {tolerated_mean(view)} off"
    return title, sentences(where, unsettled(view, of="means"))


def _movers(view: View, standing: list[Finding]) -> str:
    """Every method that moves a mean, and how many each moves, as a clause."""
    off = [f for f in standing if f.off]
    most = max(off, key=lambda f: len(f.off))
    many = share(len(most.off), most.judged, "mean")
    names = listed([view.label(f.method) for f in off])
    if len(off) == len(view.methods) > 1:
        names = "Both methods" if len(off) == 2 else f"All {spelled(len(off))} methods"
    if len(off) == 1:
        return f"{names} puts {many}"
    return f"{names} put {'up to ' if len({len(f.off) for f in off}) > 1 else ''}{many}"


def _calm(names: list[str]) -> str:
    """Who moves no mean, as a clause."""
    if not names:
        return ""
    return f"{listed(names)} {'moves' if len(names) == 1 else 'move'} none that far"


def _scales(view: View, findings: dict[str, Finding]) -> Block:
    shown = view.counted
    reference, label = view.sd[view.reference], view.reference_label
    medians = [f"{view.label(m)} {number(float(np.nanmedian(_ratio(view, m)[shown])))}" for m in view.wide]
    fig = sd_sd(
        [view.names[j] for j in shown],
        reference[shown],
        {m: view.sd[m][shown] for m in view.wide},
        view.styles,
        view.tolerance[0],
        label,
        shown,
    )
    body = [[code(view.names[j]), *(rough(view.sd[m][j]) for m in [view.reference, *view.wide])] for j in shown[:ROWS]]
    head = ["parameter", *(view.label(m) for m in [view.reference, *view.wide])]
    read = (
        f"One symbol per parameter: its sd under {label} (across) and under the method (up). On the "
        "diagonal they agree; the grey "
        f"wedge is ±{percent(view.tolerance[0])}. Press a symbol to choose its parameter."
    )
    return Block(
        "sdsd",
        _scale_title(view, findings, shown),
        f"Median ratio of sds: {listed(medians)}.",
        read,
        [Panel("sdsd", fig, f"sd under each method against sd under {label}", "sd under the method", "log")],
        Table("posterior sds", head, body),
        beside=True,
    )


def _scale_title(view: View, findings: dict[str, Finding], shown: list[int]) -> str:
    m = leading(view, findings)
    if view.failed or m is None:
        return "sd against sd"
    if not findings[m].wrong:
        return "The sds agree at every scale" if not findings[m].unsure else "No scale stands out"
    ratio, reference = _ratio(view, m)[shown], view.sd[view.reference][shown]
    use = (ratio > 0) & (reference > 0) & np.isfinite(ratio)
    what = "shortfall" if np.median(ratio[use]) < 1 else "excess"
    if use.sum() < 6 or np.ptp(np.log(reference[use])) < 0.2:
        return f"The {what} of {view.label(m)}, on the scale of each parameter"
    r = float(np.corrcoef(np.log(reference[use]), np.log(ratio[use]))[0, 1])
    if abs(r) < 0.5:
        return f"{view.label(m)}’s {what} does not depend on a parameter’s scale"
    smaller = (r > 0) == (what == "shortfall")
    return f"{view.label(m)}’s {what} is larger for parameters with {'small' if smaller else 'large'} sds"


def _rows(view: View, by: str = "sd_ratio") -> tuple[list[int], str]:
    """The judged parameters a forest shows, and a sentence if some are left to the table."""
    judged = view.counted
    if by == "bias":
        far = np.nanmax(np.abs(np.stack([np.nan_to_num(view.column(m, "bias")) for m in view.methods])), axis=0)
        judged = sorted(judged, key=lambda j: (-far[j], j))
    total = len(view.run.table.judged_parameters) or len(view.run.table.parameters)
    hidden = max(total - ROWS, 0)
    others = "the other one is" if hidden == 1 else f"the other {spelled(hidden)} are"
    rest = f"The {ROWS} parameters furthest off are drawn; {others} in the table below" if hidden else ""
    return judged[:ROWS], rest


def _forest(view: View, shown: list[int], measure: str, scale: Scale):
    bars = {}
    for m in _measured(view, measure):
        low, high = limits(view, m, measure)
        bars[m] = Bars(view.column(m, measure)[shown], low[shown], high[shown])
    return forest([view.names[j] for j in shown], bars, view.styles, scale, shown)


def _measure_table(view: View, shown: list[int], measure: str, caption: str) -> Table:
    columns = {m: (view.column(m, measure), *limits(view, m, measure)) for m in _measured(view, measure)}
    body = [
        [
            code(view.names[j]),
            *(f"{number(v[j])} {interval(low[j], high[j])}" for v, low, high in columns.values()),
        ]
        for j in shown
    ]
    return Table(caption, ["parameter", *(view.label(m) for m in columns)], body)


def _measured(view: View, measure: str) -> list[str]:
    """The methods that have the measure: a point has a mean and no sd."""
    return view.wide if measure == "sd_ratio" else view.methods


def _bias(view: View, finding: Finding) -> float:
    return float(view.column(finding.method, "bias")[finding.shifted or 0])


def _ratio(view: View, method: str) -> np.ndarray:
    return view.column(method, "sd_ratio")
