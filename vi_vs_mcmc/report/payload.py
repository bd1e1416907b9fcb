"""What the page's script needs to follow a choice: numbers and sentences for every parameter."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from vi_vs_mcmc.figures.canvas import clipped, safe
from vi_vs_mcmc.figures.palette import TOKENS
from vi_vs_mcmc.figures.rows import strip_grid
from vi_vs_mcmc.report import coverage
from vi_vs_mcmc.report.findings import points
from vi_vs_mcmc.report.in_data import rows_say
from vi_vs_mcmc.report.mixture import mixture
from vi_vs_mcmc.report.reference import ranks_say
from vi_vs_mcmc.report.shapes import links, marginal_says, matrix_says, pair_says
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import code, rough

_STEPS = 999  # densities travel as whole numbers of their height


def payload(view: View) -> dict[str, Any]:
    """The data block of the page, a function of the view alone."""
    n = range(len(view.names))
    pairs = len(view.names) > 1 and bool(view.partners[view.chosen])
    tops = np.maximum(np.max([_top(view, j) for j in n], axis=1, keepdims=False), 1e-300)
    return {
        "names": view.names,
        "axis": [safe(clipped(name, 30)) for name in view.names],
        "reference": view.reference,
        "methods": view.methods,
        "wide": view.wide,
        "label": {m: view.styles[m].label for m in view.draws},
        "safe": {m: safe(view.styles[m].label) for m in view.draws},
        "look": {m: {"color": s.color, "symbol": s.symbol, "dash": s.dash} for m, s in view.styles.items()},
        "chosen": view.chosen,
        "against": view.against,
        "from": _short(view.grids[:, 0], 8),
        "to": _short(view.grids[:, -1], 8),
        "points": view.grids.shape[1],
        "dens": {
            m: np.rint(np.clip(d / tops[:, None], 0, 1) * _STEPS).astype(int).tolist()
            for m, d in view.densities.items()
            if m not in points(view)
        },
        "held": {m: _short(100 * h.T, 4) for m, h in view.held.items()},
        "apart": {j: _apart(view, j) for j in view.apart},
        "mean": {m: _short(v, 7) for m, v in view.mean.items()},
        "sd": {m: _short(v, 7) for m, v in view.sd.items()},
        "q": {m: _short(v.T, 7) for m, v in view.quantiles.items()},
        "ratio": {m: _short(view.column(m, "sd_ratio"), 5) for m in view.methods},
        "ranks": view.ranks.tolist(),
        "partners": view.partners if pairs else [],
        "between": {m: [_short(links(view, m)[j, view.partners[j]], 4) for j in n] for m in view.draws}
        if pairs
        else {},
        "dots": _short(view.dots, 5),
        "matrices": {m: _short(links(view, m)[np.ix_(view.matrix, view.matrix)], 3) for m in view.draws}
        if pairs
        else {},
        **_components(view),
        "say": {
            "marginal": [marginal_says(view, j) for j in n],
            "coverage": [["", coverage.says(view, j)] for j in n],
            "pair": [pair_says(view, j) for j in n] if pairs else [],
            "ranks": [ranks_say(view, j) for j in n],
            "corr": {m: matrix_says(view, m) for m in view.methods} if pairs else {},
        },
    }


def block(value: object) -> Markup:
    """Data as the text of a script element of type json: `<` can neither end it nor begin a comment."""
    return Markup(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"))


def colours() -> dict[str, str]:
    """Light colours and the dark ones that take their place."""
    return dict(TOKENS.values())


def _components(view: View) -> dict[str, Any]:
    mix = mixture(view.run)
    if mix is None:
        return {"components": {}, "strip": []}
    strip = _short(strip_grid(mix.x[:, 0]), 6) if mix.x.shape[1] == 1 else []
    components = {
        m: {
            "weights": _short(c.weights, 4),
            "means": _short(c.means, 5),
            "factors": _short(c.factors, 5),
            "say": rows_say(view, mix, m) if m in view.methods else "",
        }
        for m, c in mix.components.items()
    }
    return {"components": components, "strip": strip}


def _apart(view: View, j: int) -> dict[str, Any]:
    """What is said of a parameter that is left out: why, and its quantiles; moments would say only how long it ran."""
    reason = view.reasons.get(view.names[j])
    why = f"{code(view.names[j])} is left out of the verdict{f': {reason}' if reason else ''}. Its quantiles, "
    why += "and axes that hold most draws, are shown; a mean or an sd would rest on a few extremes."
    return {"why": why, "q": {m: [rough(v) for v in q[:, j]] for m, q in view.quantiles.items()}}


def _top(view: View, j: int) -> list[float]:
    """The height at which densities are cut: the tallest, unless a spike would flatten the reference."""
    own = float(view.densities[view.reference][j].max())
    tallest = max(float(d[j].max()) for m, d in view.densities.items() if m not in points(view))
    return [min(tallest, 6 * own) if own > 0 else tallest]


def _short(values: ArrayLike, digits: int) -> Any:
    """Numbers with few digits, as lists; None for what is not a number."""
    array = np.asarray(values, float)
    if array.ndim > 1:
        return [_short(row, digits) for row in array]
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in array.tolist()]
