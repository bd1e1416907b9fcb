"""The log evidence log Z = log p(x) by several roads, and what a bound falls short of it for."""

from vi_vs_mcmc.evidence.bridge import bridge
from vi_vs_mcmc.evidence.estimate import Estimate, best, gap, recorded
from vi_vs_mcmc.evidence.importance import importance, reweighted

__all__ = ["Estimate", "best", "bridge", "gap", "importance", "recorded", "reweighted"]
