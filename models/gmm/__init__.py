"""The Bayesian Gaussian mixture: joint, conjugate structure, the lecture's data."""

from .problem import gmm

__all__ = ["gmm"]
