"""A run folder as one self-contained page: `write(folder)` writes report.html and figures/*.json."""

from __future__ import annotations

import json
from pathlib import Path

from vi_vs_mcmc.files import replace_text


def write(folder: Path) -> Path:
    """Make the page of a run folder; the same folder gives the same bytes.

    Args:
        folder: a run folder with comparison.csv, summary.json and posteriors/.

    Returns:
        The path of report.html, beside figures/NAME.json of every plot on it.

    Raises:
        DataError: a file is missing or damaged, or the summary's version is not known.
    """
    from vi_vs_mcmc.report.folder import read
    from vi_vs_mcmc.report.page import render, sections
    from vi_vs_mcmc.report.view import look

    folder = Path(folder)
    view = look(read(folder))
    parts = sections(view)
    figures = {p.id: _plain(p.figure) for s in parts for b in s.blocks for p in b.panels}
    page = render(view, parts, figures)
    _write_figures(folder / "figures", figures)
    return replace_text(folder / "report.html", page)


def _plain(figure) -> dict:
    spec = json.loads(figure.to_json())
    spec["layout"].pop("template", None)
    return spec


def _write_figures(folder: Path, figures: dict[str, dict]) -> None:
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.json"):
        if stale.stem not in figures:
            stale.unlink()
    for name, spec in figures.items():
        replace_text(folder / f"{name}.json", json.dumps(spec, separators=(",", ":")) + "\n")
