"""Section: what the posterior says about the rows it was fitted to, and the weight of every component."""

from __future__ import annotations

import numpy as np

from vi_vs_mcmc.figures import rows as figures
from vi_vs_mcmc.figures.weights import weights as weights_figure
from vi_vs_mcmc.report.blocks import Block, Panel, Section, Table
from vi_vs_mcmc.report.findings import points
from vi_vs_mcmc.report.mixture import OFTEN, Mixture, empty, mixture, owners, weights
from vi_vs_mcmc.report.predictive import predictive
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import (
    capital,
    code,
    count,
    interval,
    listed,
    number,
    percent,
    plural,
    rough,
    share,
    spelled,
)

_SURE = 0.9


def in_data(view: View) -> Section | None:
    """The section, or None for a model without components."""
    of = weights(view.run)
    if of is None:
        return None
    mix = mixture(view.run)
    blocks = [*([_rows(view, mix)] if mix else []), _weights(view, of)]
    if mix:
        blocks.append(predictive(view, mix))
    if mix:
        rows = (view.run.summary.get("data") or {}).get("rows") or len(mix.x)
        some = f"; {count(len(mix.x))} of them are drawn" if len(mix.x) < rows else ""
        intro = f"What the posterior says about the {count(rows)} rows it was fitted to{some}."
    else:
        intro = "The weight of every component. The rows themselves were not kept in this run folder."
    return Section("data-s", "In the data", intro, tuple(blocks))


def rows_say(view: View, mix: Mixture, method: str) -> str:
    """How many rows are in doubt, and how far a method's components move beside the reference's."""
    return " ".join(s for s in (_doubt(mix)[1], _movement(view, method), _undrawn(mix)) if s)


def _undrawn(mix: Mixture) -> str:
    """Which components own a row too seldom, and so are not drawn."""
    number = next(iter(mix.components.values())).weights.shape[1]
    out = [str(k) for k in range(number) if k not in mix.occupied]
    if not out:
        return ""
    own, are, which = ("owns", "is", "component") if len(out) == 1 else ("own", "are", "components")
    some = f"{capital(spelled(len(out)))} of {plural(number, 'component')}"
    return f"{some} {own} a row in fewer than {percent(OFTEN)} of draws and {are} not drawn: {which} {listed(out)}."


def _movement(view: View, method: str) -> str:
    if method in points(view):
        return f"{view.label(method)} is one point, so its components do not move."
    judged = [j for j, n in enumerate(view.names) if n.startswith("means[") and view.judged[j]]
    ratio = view.column(method, "sd_ratio")[judged]
    ratio = ratio[np.isfinite(ratio)]
    if not ratio.size:
        return ""
    share = float(np.median(ratio))
    name, label = view.label(method), view.reference_label
    if abs(share - 1) < 0.02:
        return f"Centres of components move as much under {name} as under {label}."
    word = "less" if share < 1 else "more"
    return f"Centres of components move {percent(abs(1 - share))} {word} under {name} than under {label} (median)."


def _rows(view: View, mix: Mixture) -> Block:
    second = (
        view.against if view.against in mix.components else next((m for m in view.methods if m in mix.components), None)
    )
    panels = [_panel(view, mix, view.reference, "data0")]
    if second:
        panels.append(_panel(view, mix, second, "data1"))
        _share_axes(panels)
    title, what = _doubt(mix)
    columns = ""
    if len(mix.every_column) > len(mix.columns):
        columns = (
            f" Of {len(mix.every_column)} columns, {listed([code(c) for c in mix.columns])} "
            "separate the components most and are shown."
        )
    shape = (
        "a loose bundle is an uncertain component" if len(mix.columns) > 1 else "loose lines are an uncertain component"
    )
    curve = (
        f"one posterior draw of a component’s {percent(0.9)} ellipse"
        if len(mix.columns) > 1
        else "one posterior draw of a component"
    )
    bold = "the bolder the dot, the less sure its component. " if mix.responsibilities is not None else ""
    read = f"Points are rows of the data{': ' + bold if bold else '. '}Each thin line is {curve}: {shape}.{columns}"
    return Block(
        "data",
        title,
        rows_say(view, mix, second) if second else f"{what} {_undrawn(mix)}".strip(),
        read,
        panels,
        _doubt_table(mix),
        columns=2,
        kind="rows",
        against=second is not None,
    )


