"""How much more often the posterior visits a draw than the method does: log importance ratios."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import finish, line, note, rule, safe
from vi_vs_mcmc.figures.palette import Style

BINS = 48


def ratios(logs: Mapping[str, NDArray[np.float64]], styles: Mapping[str, Style]) -> go.Figure:
    """`logs` per method: log p - log q of each draw minus the log of its mean ratio (nats), shape (draw,)."""
    fig = go.Figure()
    low = min(float(np.quantile(v, 0.002)) for v in logs.values())
    high = max(float(v.max()) for v in logs.values())
    edges = np.linspace(min(low, -0.5), max(high, 0.5), BINS + 1)
    rule(fig, x=0)
    for method, values in logs.items():
        counts, _ = np.histogram(values, edges)
        fig.add_scatter(
            x=((edges[1:] + edges[:-1]) / 2).round(4),
            y=(100 * counts / len(values)).round(4),
            mode="lines",
            line=line(styles[method], 2),
            meta={"method": method},
            hovertemplate=f"{safe(styles[method].label)}: %{{y:.1f}} % of draws near %{{x:.1f}} nats<extra></extra>",
        )
    note(fig, 0, 1, "visited as often", yref="paper", yanchor="bottom", xanchor="center", yshift=2)
    finish(fig, 280, l=44, t=26, b=48)
    fig.update_xaxes(nticks=8, title_text="log of posterior ÷ method, nats")
    fig.update_yaxes(rangemode="tozero", nticks=5)
    return fig
