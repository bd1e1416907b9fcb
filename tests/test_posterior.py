"""What `posterior.build` makes of a method's draws."""

import json
from dataclasses import dataclass

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import vi_vs_mcmc as vm
from vi_vs_mcmc import posterior, record


def program(x):
    numpyro.sample("slope", dist.Normal(0.0, 1.0))
    numpyro.deterministic("nothing", x)


PROBLEM = vm.Problem(program, args=(np.zeros(0),), sites=("slope",))


@dataclass(frozen=True)
class Mine:
    """Settings of a method."""

    width: float = 2.0
    name = "mine"


def test_the_method_is_recorded_with_its_settings():
    attrs = posterior.build(PROBLEM, Mine(3.0), {"slope": np.zeros((2, 4))}).attrs
    assert attrs["method"] == "mine"
    assert json.loads(attrs["settings"]) == {"width": 3.0}
    attrs = posterior.build(PROBLEM, "given", {"slope": np.zeros((2, 4))}).attrs
    assert (attrs["method"], attrs["settings"]) == ("given", "{}")
    assert "seed" not in attrs  # `fit` and `compare` know it


def test_draws_that_follow_one_another_are_cut_into_chains_in_order():
    draws = {"slope": np.arange(6.0), "nothing": np.zeros((6, 0))}
    tree = posterior.build(PROBLEM, "given", draws, chains=2, sample_stats={"log_p": np.arange(6.0)})
    np.testing.assert_array_equal(tree["posterior"]["slope"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tree["sample_stats"]["log_p"], [[0, 1, 2], [3, 4, 5]])
    assert tree["posterior"]["nothing"].shape == (2, 3, 0)


@pytest.mark.parametrize(("draws", "got"), [(np.zeros(7), r"\(7,\)"), (np.float64(1.0), r"\(\)")])
def test_draws_that_chains_cannot_share_are_refused(draws, got):
    with pytest.raises(vm.SettingError, match=rf"slope has shape {got}; want so many rows that 2 chains"):
        posterior.build(PROBLEM, "given", {"slope": draws}, chains=2)


def test_the_elbo_is_the_mean_log_ratio_with_its_error_where_there_is_one():
    log_p, log_q = np.array([[1.0, 3.0]]), np.array([[0.5, 0.5]])
    slope = {"slope": np.zeros((1, 2))}
    attrs = posterior.build(PROBLEM, "given", slope, sample_stats={"log_p": log_p, "log_q": log_q}).attrs
    assert attrs["elbo"] == attrs["elbo_marginal"] == 1.5
    assert attrs["elbo_marginal_se"] == 1.0  # sd sqrt(2) over sqrt(2)
    one = {name: value[:, :1] for name, value in {"log_p": log_p, "log_q": log_q}.items()}
    attrs = posterior.build(PROBLEM, "given", {"slope": np.zeros((1, 1))}, sample_stats=one).attrs
    assert attrs["elbo"] == 0.5
    assert "elbo_marginal_se" not in attrs
    stats = {"log_p": np.array([[1.0, -np.inf]]), "log_q": log_q}
    assert "elbo" not in posterior.build(PROBLEM, "given", slope, sample_stats=stats).attrs
    own = posterior.build(
        PROBLEM, "given", slope, sample_stats={"log_p": log_p, "log_q": log_q}, attrs={"elbo": 2.0}
    ).attrs
    assert (own["elbo"], own["elbo_marginal"]) == (2.0, 1.5)


def test_a_number_of_restarts_without_their_trace_is_left_out_of_the_facts():
    tree = posterior.build(PROBLEM, "given", {"slope": np.zeros((2, 4))}, attrs={"restarts": 5})
    assert record._fit_facts(tree, None)["restarts"] is None
