"""Verdicts are equivalence tests with one order of precedence."""

import numpy as np
import pandas as pd
import pytest

from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.metrics.health import Check, Health
from vi_vs_mcmc.metrics.marginals import simultaneous
from vi_vs_mcmc.verdict import Tolerance, judge

GOOD = Health((Check("R-hat, largest", 1.001, "below 1.01", True),), np.ones(1), np.ones(1), np.ones(1), 0)
BAD = Health((Check("R-hat, largest", 1.2, "below 1.01", False),), np.ones(1), np.ones(1), np.ones(1), 0)


def table(*scalars: tuple[float, float, float, float], judged=True) -> pd.DataFrame:
    """Rows from (sd ratio, its half-width, bias, its half-width)."""
    rows = [
        {
            "parameter": f"p[{i}]",
            "sd_ratio": r,
            "sd_ratio_lowest": r - dr,
            "sd_ratio_highest": r + dr,
            "sd_ratio_own": 0.0,
            "bias": b,
            "bias_own": 0.0,
            "bias_lowest": b - db,
            "bias_highest": b + db,
            "coverage90": 0.88,
            "coverage90_low": 0.87,
            "coverage90_high": 0.89,
            "judged": judged,
        }
        for i, (r, dr, b, db) in enumerate(scalars)
    ]
    return pd.DataFrame(rows)


def verdict(rows, health=GOOD, **more) -> dict:
    return judge(rows, health, Tolerance(), method="cavi", reference="nuts", draws=4000, **more)


FINE = (0.99, 0.03, 0.02, 0.05)
CASES = {
    "calibrated": (FINE, (1.02, 0.05, -0.1, 0.1)),
    "overconfident": (FINE, (0.7, 0.05, 0.0, 0.1)),
    "underconfident": (FINE, (1.4, 0.05, 0.0, 0.1)),
    "biased": (FINE, (1.0, 0.05, -0.6, 0.1)),
    "inconclusive": (FINE, (0.92, 0.05, 0.0, 0.1)),
}


@pytest.mark.parametrize("word", CASES)
def test_each_verdict_is_reached(word):
    assert verdict(table(*CASES[word]))["verdict"] == [word]


def test_several_faults_hold_together_in_order():
    rows = table(FINE, (0.7, 0.05, 0.9, 0.1), (1.5, 0.05, 0.0, 0.1))
    assert verdict(rows)["verdict"] == ["overconfident", "underconfident", "biased"]


def test_a_failed_reference_comes_before_everything():
    found = verdict(table(*CASES["overconfident"]), BAD, status="not converged")
    assert found["verdict"] == ["no verdict"]
    assert "R-hat, largest 1.2 (want below 1.01)" in found["sentence"]


def test_an_unfinished_optimiser_comes_before_its_family():
    found = verdict(table(*CASES["overconfident"]), status="not converged", status_sentence="still rising")
    assert found["verdict"] == ["not converged"]
    assert "still rising" in found["sentence"]


def test_a_point_is_no_distribution():
    assert verdict(table(*CASES["overconfident"]), point=True)["verdict"] == ["point estimate"]


def test_what_is_left_out_is_not_judged():
    rows = pd.concat([table(FINE), table((0.1, 0.01, 3.0, 0.1), judged=False)], ignore_index=True)
    assert verdict(rows)["verdict"] == ["calibrated"]
    assert verdict(rows)["judged"] == 1


def test_nothing_left_to_judge_is_no_verdict():
    assert verdict(table(FINE, judged=False))["verdict"] == ["no verdict"]


def test_inconclusive_says_about_how_many_draws_would_decide():
    # half-width .05, distance to the limit .02: (.05 / .02)^2 = 6.25 times 4000 draws
    assert "about 25\u202f000 NUTS draws would decide" in verdict(table((0.92, 0.05, 0.0, 0.1)))["sentence"]
    assert verdict(table((0.92, 0.05, 0.0, 0.1)))["draws_to_decide"] == 25_000
    assert verdict(table(FINE))["draws_to_decide"] is None


def test_what_the_methods_own_draws_leave_open_no_reference_decides():
    rows = table((0.92, 0.05, 0.0, 0.1))
    # own part sqrt(.1) x .05 = .0158, the reference's sqrt(.9) x .05; (.02^2 - .00025) is left: .00225 / .00015 = 15 times
    assert "about 60\u202f000 NUTS draws would decide" in verdict(rows.assign(sd_ratio_own=0.1))["sentence"]
    assert "own draws are too few" in verdict(rows.assign(sd_ratio_own=0.5))["sentence"]
    assert [verdict(rows.assign(sd_ratio_own=own))["own_draws_too_few"] for own in (0.1, 0.5)] == [False, True]


def test_the_coverage_of_the_worst_scalar_is_its_own_not_the_lowest():
    found = verdict(table(FINE, (0.7, 0.05, 0.0, 0.1)).assign(coverage90=[0.42, 0.86]))
    assert (found["worst_parameter"], found["coverage90_worst"]) == ("p[1]", 0.86)
    assert (found["coverage90_lowest_parameter"], found["coverage90_lowest"]) == ("p[0]", 0.42)


def test_a_scalar_without_variance_is_said_to_be_compared_by_its_width():
    sentence = verdict(table((0.7, 0.05, 0.0, 0.1)).assign(scale="central 68 %"))["sentence"]
    assert "worst is `p[0]`, width of the central 68\u202f% 0.70" in sentence


def test_a_ratio_on_the_limit_cannot_be_decided_by_any_number_of_draws():
    assert "too near the limit" in verdict(table((0.9, 0.05, 0.0, 0.1)))["sentence"]


def test_the_sentence_names_the_worst_scalar_with_its_interval():
    sentence = verdict(table(*CASES["overconfident"]))["sentence"]
    assert sentence == (
        "Its 90\u202f% intervals hold 88\u202f% [87,\u00a089] of the NUTS posterior (median of 2 scalars); "
        "worst is `p[1]`, sd 0.70 [0.65,\u00a00.75] of NUTS."
    )


def test_simultaneous_intervals_are_wider_and_hold_jointly():
    rng = np.random.default_rng(0)
    z = simultaneous(36)
    together = (np.abs(rng.standard_normal((20_000, 36))) < z).all(1).mean()
    assert abs(together - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 20_000)  # 4 standard errors of a share
    assert simultaneous(1) == pytest.approx(1.959964)


@pytest.mark.parametrize("sd", [0.0, 1.0, -0.1])
def test_a_tolerance_out_of_range_is_refused(sd):
    with pytest.raises(SettingError, match="tolerance"):
        Tolerance(sd=sd)


def test_a_point_keeps_what_is_said_of_its_means_and_nothing_of_a_width():
    found = verdict(table(FINE, (1e-12, 1e-13, -0.6, 0.1)), point=True)
    assert found["biased_count"] == 1
    assert found["worst_bias_parameter"] == "p[1]"
    assert found["worst_bias"] == -0.6
    of_width = [key for key in found if key.startswith("coverage90") or key.endswith("confident_count")]
    assert len(of_width) == 9
    assert [found[key] for key in (*of_width, "sd_ratio_median", "worst_parameter")] == [None] * 11
    assert found.keys() == verdict(table(FINE)).keys()
