"""Section: where the width goes missing, one parameter at a time, then two, then all pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vi_vs_mcmc.figures.correlation import correlation
from vi_vs_mcmc.figures.marginal import marginal
from vi_vs_mcmc.figures.pair import Moments, pair
from vi_vs_mcmc.report.blocks import Block, Panel, Section, Table
from vi_vs_mcmc.report.findings import centred, find, limits, no_conclusion, points, sentences, unsettled
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import code, interval, listed, number, percent

THUMBNAILS = 36
_WEAK = 0.1  # a correlation, or a change of one, that is not worth a heading


def shapes(view: View) -> Section:
    """The section's figures; pairs and matrices only where there are two parameters."""
    blocks = [_marginal(view)]
    if len(view.names) > 1 and view.partners[view.chosen]:
        blocks += [_pairs(view), _matrix(view)]
    intro = "Where the width goes missing: first one parameter at a time, then two, then all pairs."
    if len(view.names) < 2:
        intro = "The one parameter, under every method."
    return Section("shapes", "Shapes", intro, tuple(blocks))


def marginal_says(view: View, j: int) -> tuple[str, str]:
    """Heading and sentence of the marginal when parameter j is chosen."""
    if view.failed or not view.standing:
        return _marginal_words(view)
    name = code(view.names[j])
    if j in view.apart or not view.judged[j]:
        return f"No verdict rests on {name}", ""
    sd_tolerance, mean_tolerance = view.tolerance
    widths, clauses, off = [], [], False
    for m in centred(view):
        left, right = (float(v[j]) for v in limits(view, m, "bias"))
        off |= left > mean_tolerance or right < -mean_tolerance
    for m in view.standing:
        ratio, (low, high) = view.column(m, "sd_ratio")[j], (float(v[j]) for v in limits(view, m, "sd_ratio"))
        if not np.isfinite(ratio):
            continue
        wrong = high < 1 - sd_tolerance or low > 1 + sd_tolerance
        widths.append(
            "wrong" if wrong else "right" if low >= 1 - sd_tolerance and high <= 1 + sd_tolerance else "vague"
        )
        bounds = interval(low, high) if high > low else ""
        clauses.append(f"under {view.label(m)}{'' if clauses else ' is'} {number(ratio)} {bounds}".rstrip())
    if "wrong" in widths:
        title = f"Neither the centre nor the width of {name} agrees"
        title = title if off else f"The centre of {name} agrees; its width does not"
    elif "vague" in widths:
        title = f"The centre of {name} {'does not agree' if off else 'agrees'}; its width is too close to call"
    else:
        title = f"The width of {name} agrees; its centre does not" if off else f"Centre and width of {name} agree"
    clause = f"its sd {listed(clauses)} times that under {view.reference_label}" if clauses else ""
    return title, sentences(clause, unsettled(view))


def links(view: View, method: str) -> NDArray[np.float64]:
    """Correlations of all pairs, (parameter, parameter); a point has none."""
    found = view.correlations[method]
    return np.full_like(found, np.nan) if method in points(view) else found


def pair_says(view: View, j: int) -> tuple[str, str]:
    """Heading and sentence of the pair plots when parameter j is chosen."""
    partners = view.partners[j]
    if not partners:
        if j in view.apart:
            return "No pairs with a parameter that is left out", f"No verdict rests on {code(view.names[j])}."
        return "Nothing else moves", ""
    i, m = partners[0], view.against
    before, after = view.correlations[view.reference][i, j], view.correlations[m][i, j]
    name, link = view.label(m), f"the link between {code(view.names[j])} and {code(view.names[i])}"
    if m in points(view) and not view.failed:
        title = f"{name} is one point: it has no links to compare"
    elif view.failed or abs(after - before) <= _noise(view, m) or max(abs(before), abs(after)) < 2 * _WEAK:
        title = (
            f"{name} changes no correlation of {code(view.names[j])} by more than {number(abs(after - before) + 0.005)}"
        )
        if view.failed:
            title = "Pairs, beside a reference that failed its checks"
    elif before * after < 0 and min(abs(before), abs(after)) > _WEAK:
        title = f"{name} turns {link} round"
    elif abs(after) < 0.25 * abs(before):
        title = f"{name} cuts {link}"
    else:
        title = f"{name} {'weakens' if abs(after) < abs(before) else 'strengthens'} {link}"
    wide = [o for o in (view.reference, *view.methods) if o not in points(view)]
    values = [f"{number(view.correlations[o][i, j])} under {view.label(o)}" for o in wide]
    return title, f"Correlation of {code(view.names[j])} and {code(view.names[i])}: {listed(values)}."


