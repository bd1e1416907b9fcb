"""Inference methods: frozen settings with `fit(problem, key, *, chains, draws, progress=None) -> DataTree`, one per file."""

from vi_vs_mcmc.methods.cavi import CAVI
from vi_vs_mcmc.methods.nuts import NUTS
from vi_vs_mcmc.methods.svi import SVI

__all__ = ["CAVI", "NUTS", "SVI"]
