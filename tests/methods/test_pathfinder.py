"""BlackJAX's Pathfinder as a method: what resampling gives of a normal law, and what is recorded of it."""

import sys

import numpy as np
import pytest
from fixed_laws import COVARIANCE, MEAN, SDS, counts, normal, rate
from scipy import special
from xarray import DataTree

import vi_vs_mcmc as vm
from vi_vs_mcmc.metrics.importance import khat
from vi_vs_mcmc.metrics.marginals import marginals

SCALED = COVARIANCE / np.outer(SDS, SDS)


@pytest.fixture(scope="module")
def fitted() -> DataTree:
    return vm.fit(normal(SCALED, MEAN / SDS), "pathfinder", seed=1, draws=1000)


def test_draws_are_the_posteriors_where_a_path_can_reach_it(fitted):
    of = marginals(fitted, ("x",))
    draws, mean = of.draws.values, MEAN / SDS
    assert np.all(np.abs(of.mean - mean) < 4 * of.error(draws - mean))
    assert np.all(np.abs(((draws - mean) ** 2).mean((0, 1)) - 1) < 4 * of.error((draws - mean) ** 2 - 1))
    correlation = np.corrcoef(draws.reshape(-1, 3).T)
    assert np.all(np.abs(correlation - SCALED) < 5 * (1 - SCALED**2) / np.sqrt(2000) + 1e-12)


def test_weights_count_where_its_laws_are_not_the_posterior():
    """x = log of a Gamma(4, 2): skewed, so that no normal law has its mean, digamma(4) - log 2, nor its sd, sqrt(trigamma(4)).

    Its law is the best normal: unweighted its mean is off by some .06, thirty errors.
    """
    fitted = vm.fit(rate(shape=4.0), "pathfinder", seed=1, draws=5000)
    assert fitted.attrs["khat"] < 0.7
    x = np.log(fitted["posterior"]["rate"].values)
    of = marginals(fitted, ("rate",))
    error = of.error(np.log(of.draws.values) - x.mean())[0]
    assert abs(x.mean() - (special.digamma(4.0) - np.log(2.0))) < 4 * error
    assert abs(x.std() / np.sqrt(special.polygamma(1, 4.0)) - 1) < 0.05


def test_its_k_hat_is_that_of_the_pooled_draws_and_is_what_a_comparison_tells(fitted):
    shape = khat(fitted)
    assert shape == (fitted.attrs["khat"], fitted.attrs["khat_threshold"])
    assert shape[0] < 0.7
    assert "log_q" not in fitted["sample_stats"]  # draws that were taken by their weights have no density of q


def test_copies_of_a_draw_stand_side_by_side_and_a_part_stands_for_the_whole(fitted):
    x = fitted["posterior"]["x"].values.reshape(-1, 3)[:, 0]
    runs = 1 + np.count_nonzero(np.diff(x))
    assert len(np.unique(x)) <= runs <= len(np.unique(x)) + 4
    early, late = x[:2000], x[2000:]
    assert abs(early.mean() - late.mean()) < 5 * np.sqrt(2 / 2000)


@pytest.mark.slow
def test_it_takes_part_in_a_comparison():
    found = vm.compare(counts(), methods=["pathfinder", "laplace"], seed=2, draws=300, max_draws=300)
    verdict = found.summary["verdicts"]["pathfinder"]
    assert verdict["elbo"] is None  # what was resampled is no longer q
    assert verdict["khat"] == pytest.approx(khat(found.posteriors["pathfinder"])[0])
    assert verdict["verdict"]


def test_without_blackjax_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "blackjax.vi", None)
    with pytest.raises(vm.SettingError, match=r"pip install 'vi-vs-mcmc\[pathfinder\]'"):
        vm.fit(counts(), "pathfinder", seed=0)
