"""The Bayesian Gaussian mixture: joint, conjugate structure, the lecture's data.

    weights ~ Dirichlet(alpha),  Lambda_k ~ Wishart(W, nu),  mu_k | Lambda_k ~ N(m, (beta Lambda_k)^-1)
    z_n ~ weights,  x_n | z_n = k ~ N(mu_k, Lambda_k^-1)

What is known: of a dozen rows the exact posterior and evidence, by a sum over every assignment; of one component all of it,
and of the built-in 500 points what generated them. All of theta is one block. CAVI, LRVB, Gibbs, EM and exact apply, exact to
few enough rows.

Source: Bishop (2006), PRML, section 10.2.
"""

from .problem import gmm

__all__ = ["gmm"]
