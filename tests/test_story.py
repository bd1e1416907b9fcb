"""The page's own words follow from the summary's numbers: what is right for single parameters is not called right in all."""

from vi_vs_mcmc.story import tell


def summary(**verdicts) -> dict:
    reference = {"method": "nuts", "status": "passed", "sentence": "", "checks": [], "draws": 1000}
    return {"kind": "compare", "reference": reference, "verdicts": verdicts, "tolerance": {"sd": 0.1, "mean": 0.25}}


def fit(*words: str, **more) -> dict:
    return {"verdict": list(words), "judged": 18, "khat": 0.4, "khat_threshold": 0.7, **more}


def free(method: str, parameter: str, sd_ratio: float | None) -> dict:
    return {"method": method, "parameter": parameter, "sd_ratio": sd_ratio, "bias": None if sd_ratio is None else 0.0}


def test_a_calibrated_method_is_used():
    told = tell(summary(lrvb=fit("calibrated")))
    assert told["lede"].endswith("every mean within a quarter of an sd.")
    assert [a["do"] for a in told["actions"]] == ["Use LRVB."]


def test_a_calibrated_method_with_a_heavy_tail_is_used_for_single_parameters_only():
    told = tell(summary(lrvb=fit("calibrated", khat=1.01)))
    assert told["headline"] == "LRVB is calibrated here."
    assert told["lede"].endswith("LRVB is right for single parameters only: k\u2011hat is 1.01, above 0.70.")
    assert [a["do"] for a in told["actions"]] == [
        "Use LRVB for single parameters, not for several at once.",
        "Report intervals from NUTS for everything else.",
    ]


def test_quantities_without_labels_limit_a_calibrated_method_and_the_furthest_is_named():
    rows = [free("lrvb", "together", 0.19), free("lrvb", "log_density", 0.97), free("lrvb", "occupied", None)]
    told = tell(summary(lrvb=fit("calibrated")) | {"labels": {"label_free": rows}})
    assert (
        "one of two quantities without labels is beyond the tolerance, furthest `together`, sd 0.19 of NUTS"
        in told["lede"]
    )
    fine = {"labels": {"label_free": rows[1:]}}
    assert "single" not in tell(summary(lrvb=fit("calibrated")) | fine)["lede"]


def test_one_method_is_limited_and_the_other_is_not():
    rows = [free("cavi", "together", 0.5), free("lrvb", "together", 0.98)]
    told = tell(summary(cavi=fit("calibrated"), lrvb=fit("calibrated")) | {"labels": {"label_free": rows}})
    assert [a["do"] for a in told["actions"]] == [
        "Use LRVB.",
        "Use CAVI for single parameters, not for several at once.",
    ]


def test_points_come_last_and_the_lede_is_about_the_others():
    told = tell(summary(em=fit("point estimate"), cavi=fit("calibrated")))
    assert told["headline"] == "CAVI is calibrated here. EM is a point without spread."
    assert told["lede"].startswith("Every sd is within")
    assert tell(summary(em=fit("point estimate")))["lede"] == "A point estimate has no spread to compare."


def test_the_option_to_sample_on_is_the_number_that_the_verdict_names():
    one = summary(cavi=fit("inconclusive", draws_to_decide=61_000), lrvb=fit("inconclusive", draws_to_decide=None))
    one["reference"]["chains"] = 4
    assert tell(one)["actions"][-1]["command"] == "--max-draws 15250"
    one["verdicts"]["cavi"]["draws_to_decide"] = None
    assert tell(one)["actions"][-1]["command"] == "--max-draws 4000"


def test_no_reference_is_sampled_longer_for_a_method_whose_own_draws_are_too_few():
    one = summary(lrvb=fit("inconclusive"), cavi=fit("inconclusive", own_draws_too_few=True))
    one["reference"]["chains"] = 4
    assert [a["do"] for a in tell(one)["actions"]][1:] == ["Sample NUTS longer to decide on LRVB."]
    one["verdicts"].pop("lrvb")
    assert len(tell(one)["actions"]) == 1
    assert tell(one)["lede"].endswith("the methods\u2019 own draws are too few.")


def narrow(some: int, judged: int = 18) -> dict:
    of_width = {"overconfident_count": some, "worst_parameter": "beta[weight]", "coverage90_worst": 0.75}
    return fit("overconfident", off_centre_count=1, **of_width) | {"judged": judged}


def test_what_an_interval_misses_is_said_of_the_parameter_that_is_named():
    last = tell(summary(cavi=narrow(2)))["actions"][-1]
    assert last["do"].endswith("least of all for `beta[weight]`.")
    assert last["why"] == "At 90\u202f%, that of `beta[weight]` misses 25\u202f% of NUTS instead of 10."


def test_all_sds_are_not_at_least_all():
    said = lambda *counts: tell(summary(cavi=narrow(*counts)))["lede"].partition(": ")[2]
    assert said(2, 18).startswith("at least two of 18 sds are more")
    assert said(2, 2).startswith("both sds are more")
    assert said(1, 1).startswith("the one sd is more")
    assert said(5, 5).startswith("all five sds are more")


def test_a_k_hat_beside_its_limit_has_the_decimals_that_tell_them_apart():
    assert "k\u2011hat is 0.703, above 0.700." in tell(summary(lrvb=fit("calibrated", khat=0.703)))["lede"]
