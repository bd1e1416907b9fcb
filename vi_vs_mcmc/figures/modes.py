"""What each optimum weighs by its bound, and what share of each chain's draws lie there: one row per optimum."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import finish, marker, safe
from vi_vs_mcmc.figures.palette import LIGHT, Style

ROW = 34  # pixels


def modes(
    elbo: NDArray[np.float64],
    weight: NDArray[np.float64],
    visits: NDArray[np.float64],
    reference: Style,
    finder: Style | None,
) -> go.Figure:
    """A square at the weight, a small open circle per chain, a filled one at their mean.

    Args:
        elbo: of each optimum, best first, nats, shape (optimum,).
        weight: its share by bounds, shape (optimum,).
        visits: share of each chain's draws, shape (optimum, chain).
        reference: whose chains they are.
        finder: the method that found the optima, where the page has it.
    """
    fig = go.Figure()
    rows = np.arange(len(elbo))
    names = [f"ELBO {v:.2f}".replace("-", "−") for v in elbo]
    square = {"symbol": "square", "color": LIGHT["ink2"], "size": 8.5, "line": {"width": 0}}
    fig.add_scatter(
        x=100 * weight,
        y=rows - 0.17,
        mode="markers",
        marker=marker(finder) if finder is not None else square,
        meta={"role": "weight"} | ({"method": finder.method} if finder is not None else {}),
        hovertext=[f"{name}<br>weight by bounds {100 * w:.2g} %" for name, w in zip(names, weight, strict=True)],
        hoverinfo="text",
    )
    chains = visits.shape[1]
    fig.add_scatter(
        x=100 * visits.ravel(),
        y=np.repeat(rows + 0.15, chains),
        mode="markers",
        marker={"symbol": "circle-open", "color": reference.color, "size": 6, "line": {"width": 1}},
        opacity=0.75,
        meta={"method": reference.method, "role": "chain"},
        hovertext=[
            f"{safe(reference.label)}, chain {c}: {100 * v:.2g} % of its draws<br>{name}"
            for name, some in zip(names, visits, strict=True)
            for c, v in enumerate(some)
        ],
        hoverinfo="text",
    )
    fig.add_scatter(
        x=100 * visits.mean(axis=1),
        y=rows + 0.15,
        mode="markers",
        marker=marker(reference),
        meta={"method": reference.method, "role": "mean"},
        hovertext=[
            f"{safe(reference.label)}, all chains: {100 * v:.2g} % of draws<br>{name}"
            for name, v in zip(names, visits.mean(axis=1), strict=True)
        ],
        hoverinfo="text",
    )
    finish(fig, ROW * len(elbo) + 68, l=112, t=8, b=48)
    highest = 100 * max(float(weight.max()), float(visits.max()))
    fig.update_xaxes(range=[-0.03 * highest, 1.05 * highest], nticks=6, title_text="share, %")
    fig.update_yaxes(tickvals=rows.tolist(), ticktext=names, range=[len(elbo) - 0.4, -0.6])
    return fig