def matrix_says(view: View, method: str) -> tuple[str, str]:
    """Heading and sentence of the matrices when a method is compared with the reference."""
    name, label, of = view.label(method), view.reference_label, view.matrix
    before = view.correlations[view.reference][np.ix_(of, of)]
    after = view.correlations[method][np.ix_(of, of)]
    change = np.abs(np.tril(after - before, -1))
    a, b = np.unravel_index(int(change.argmax()), change.shape)
    pair_of = f"{code(view.names[of[a]])} and {code(view.names[of[b]])}"
    if method in points(view) and not view.failed:
        return (
            f"{name} is one point: no two of its parameters vary together",
            "A point has no correlations, so its two panels are blank.",
        )
    what = f"The largest difference is between {pair_of}: {number(before[a, b], sign=True)} under {label}, "
    what += f"{number(after[a, b], sign=True)} under {name}."
    if view.failed:
        return "Correlations, beside a reference that failed its checks", f"{no_conclusion(view)} {what}"
    if change[a, b] <= 1.5 * _noise(view, method):
        return (
            f"{name} keeps every correlation within {number(float(np.ceil(change[a, b] * 100) / 100))}",
            what,
        )
    lower = np.tril_indices(len(of), -1)
    strong = np.abs(before[lower]) > 0.2
    kept = float(np.median(np.abs(after[lower][strong]) / np.abs(before[lower][strong]))) if strong.any() else np.nan
    if strong.sum() >= 3 and kept < 0.9:
        return f"{name} keeps {percent(kept)} of a typical strong correlation", what
    return f"{name} changes correlations by up to {number(float(change[a, b]))}", what


def _marginal(view: View) -> Block:
    j, label = view.chosen, view.reference_label
    title, what = _marginal_words(view)
    many, some = len(view.counted) > THUMBNAILS, "every judged parameter" if view.apart else "every parameter"
    read = (
        f"The grey shape is the posterior of the chosen parameter under {label}. A taller, narrower line is an "
        "overconfident method. The "
        "small pictures are "
        f"{f'the {THUMBNAILS} parameters furthest off' if many else some}, furthest first, "
        "each with "
        "its furthest sd ratio; press one to choose it."
    )
    curves = {m: view.densities[m][j] for m in view.draws if m not in points(view)}
    single = {m: float(view.mean[m][j]) for m in points(view)}
    fig = marginal(view.grids[j], curves, view.reference, view.styles, single)
    panel = Panel("marginal", fig, "marginal posterior of the chosen parameter", following="parameter")
    return Block("marginal", title, what, read, [panel], kind="marginal")


def _marginal_words(view: View) -> tuple[str, str]:
    if view.failed:
        return "Shapes, beside a reference that failed its checks", no_conclusion(view)
    findings = [find(view, m) for m in view.standing]
    off = any(find(view, m).off for m in centred(view))
    if not findings and len(points(view)) == len(view.methods):
        return f"A point has no shape; its centre is {'off' if off else 'not clearly off'}", unsettled(view)
    if not findings:
        return "Shapes of methods that did not finish", unsettled(view)
    wide = any(f.wrong for f in findings)
    vague = any(f.unsure for f in findings)
    title = {
        (False, False): "Centres and widths agree" if not vague else "Centres agree; widths are too close to call",
        (True, False): "The centres agree; the widths do not",
        (False, True): "The widths agree; the centres do not",
        (True, True): "Neither the centres nor the widths agree",
    }[wide, off]
    widest = max(
        (f for f in findings if f.worst is not None),
        key=lambda f: abs(_log_ratio(view, f.method, f.worst)),
        default=None,
    )
    clause = ""
    if widest and widest.worst is not None:
        clause = (
            f"{code(view.names[widest.worst])} under {view.label(widest.method)} shows the largest difference in width"
        )
    return title, sentences(clause, unsettled(view))


