"""sd ratio against the distance between two components: where mean field stops being harmless."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from vi_vs_mcmc.figures.canvas import finish, marker, note, rule, safe
from vi_vs_mcmc.figures.palette import LIGHT, styles


def overlap(table: pd.DataFrame, reference: str = "nuts") -> go.Figure:
    """Each scalar of each data set as a dot, the median as a line; `table` is the tidy table of the study.

    Comparisons whose reference failed its checks are left out.
    """
    told = table[table["judged"] & (table["verdict"] != "no verdict")]
    looks = styles(reference, list(table["method"].unique()))
    fig = go.Figure()
    fig.add_shape(
        type="rect", x0=0, x1=1, xref="x domain", y0=0.9, y1=1.1, fillcolor=LIGHT["band"], line_width=0, layer="below"
    )
    rule(fig, y=1.0)
    for method, rows in told.groupby("method", sort=False):
        style = looks[str(method)]
        middle = rows.groupby("separation")["sd_ratio"].median()
        fig.add_scatter(
            x=rows["separation"],
            y=rows["sd_ratio"],
            mode="markers",
            marker={"size": 4, "color": style.color, "opacity": 0.35},
            hovertext=[
                f"{safe(style.label)}, {safe(p)}<br>sd ratio {v:.2f}"
                for p, v in zip(rows["parameter"], rows["sd_ratio"], strict=True)
            ],
            hoverinfo="text",
        )
        fig.add_scatter(
            x=middle.index,
            y=middle,
            mode="lines+markers",
            line={"color": style.color, "width": 2.5, "dash": style.dash},
            marker=marker(style),
            hovertemplate=f"{safe(style.label)}, median of all scalars: %{{y:.2f}}<extra></extra>",
        )
        if len(middle):
            note(fig, middle.index[0], float(middle.iloc[0]), safe(style.label), yanchor="top", yshift=-8)
    note(fig, 0.0, 1.0, "sd under the method ÷ sd under NUTS", xref="paper", yref="paper", yanchor="bottom", yshift=6)
    finish(fig, 420, l=52, t=36, b=52)
    low = float(np.nanmin(told["sd_ratio"])) if len(told) else 0.5
    fig.update_yaxes(range=[min(0.9, low) - 0.05, 1.15])
    fig.update_xaxes(title_text="distance between the two means, in sds of a component")
    return fig
