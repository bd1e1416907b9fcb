"""One measure per file: marginals of two posteriors in, a Dataset with value and Monte Carlo error out.

A new measure is one new file and one line here: its name becomes its column.
"""

from vi_vs_mcmc.metrics.bias import bias
from vi_vs_mcmc.metrics.coverage import coverage90
from vi_vs_mcmc.metrics.spread import sd_ratio
from vi_vs_mcmc.metrics.wasserstein import wasserstein1

METRICS = {"sd_ratio": sd_ratio, "bias": bias, "coverage90": coverage90, "wasserstein1": wasserstein1}

__all__ = ["METRICS"]
