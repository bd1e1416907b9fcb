"""How far each method's bound falls short of the log evidence, and for what: one bar of parts per method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from vi_vs_mcmc.figures.canvas import clipped, finish, rule, safe
from vi_vs_mcmc.figures.palette import LIGHT, Style

ROW = 92  # pixels: a name, its parts in numbers, the bar, the parts' names
NARROWEST = 310  # pixels of the axis on a phone, by which a part's name must fit its part
LETTER = 7.5  # pixels


@dataclass(frozen=True)
class Part:
    """One part of a gap: its name, its size and whether it is what labels, q(z), q(theta) or all of q costs."""

    name: str
    nats: float
    kind: str  # "labels", "local", "parameters" or "rest": each has a texture


def gap(parts: Mapping[str, Sequence[Part]], totals: Mapping[str, float], styles: Mapping[str, Style]) -> go.Figure:
    """`parts` and `totals` per method, nats; parts in the order they are stacked, away from the log evidence."""
    fig = go.Figure()
    widest = max([sum(_drawn(p) for p in some) for some in parts.values()] + [1e-6])
    margin = 0.008 * widest  # keeps words off the line
    rule(fig, x=0)
    for i, (method, some) in enumerate(parts.items()):
        style, start = styles[method], 0.0
        for part in some:
            fig.add_bar(
                x=[_drawn(part)],
                y=[i + 0.14],
                base=[start],
                orientation="h",
                width=0.26,
                marker=_texture(part.kind, style),
                meta={"method": method, "role": part.kind},
                hovertemplate=f"{safe(style.label)}, {safe(part.name)}: {_nats(part.nats)} nats<extra></extra>",
            )
            if _drawn(part) / widest > (LETTER * len(part.name) + 6) / NARROWEST:
                _text(fig, method, start + _drawn(part) / 2, i + 0.41, safe(part.name), "middle center")
            start += _drawn(part)
        bold = {"size": 13, "color": LIGHT["ink"], "weight": 600}
        _text(fig, method, margin, i - 0.36, f"{safe(clipped(style.label, 30))} {_nats(totals[method])}", textfont=bold)
        if len(some) > 1:
            _text(fig, method, margin, i - 0.13, safe(" + ".join(f"{p.name} {_nats(p.nats)}" for p in some)))
    finish(fig, ROW * len(parts) + 66, l=8, t=6, b=48)
    fig.update_layout(barmode="overlay")
    fig.update_xaxes(range=[0, 1.04 * widest], nticks=6, title_text="nats below the log evidence")
    fig.update_yaxes(range=[len(parts) - 0.4, -0.55], showticklabels=False, showgrid=False)
    return fig


def _drawn(part: Part) -> float:
    """A part that its Monte Carlo error turned negative has no length."""
    return max(float(part.nats), 0.0)


def _texture(kind: str, style: Style) -> dict[str, Any]:
    """Plain, hatched or filled: the method's colour is the same in all of them."""
    edge = {"color": style.color, "width": 1.25}
    if kind == "parameters":
        return {"color": style.color, "line": edge}
    shape = {"labels": "", "local": "/", "rest": "."}[kind]
    if not shape:
        return {"color": LIGHT["paper"], "line": edge}
    pattern = {"shape": shape, "fgcolor": style.color, "bgcolor": LIGHT["paper"], "size": 7, "solidity": 0.3}
    return {"color": LIGHT["paper"], "line": edge, "pattern": pattern}


def _text(fig: go.Figure, method: str, x: float, y: float, text: str, place: str = "middle right", **font: Any) -> None:
    """A text that is hidden with its method, as an annotation would not be."""
    fig.add_scatter(
        x=[x],
        y=[y],
        text=[text],
        mode="text",
        textposition=place,
        cliponaxis=False,
        hoverinfo="skip",
        meta={"method": method, "role": "text"},
        **({"textfont": {"size": 12, "color": LIGHT["ink2"]}} | font),
    )


def _nats(value: float) -> str:
    text = f"{value:.2f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")
