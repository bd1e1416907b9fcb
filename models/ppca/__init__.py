"""Probabilistic PCA, its axes pinned to observed columns: joint, conjugate structure, the iris flowers.

What is known: at many rows the maximum-likelihood covariance in closed form, whose noise variance 1 / tau is the mean of the
sample covariance's smallest eigenvalues, all but Q (Tipping and Bishop). On the irises CAVI has .72 of tau's sd by Gibbs, and
.93 to 1 of those of mean and covariance; LRVB has all within 2 %. CAVI, LRVB and Gibbs apply; EM and exact need one block, and
tau, the noise's precision, is one by itself.
"""

from .problem import ppca

__all__ = ["ppca"]
