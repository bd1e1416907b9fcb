"""The sd under each method against the sd under the reference, on log axes: a matter of scale?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import safe
from vi_vs_mcmc.figures.diagonal import diagonal, square, symbols
from vi_vs_mcmc.figures.palette import LIGHT, Style

DRAWN = (1e-300, 1e300)  # what a logarithmic axis can end at, with room for its ticks and a tolerance


def sd_sd(
    names: Sequence[str],
    reference: NDArray[np.float64],
    sds: Mapping[str, NDArray[np.float64]],
    styles: Mapping[str, Style],
    tolerance: float,
    reference_label: str,
    keys: Sequence[int],
) -> go.Figure:
    """One symbol per parameter and method; `reference` and each of `sds` have shape (parameter,)."""
    fig = go.Figure()
    every = np.concatenate([reference, *sds.values()])
    every = every[np.isfinite(every) & (every > 0)]
    every = np.clip(every, *DRAWN)
    low, high = (0.85 * every.min(), 1.18 * every.max()) if every.size else (0.1, 10.0)
    diagonal(fig, low, high, tolerance)
    for method, sd in sds.items():
        hover = [
            f"{safe(name)}<br>sd {a:.3g}, under {safe(reference_label)} {b:.3g}"
            for name, a, b in zip(names, sd, reference, strict=True)
        ]
        symbols(fig, reference, sd, styles[method], hover, keys)
    ring = {"symbol": "circle-open", "size": 19, "color": LIGHT["accent"], "line": {"width": 2}}
    fig.add_scatter(x=[], y=[], mode="markers", marker=ring, hoverinfo="skip", meta={"role": "ring"})
    square(fig, low, high, _ticks(low, high), f"sd under {safe(reference_label)} (log)")
    return fig


def _ticks(low: float, high: float) -> list[float]:
    """About six round values between the ends."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{s * 10.0**d:.6g}") for d in decades for s in steps if low <= s * 10.0**d <= high]
        if len(ticks) <= 7:
            return ticks
    return ticks[:: int(np.ceil(len(ticks) / 7))]
