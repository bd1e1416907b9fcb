"""What was typed on the command line, as values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vi_vs_mcmc.errors import SettingError, unknown


def settings(model: str, pairs: list[str] | None, columns: str | None = None) -> dict[str, Any]:
    """KEY=VALUE pairs as arguments, and the columns; a value is JSON where it can be read as JSON, else a word."""
    from vi_vs_mcmc.plugins import load, settings_of

    known = settings_of(load(model))
    out = {}
    for words in pairs or []:
        key, text = pair("--set", words, "KEY=VALUE, for instance components=2")
        if key not in known:
            raise unknown("setting", key, known)
        if key in out:
            raise SettingError(f"setting {key!r} is given twice: --set {words}")
        try:
            out[key] = json.loads(text)
        except json.JSONDecodeError:
            out[key] = text
    if columns is not None:
        if "columns" not in known:
            raise SettingError(f"{model} has no setting columns; it has {', '.join(known) or 'none'}")
        if "columns" in out:
            raise SettingError("setting 'columns' is given twice: by --set and by --columns")
        out["columns"] = names(columns)
    return out


def pair(option: str, text: str, wanted: str) -> tuple[str, str]:
    """KEY=VALUE in two."""
    key, equals, value = text.partition("=")
    if not equals:
        raise SettingError(f"{option} {text!r}: want {wanted}")
    return key, value


def renamed(pairs: list[str] | None) -> dict[str, str]:
    """THEIRS=OURS pairs as {theirs: ours}."""
    found: dict[str, str] = {}
    for words in pairs or []:
        theirs, ours = pair("--rename", words, "THEIRS=OURS, for instance b=beta")
        if theirs in found:
            raise SettingError(f"--rename says twice what {theirs!r} is: {found[theirs]!r} and {ours!r}")
        found[theirs] = ours
    return found


def folder(model: str, data: str | None) -> Path:
    """Where a run is written when nobody says."""
    from vi_vs_mcmc.plugins import short

    return Path("reports") / (short(model) if data is None else f"{short(model)}-{Path(data).stem}")


def names(text: str) -> list[str]:
    """Names of columns, separated by commas."""
    return [name.strip() for name in text.split(",")]


def floats(name: str, text: str) -> list[float]:
    """Numbers, separated by commas."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise SettingError(f"--{name} is {text!r}; want numbers separated by commas") from None
