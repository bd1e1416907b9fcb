"""EM step by step: log p(x, theta) = ELBO + KL, in numbers."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vi_vs_mcmc.figures.climb import Trace, climb
from vi_vs_mcmc.figures.palette import Style
from vi_vs_mcmc.report.blocks import Block, Panel, Table
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import count, number, rough

_SMALLEST = 1e-9  # nats of KL that are drawn: below it rounding decides
_ROWS = 15  # steps in the table


def em_steps(view: View) -> Block | None:
    """The bound, log p and their gap after each M-step; None if no method keeps all three."""
    for method in view.methods:
        tree = view.run.posteriors[method]
        group = tree["variational"].to_dataset() if "variational" in tree.children else {}
        if {"elbo", "log_joint", "kl"} <= set(group):
            bound, joint, gap = (np.asarray(group[n].to_numpy(), float) for n in ("elbo", "log_joint", "kl"))
            return _block(view, method, bound, joint, gap) if joint.size > 1 else None
    return None


def _block(
    view: View, method: str, bound: NDArray[np.float64], joint: NDArray[np.float64], gap: NDArray[np.float64]
) -> Block:
    style, name, steps = view.styles[method], view.label(method), np.arange(1.0, joint.size + 1)
    heights = climb([Trace(steps, joint), Trace(steps, bound, best=False)], style, "step")
    panels = [
        Panel(
            f"joint-{style.css}",
            heights,
            f"log p and ELBO of {style.label} by step",
            "log p(x, θ) over the ELBO",
            "nats, after each M-step",
        ),
        Panel(
            f"kl-{style.css}",
            _gaps(steps, gap, style),
            f"KL divergence of {style.label} by step",
            "KL(q(z) ‖ p(z | x, θ))",
            "nats, after each M-step; powers of ten",
        ),
    ]
    title = f"{name}’s log p is its ELBO plus a KL, which {_course(gap)} nats"
    off = float(np.abs(joint - bound - gap).max())
    rise = f"from {number(float(joint[0]), 2)} to {number(float(joint[-1]), 2)} nats"
    what = (
        f"In {count(joint.size)} steps log p rises {rise}. The KL, computed from the probabilities of every z, is log p "
        f"minus the ELBO at each of them, to {rough(max(off, 1e-15), 1)} nats."
    )
    read = (
        "An E-step sets q(z) to the posterior of z at the current parameters: the KL is 0 and the ELBO touches log p. "
        "The M-step then moves the parameters to raise the ELBO, the fainter line; log p rises by as much and by the KL "
        "that opens. Where the KL stays 0 the parameters have stopped. This is the density of one point, not a "
        "bound of the evidence: its height does not compare with the ELBO of a method that has a spread."
    )
    some = np.unique(np.geomspace(1, joint.size, min(_ROWS, joint.size)).round().astype(int)) - 1
    body = [
        [count(i + 1), number(float(joint[i]), 6), number(float(bound[i]), 6), rough(float(gap[i]), 2)] for i in some
    ]
    table = Table("log p, ELBO and KL by step", ["step", "log p(x, θ)", "ELBO", "KL"], body)
    return Block(f"steps-{style.css}", title, what, read, panels, table, columns=2)


def _course(gap: NDArray[np.float64]) -> str:
    """Where the KL begins and ends, and its top where it rises before it falls."""
    top, first, last = int(gap.argmax()), rough(float(gap[0]), 2), rough(float(gap[-1]), 1)
    peak = rough(float(gap[top]), 2)
    if top == 0 or peak == first:
        return f"falls from {first} to {last}"
    return f"rises from {first} to {peak} at step {count(top + 1)}, then falls to {last}"


def _gaps(steps: NDArray[np.float64], gap: NDArray[np.float64], style: Style) -> go.Figure:
    """The KL on a scale of powers of ten: it falls geometrically, at the rate of the climb."""
    shown = np.flatnonzero(gap > _SMALLEST)
    shown = shown if shown.size else np.array([0])
    kept = np.maximum(gap[shown], _SMALLEST)
    fig = climb([Trace(steps[shown], kept)], style, "step")
    fig.update_traces(y=kept, hovertemplate=f"{style.label}, step %{{x}}: %{{y:.2e}} nats<extra></extra>")
    low, high = np.log10(kept.min()), np.log10(kept.max())
    fig.update_yaxes(type="log", range=[low - 0.3, high + 0.3], tickformat=None, dtick=2)
    return fig.update_xaxes(range=[0, steps[-1] * 1.02])
