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
