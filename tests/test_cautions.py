"""Warnings are made from the summary's numbers, and only where there is something to warn of."""

from vi_vs_mcmc.cautions import cautions


def summary(**more) -> dict:
    tolerance = {"sd": 0.1, "mean": 0.25}
    reference = {"method": "nuts", "status": "passed", "divergences": 0, "left_out": [], "relabelled": None}
    verdicts = more.pop("verdicts", {})
    return {"reference": reference | more.pop("reference", {}), "verdicts": verdicts, "tolerance": tolerance} | more


def facts(**more) -> list[str]:
    return [c["fact"] for c in cautions(summary(**more), [], [])]


def mode(weight: float, visits: list[float]) -> dict:
    return {"elbo": -10.0, "restarts": 1, "weight": weight, "visits": visits}


def test_a_quiet_run_has_no_warnings():
    assert facts(modes={"modes": [mode(1.0, [1.0, 1.0])]}, labels=None, evidence=None, agreement=None) == []


def test_a_weighty_optimum_that_no_chain_visited_is_named_and_a_light_one_is_not():
    seen = {"modes": [mode(0.8, [1.0, 1.0]), mode(0.2, [0.0, 0.0])]}
    assert facts(modes=seen) == ["No chain visited an optimum of ELBO -10.00, 20\u202f% of the weight by bounds."]
    assert facts(modes={"modes": [mode(0.99, [1.0]), mode(0.01, [0.0])]}) == []
    assert facts(modes={"modes": [mode(0.8, [1.0, 1.0]), mode(0.2, [0.0, 0.1])]}) == []


def test_where_no_modes_were_searched_for_the_page_says_so():
    assert facts(kind="compare", modes=None) == [
        "No search for other modes was made, for the program has no closed form."
    ]
    assert facts(kind="compare", modes=None, reference={"method": "gibbs"}) == []
    assert facts(kind="check", modes=None) == []


def test_verdicts_without_labels_say_so_and_why():
    found = cautions(summary(reference={"label_free": "60 % of draws lie elsewhere"}), [], [])
    assert found[0]["level"] == "check"
    assert found[0]["consequence"] == "60 % of draws lie elsewhere."


def test_an_answer_that_depends_on_the_relabelling_rule_has_both_numbers():
    rules = {"parameter": "means[1, 2]", "sd": 0.54, "other_sd": 0.63, "shift": 0.0}
    assert facts(labels={"rules": rules}) == ["The sd of `means[1, 2]` depends on the relabelling rule: 0.54 or 0.63."]
    assert facts(labels={"rules": rules | {"other_sd": 0.545}}) == []


def test_two_samplers_that_disagree_are_both_named():
    agreed = {"label": "Gibbs", "which": "sd", "parameter": "tau", "z": -5.0, "limit": 3.2, "passed": False}
    assert facts(agreement=agreed) == ["Gibbs and NUTS disagree on the sd of `tau`."]
    assert facts(agreement=agreed | {"passed": True}) == []


def test_two_estimates_of_the_evidence_that_disagree_are_named():
    pair = [
        {"log_evidence": -10.0, "error": 0.03, "how": "bridge"},
        {"log_evidence": -10.5, "error": 0.04, "how": "importance"},
    ]
    assert facts(evidence={"estimates": pair}) == [
        "Two estimates of the log evidence are 0.50 nats apart, 10.0 standard errors."
    ]
    assert facts(evidence={"estimates": [pair[0], pair[1] | {"log_evidence": -10.1}]}) == []


def test_linear_response_says_when_it_is_not_to_be_believed():
    entry = {"khat": None, "spectral_radius": 0.995, "empty": 3}
    assert facts(verdicts={"lrvb": entry}) == [
        "LRVB\u2019s fixed point is nearly flat in some direction (spectral radius 0.995).",
        "LRVB stands at an optimum with 3 empty components.",
    ]


def test_a_scalar_without_variance_is_named():
    assert facts(reference={"no_variance": ["tau"]}) == ["1 scalar has no variance (`tau`)."]


def test_a_heavy_tail_is_a_check_where_the_method_is_called_calibrated():
    entry = {"khat": 1.01, "khat_threshold": 0.7}
    level = lambda *words: cautions(summary(verdicts={"lrvb": entry | {"verdict": list(words)}}), [], [])[0]["level"]
    assert level("calibrated") == "check"
    assert level("overconfident") == "note"


def test_a_k_hat_that_rounds_to_its_limit_has_one_more_decimal():
    caution = cautions(summary(verdicts={"cavi": {"verdict": [], "khat": 0.703, "khat_threshold": 0.7}}), [], [])[0]
    assert caution["fact"] == "CAVI\u2019s k\u2011hat is 0.703."
    assert caution["consequence"].startswith("Above 0.700, ")


def test_a_calibrated_method_that_is_off_without_labels_is_to_be_checked():
    rows = [
        {"method": "lrvb", "parameter": "together", "sd_ratio": 0.19, "bias": 0.6},
        {"method": "lrvb", "parameter": "log_density", "sd_ratio": 1.0, "bias": 0.0},
        {"method": "lrvb", "parameter": "occupied", "sd_ratio": None, "bias": None},
    ]
    told = lambda *words: facts(verdicts={"lrvb": {"verdict": list(words)}}, labels={"label_free": rows})
    fact = (
        "One of two quantities without labels is beyond the tolerance under LRVB, furthest `together`, sd 0.19 of NUTS."
    )
    assert told("calibrated") == [fact]
    assert told("overconfident") == []


def test_restarts_that_fell_short_start_chains_only_where_chains_start_there():
    entry = {"restarts": {"number": 8, "agreeing": 5}}
    found = cautions(summary(verdicts={"cavi": entry, "em": entry}), [], [])
    assert [c["fact"] for c in found] == [
        "3 of 8 restarts of CAVI did not reach its best optimum.",
        "3 of 8 restarts of EM did not reach its best optimum.",
    ]
    assert ["chains" in c["consequence"] for c in found] == [True, False]
