"""What an optimiser climbed: traces in nats against sweeps or steps, and the line none can pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import finish, note, rule, safe
from vi_vs_mcmc.figures.palette import LIGHT, Style

REACH = 25.0  # nats below the lowest end that are shown


@dataclass(frozen=True)
class Trace:
    """One fit: `x` sweeps or steps, `y` nats, both of shape (step,); the best one is drawn stronger."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    best: bool = True


def climb(
    traces: Sequence[Trace],
    style: Style,
    unit: str,
    *,
    ceiling: float | None = None,
    ceiling_name: str = "log evidence",
) -> go.Figure:
    """Traces of one method; `ceiling` is the log evidence where it is known (nats)."""
    fig = go.Figure()
    for trace in sorted(traces, key=lambda t: t.best):
        fig.add_scatter(
            x=trace.x,
            y=trace.y.round(5),
            mode="lines" if len(trace.x) > 1 else "markers",
            line={"color": style.color, "width": 2.25 if trace.best else 1.25},
            marker={"color": style.color, "symbol": style.symbol},
            opacity=1 if trace.best else 0.6,
            meta={"method": style.method},
            hovertemplate=f"{safe(style.label)}, {unit} %{{x}}: %{{y:.2f}} nats<extra></extra>",
        )
    low, high = window([t.y for t in traces], ceiling)
    starts = [float(t.y[0]) for t in traces if t.y[0] < low]
    if starts:
        text = f"{'starts at' if len(starts) == 1 else 'the lowest starts at'} {min(starts):.1f}".replace("-", "−")
        note(fig, 1, 0, text, xref="x domain", yref="y domain", xanchor="right", yanchor="bottom", xshift=-4, yshift=3)
    if ceiling is not None:
        rule(fig, y=ceiling)
        text = f"{ceiling_name} {ceiling:.2f}".replace("-", "−")
        ink = {"size": 12, "color": LIGHT["ink"]}
        note(fig, 0, ceiling, text, xref="x domain", yanchor="bottom", yshift=3, font=ink)
    finish(fig, 280, l=66)
    furthest = max(float(t.x[-1]) for t in traces) * 1.02
    fig.update_xaxes(range=[0, furthest], nticks=6, title_text=unit, tickformat=",")
    digits = max(0, int(np.ceil(0.5 - np.log10((high - low) / 6))))
    fig.update_yaxes(range=[low, high], nticks=6, tickformat=f",.{digits}f")
    return fig


def window(ys: Sequence[NDArray[np.float64]], ceiling: float | None) -> tuple[float, float]:
    """The part of the nats worth seeing: every end and the last part of the climb, not its first jump."""
    lowest_end = min(float(y[-1]) for y in ys)
    top = max(float(max(y.max() for y in ys)), -np.inf if ceiling is None else ceiling)
    low = max(min(float(y.min()) for y in ys), lowest_end - REACH)
    span = max(top - low, 1e-3)
    return low - 0.08 * span, top + (0.08 if ceiling is None else 0.16) * span
