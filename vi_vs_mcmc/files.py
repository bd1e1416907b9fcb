"""Files that are whole at every moment."""

from __future__ import annotations

from pathlib import Path


def replace_text(path: Path, text: str) -> Path:
    """Write beside the old file and rename, so that a reader never sees half of it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8", newline="\n")
    fresh.replace(path)
    return path
