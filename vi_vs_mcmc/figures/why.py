"""The sd ratio observed against the one that correlations alone predict, on log axes: is the family to blame?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import note, safe
from vi_vs_mcmc.figures.diagonal import diagonal, square, symbols
from vi_vs_mcmc.figures.palette import LIGHT, Style

TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
MOST = 8  # ticks


def why(
    names: Sequence[str],
    predicted: Mapping[str, NDArray[np.float64]],
    observed: Mapping[str, NDArray[np.float64]],
    styles: Mapping[str, Style],
    tolerance: float,
    keys: Sequence[int],
) -> go.Figure:
    """One symbol per parameter and method; `predicted` and `observed` hold sd ratios, (parameter,) per method."""
    fig = go.Figure()
    every = np.concatenate([*predicted.values(), *observed.values(), [1.0]])
    every = every[np.isfinite(every) & (every > 0)]
    low, high = 0.96 * float(every.min()), 1.04 * float(every.max())
    diagonal(fig, low, high, tolerance)
    dotted = {"color": LIGHT["faint"], "width": 1, "dash": "dot"}
    fig.add_shape(type="line", x0=low, x1=high, y0=1, y1=1, line=dotted, layer="below")
    for method, ratio in observed.items():
        hover = [
            f"{safe(name)}<br>sd ratio {b:.2f}, predicted {a:.2f}"
            for name, a, b in zip(names, predicted[method], ratio, strict=True)
        ]
        symbols(fig, predicted[method], ratio, styles[method], hover, keys)
    inside = {"xref": "x domain", "yref": "y domain", "xshift": 8}
    note(fig, 0, 1, "wider than predicted", yanchor="top", yshift=-8, **inside)
    note(fig, 1, 0, "narrower than predicted", yanchor="bottom", yshift=8, xanchor="right", **inside | {"xshift": -8})
    square(fig, low, high, _ticks(low, high), "sd ratio predicted (log)")
    return fig


def _ticks(low: float, high: float) -> list[float]:
    """Round ratios between the ends, 1 among them, no two so near that their labels touch."""
    apart = np.log(high / low) / MOST
    shown = [1.0]
    for t in sorted(TICKS, key=lambda t: abs(np.log(t))):
        if low <= t <= high and min(abs(np.log(t / s)) for s in shown) >= apart:
            shown.append(t)
    return sorted(shown)
