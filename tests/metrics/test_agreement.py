"""Two samplers of one law agree in all but one of twenty comparisons, and one that is off does not."""

import numpy as np
from xarray import Dataset, DataTree

import vi_vs_mcmc as vm
from vi_vs_mcmc.metrics.agreement import agreement


def sampler(rng, shift: float = 0.0, scale: float = 1.0) -> DataTree:
    """Four chains of 500 draws of five scalars."""
    values = scale * rng.standard_normal((4, 500, 5)) + shift
    return DataTree.from_dict({"/posterior": Dataset({"x": (("chain", "draw", "i"), values)})})


def found(seed: int, **off) -> dict:
    rng = np.random.default_rng(seed)
    comparison = vm.check(sampler(rng, **off), sampler(rng))
    return agreement(comparison.table, comparison.table["method"][0])


def test_two_samplers_of_one_law_agree():
    # P(some |z| beyond the limit) = .05 a seed: 4 of 8 or more has probability .0004
    assert sum(not found(seed)["passed"] for seed in range(8)) < 4


def test_a_mean_or_an_sd_that_is_off_is_found_and_named():
    # the error of a mean is 1 / sqrt(2000) = .022 in each: .3 is 9.5 standard errors; of a log sd .0158 in each
    shifted = found(1, shift=0.3)
    assert (shifted["passed"], shifted["which"]) == (False, "mean")
    assert abs(abs(shifted["z"]) - 0.3 / np.sqrt(2 / 2000)) < 4
    wide = found(1, scale=1.3)
    assert (wide["passed"], wide["which"]) == (False, "sd")
    assert abs(wide["z"] - np.log(1.3) / np.sqrt(1 / 2000)) < 4
