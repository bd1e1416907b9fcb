"""Bayesian linear regression with unknown noise: joint, conjugate structure, the cement data.

What is known: everything, without `ard`. A posteriori tau, the noise's precision, is gamma, and the coefficients are jointly
Student t. They share one block of q, so nothing is lost between them: CAVI has the exact means, sqrt((a_N - 1) / a_N) of each
coefficient's sd, and sqrt(a_N / (a_N + K/2)) of tau's, a_N = a + N/2 with K coefficients: .93 and .87 with the built-in data.
LRVB has the exact sd of tau, and CAVI's of the coefficients. CAVI, LRVB and Gibbs apply; EM and exact need one block, and beta
and tau are two.
"""

from .problem import linear_regression

__all__ = ["linear_regression"]
