"""Eight schools, centred and non-centred: the programs of `eight_schools`, which have one posterior and hence one reference."""

from __future__ import annotations

import numpy as np

from ..eight_schools import centred, noncentred
from .entry import Entry

REFERENCE = "eight_schools-eight_schools_noncentered"

POSTERIORS = tuple(
    Entry(
        f"eight_schools-eight_schools_{name}",
        program,
        lambda d: (np.asarray(d["y"], float), np.asarray(d["sigma"], float)),
        ("mu", "tau", "theta"),
        "mu N(0, 5^2); tau, the sd of the effects, half-Cauchy(5)",
        reference=REFERENCE,
    )
    for name, program in (("centered", centred), ("noncentered", noncentred))
)
