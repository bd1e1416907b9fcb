"""The two figures of the page: bars with the spread of pairs, and lines on log axes with their slopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vi_vs_mcmc.figures.canvas import finish, note, safe
from vi_vs_mcmc.figures.palette import LIGHT
from vi_vs_mcmc.report.blocks import Panel

from .timing import seconds, three

Bar = tuple[str, float, float, float, float | None, bool | None]  # label, value, low, high, wanted, met
ROW = 46  # pixels: a line of words, and a bar
_DECADES = range(-4, 6)


def ratio_bars(name: str, title: str, rows: Sequence[Mapping[str, Any]], axis: str) -> list[Panel]:
    """Bars of every row that has a ratio; no panel where none has."""
    entries = [(r["claim"], r["ratio"], r["low"], r["high"], r["least"], r["met"]) for r in rows if r["ratio"]]
    return [bars(f"{name}-bars", f"{title}: ratios", entries, axis)] if entries else []


def bars(id: str, name: str, entries: Sequence[Bar], axis: str, *, log: bool = True) -> Panel:
    """A bar for each entry, from 1 (log) or 0; a thin line from low to high; an upright mark at what is wanted.

    A bar that falls short is hollow.
    """
    fig, base = go.Figure(), 1.0 if log else 0.0
    places = np.arange(len(entries), dtype=float)
    values = np.array([e[1] for e in entries])
    short = [e[5] is False for e in entries]
    shown = [f"{three(v)}×" if log else seconds(v) for v in values]
    hover = [f"{safe(e[0])}<br>{_spread(e, log)}{_goal(e, log)}" for e in entries]
    fig.add_bar(
        x=values - base,
        y=places,
        base=base,
        orientation="h",
        width=0.3,
        marker={
            "color": [LIGHT["paper"] if s else LIGHT["slate"] for s in short],
            "line": {"color": LIGHT["slate"], "width": 1.5},
        },
        hovertext=hover,
        hoverinfo="text",
    )
    for at, (_, _, low, high, wanted, _) in zip(places, entries, strict=True):
        fig.add_scatter(
            x=[low, high], y=[at, at], mode="lines", line={"color": LIGHT["ink"], "width": 1.5}, hoverinfo="skip"
        )
        if wanted is not None:
            mark = {"color": LIGHT["ink"], "width": 3}
            fig.add_scatter(x=[wanted] * 2, y=[at - 0.2, at + 0.2], mode="lines", line=mark, hoverinfo="skip")
    every = np.array([v for e in entries for v in e[1:5] if v is not None] + ([1.0] if log else []))
    low, high = (every.min() / 1.3, every.max() * 2.2) if log else (0.0, every.max() * 1.22)
    scale = np.log10 if log else float
    for at, entry, text in zip(places, entries, shown, strict=True):
        left = scale(low)
        note(fig, left, at - 0.38, safe(entry[0]), xshift=2, font={"size": 12.5, "color": LIGHT["ink"]})
        end = max(entry[1], entry[3], entry[4] or base, base)
        note(fig, scale(end), at, text, xshift=8, font={"size": 12.5, "color": LIGHT["ink"]})
    finish(fig, int(64 + ROW * len(entries)), l=8, r=8, t=4)
    fig.update_yaxes(visible=False, range=[len(entries) - 0.62, -0.62])
    fig.update_xaxes(title_text=axis, range=[scale(low), scale(high)])
    if log:
        ticks = [
            t
            for d in _DECADES
            for t in ((1, 2, 5) if high / low < 200 else (1,))
            for t in [t * 10.0**d]
            if low <= t <= high
        ]
        fig.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{t:g}×" for t in ticks])
    return Panel(id, fig, f"{name}: {'; '.join(f'{e[0]} {t}' for e, t in zip(entries, shown, strict=True))}")


def lines(curves: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """Seconds against one size each, log-log, with the fitted line; `curves` hold name, unit, values, seconds, slope."""
    every = np.array([s for c in curves for s in c["seconds"]]) * 1e3
    low, high = every.min() / 1.5, every.max() * 1.5
    panels = []
    for c in curves:
        x, y = np.asarray(c["values"], float), np.asarray(c["seconds"]) * 1e3
        fig = go.Figure()
        at = np.polyfit(np.log(x), np.log(y), 1)
        fit = {"color": LIGHT["faint"], "width": 1.5, "dash": "dot"}
        fig.add_scatter(x=x, y=np.exp(np.polyval(at, np.log(x))), mode="lines", line=fit, hoverinfo="skip")
        fig.add_scatter(
            x=x,
            y=y,
            mode="lines+markers",
            line={"color": LIGHT["slate"], "width": 2.25},
            marker={"color": LIGHT["slate"], "size": 8},
            hovertext=[f"{c['name']} = {v:g}<br>{t:.3g} ms" for v, t in zip(x, y, strict=True)],
            hoverinfo="text",
        )
        finish(fig, 280, l=46, r=16)
        ticks = [t * 10.0**d for d in _DECADES for t in (1, 2, 5) if low <= t * 10.0**d <= high]
        if len(ticks) > 6:
            ticks = [10.0**d for d in _DECADES if low <= 10.0**d <= high]
        fig.update_yaxes(
            type="log", range=list(np.log10([low, high])), tickvals=ticks, ticktext=[f"{t:g}" for t in ticks]
        )
        room = [x.min() / 1.2, x.max() * 1.2]
        fig.update_xaxes(
            type="log",
            range=list(np.log10(room)),
            tickvals=x,
            ticktext=[_size(v) for v in x],
            title_text=f"{c['unit']} (log)",
        )
        text = f"slope {c['slope']:.2f}"
        panels.append(
            Panel(
                f"scaling-{c['name']}",
                fig,
                f"Milliseconds of a pass against {c['unit']}: {text}",
                text,
                "ms a pass, log",
            )
        )
    return panels


def _size(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def _spread(e: Bar, log: bool) -> str:
    word = (lambda v: f"{three(v)}×") if log else seconds
    return f"{word(e[1])}, {word(e[2])} to {word(e[3])}"


def _goal(e: Bar, log: bool) -> str:
    if e[4] is None:
        return ""
    goal = f"at least {e[4]:g}×" if log else f"under {e[4]:g} s"
    return f"<br>wanted: {goal}{', falls short' if e[5] is False else ''}"
