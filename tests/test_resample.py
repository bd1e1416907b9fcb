"""Resampling by importance, on Gaussians: what comes out is the target, and what cannot come out right is refused."""

import json

import numpy as np
import pytest
from scipy import stats
from xarray import Dataset, DataTree

from vi_vs_mcmc import posterior
from vi_vs_mcmc.errors import DataError, SettingError
from vi_vs_mcmc.metrics.importance import khat, log_ratio
from vi_vs_mcmc.metrics.marginals import marginals
from vi_vs_mcmc.psis import smoothed
from vi_vs_mcmc.resample import resample

MEAN, COV = np.array([1.0, -2.0]), np.array([[1.0, 0.5], [0.5, 1.0]])
TARGET = stats.multivariate_normal(MEAN, COV)
SAMPLE = ("chain", "draw")


def gaussian(seed: int, *, width: float = 1.2, chains: int = 4, draws: int = 500) -> DataTree:
    """q: independent Gaussians with the target's means, off by .1, and sds, times `width`."""
    rng = np.random.default_rng(seed)
    x = MEAN + 0.1 + width * rng.standard_normal((chains, draws, 2))
    log_p = TARGET.logpdf(x).reshape(chains, draws)
    log_q = stats.norm.logpdf(x, MEAN + 0.1, width).sum(-1)
    tree = DataTree.from_dict(
        {
            "/posterior": Dataset(
                {"x": ((*SAMPLE, "i"), x), "first": (SAMPLE, x[..., 0])},
                {"chain": np.arange(chains), "draw": np.arange(draws), "i": [0, 1]},
            ),
            "/sample_stats": Dataset(
                {
                    "log_p": (SAMPLE, log_p),
                    "log_q": (SAMPLE, log_q),
                    "step_size": ("chain", np.ones(chains)),
                }
            ),
            "/log_likelihood": Dataset({"y": (("n", *SAMPLE), np.stack([x[..., 0], -x[..., 0]]))}),
            "/observed_data": Dataset({"y": ("n", [3.0, 4.0])}),
            "/variational": Dataset({"mean_x": ("i", MEAN), "sd_x": ("i", [1.0, 1.0])}),
        }
    )
    tree.attrs = {
        "method": "cavi",
        "seed": 7,
        "wall_seconds": 2.0,
        "passes": 30,
        "restarts": 8,
        "elbo": -1.0,
        "status": "converged",
    }
    return tree


@pytest.mark.parametrize("draws", [2000, *(pytest.param(n, marks=pytest.mark.slow) for n in (100, 500))])
def test_the_stated_errors_hold_the_targets_moments_in_90_to_99_percent_of_200_seeds(draws):
    # fewer draws than there are, as many, and four times as many: ArviZ's errors see the copies
    covered = []
    for seed in range(200):
        found = marginals(resample(gaussian(seed, width=1.05), seed=seed, draws=draws), ("x",))
        assert not found.independent
        u = found.standardised()
        sd_error = found.sd * found.error(0.5 * (u**2 - 1))
        covered.append(
            [np.abs(found.mean - MEAN) < 1.96 * found.error(found.draws.values), np.abs(found.sd - 1) < 1.96 * sd_error]
        )
    share = np.mean(covered, 0)  # of 95 %, with a standard error of 1.5 %
    assert ((share >= 0.90) & (share <= 0.99)).all(), share


def test_the_targets_correlation_comes_back():
    x = resample(gaussian(0, draws=10_000), seed=0)["posterior"]["x"].values.reshape(-1, 2)
    weights = smoothed(log_ratio(gaussian(0, draws=10_000)))
    # Fisher's z has a standard error of 1 / sqrt(n); n about the effective draws, and again for the choice among them
    error = np.sqrt(1 / weights.ess + 1 / len(x))
    assert abs(np.arctanh(np.corrcoef(x.T)[0, 1]) - np.arctanh(0.5)) < 4 * error


def test_a_draw_comes_as_often_as_its_weight_says_to_less_than_one():
    tree = gaussian(1)
    weight = np.exp(smoothed(log_ratio(tree)).log_weight)
    pool = tree["posterior"]["first"].values.ravel()
    for chains, draws in ((4, 500), (3, 100), (2, 5000)):
        taken = resample(tree, seed=1, chains=chains, draws=draws)["posterior"]["first"].values
        assert taken.shape == (chains, draws)
        counts = (pool[:, None] == taken.ravel()).sum(1)
        assert (np.abs(counts - chains * draws * weight) < 1).all()
        at = np.array([np.flatnonzero(pool == value)[0] for value in taken.ravel()])
        assert (np.diff(at) >= 0).all()  # copies stand side by side


def test_over_seeds_a_draw_comes_as_often_as_its_weight_says():
    tree = gaussian(1, chains=1, draws=200)
    weight = np.exp(smoothed(log_ratio(tree)).log_weight)
    pool, seeds, number = tree["posterior"]["first"].values.ravel(), 200, 50
    counts = np.zeros(200)
    for seed in range(seeds):
        taken = resample(tree, seed=seed, draws=number)["posterior"]["first"].values.ravel()
        counts += (pool[:, None] == taken).sum(1)
    expected = number * weight
    error = np.sqrt(np.maximum((expected % 1) * (1 - expected % 1), 1e-3) / seeds)  # a rounding up is a coin's toss
    assert (
        np.abs(counts / seeds - expected) < 4.5 * error
    ).all()  # 200 at once: 4.5 errors are passed in .14 % of tests


