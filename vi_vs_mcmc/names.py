"""How methods and numbers are spoken of, on the page and in the terminal."""

from __future__ import annotations

import re
from pathlib import Path

SPOKEN = {
    "nuts": "NUTS",
    "gibbs": "Gibbs",
    "cavi": "CAVI",
    "lrvb": "LRVB",
    "laplace": "Laplace",
    "dadvi": "DADVI",
    "dadvi-lr": "DADVI-LR",
    "pathfinder": "Pathfinder",
    "exact": "Exact",
    "em": "EM",
}
NARROW = "\u202f"  # narrow no-break space, between a number and its unit


def spoken(method: str) -> str:
    """A method's name in a sentence: `svi:AutoNormal` is SVI AutoNormal; an unknown name stays as it is."""
    if method.startswith("svi:"):
        return f"SVI {method[4:]}"
    return SPOKEN.get(method, method)


def known(method: str) -> bool:
    """Whether a reader knows the method by its name; a name from a file may say nothing."""
    return method in SPOKEN or method.startswith("svi:")


def the(reference: str) -> str:
    """A reference as a noun: NUTS; the reference, where only a file knows its name."""
    return spoken(reference) if known(reference) else "the reference"


def bare(reference: str) -> str:
    """The same before another noun: NUTS draws, reference draws."""
    return spoken(reference) if known(reference) else "reference"


def percent(share: float, digits: int = 0) -> str:
    """0.863 -> 86 %."""
    return f"{100 * share:.{digits}f}{NARROW}%"


def signed(value: float, digits: int = 2) -> str:
    """A number with a true minus and without "-0.00"."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "\u2212") if float(text) else text.lstrip("-")


def apart(value: float, limit: float) -> tuple[str, str]:
    """A number and its limit, with two decimals, or as many more (up to four) as tell them apart."""
    pairs = ((signed(value, digits), signed(limit, digits)) for digits in (2, 3, 4))
    first = next(pairs)
    return first if value == limit or first[0] != first[1] else next((p for p in pairs if p[0] != p[1]), first)


def between(low: float, high: float, digits: int = 2) -> str:
    """An interval in brackets that does not break across lines."""
    return f"[{signed(low, digits)},\u00a0{signed(high, digits)}]"


def count(number: int) -> str:
    """A whole number with thousands set apart."""
    return f"{number:,}".replace(",", NARROW)


def file_name(method: str) -> str:
    """A method's name as a file's: `svi:AutoNormal` -> `svi-AutoNormal`; anything a path could trip over becomes `-`."""
    return "".join(c if c.isalnum() or c in "._ ()+-" else "-" for c in method).strip(". ") or "posterior"


def called(source: str | Path) -> str:
    """What a posterior from a file is called: the file's name, without what makes it a pattern of several."""
    path = Path(source)
    own = re.sub(r"[*?\[\]]", "", path.stem).strip("-_. ")
    return own or file_name(path.absolute().parent.name)
