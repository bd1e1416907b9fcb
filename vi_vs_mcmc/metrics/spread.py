"""sd ratio: how wide the method's marginal is, as a share of the reference's. Below 1 is overconfident."""

from __future__ import annotations

import numpy as np
from xarray import Dataset

from .marginals import Marginals, estimate


def sd_ratio(method: Marginals, reference: Marginals) -> Dataset:
    """sd_method / sd_reference by parameter, with the error of its logarithm.

    An sd's logarithm has the influence function ((x - mean)^2 / sd^2 - 1) / 2; the errors of the two posteriors add in
    squares.
    """
    own = np.where(method.exact, 0.0, method.error(0.5 * (method.standardised() ** 2 - 1.0)))
    theirs = np.where(reference.exact, 0.0, reference.error(0.5 * (reference.standardised() ** 2 - 1.0)))
    return estimate(method, method.sd / reference.sd, np.hypot(own, theirs), own=own, log=True)
