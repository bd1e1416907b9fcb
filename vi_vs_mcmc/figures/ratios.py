"""How much more often the posterior visits a draw than the method does: log importance ratios."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import finish, line, note, rule, safe
from vi_vs_mcmc.figures.palette import Style

BINS = 48
REACH = 12.0  # nats shown left of the lowest median
LOWEST = -40.0  # nats; nothing further left is shown


def ratios(logs: Mapping[str, NDArray[np.float64]], styles: Mapping[str, Style]) -> go.Figure:
    """`logs` per method: log p - log q of each draw minus the log of its mean ratio (nats), shape (draw,)."""
    fig = go.Figure()
    low = min(float(np.quantile(v, 0.002)) for v in logs.values())
    low = max(low, min(float(np.median(v)) for v in logs.values()) - REACH, LOWEST)
    high = max(float(v.max()) for v in logs.values())
    edges = np.linspace(min(low, -0.5), max(high, 0.5), BINS + 1)
    shares = {m: (100 * np.histogram(v, edges)[0] / len(v)).round(4) for m, v in logs.items()}
    top = 1.06 * max(float(s.max()) for s in shares.values())
    rule(fig, x=0, span=(0, top))
    for method, share in shares.items():
        fig.add_scatter(
            x=((edges[1:] + edges[:-1]) / 2).round(4),
            y=share,
            mode="lines",
            line=line(styles[method], 2),
            meta={"method": method},
            hovertemplate=f"{safe(styles[method].label)}: %{{y:.1f}} % of draws near %{{x:.1f}} nats<extra></extra>",
        )
    beyond = {m: share for m, v in logs.items() if (share := float((v < low).mean())) > 0.005}
    if beyond:
        text = ", ".join(f"{100 * share:.0f}\u202f% of {safe(styles[m].label)}" for m, share in beyond.items())
        note(fig, 0, 0.97, f"← further left: {text}", xref="x domain", yref="y domain", yanchor="top", xshift=4)
    note(fig, 0, 1, "visited as often", yref="paper", yanchor="bottom", xanchor="center", yshift=2)
    finish(fig, 280, l=44, t=26, b=48)
    fig.update_xaxes(nticks=8, title_text="log of posterior ÷ method, nats")
    fig.update_yaxes(range=[0, top], nticks=5)
    return fig
