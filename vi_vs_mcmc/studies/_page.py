"""A study's page: one head, light and dark, and tables that a screen reader and a phone can read.

No script but the figure's: a page without a figure prints, and needs nothing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from vi_vs_mcmc.figures.palette import LIGHT, SANS, TOKENS
from vi_vs_mcmc.files import replace_text

TOKEN_NAMES = ("paper", "ink", "ink2", "rule", "surface", "neg2", "pos2", "accent")


def cell(text: str | None, *, side: str = "", said: str = "", small: str = "") -> dict[str, str | None]:
    """A table's cell: what is seen, its class, words for who does not see the class, a remark. No text: nothing is there."""
    return {"text": text, "side": side, "said": said, "small": small}


def render(folder: Path, template: str, **values: Any) -> None:
    """study.html from a template of this folder."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    environment.globals["plural"] = lambda number, word: f"{number} {word}{'' if number == 1 else 's'}"
    page = environment.get_template(template)
    text = page.render(light=_tokens(0), dark=_tokens(1), sans=Markup(SANS), panel=LIGHT["paper"], **values)
    replace_text(folder / "study.html", text)


def write_figure(
    folder: Path, name: str, figure: Any, sentences: Sequence[str], table: pd.DataFrame, caption: str
) -> None:
    """figure.json, and a page: what was found, the figure, how to read it, and its numbers as a table."""
    replace_text(folder / "figure.json", str(figure.to_json()))
    options = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
    drawn = figure.to_html(include_plotlyjs=True, config=options, div_id=name, full_html=False)
    words = [column for column in table.columns if not pd.api.types.is_numeric_dtype(table[column])]
    numbers = [column for column in table.columns if column not in words]
    rows = [
        (", ".join(str(row[word]) for word in words), [cell(_written(row[number])) for number in numbers])
        for row in table.to_dict("records")
    ]
    render(
        folder,
        "_figure.html",
        name=name,
        figure=Markup(drawn),
        sentences=[Markup(html.escape(sentence)) for sentence in sentences],
        caption=caption,
        corner=", ".join(words),
        heads=numbers,
        rows=rows,
    )


def breakable(text: str) -> Markup:
    """A name that may break after - and _."""
    return Markup(re.sub(r"([-_])", r"\1<wbr>", str(escape(text))))


def _written(value: Any) -> str | None:
    return f"{value:.3g}".replace("-", "−") if pd.notna(value) else None


def _tokens(theme: int) -> Markup:
    return Markup("".join(f"--{name}:{TOKENS[name][theme]};" for name in TOKEN_NAMES))
