"""Wasserstein-1: the area between the two marginals' distribution functions, in reference sds."""

from __future__ import annotations

import numpy as np
from scipy.stats import wasserstein_distance
from xarray import Dataset

from .marginals import Marginals, estimate


def wasserstein1(method: Marginals, reference: Marginals) -> Dataset:
    """W1 = integral |F_method - F_reference| / sd_reference by parameter; no error is given (nan).

    Between finite draws of one law it is above 0, by about sd / sqrt(effective draws).
    """
    a, b = method.draws.values, reference.draws.values
    value = [wasserstein_distance(a[..., j].ravel(), b[..., j].ravel()) for j in range(a.shape[-1])]
    return estimate(method, np.array(value) / reference.sd, np.full(len(value), np.nan))
