"""Every posterior by posteriordb's name. A family of programs is one file with its entries in `POSTERIORS`, and one name here."""

from __future__ import annotations

from vi_vs_mcmc.errors import unknown

from . import differential_equation, gaussian_process, hidden_markov, mixture, regression, schools, time_series
from .entry import Entry

FAMILIES = (schools, regression, mixture, time_series, hidden_markov, gaussian_process, differential_equation)

CATALOGUE: dict[str, Entry] = {entry.posterior: entry for family in FAMILIES for entry in family.POSTERIORS}


def entry(posterior: str) -> Entry:
    """The entry of a posterior.

    Raises:
        SettingError: no such posterior, with the closest name.
    """
    if posterior not in CATALOGUE:
        raise unknown("posterior", posterior, CATALOGUE)
    return CATALOGUE[posterior]
