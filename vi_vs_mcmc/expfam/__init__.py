r"""Exponential families in natural parameters: the log normaliser A, the statistics t, draws and moments.

    log q(theta) = <eta, t(theta)> - A(eta)        (base measure: Lebesgue on the constrained site)

The natural parameter, the statistics and their expectations share one shape, so that <., .> is the sum of elementwise
products and E[t] = grad A(eta). eta = 0 is the flat density. Every leaf has a leading axis of components, and A is
summed over it. One family is one file.

Source: Wainwright and Jordan (2008), Graphical Models, Exponential Families, and Variational Inference, section 3;
Bishop (2006), PRML, appendix B.
"""

from vi_vs_mcmc.expfam.dirichlet import (
    dirichlet_expected_log,
    dirichlet_log_normaliser,
    dirichlet_mode,
    dirichlet_moments,
)
from vi_vs_mcmc.expfam.gamma import (
    Gamma,
    gamma_draw,
    gamma_log_normaliser,
    gamma_mode,
    gamma_moments,
    gamma_natural,
    gamma_parameters,
    gamma_sufficient,
)
from vi_vs_mcmc.expfam.gaussian import (
    Gaussian,
    gaussian_draw,
    gaussian_log_normaliser,
    gaussian_mode,
    gaussian_moments,
    gaussian_natural,
    gaussian_parameters,
    gaussian_sufficient,
)
from vi_vs_mcmc.expfam.matrices import inverse, log_det, symmetric
from vi_vs_mcmc.expfam.normal_wishart import (
    NormalWishart,
    NormalWishartParameters,
    dirichlet_normal_wishart_draw,
    normal_wishart_draw,
    normal_wishart_log_normaliser,
    normal_wishart_mode,
    normal_wishart_moments,
    normal_wishart_natural,
    normal_wishart_parameters,
    normal_wishart_sufficient,
    wishart_expected_log_det,
)

__all__ = [
    "Gamma",
    "Gaussian",
    "NormalWishart",
    "NormalWishartParameters",
    "dirichlet_expected_log",
    "dirichlet_log_normaliser",
    "dirichlet_mode",
    "dirichlet_moments",
    "dirichlet_normal_wishart_draw",
    "gamma_draw",
    "gamma_log_normaliser",
    "gamma_mode",
    "gamma_moments",
    "gamma_natural",
    "gamma_parameters",
    "gamma_sufficient",
    "gaussian_draw",
    "gaussian_log_normaliser",
    "gaussian_mode",
    "gaussian_moments",
    "gaussian_natural",
    "gaussian_parameters",
    "gaussian_sufficient",
    "inverse",
    "log_det",
    "normal_wishart_draw",
    "normal_wishart_log_normaliser",
    "normal_wishart_mode",
    "normal_wishart_moments",
    "normal_wishart_natural",
    "normal_wishart_parameters",
    "normal_wishart_sufficient",
    "symmetric",
    "wishart_expected_log_det",
]
