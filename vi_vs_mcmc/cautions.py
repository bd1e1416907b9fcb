"""Warnings beside a verdict: what was not explored, what was left out, what the data and the settings bring with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vi_vs_mcmc.names import apart, count, percent, signed, spoken
from vi_vs_mcmc.story import beyond, furthest, heavy, number
from vi_vs_mcmc.verdict import CALIBRATED

ALIKE = 0.02  # difference of two sds' logarithms that is no difference
WEIGHTY = 0.05  # ELBO weight of an optimum that chains should have visited
FAR = 4.0  # standard errors between two estimates of one number
FLAT = 0.99  # spectral radius of the update from which linear response is not to be believed

Caution = dict[str, Any]  # level ("check" or "note"), fact, consequence, remedy


def cautions(
    summary: dict[str, Any], of_data: Sequence[str], of_settings: Sequence[tuple[str, str, str | None]]
) -> list[Caution]:
    """Every warning, those to check first.

    Args:
        summary: reference and verdicts.
        of_data: sentences on the data.
        of_settings: (fact, consequence, remedy) of the problem.
    """
    reference = summary["reference"]
    out = [_caution("check", text, "", None) for text in of_data]
    out += [_caution("note", *said) for said in of_settings]
    for method, entry in summary["verdicts"].items():
        gaps = (summary.get("evidence") or {}).get("gaps") or {}
        out += _of_method(method, entry, gaps.get(method))
        out += _without_labels(summary, method)
    out += [*_of_labels(summary), *_of_modes(summary), *_of_samplers(summary)]
    if reference.get("no_variance"):
        some = reference["no_variance"]
        fact = f"{count(len(some))} scalar{'s have' if len(some) > 1 else ' has'} no variance (`{some[0]}`)."
        what = "Spread is compared there by the half-width of the central 68 %, and centres by medians."
        out.append(_caution("note", fact, what, None))
    if reference["left_out"]:
        reasons = sorted({item["reason"] for item in reference["left_out"]})
        more = f", and {len(reasons) - 3} more such" if len(reasons) > 3 else ""
        some = len(reference["left_out"])
        fact = f"{some} scalar{'s are' if some > 1 else ' is'} left out of the verdict."
        out.append(_caution("note", fact, f"{'; '.join(reasons[:3])}{more}.".capitalize(), None))
    if reference["status"] == "passed" and reference["divergences"]:
        some = reference["divergences"]
        fact = f"{some} draws diverged." if some > 1 else "One draw diverged."
        out.append(_caution("note", fact, "Few enough to pass; a corner of the posterior may be missed.", None))
    moved = reference["relabelled"]
    if moved and (moved["chains"] or moved["draws"]):
        fact = f"Labels were put in one order: {moved['chains']} chains and {count(moved['draws'])} draws moved."
        what = "Answers for single components depend on that order; sorted weights and densities do not."
        out.append(_caution("note", fact, what, None))
    return sorted(out, key=lambda c: c["level"] != "check")


def _of_labels(summary: dict[str, Any]) -> list[Caution]:
    """Whether single components mean anything."""
    out, labels = [], summary.get("labels") or {}
    if summary["reference"].get("label_free"):
        what = f"{summary['reference']['label_free']}."
        out.append(
            _caution("check", "The verdicts rest on quantities that need no label.", what[:1].upper() + what[1:], None)
        )
    rules = labels.get("rules")
    if rules and abs(math.log(rules["other_sd"] / rules["sd"])) > ALIKE:
        fact = f"The sd of `{rules['parameter']}` depends on the relabelling rule: {rules['sd']:.3g} or {rules['other_sd']:.3g}."
        out.append(_caution("note", fact, "Sorted weights, co-clustering and densities do not depend on it.", None))
    return out


def _of_modes(summary: dict[str, Any]) -> list[Caution]:
    """Optima that the chains did not see, or saw more of than their bounds say."""
    found = summary.get("modes") or {}
    if not found and summary.get("kind") == "compare" and summary["reference"]["method"] == "nuts":
        fact = "No search for other modes was made, for the program has no closed form."
        what = "Each chain began uphill of a random point; a mode to which none of these leads is in no number here."
        return [_caution("note", fact, what, "--chains 16")]
    modes = found.get("modes") or []
    unseen = [m for m in modes if m["weight"] >= WEIGHTY and not any(m["visits"])]
    if unseen:
        elbo, weight = unseen[0]["elbo"], percent(unseen[0]["weight"])
        fact = f"No chain visited an optimum of ELBO {elbo:.2f}, {weight} of the weight by bounds."
        return [_caution("check", fact, "What the chains did not see is in no number here.", "--chains 16")]
    return []


def _of_samplers(summary: dict[str, Any]) -> list[Caution]:
    """Two samplers, or two estimates of the evidence, that do not agree."""
    out, agreed = [], summary.get("agreement")
    if agreed and not agreed["passed"]:
        pair = f"{agreed['label']} and {spoken(summary['reference']['method'])}"
        fact = f"{pair} disagree on the {agreed['which']} of `{agreed['parameter']}`."
        z, limit = abs(agreed["z"]), agreed["limit"]
        what = f"They are {z:.1f} standard errors apart, where {limit:.1f} is allowed: one of them is wrong."
        out.append(_caution("check", fact, what, None))
    estimates = (summary.get("evidence") or {}).get("estimates") or []
    for other in estimates[1:]:
        apart = abs(other["log_evidence"] - estimates[0]["log_evidence"])
        error = math.hypot(other["error"], estimates[0]["error"])
        if error > 0 and apart > FAR * error:
            fact = f"Two estimates of the log evidence are {apart:.2f} nats apart, {apart / error:.1f} standard errors."
            out.append(
                _caution(
                    "note", fact, f"{estimates[0]['how']} and {other['how']}; a mode may be missing from one.", None
                )
            )
            break
    return out


def _without_labels(summary: dict[str, Any], method: str) -> list[Caution]:
    """A calibrated method that is off in what no label changes."""
    if summary["verdicts"][method].get("verdict") != [CALIBRATED]:
        return []
    off, total = beyond(summary, method)
    if not off:
        return []
    some = f"{number(len(off)).capitalize()} of {number(total)}"
    is_ = "is" if len(off) == 1 else "are"
    fact = f"{some} quantities without labels {is_} beyond the tolerance under {spoken(method)}, {furthest(summary, off[0])}."
    what = (
        "Its verdict is on one parameter at a time; these depend on several, or on components that are left out of it."
    )
    return [_caution("check", fact, what, None)]


def _of_method(method: str, entry: dict[str, Any], gap: dict[str, Any] | None) -> list[Caution]:
    name, out, restarts = spoken(method), [], entry.get("restarts")
    if restarts and restarts["number"] > 1:
        tried, agreeing = restarts["number"], restarts["agreeing"]
        remedy = f"--restarts {8 * tried}"
        if agreeing == tried:
            start = "Chains start there; a" if method == "cavi" else "A"
            what = f"{start} mode that no restart found would go unseen."
            out.append(_caution("note", f"All {tried} restarts of {name} reached one optimum.", what, remedy))
        else:
            fact = f"{tried - agreeing} of {tried} restarts of {name} did not reach its best optimum."
            chains = ", and chains start at modes by their weight" if method == "cavi" else ""
            what = f"The posterior may have several modes. The best is reported{chains}."
            out.append(_caution("check", fact, what, remedy))
    if heavy(entry):
        tail, edge = apart(entry["khat"], entry.get("khat_threshold") or 0.7)
        fact = f"{name}\u2019s k\u2011hat is {tail}."
        calibrated = entry.get("verdict") == [CALIBRATED]
        what = f"Above {edge}, reweighting its draws does not repair it."
        if calibrated:
            what += " What is judged is right one at a time; all its parameters together are not the posterior."
        if gap and (gap.get("parameters") or 0) > 0:
            what += f" Its q(\u03b8) is {signed(gap['parameters'])} nats from the posterior."
        out.append(_caution("check" if calibrated else "note", fact, what, None))
    if (entry.get("spectral_radius") or 0) > FLAT:
        fact = f"{name}\u2019s fixed point is nearly flat in some direction (spectral radius {entry['spectral_radius']:.3f})."
        out.append(_caution("check", fact, "A linear response says little there.", None))
    if entry.get("empty"):
        fact = f"{name} stands at an optimum with {entry['empty']} empty component{'s' if entry['empty'] > 1 else ''}."
        what = "No row moves that component, so its sds there are those of the prior; believe those of the others only."
        out.append(_caution("note", fact, what, None))
    return out


def _caution(level: str, fact: str, consequence: str, remedy: str | None) -> Caution:
    return {"level": level, "fact": fact, "consequence": consequence, "remedy": remedy}