def _pairs(view: View) -> Block:
    j = view.chosen
    title, what = pair_says(view, j)
    panels = []
    for k, i in enumerate(view.partners[j]):
        moments = {
            m: Moments(view.mean[m][[i, j]], view.sd[m][[i, j]], float(view.correlations[m][i, j])) for m in view.draws
        }
        panels.append(
            Panel(
                f"pair{k}",
                pair(view.names[i], view.dots[:, [i, j]], moments, view.styles),
                f"{view.names[j]} against {view.names[i]}",
            )
        )
    everyone = [view.reference, *view.methods]
    body = [
        [code(view.names[i]), *(number(_link(view, m, j, i), sign=True) for m in everyone)] for i in view.partners[j]
    ]
    head = [f"correlation with {code(view.names[j])}", *(view.label(m) for m in everyone)]
    read = (
        f"The chosen parameter (up) against those whose correlation with it {view.label(view.against)} "
        "changes most. Dots are "
        f"draws of {view.reference_label}; each line holds {percent(0.9)} under one method, were it a "
        "normal. An upright ellipse inside "
        "a tilted cloud has lost a correlation."
    )
    return Block("pair", title, what, read, panels, Table("correlations", head, body), columns=3, kind="pair")


def _matrix(view: View) -> Block:
    of, m, label = view.matrix, view.against, view.reference_label
    title, what = matrix_says(view, m)
    names = [view.names[i] for i in of]
    before, after = (links(view, k)[np.ix_(of, of)] for k in (view.reference, m))
    limit = matrix_limit(view)
    some = f"The {len(of)} parameters furthest off are shown. " if len(of) < len(view.counted) else ""
    read = (
        f"{some}Each cell is the correlation of two parameters; teal is positive, brown negative. A "
        "perfect method would leave the right panel empty."
    )
    panels = [
        Panel(
            "corr0", correlation(before, names, limit), f"correlations under {label}", view.styles[view.reference].label
        ),
        Panel("corr1", correlation(after, names, limit), "correlations under the method", following="method"),
        Panel(
            "corr2",
            correlation(after - before, names, limit),
            "difference of correlations",
            following="method",
            unit=f"minus {label}",
        ),
    ]
    return Block("corr", title, what, read, panels, _matrix_table(view), columns=3, kind="matrix", against=True)


def matrix_limit(view: View) -> float:
    """The correlation at the end of the colour scale."""
    of = view.matrix
    lower = np.tril_indices(len(of), -1)
    largest = max(float(np.abs(view.correlations[m][np.ix_(of, of)][lower]).max()) for m in view.draws)
    return float(min(1.0, max(0.3, np.ceil(largest * 10) / 10)))


def _matrix_table(view: View) -> Table:
    of, everyone = view.matrix, [view.reference, *view.methods]
    pairs = [(of[a], of[b]) for a in range(len(of)) for b in range(a)]
    base = view.correlations[view.reference]
    change = np.max([np.abs(view.correlations[m] - base) for m in view.wide], axis=0)
    pairs.sort(key=lambda p: (-round(float(change[p]), 9), p))
    body = [
        [
            f"{code(view.names[a])} and {code(view.names[b])}",
            *(number(_link(view, m, a, b), sign=True) for m in everyone),
        ]
        for a, b in pairs[:12]
    ]
    return Table("the largest differences of correlations", ["pair", *(view.label(m) for m in everyone)], body)


def _link(view: View, method: str, a: int, b: int) -> float:
    """A correlation; a point has none."""
    return float(links(view, method)[a, b])


def _noise(view: View, method: str) -> float:
    """A difference of correlations that Monte Carlo error alone may make: four standard errors at most."""
    draws = min(view.draws[m][..., 0].size for m in (view.reference, method))
    return max(_WEAK, 4 * float(np.sqrt(2 / draws)))


def _log_ratio(view: View, method: str, j: int | None) -> float:
    return 0.0 if j is None else float(np.log(view.column(method, "sd_ratio")[j]))
