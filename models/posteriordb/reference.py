"""What is known of each posterior: posteriordb's reference draws, summarised.

`references/NAME.json` holds means and sds with their Monte Carlo standard errors (ArviZ's), and quantiles, from 10 chains of 1000
thinned draws of Stan that passed posteriordb's checks. `benchmarks/posteriordb_data.py` wrote them;
`data/LICENCE.md` is posteriordb's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .catalogue import entry

FOLDER = Path(__file__).parent / "references"


@dataclass(frozen=True)
class Known:
    """One scalar of a reference posterior.

    Attributes:
        mean: of all reference draws.
        sd: likewise.
        mcse_mean: Monte Carlo standard error of the mean.
        mcse_sd: likewise of the sd.
        q5: quantile, 5 %.
        q50: the median.
        q95: quantile, 95 %.
        draws: number of reference draws.
        has_variance: whether the posterior has one; else mean and sd are those of the draws alone.
    """

    mean: float
    sd: float
    mcse_mean: float
    mcse_sd: float
    q5: float
    q50: float
    q95: float
    draws: int
    has_variance: bool = True


def reference(posterior: str) -> dict[str, Known]:
    """What is known of every scalar of a posterior, by its label here: Stan's beta[1] is `beta[0]`.

    Raises:
        SettingError: no such posterior.
    """
    found = entry(posterior)
    text = (FOLDER / f"{found.reference or posterior}.json").read_text(encoding="utf-8")
    record = json.loads(text)
    bare = found.without_variance
    return {
        label: Known(**of, draws=record["draws"], has_variance=label not in bare)
        for label, of in record["scalars"].items()
    }
