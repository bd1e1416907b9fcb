"""The page's one style sheet: colours of both themes and of the methods, then the sheets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vi_vs_mcmc.figures.palette import MONO, SANS, TOKENS, Style

_HERE = Path(__file__).parent


def stylesheet(styles: Iterable[Style], heights: Iterable[int]) -> str:
    """Build the sheet; `heights` are the plots' (pixels), so that nothing moves when they are drawn."""
    methods = list(styles)
    light, dark = _variables(methods, 0), _variables(methods, 1)
    css = [
        f":root{{color-scheme:light;{light}--sans:{SANS};--mono:{MONO}}}",
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}",
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}",
        *map(_read, ("style.css", "evidence.css", "narrow.css")),
        *(f".s-{s.css}{{stroke:var(--{s.css})}}.f-{s.css}{{fill:var(--{s.css})}}" for s in methods),
        *(f".h-{h}{{min-height:{h}px}}" for h in sorted(set(heights))),
        ".plot.done{min-height:0}",
        _printing(_read("print.css")),
    ]
    return "\n".join(css)


def _printing(rules: str) -> str:
    """The print rules twice: for paper, and under a class, so that plots get paper width before printing."""
    return (
        "@page{margin:14mm 13mm}:root.printing{--paper:#FFFFFF}\n"
        f".printing{{body{{width:184mm}}\n{rules}}}\n"
        f"@media print{{body{{width:auto}}\n{rules}}}"
    )


def _variables(methods: Iterable[Style], theme: int) -> str:
    tokens = "".join(f"--{name}:{pair[theme]};" for name, pair in TOKENS.items())
    return tokens + "".join(f"--{s.css}:{TOKENS[s.token][theme]};" for s in methods)


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8").replace("\r\n", "\n")