def test_every_variable_of_a_draw_moves_with_it():
    tree = gaussian(2)
    found = resample(tree, seed=0, chains=2, draws=300)
    x, first = found["posterior"]["x"], found["posterior"]["first"]
    assert x.dims == (*SAMPLE, "i")
    assert (x.values[..., 0] == first.values).all()
    np.testing.assert_allclose(found["sample_stats"]["log_p"], TARGET.logpdf(x.values))
    y = found["log_likelihood"]["y"].transpose(*SAMPLE, "n").values
    assert (y == np.stack([first.values, -first.values], -1)).all()
    assert list(found["posterior"]["draw"].values) == list(range(300))


def test_what_is_not_its_own_is_dropped_and_the_data_are_kept():
    tree = gaussian(3)
    found = resample(tree, seed=5)
    assert set(found.children) == {"posterior", "sample_stats", "log_likelihood", "observed_data"}
    assert set(found["sample_stats"].data_vars) == {"log_p"}
    assert khat(found) == (found.attrs["khat"], found.attrs["khat_threshold"])  # of the draws that it was taken from
    assert found["observed_data"].to_dataset().identical(tree["observed_data"].to_dataset())
    attrs, weights = found.attrs, smoothed(log_ratio(tree))
    assert (attrs["method"], attrs["seed"], attrs["status"]) == ("cavi resampled", 5, "ok")
    assert (attrs["khat"], attrs["khat_threshold"], attrs["ess"]) == (weights.khat, weights.threshold, weights.ess)
    assert attrs["wall_seconds"] >= 2
    assert attrs["passes"] == 30
    assert not {"restarts", "elbo"} & set(attrs)
    assert json.loads(attrs["settings"]) == {"of": "cavi", "of_seed": 7, "chains": 4, "draws": 500}
    assert "variational" in tree.children  # the argument is as it was
    assert "log_q" in tree["sample_stats"]


def test_the_seed_determines_the_choice():
    tree = gaussian(4)
    one, same, other = (resample(tree, seed=s) for s in (0, 0, 1))
    assert one["posterior"].to_dataset().identical(same["posterior"].to_dataset())
    assert not one["posterior"].to_dataset().identical(other["posterior"].to_dataset())


def test_it_is_saved_and_read_like_any_posterior(tmp_path):
    found = resample(gaussian(5), seed=0)
    posterior.save(found, tmp_path / "it.nc")
    back = posterior.load(tmp_path / "it.nc")
    assert back["posterior"].to_dataset().equals(found["posterior"].to_dataset())
    assert back.attrs["ess"] == pytest.approx(found.attrs["ess"])
    posterior.save(gaussian(5), tmp_path / "vi.nc")
    again = resample(tmp_path / "vi.nc", seed=0)
    assert again["posterior"].to_dataset().equals(found["posterior"].to_dataset())


def test_what_is_neither_a_tree_nor_a_file_is_refused():
    with pytest.raises(DataError, match="tree is of type NoneType; want a DataTree"):
        resample(None, seed=0)
    with pytest.raises(DataError, match=r"no file missing\.nc"):
        resample("missing.nc", seed=0)


def test_a_heavy_tail_is_refused_with_its_numbers_and_what_to_do_instead():
    # the ratios' tail along the first eigenvector, of variance 1.5, is at k = 1 - .3^2 / 1.5 = .94
    tree = gaussian(6, width=0.3)
    shape, threshold = khat(tree)
    with pytest.raises(
        DataError, match=rf"k-hat is {shape:.2f}; want below {threshold:.2f} for 2000 draws.*Start NUTS"
    ):
        resample(tree, seed=0)


def without(tree: DataTree, name: str) -> DataTree:
    tree["sample_stats"] = DataTree(tree["sample_stats"].to_dataset().drop_vars(name))
    return tree


def with_log_p(tree: DataTree, change) -> DataTree:
    stats = tree["sample_stats"].to_dataset()
    tree["sample_stats"] = DataTree(stats.assign(log_p=change(stats)))
    return tree


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: without(gaussian(0), "log_q"), "cavi keeps no log_p and log_q"),
        (lambda: gaussian(0).drop_nodes("sample_stats"), "cavi keeps no log_p and log_q"),
        (lambda: gaussian(0).drop_nodes("posterior"), "want a group 'posterior' with dims chain and draw"),
        (lambda: gaussian(0, chains=1, draws=99), "cavi has 99 draws; want 100 or more"),
        (lambda: with_log_p(gaussian(0), lambda s: s["log_p"].where(s["draw"] != 3)), "of 4 draws is not finite"),
        (lambda: with_log_p(gaussian(0), lambda s: s["log_q"] + 2.0), "the same for every draw"),
        (
            lambda: with_log_p(gaussian(0), lambda s: s["log_q"] + (s["log_p"] > s["log_p"].median())),
            "the largest values of log_p - log_q are tied",
        ),
        (lambda: with_log_p(gaussian(0), lambda s: s["log_p"].isel(chain=0)), "a value for each draw"),
    ],
)
def test_what_gives_no_weights_is_refused(make, says):
    with pytest.raises(DataError, match=says):
        resample(make(), seed=0)


@pytest.mark.parametrize("setting", [{"seed": -1}, {"seed": 0.5}, {"chains": 0}, {"draws": 3}, {"draws": "many"}])
def test_a_setting_out_of_range_is_refused(setting):
    with pytest.raises(SettingError, match=next(iter(setting))):
        resample(gaussian(0), **({"seed": 0} | setting))
