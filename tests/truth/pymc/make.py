"""Two posteriors of one regression as PyMC gives them: mean-field ADVI and NUTS, each saved by ArviZ as netCDF.

    python make.py    with pymc 5, arviz 0 and h5netcdf installed; about a minute

y_n ~ N(beta_offset + beta_slope x_n, noise^2), with x far from 0: offset and slope have the posterior correlation
-mean(x) / sqrt(mean(x^2)), and mean-field ADVI makes both too narrow by sqrt(1 - correlation^2).
"""

from pathlib import Path

import numpy as np
import pymc as pm

HERE = Path(__file__).parent
KEPT = ["diverging", "energy"]


def model() -> pm.Model:
    """The regression on 30 simulated rows."""
    rng = np.random.default_rng(0)
    x = np.linspace(1, 4, 30)
    y = 1 + 2 * x + rng.normal(size=30)
    with pm.Model(coords={"term": ["offset", "slope"]}) as made:
        beta = pm.Normal("beta", 0, 10, dims="term")
        noise = pm.HalfNormal("noise", 5)
        pm.Normal("y", beta[0] + beta[1] * x, noise, observed=y)
    return made


def save(idata, name: str) -> None:
    """In single precision; groups and coordinates as they are."""
    for group in idata.groups():
        idata[group] = idata[group].map(lambda v: v.astype("float32") if v.dtype == "float64" else v)
    idata.to_netcdf(HERE / name, engine="h5netcdf")


if __name__ == "__main__":
    with model():
        nuts = pm.sample(1000, tune=1000, chains=4, cores=1, target_accept=0.9, random_seed=1, progressbar=False)
        nuts.sample_stats = nuts.sample_stats[KEPT]
        save(nuts, "nuts.nc")
        fit = pm.fit(40_000, method="advi", random_seed=2, progressbar=False)
        save(fit.sample(1000, random_seed=3), "advi.nc")
