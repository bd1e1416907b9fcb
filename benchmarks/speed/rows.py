"""What a section is and what it says."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Row:
    """One measured claim."""

    claim: str
    measured: str
    ratio: float | None = None  # median over pairs
    low: float | None = None  # of the pairs
    high: float | None = None
    wanted: str = ""
    least: float | None = None  # the wanted ratio as a number, for the figure
    met: bool | None = None  # None: told, not judged
    note: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)  # for figures, and for whoever reads results.json

    def plain(self) -> dict[str, Any]:
        """As JSON has it: numpy's numbers become Python's, what is not finite becomes None."""
        return _plain(asdict(self))


def against(claim: str, measured: str, ratios: ArrayLike, least: float | None = None, **more: Any) -> Row:
    """A row about ratios, one of each pair of interleaved measurements; judged where `least` is given."""
    ratios = np.asarray(ratios, float)
    middle = float(np.median(ratios))
    return Row(
        claim,
        measured,
        middle,
        float(np.min(ratios)),
        float(np.max(ratios)),
        wanted="" if least is None else f"at least {least:g}×",
        least=least,
        met=None if least is None else bool(middle >= least),
        **more,
    )


@dataclass(frozen=True)
class Context:
    """What a section may ask for."""

    quick: bool
    peers: Any  # peers.Peers
    platforms: tuple[str, ...] = ("cpu",)  # where JAX runs: "cpu" first, then "gpu" where it sees one

    def pick(self, small: Any, real: Any) -> Any:
        """The small one in a quick run."""
        return small if self.quick else real


Plain = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """One table and its figures."""

    name: str
    order: int
    title: str
    intro: str  # what is measured, on what, with what spread
    run: Callable[[Context], Iterator[Row]]
    figures: Callable[[list[Plain]], list[Any]] | None = None  # rows -> panels of the page; None: bars of the ratios
    axis: str = ""  # what a ratio is, under the bars


def sections() -> dict[str, Section]:
    """Every section by name, in the order of the page."""
    package = importlib.import_module(".sections", __package__)
    modules = [importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    found = sorted((m.SECTION for m in modules), key=lambda s: s.order)
    return {s.name: s for s in found}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
