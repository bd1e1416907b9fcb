"""One row per parameter: a measure under each method with its interval, and the band that is tolerated.

Used for the sd ratio (1 is right) and for the distance of means (0 is right).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import clipped, finish, marker, mono, note, rule, safe, small
from vi_vs_mcmc.figures.palette import LIGHT, Style

ROW = 27  # pixels, for up to three methods
MARK = 9  # pixels each, for more


@dataclass(frozen=True)
class Bars:
    """A measure of each parameter under one method; NaN where there is none. Each of shape (parameter,)."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """What is measured: its right value, what is tolerated, and the words along its axis."""

    right: float
    band: tuple[float, float]
    title: str
    below: str
    above: str
    hover: str  # "sd is {} of NUTS"


def forest(
    names: Sequence[str],
    bars: Mapping[str, Bars],
    styles: Mapping[str, Style],
    scale: Scale,
    keys: Sequence[int],
) -> go.Figure:
    """Rows in the order given, furthest first; `keys` says which parameter of the page each row is."""
    fig = go.Figure()
    n = len(names)
    fig.add_shape(
        type="rect",
        x0=scale.band[0],
        x1=scale.band[1],
        y0=-0.7,
        y1=n - 0.3,
        fillcolor=LIGHT["band"],
        line_width=0,
        layer="below",
    )
    rule(fig, x=scale.right, span=(-0.7, n - 0.3))
    offsets = np.linspace(-0.26, 0.26, len(bars)) if len(bars) > 1 else [0.0]
    for (method, bar), offset in zip(bars.items(), offsets, strict=True):
        _add_method(fig, names, bar, styles[method], scale, offset, keys)
    _add_furthest(fig, bars, scale, n)
    note(
        fig,
        scale.right,
        1,
        f"← {scale.below}",
        yref="paper",
        yanchor="bottom",
        xanchor="right",
        yshift=2,
        xshift=-6,
    )
    note(fig, scale.right, 1, f"{scale.above} →", yref="paper", yanchor="bottom", yshift=2, xshift=6)
    row = max(ROW, MARK * len(bars))
    finish(fig, row * n + 76, l=172, r=56, t=26, b=48)
    low, high = _range(bars, scale)
    fig.update_xaxes(range=[low, high], nticks=8, title_text=scale.title)
    fig.update_yaxes(
        tickvals=list(range(n)),
        ticktext=[safe(clipped(name)) for name in names],
        range=[n - 0.3, -0.7],
        tickfont=mono(),
    )
    fig.update_layout(meta={"order": list(keys)})
    return fig


def _add_method(
    fig: go.Figure,
    names: Sequence[str],
    bar: Bars,
    style: Style,
    scale: Scale,
    offset: float,
    keys: Sequence[int],
) -> None:
    label = safe(style.label)
    fig.add_scatter(
        x=bar.value,
        y=np.arange(len(names)) + offset,
        mode="markers",
        marker=marker(style),
        customdata=list(keys),
        meta={"method": style.method},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": bar.high - bar.value,
            "arrayminus": bar.value - bar.low,
            "thickness": 2,
            "width": 0,
            "color": style.color,
        },
        hovertext=[
            f"{label}, {safe(name)}<br>{scale.hover.format(f'{v:.2f}')} [{lo:.2f}, {hi:.2f}]"
            for name, v, lo, hi in zip(names, bar.value, bar.low, bar.high, strict=True)
        ],
        hoverinfo="text",
    )


def _add_furthest(fig: go.Figure, bars: Mapping[str, Bars], scale: Scale, n: int) -> None:
    """At the right edge the furthest value; bold where its whole interval is outside the band."""
    values = np.stack([b.value for b in bars.values()])
    worst = np.argmax(np.abs(np.nan_to_num(values - scale.right)), axis=0)
    every, texts = list(bars.values()), []
    for i in range(n):
        bar = every[worst[i]]
        if not np.isfinite(bar.value[i]):
            continue
        outside = bar.high[i] < scale.band[0] or bar.low[i] > scale.band[1]
        font = {"size": 12, "color": LIGHT["ink" if outside else "ink2"], "weight": 600 if outside else 400}
        text = f"{bar.value[i]:.2f}".replace("-0.00", "0.00").replace("-", "−")
        texts.append(small(1, i, text, xref="paper", xshift=8, name="value", font=font))
    furthest = small(
        1,
        1,
        "furthest",
        xref="paper",
        yref="paper",
        yanchor="bottom",
        xshift=4,
        yshift=2,
        name="furthest",
    )
    layout: Any = fig.layout
    fig.update_layout(annotations=[*layout.annotations, *texts, furthest])


def _range(bars: Mapping[str, Bars], scale: Scale) -> tuple[float, float]:
    """All values, their intervals unless one is absurdly wide, and the whole band."""
    width = scale.band[1] - scale.band[0]
    values = np.concatenate([b.value for b in bars.values()])
    values = values[np.isfinite(values)] if np.isfinite(values).any() else np.array([scale.right])
    room = 0.5 * max(np.ptp(values), width)
    lows = np.concatenate([b.low for b in bars.values()])
    highs = np.concatenate([b.high for b in bars.values()])
    low = max(np.nanmin([*lows, scale.band[0]]), min(values.min(), scale.band[0]) - room)
    high = min(np.nanmax([*highs, scale.band[1]]), max(values.max(), scale.band[1]) + room)
    pad = 0.03 * (high - low)
    return float(low - pad), float(high + pad)
