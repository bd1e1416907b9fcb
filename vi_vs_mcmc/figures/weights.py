"""The weight of every component under every method, with 90 % intervals, and the true ones where known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.canvas import finish, marker, note, safe
from vi_vs_mcmc.figures.palette import LIGHT, Style


def weights(
    quantiles: Mapping[str, NDArray[np.float64]], styles: Mapping[str, Style], truth: Sequence[float] | None
) -> go.Figure:
    """`quantiles` (3, component): 5, 50 and 95 % of each component's weight; `truth` (component,) or None."""
    fig = go.Figure()
    components = next(iter(quantiles.values())).shape[1]
    truth = truth if truth is not None and len(truth) == components else None
    for k, value in enumerate(truth or ()):
        dotted = {"color": LIGHT["faint"], "width": 1.5, "dash": "dot"}
        fig.add_shape(type="line", x0=value, x1=value, y0=k - 0.42, y1=k + 0.42, line=dotted)
    if truth:
        note(fig, truth[0], -0.44, "truth", xanchor="center", yanchor="bottom", name="truth")
    offsets = np.linspace(-0.28, 0.28, len(quantiles)) if len(quantiles) > 1 else [0.0]
    for (method, q), offset in zip(quantiles.items(), offsets, strict=True):
        style = styles[method]
        fig.add_scatter(
            x=q[1],
            y=np.arange(components) + offset,
            mode="markers",
            meta={"method": method},
            marker=marker(style),
            error_x={
                "type": "data",
                "symmetric": False,
                "array": q[2] - q[1],
                "arrayminus": q[1] - q[0],
                "thickness": 2,
                "width": 0,
                "color": style.color,
            },
            hovertext=[
                f"{safe(style.label)}, component {k}<br>{q[1, k]:.3f}, 90 % interval [{q[0, k]:.3f}, {q[2, k]:.3f}]"
                for k in range(components)
            ],
            hoverinfo="text",
        )
    finish(fig, int(76 + max(14 * len(quantiles), 30) * components), l=96, t=12)
    names = [f"component {k}" for k in range(components)]
    rows = {"tickvals": list(range(components)), "ticktext": names}
    fig.update_yaxes(**rows, range=[components - 0.4, -0.75], showgrid=False)
    highest = max(float(q[2].max()) for q in quantiles.values())
    widest = min(1.02, max([highest, *(truth or ())]) * 1.08)
    fig.update_xaxes(range=[-0.02 * widest, widest], nticks=6, title_text="weight")
    return fig