def _panel(view: View, mix: Mixture, method: str, id: str) -> Panel:
    parts, style, r = mix.components[method], view.styles[method], mix.responsibilities
    doubt = None if r is None else 1 - r.max(axis=1)
    if r is None:
        hover = [f"row {i}" for i in range(len(mix.x))]
    else:
        hover = [
            f"row {i}: component {k} with probability {p:.2f}"
            for i, (k, p) in enumerate(zip(r.argmax(1), r.max(1), strict=True))
        ]
    if len(mix.columns) == 2:
        fig = figures.plane(mix.x, mix.columns, doubt, parts.means, parts.factors, style, hover, mix.occupied)
        unit = f"up: {mix.columns[1]}; {len(parts.means)} draws"
    else:
        sds = np.sqrt((parts.factors[:, :, 0] ** 2).sum(axis=-1))
        sds = np.maximum(sds, 1e-9)
        draws = (parts.weights, parts.means[:, :, 0], sds)
        fig = figures.strip(mix.x[:, 0], mix.columns[0], doubt, *draws, style, hover, mix.occupied)
        unit = f"density; {len(parts.means)} draws"
    following = "" if method == view.reference and id == "data0" else "method"
    name = f"data with draws of the components under {'the chosen method' if following else style.label}"
    return Panel(id, fig, name, style.label, unit, following)


def _share_axes(panels: list[Panel]) -> None:
    """Both panels on the same axes, wide enough for both."""
    for axis in ("xaxis", "yaxis"):
        ranges = [p.figure.to_plotly_json()["layout"][axis].get("range") for p in panels]
        if all(r is not None for r in ranges):
            low, high = min(float(r[0]) for r in ranges), max(float(r[1]) for r in ranges)
            for p in panels:
                p.figure.update_layout({axis: {"range": [low, high]}})


def _doubt(mix: Mixture) -> tuple[str, str]:
    r = mix.responsibilities
    if r is None:
        return "Where the components lie in the data", ""
    unsure, n = int((r.max(axis=1) < _SURE).sum()), len(r)
    if unsure == 0:
        what = f"Every row belongs to one component with {percent(_SURE)} probability or more."
        return "Every row has a component it clearly belongs to", what
    belong = "belongs" if unsure == 1 else "belong"
    what = f"{count(unsure)} of {count(n)} rows {belong} to no component with {percent(_SURE)} probability or more."
    if unsure < 0.03 * n:
        return "Nearly every row has a component it clearly belongs to", what
    if unsure > 0.5 * n:
        return "Most rows could belong to several components", what
    return f"{percent(unsure / n)} of rows lie between components", what


def _doubt_table(mix: Mixture) -> Table | None:
    r = mix.responsibilities
    if r is None:
        return None
    first, sure = r.argmax(axis=1), r.max(axis=1)
    body = [
        [
            str(k),
            count(int((first == k).sum())),
            number(float(r[:, k].sum()), 1),
            count(int(((first == k) & (sure < _SURE)).sum())),
        ]
        for k in range(r.shape[1])
    ]
    head = ["component", "rows most likely in it", "expected rows", f"of those below {percent(_SURE)}"]
    return Table("rows by component", head, body)


def _weights(view: View, of: dict[str, np.ndarray]) -> Block:
    truth = (view.run.summary.get("truth") or {}).get("weights")
    components = of[view.reference].shape[1]
    truth = list(truth) if truth is not None and len(truth) == components else None
    without, single = empty(view.run, components), [m for m in points(view) if m in of]
    smallest = float(of[view.reference][1].min())
    what = f"The smallest weight under {view.reference_label} is {rough(smallest, 2)} (median)."
    title = f"{capital(share(components, components, 'component'))} {'are' if components > 1 else 'is'} occupied"
    if without:
        full, one = components - len(without), len(without) == 1
        some = f"{capital(spelled(full))} of {plural(components, 'component')}"
        title = f"{some} {'owns' if full == 1 else 'own'} a row in at least {percent(OFTEN)} of draws"
        which = f"component{'' if one else 's'} {listed([str(k) for k in without])}"
        what += f" {capital(which)} own{'s' if one else ''} a row too seldom to judge, so no verdict rests on "
        what += "it." if one else "them."
        if mean := owners(view.run):
            what += f" On average {mean} components own a row."
    if truth:
        wide = [q for m, q in of.items() if m not in single]
        hit = sum(bool(q[0, k] <= truth[k] <= q[2, k]) for q in wide for k in range(components))
        what += f" {_hits(hit, len(wide) * components)} contain the true weight."
    dotted = "; dotted lines mark the weights the data were drawn with" if truth else ""
    read = f"One row per component, all shown. Bars are each method’s own {percent(0.9)} interval{dotted}."
    if single:
        read += f" {listed([view.label(m) for m in single])} {'has' if len(single) == 1 else 'have'} no interval."
    limits = lambda m, k: "" if m in single else interval(of[m][0, k], of[m][2, k], 3)
    body = [[str(k), *(f"{number(of[m][1, k], 3)} {limits(m, k)}" for m in of)] for k in range(components)]
    table = Table("weights with 90 % intervals", ["component", *(view.label(m) for m in of)], body)
    fig = weights_figure(of, view.styles, truth)
    panel = Panel("weights", fig, "component weights with 90 % intervals")
    return Block("weights", title, what, read, [panel], table, beside=True)


def _hits(n: int, total: int) -> str:
    """How many intervals, as the start of a sentence."""
    if n == total:
        return capital(share(total, total, "interval"))
    return f"{'None' if n == 0 else capital(spelled(n))} of {spelled(total)} intervals"
