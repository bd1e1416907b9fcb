"""One measure per file: marginals of two posteriors in, a Dataset with value and Monte Carlo error out.

A new measure is one new file and one line here: its name becomes its column.
"""

from vi_vs_mcmc.metrics.bias import bias
from vi_vs_mcmc.metrics.coverage import coverage90
from vi_vs_mcmc.metrics.divergence import kl_from_reference
from vi_vs_mcmc.metrics.robust import robust_ratio
from vi_vs_mcmc.metrics.spread import sd_ratio
from vi_vs_mcmc.metrics.wasserstein import wasserstein1

METRICS = {"sd_ratio": sd_ratio, "bias": bias, "coverage90": coverage90}  # measured at every look at the reference
DEEPER = {"wasserstein1": wasserstein1, "kl": kl_from_reference, "robust_ratio": robust_ratio}  # once, at the end
OF_WIDTH = ("kl", "robust_ratio")  # mean nothing for a point

__all__ = ["DEEPER", "METRICS", "OF_WIDTH"]
