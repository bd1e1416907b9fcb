r"""Linear regressions: 34 posteriors, one program, one table.

    y_n ~ N(X_n beta, sigma^2)

What differs is which columns X has and which priors there are. Without a prior the posterior is known in closed form: beta is
multivariate t around least squares, sigma^2 is scaled inverse chi-squared with N - D - 1 degrees of freedom (flat in sigma).

A column that is far from 0 beside its spread, such as a height, ties its slope to the intercept (correlation -.998 in
`earnings-earn_height`); where the same columns are centred (`kidscore_interaction_c`) or standardised (`_z`), much of that is
gone. A q that factorises loses accordingly much of the sds in the one and little in the other.

Source: Gelman and Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapters 3 and 4 (earnings,
kidiq, mesquite, nes); Bales et al. (2019), Selecting the metric in Hamiltonian Monte Carlo (kilpisjarvi).
sblrc and sblri are simulated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpy import log
from numpyro.distributions import constraints

from .entry import Data, Entry, flat

Columns = Callable[[Data], tuple[np.ndarray, ...]]

NOISES = {
    "flat": lambda: flat(constraints.positive),
    "half-Cauchy(2.5)": lambda: dist.HalfCauchy(2.5),
    "half-normal(10)": lambda: dist.HalfNormal(10.0),
}


def regression(X: Array, y: Array, *, slopes: float, noise: str) -> None:
    """Normal errors. `slopes` is the sd of beta's normal prior, infinite where it is flat; `noise` is a name in NOISES."""
    width = X.shape[1]
    prior = (
        dist.Normal(0.0, slopes).expand([width]).to_event(1) if np.isfinite(slopes) else flat(constraints.real, width)
    )
    beta = numpyro.sample("beta", prior)
    sigma = numpyro.sample("sigma", NOISES[noise]())
    with numpyro.plate("row", len(y)):
        numpyro.sample("y", dist.Normal(X @ beta, sigma), obs=y)


def one_column(x: Array, y: Array, centre: Array, width: Array, slope_centre: Array, slope_width: Array) -> None:
    """One column, informative priors, flat in sigma > 0."""
    alpha = numpyro.sample("alpha", dist.Normal(centre, width))
    beta = numpyro.sample("beta", dist.Normal(slope_centre, slope_width))
    sigma = numpyro.sample("sigma", flat(constraints.positive))
    with numpyro.plate("row", len(y)):
        numpyro.sample("y", dist.Normal(alpha + beta * x, sigma), obs=y)


def centred_columns(X: Array, y: Array) -> None:
    """Columns moved to mean 0, as brms writes it: the intercept is that at the mean of the rows."""
    b = numpyro.sample("b", dist.Normal(0.0, 1.0).expand([X.shape[1]]).to_event(1))
    intercept = numpyro.sample("Intercept", dist.StudentT(3.0, 8.0, 10.0))
    # Twice the density on half of the line: a constant, which no posterior sees.
    sigma = numpyro.sample("sigma", flat(constraints.positive))
    numpyro.factor("sigma_prior", dist.StudentT(3.0, 0.0, 10.0).log_prob(sigma))
    with numpyro.plate("row", len(y)):
        numpyro.sample("y", dist.Normal(intercept + X @ b, sigma), obs=y)


def row(
    posterior: str,
    response: Callable[[Data], np.ndarray],
    columns: Columns,
    *,
    slopes: float = np.inf,
    noise: str = "flat",
) -> Entry:
    """An entry of the table: y and the columns of X, each a function of the data."""

    def arguments(data: Data) -> tuple[np.ndarray, np.ndarray]:
        return np.column_stack(columns(data)).astype(float), np.asarray(response(data), float)

    words = f"beta {'flat' if np.isinf(slopes) else f'N(0, {slopes:g}^2)'}; sigma {noise}"
    return Entry(
        posterior, regression, arguments, ("beta", "sigma"), words, constants={"slopes": slopes, "noise": noise}
    )


def ones(data: Data) -> np.ndarray:
    """The intercept's column."""
    return np.ones(int(data["N"]))


def standard(x: np.ndarray, sds: float = 1.0) -> np.ndarray:
    """x moved to mean 0, in units of some sds."""
    return (x - x.mean()) / (sds * x.std(ddof=1))


def earnings(model: str, response: Callable[[Data], np.ndarray], columns: Columns) -> Entry:
    """What people earn, by height and sex: 1192 rows."""
    return row(f"earnings-{model}", response, lambda d: (ones(d), *columns(d)))


def kidscore(model: str, columns: Columns) -> Entry:
    """A test's score of 434 children, by what their mothers are."""
    return row(f"kidiq-{model}", lambda d: d["kid_score"], lambda d: (ones(d), *columns(d)), noise="half-Cauchy(2.5)")


def kidscore_flat(model: str, columns: Columns) -> Entry:
    """The same children, without a prior."""
    return row(f"kidiq_with_mom_work-{model}", lambda d: d["kid_score"], lambda d: (ones(d), *columns(d)))


