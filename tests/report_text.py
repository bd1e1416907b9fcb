"""A page as a reader meets it: its source, its words, its headings."""

from __future__ import annotations

import html
import re
from pathlib import Path


def source(folder: Path) -> str:
    """The whole page."""
    return (folder / "report.html").read_text(encoding="utf-8")


def markup(folder: Path) -> str:
    """The page without its scripts and style; these come in one head and one tail, most of the file."""
    page = source(folder)
    body = page[page.index("<body>") : page.index('<script type="application/json"')]
    return page[page.index("<title>") : page.index("</title>")] + body


def words(folder: Path) -> str:
    """The page's text."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", markup(folder))))


def titles(folder: Path) -> str:
    """The headings over the figures."""
    return re.sub(r"<[^>]+>", "", " | ".join(re.findall(r"<h3 id=.*?</h3>", markup(folder), flags=re.S)))
