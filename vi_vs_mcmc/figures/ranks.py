"""Rank plots: where in the order of all draws each chain's draws lie.

Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16(2).
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from vi_vs_mcmc.figures.canvas import finish, note, rule
from vi_vs_mcmc.figures.palette import LIGHT


def ranks(counts: NDArray[np.int64]) -> go.Figure:
    """`counts` (chain, bin): draws of each chain per bin of the ranks; even bins mean agreement."""
    chains, bins = counts.shape
    expected = counts.sum() / counts.size
    fig = make_subplots(1, chains, shared_yaxes=True, horizontal_spacing=0.08 / chains)
    for c in range(chains):
        place = {"row": 1, "col": c + 1}
        fig.add_bar(
            x=np.arange(bins) + 0.5,
            y=counts[c],
            marker={"color": LIGHT["sure"], "line": {"width": 0}},
            hovertemplate=f"chain {c}: %{{y}} draws, {expected:.0f} expected<extra></extra>",
            meta={"role": "rank", "chain": c},
            **place,
        )
        axis = "x" if c == 0 else f"x{c + 1}"
        rule(fig, y=expected, x0=0, x1=bins, layer="above", xref=axis, yref="y")
        note(fig, 0.5, 1, f"chain {c}", xref=f"{axis} domain", yref="paper", xanchor="center", yanchor="bottom")
    finish(fig, 190, l=44, t=22, b=20)
    fig.update_layout(bargap=0.12)
    fig.update_xaxes(showticklabels=False, showgrid=False)
    fig.update_yaxes(range=[0, 1.45 * expected], nticks=4)
    return fig
