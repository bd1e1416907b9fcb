"""Numbers and lists as words: true minus, narrow spaces, never a negative zero, never a nan on the page."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup, escape

from vi_vs_mcmc.names import apart

NARROW = "\u202f"  # between a number and its unit, and between thousands
FIXED = "\u00a0"
NONE = "–"
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def number(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """A number with fixed digits; an en dash where there is none."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def rough(value: float | None, digits: int = 3) -> str:
    """A number of unknown size with some significant digits: 0.0042, 12.3, 45 100, 3.1 × 10⁷."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size >= 6 or size < -4:
        exponent = str(size).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{number(value / 10.0**size, digits - 1)}{NARROW}×{NARROW}10{exponent}"
    if size >= digits:
        return count(round(value))
    return number(value, max(0, digits - 1 - size))


def like(value: float | None, sd: float) -> str:
    """A number with the digits its sd deserves: three significant ones of the sd."""
    if value is None or not math.isfinite(value):
        return NONE
    if not (math.isfinite(sd) and sd > 0):
        return rough(value, 4)
    digits = 2 - math.floor(math.log10(sd))
    if digits > 7 or abs(value) >= 1e9:
        return rough(value, 4)
    return number(value, max(0, digits)) if abs(value) < 10_000 or digits > 0 else count(value)


def trimmed(value: float, digits: int = 2) -> str:
    """A number without the zeros that say nothing: 0.9, 1.25, 2."""
    text = number(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: int | float | None) -> str:
    """A whole number with narrow spaces between thousands."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{round(value):,}".replace(",", NARROW).replace("-", "−")


def grouped(text: str) -> str:
    """A recorded sentence, its whole numbers written as `count` writes them."""
    return re.sub(rf"(?<![\w.{NARROW}])\d{{4,}}(?![\w.]*\w)", lambda found: count(int(found[0])), text)


def percent(value: float | None, digits: int = 0) -> str:
    """A share as a percentage."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{number(100 * value, digits)}{NARROW}%"


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """Two limits in brackets."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{number(low, digits)},{FIXED}{number(high, digits)}]"


def spelled(value: int) -> str:
    """Small counts as words, as in running text."""
    return _SMALL[value] if 0 <= value < len(_SMALL) else count(value)


def share(part: int, total: int, noun: str, many: str | None = None) -> str:
    """Three of five sds, six of 18 sds, all four sds, both sds, the one sd."""
    many = many or f"{noun}s"
    if total == 1:
        return f"the one {noun}" if part else f"no {noun}"
    if part == total:
        return f"both {many}" if total == 2 else f"all {spelled(total)} {many}"
    return f"{spelled(part)} of {spelled(total)} {many}"


def capital(text: str) -> str:
    """The sentence with its first letter large, and nothing else changed."""
    return text[:1].upper() + text[1:]


def plural(value: int, one: str, many: str | None = None) -> str:
    """A spelled count with its noun in the right form."""
    return f"{spelled(value)} {one if value == 1 else many or one + 's'}"


def listed(words: Sequence[str], joint: str = "and") -> str:
    """A, B and C."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {joint} {words[-1]}"


def seconds(value: float | None) -> str:
    """Wall time, as precise as it deserves."""
    if value is None or not math.isfinite(value):
        return NONE
    if value >= 120:
        return f"{count(value / 60)}{NARROW}min"
    return f"{number(value, 2 if value < 1 else 1 if value < 10 else 0)}{NARROW}s"


def day(created: str | None) -> str | None:
    """An ISO time as a day: 22 November 2026; None where it cannot be read."""
    try:
        moment = datetime.fromisoformat(created or "")
    except ValueError:
        return None
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def code(name: str) -> str:
    """A parameter's name inside a sentence, marked as code; its own backticks cannot end the mark."""
    return f"`{name.replace('`', 'ˋ')}`"


def marked(text: str | None) -> Markup:
    """A sentence as HTML: escaped, `..` as code, **..** and numbers before [an interval] strong."""
    pieces = re.split(r"(`[^`]*`)", text or "")
    return Markup("").join(_code_or_plain(p) for p in pieces)


def told_apart(value: float | None, limit: float | None) -> tuple[str, str]:
    """A number and its limit, with the decimals that tell them apart; an en dash where there is none."""
    if value is None or limit is None or not (math.isfinite(value) and math.isfinite(limit)):
        return number(value), number(limit)
    return apart(value, limit)


def breakable(name: str) -> Markup:
    """A name as HTML: escaped, and free to break before a capital inside a word."""
    return Markup("<wbr>").join(re.split(r"(?<=[a-z])(?=[A-Z])", name))


def plain(text: str) -> str:
    """The same sentence without marks, for a title or an accessible name."""
    return text.replace("`", "").replace("**", "")


def _code_or_plain(piece: str) -> Markup:
    if len(piece) > 1 and piece.startswith("`") and piece.endswith("`"):
        return Markup("<code>{}</code>").format(piece[1:-1])
    escaped = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", str(escape(grouped(piece))))
    escaped = re.sub(r"(?<=[\[\s,])-(?=\d)", "−", escaped)
    escaped = re.sub(r"(\[[−\d.]+), (?=[−\d.]+\])", rf"\1,{FIXED}", escaped)
    escaped = re.sub(r"(?<=\d) %", f"{NARROW}%", escaped)
    return Markup(re.sub(r"(?<![\w.<>])([−+]?\d[\d.]*(?:[\u202f\u00a0 ]?%)?)(?= \[)", r"<b>\1</b>", escaped))