def mesquite(model: str, columns: Columns) -> Entry:
    """Log weight of leaves of 46 mesquite bushes, by their measures."""
    return row(f"mesquite-{model}", lambda d: log(d["weight"]), lambda d: (ones(d), *columns(d)))


def crossed(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two columns and their product."""
    return a, b, a * b


def volume(d: Data) -> np.ndarray:
    """Log of the canopy's volume."""
    return log(d["diam1"] * d["diam2"] * d["canopy_height"])


def area(d: Data) -> np.ndarray:
    """Log of the canopy's area."""
    return log(d["diam1"] * d["diam2"])


def shape(d: Data) -> np.ndarray:
    """Log ratio of the canopy's diameters."""
    return log(d["diam1"] / d["diam2"])


def party(d: Data) -> tuple[np.ndarray, ...]:
    """Who calls themselves a Republican: ideology, race, age in four groups, education, sex, income."""
    age = d["age_discrete"]
    return ones(d), d["real_ideo"], d["race_adj"], age == 2, age == 3, age == 4, d["educ1"], d["gender"], d["income"]


MEASURES = ("diam1", "diam2", "canopy_height", "total_height", "density")

POSTERIORS = (
    earnings("earn_height", lambda d: d["earn"], lambda d: (d["height"],)),
    earnings("log10earn_height", lambda d: np.log10(d["earn"]), lambda d: (d["height"],)),
    earnings("logearn_height", lambda d: log(d["earn"]), lambda d: (d["height"],)),
    earnings("logearn_height_male", lambda d: log(d["earn"]), lambda d: (d["height"], d["male"])),
    earnings("logearn_interaction", lambda d: log(d["earn"]), lambda d: crossed(d["height"], d["male"])),
    earnings("logearn_interaction_z", lambda d: log(d["earn"]), lambda d: crossed(standard(d["height"]), d["male"])),
    earnings("logearn_logheight_male", lambda d: log(d["earn"]), lambda d: (log(d["height"]), d["male"])),
    kidscore("kidscore_momhs", lambda d: (d["mom_hs"],)),
    kidscore("kidscore_momiq", lambda d: (d["mom_iq"],)),
    kidscore("kidscore_momhsiq", lambda d: (d["mom_hs"], d["mom_iq"])),
    kidscore("kidscore_interaction", lambda d: crossed(d["mom_hs"], d["mom_iq"])),
    kidscore_flat(
        "kidscore_interaction_c",
        lambda d: crossed(d["mom_hs"] - d["mom_hs"].mean(), d["mom_iq"] - d["mom_iq"].mean()),
    ),
    kidscore_flat("kidscore_interaction_c2", lambda d: crossed(d["mom_hs"] - 0.5, d["mom_iq"] - 100.0)),
    kidscore_flat(
        "kidscore_interaction_z", lambda d: crossed(standard(d["mom_hs"], sds=2.0), standard(d["mom_iq"], sds=2.0))
    ),
    kidscore_flat("kidscore_mom_work", lambda d: tuple(d["mom_work"] == k for k in (2, 3, 4))),
    row(
        "mesquite-mesquite",
        lambda d: d["weight"],
        lambda d: (ones(d), *(d[name] for name in MEASURES), d["group"]),
    ),
    mesquite("logmesquite", lambda d: (*(log(d[name]) for name in MEASURES), d["group"])),
    mesquite("logmesquite_logvolume", lambda d: (volume(d),)),
    mesquite("logmesquite_logva", lambda d: (volume(d), area(d), d["group"])),
    mesquite("logmesquite_logvash", lambda d: (volume(d), area(d), shape(d), log(d["total_height"]), d["group"])),
    mesquite(
        "logmesquite_logvas",
        lambda d: (volume(d), area(d), shape(d), log(d["total_height"]), log(d["density"]), d["group"]),
    ),
    *(
        row(f"nes{year}-nes", lambda d: d["partyid7"], party)
        for year in (1972, 1976, 1980, 1984, 1988, 1992, 1996, 2000)
    ),
    *(
        row(f"{data}-blr", lambda d: d["y"], lambda d: tuple(d["X"].T), slopes=10.0, noise="half-normal(10)")
        for data in ("sblrc", "sblri")
    ),
    Entry(
        "kilpisjarvi_mod-kilpisjarvi",
        one_column,
        lambda d: tuple(np.asarray(d[n], float) for n in ("x", "y", "pmualpha", "psalpha", "pmubeta", "psbeta")),
        ("alpha", "beta", "sigma"),
        "alpha N(9.3, 100^2); beta N(0, 0.033^2); sigma flat",
    ),
    Entry(
        "diamonds-diamonds",
        centred_columns,
        lambda d: (d["X"][:, 1:] - d["X"][:, 1:].mean(0), d["Y"]),
        ("b", "Intercept", "sigma"),
        "b N(0, 1^2); Intercept t(3, 8, 10); sigma half-t(3, 10)",
    ),
)
