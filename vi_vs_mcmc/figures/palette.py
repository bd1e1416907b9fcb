"""Colours as (light, dark) pairs, and one colour, symbol and dash per method.

Colour means method and nothing else. Hues are those of Okabe and Ito (2008), darkened until they reach 3:1
on the page's paper. Every colour in a figure is a light one from here; the page swaps them when it is dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vi_vs_mcmc.names import spoken

TOKENS: dict[str, tuple[str, str]] = {
    "paper": ("#FDFDFC", "#14171A"),
    "surface": ("#F5F5F2", "#1C2024"),
    "band": ("#ECECE7", "#23282D"),
    "grid": ("#E6E6E1", "#2A2F35"),
    "rule": ("#D9D9D3", "#363C43"),
    "ink": ("#1B1D1F", "#ECEAE5"),
    "ink2": ("#53575C", "#AEB3B9"),
    "faint": ("#868A90", "#757B83"),
    "accent": ("#5646B4", "#B5A9FF"),
    "accentbg": ("#EFEDFA", "#29263F"),
    "vermillion": ("#D55E00", "#E66A0A"),
    "blue": ("#0072B2", "#56B4E9"),
    "green": ("#009073", "#17B08A"),
    "purple": ("#B8609A", "#CC79A7"),
    "olive": ("#85780E", "#C9BC4E"),
    "slate": ("#5A6C93", "#9DB0DA"),
    "neg2": ("#8C510A", "#E3B765"),
    "neg1": ("#D8B365", "#7D5E26"),
    "mid": ("#F4F4F1", "#1E2226"),
    "pos1": ("#6DBDB5", "#256B65"),
    "pos2": ("#01665E", "#67CFC4"),
    "sure": ("#7B7F86", "#6E757D"),
}
LIGHT = {name: pair[0] for name, pair in TOKENS.items()}
SANS = (
    'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans",'
    " Arial, sans-serif"
)
MONO = 'ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", Menlo, Consolas, "Liberation Mono", monospace'
SYMBOL_PATHS = {  # in a box from -7 to 7
    "circle": "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0",
    "square": "M-4.5,-4.5h9v9h-9z",
    "diamond": "M0,-6.2L5.6,0L0,6.2L-5.6,0z",
    "triangle-up": "M0,-5.8L5.8,4.6H-5.8z",
    "cross": "M-5.5,-2h3.5v-3.5h4v3.5h3.5v4h-3.5v3.5h-4v-3.5h-3.5z",
    "triangle-down": "M0,5.8L5.8,-4.6H-5.8z",
    "hexagon": "M-2.9,-5H2.9L5.8,0L2.9,5H-2.9L-5.8,0z",
}
SYMBOL_SIZES = {  # equal to the eye
    "circle": 9.0,
    "square": 8.5,
    "diamond": 10.0,
    "triangle-up": 11.5,
    "cross": 10.5,
    "triangle-down": 11.5,
    "hexagon": 10.0,
}

_REFERENCE = ("ink", "circle", "solid")
_RESERVED = {
    "cavi": ("vermillion", "square", "dash"),
    "lrvb": ("blue", "diamond", "solid"),
    "svi:AutoNormal": ("green", "triangle-up", "dot"),
}
_CYCLE = (  # for methods without a place of their own, after the reserved ones that are not taken
    ("purple", "cross", "dashdot"),
    ("olive", "triangle-down", "longdash"),
    ("slate", "hexagon", "longdashdot"),
    *_RESERVED.values(),
)
_NOTES = {
    "nuts": "Hamiltonian Monte Carlo",
    "gibbs": "sampling the labels too",
    "exact": "the posterior in closed form",
    "cavi": "mean field, coordinate ascent",
    "lrvb": "CAVI corrected by linear response",
    "svi:AutoNormal": "independent normals, stochastic",
    "svi:AutoDiagonalNormal": "independent normals, stochastic",
    "svi:AutoMultivariateNormal": "one full normal, stochastic",
    "svi:AutoLowRankMultivariateNormal": "a low-rank normal, stochastic",
    "svi:AutoIAFNormal": "a normalising flow, stochastic",
    "laplace": "a normal at the mode",
    "dadvi": "independent normals, fixed draws",
    "dadvi-lr": "DADVI corrected by linear response",
    "pathfinder": "normals along the way to the mode",
    "em": "the mode, a single point",
}


@dataclass(frozen=True)
class Style:
    """How one method looks and what it is called, the same in every figure, table and sentence."""

    method: str
    label: str
    note: str  # one line under the label; may be empty
    token: str
    symbol: str
    dash: str
    css: str  # a class name that holds nothing of the user's

    @property
    def color(self) -> str:
        """The light colour, as figures are drawn."""
        return LIGHT[self.token]

    @property
    def size(self) -> float:
        """The marker size at which all symbols look equally large."""
        return SYMBOL_SIZES[self.symbol]

    @property
    def path(self) -> str:
        """The symbol as an SVG path."""
        return SYMBOL_PATHS[self.symbol]


def styles(reference: str, methods: Sequence[str]) -> dict[str, Style]:
    """One style per method, the reference first; known ones keep theirs, others take the next free.

    Args:
        reference: the method the others are judged against; always ink and a circle.
        methods: the judged methods, in the order of the page.
    """
    looks = {reference: _REFERENCE, **{m: _RESERVED[m] for m in methods if m in _RESERVED}}
    free = [look for look in _CYCLE if look not in looks.values()] or list(_CYCLE)
    for m in methods:
        if m not in looks:
            looks[m] = free.pop(0)
            free = free or list(_CYCLE)
    return {
        m: Style(m, spoken(m), "the reference" if m == reference else _note(m), *looks[m], css=f"m{i}")
        for i, m in enumerate([reference, *(m for m in methods if m != reference)])
    }


def _note(method: str) -> str:
    return _NOTES.get(method, "stochastic" if method.startswith("svi:") else "")
