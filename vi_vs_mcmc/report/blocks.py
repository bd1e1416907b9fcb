"""The pieces a section is made of: figures with their words, tables, and the sections themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go

from vi_vs_mcmc.report.words import NONE


@dataclass(frozen=True)
class Table:
    """A table of sentences; the first column heads its row, after a symbol where `methods` are given."""

    caption: str
    head: Sequence[str]
    body: Sequence[Sequence[str]]
    left: Sequence[int] = (0,)  # columns set flush left
    methods: Sequence[str] = ()
    groups: Mapping[int, str] = field(default_factory=dict)  # headings over rows, by the row they precede

    @property
    def dashed(self) -> bool:
        """Whether a number is missing, which the table must then explain."""
        return any(cell.startswith(NONE) for row in self.body for cell in row)


@dataclass(frozen=True)
class Panel:
    """One plot: a figure and the small heading over it."""

    id: str
    figure: go.Figure
    name: str  # what a screen reader hears
    sub: str = ""
    unit: str = ""  # after the small heading, lighter
    following: str = ""  # "parameter" or "method": the small heading is the chosen one

    @property
    def height(self) -> int:
        """The figure's height in pixels, kept free until it is drawn."""
        return int(self.figure.to_plotly_json()["layout"]["height"])


@dataclass(frozen=True)
class Block:
    """A finding, what it shows here, how to read it, its plots and its numbers."""

    id: str
    title: str
    what: str
    read: str
    panels: Sequence[Panel]
    table: Table | None = None
    columns: int = 1
    beside: bool = False  # words to the left of the plot
    kind: str = "plain"  # "marginal", "pair" and "matrix" have pieces of their own
    against: bool = False  # offers a choice of method
    level: int = 3


@dataclass(frozen=True)
class Section:
    """One entry of the contents."""

    id: str
    title: str
    intro: str
    blocks: Sequence[Block] = field(default_factory=tuple)
