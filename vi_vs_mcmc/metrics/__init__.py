"""One measure per file: marginals of two posteriors in, a Dataset with value and Monte Carlo error out.

A new measure is one new file and one line here: its name becomes its column. Another distribution adds measures through the
entry-point group `vi_vs_mcmc.metrics`, in the same form: a function of two `Marginals`.
"""

from collections.abc import Callable
from importlib.metadata import entry_points

from xarray import Dataset

from vi_vs_mcmc.metrics.bias import bias
from vi_vs_mcmc.metrics.coverage import coverage90
from vi_vs_mcmc.metrics.divergence import kl_from_reference
from vi_vs_mcmc.metrics.marginals import Marginals
from vi_vs_mcmc.metrics.robust import robust_ratio
from vi_vs_mcmc.metrics.spread import sd_ratio
from vi_vs_mcmc.metrics.wasserstein import wasserstein1

METRICS = {"sd_ratio": sd_ratio, "bias": bias, "coverage90": coverage90}  # measured at every look at the reference
DEEPER = {"wasserstein1": wasserstein1, "kl": kl_from_reference, "robust_ratio": robust_ratio}  # once, at the end
OF_WIDTH = ("kl", "robust_ratio")  # mean nothing for a point

GROUP = "vi_vs_mcmc.metrics"


def measures() -> dict[str, Callable[[Marginals, Marginals], Dataset]]:
    """What is measured once, at the end: DEEPER, and what other distributions add under names of their own."""
    added = {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in {*METRICS, *DEEPER}}
    return {**DEEPER, **{name: entry.load() for name, entry in added.items()}}


__all__ = ["DEEPER", "METRICS", "OF_WIDTH", "measures"]
