"""A posterior of posteriordb as a problem."""

from __future__ import annotations

from typing import Any

from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.problem import Problem

from .catalogue import CATALOGUE, entry
from .reference import reference
from .stored import stored


def posteriordb(data: Any = None, *, posterior: str = "sblri-blr") -> Problem:
    """Posteriors of posteriordb, whose right answers are known: 10 000 checked draws of Stan each.

    Args:
        data: None; each posterior brings its own.
        posterior: posteriordb's name, DATA-MODEL, such as kidiq-kidscore_interaction or garch-garch11.

    Raises:
        SettingError: no such posterior, with the closest name and all that there are; or data.
    """
    if data is not None:
        raise SettingError("posteriordb takes no data: each posterior brings its own, to which its reference belongs")
    found = entry(posterior)
    return Problem(
        found.program,
        args=found.arguments(stored(found.data)),
        kwargs=dict(found.constants),
        sites=found.sites,
        name="posteriordb",
        settings={"posterior": posterior},
        title=f"posteriordb, {posterior}",
        priors=found.priors,
        known=reference(posterior),
    )


CHOICES = {"posterior": tuple(CATALOGUE)}
