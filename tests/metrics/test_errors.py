"""The Monte Carlo intervals hold what they promise, on draws from known laws."""

import numpy as np
import pytest
from scipy import stats
from xarray import DataArray

from vi_vs_mcmc.metrics.bias import bias
from vi_vs_mcmc.metrics.coverage import coverage90
from vi_vs_mcmc.metrics.marginals import Marginals, limits
from vi_vs_mcmc.metrics.spread import sd_ratio

SEEDS = 200
CHAINS, DRAWS, PHI = 4, 1000, 0.5  # an autoregression of this strength has a third of the draws' worth


def autoregression(rng: np.random.Generator, columns: int) -> np.ndarray:
    """Stationary standard normal chains, (CHAINS, DRAWS, columns)."""
    noise = rng.standard_normal((DRAWS, CHAINS, columns))
    x = np.empty_like(noise)
    x[0] = noise[0]
    for t in range(1, DRAWS):
        x[t] = PHI * x[t - 1] + np.sqrt(1 - PHI**2) * noise[t]
    return x.swapaxes(0, 1)


def as_marginals(draws: np.ndarray, *, independent: bool) -> Marginals:
    labels = [str(j) for j in range(draws.shape[-1])]
    array = DataArray(draws, dims=("chain", "draw", "parameter"), coords={"parameter": labels})
    flat = (0, 1)
    return Marginals(array, draws.mean(flat), draws.std(flat, ddof=1), np.zeros(len(labels), bool), independent)


def skewed(normal: np.ndarray) -> np.ndarray:
    return stats.gamma(4).ppf(stats.norm.cdf(normal))


LAWS = {  # name -> (transform of a standard normal, method's law in the same terms, true ratio, bias, coverage)
    "normal": (
        lambda u: u,
        lambda u: 0.8 * u + 0.3,
        0.8,
        0.3,
        np.diff(stats.norm.cdf(0.3 + 0.8 * 1.6448536 * np.array([-1, 1])))[0],
    ),
    "gamma": (
        skewed,
        lambda u: 2.0 + 1.5 * u,
        1.5 / 2.0,
        -1.0,
        np.diff(stats.gamma(4).cdf(2.0 + 1.5 * 1.6448536 * np.array([-1, 1])))[0],
    ),
}


@pytest.mark.parametrize("law", LAWS)
def test_the_95_percent_limits_hold_the_truth_in_90_to_99_percent_of_200_seeds(law):
    transform, method_law, *truth = LAWS[law]
    rng = np.random.default_rng(7)
    reference = as_marginals(transform(autoregression(rng, SEEDS)), independent=False)  # one column per seed
    method = as_marginals(method_law(rng.standard_normal((CHAINS, DRAWS, SEEDS))), independent=True)
    for metric, true in zip((sd_ratio, bias, coverage90), truth, strict=True):
        low, high = limits(metric(method, reference))
        share = np.mean((low <= true) & (true <= high))
        assert 0.90 <= share <= 0.99, (metric.__name__, share)
