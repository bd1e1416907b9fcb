"""Bias: how far the method's mean is off, in reference sds."""

from __future__ import annotations

import numpy as np
from xarray import Dataset

from .marginals import Marginals, estimate


def bias(method: Marginals, reference: Marginals) -> Dataset:
    """b = (mean_method - mean_reference) / sd_reference by parameter.

    The reference's influence function is -(u + b (u^2 - 1) / 2), u = (x - mean) / sd: the sd's error counts where the mean
    is far off, and a skewed posterior ties the two.
    """
    value = (method.mean - reference.mean) / reference.sd
    own = np.where(method.exact, 0.0, method.error(method.draws.values / reference.sd))
    u = reference.standardised()
    theirs = np.where(reference.exact, 0.0, reference.error(-(u + 0.5 * value * (u**2 - 1.0))))
    return estimate(method, value, np.hypot(own, theirs), own=own)
