"""The page's own words: headline, lede and what to do. Every sentence is made from the summary's numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vi_vs_mcmc.metrics.health import Health
from vi_vs_mcmc.names import apart, bare, count, file_name, percent, signed, spoken, the
from vi_vs_mcmc.verdict import BIASED, CALIBRATED, INCONCLUSIVE, NO_VERDICT, NOT_CONVERGED, OVER, POINT, UNDER

WORDS = "no one two three four five six seven eight nine ten eleven twelve".split()
ORDER = (OVER, UNDER, BIASED, NOT_CONVERGED, INCONCLUSIVE, CALIBRATED, POINT)
CURABLE = {"R-hat, largest", "bulk ESS, smallest", "tail ESS, smallest"}

Summary = dict[str, Any]


def tell(summary: Summary) -> Summary:
    """`headline`, `lede` and `actions` of a summary."""
    return {"headline": _headline(summary), "lede": _lede(summary), "actions": _actions(summary)}


def of_reference(name: str, health: Health) -> str:
    """One sentence on whether the reference may be called one."""
    if not health.passed:
        return f"Failed its own checks, so no verdict stands: {health.failures()}."
    value = {c.name: c.value for c in health.checks}
    if "R-hat, largest" not in value:
        return "No scalar is left to check."
    least = min(value["bulk ESS, smallest"] or 0, value["tail ESS, smallest"] or 0)
    facts = [f"R\u2011hat at most {value['R-hat, largest']:.3f}", f"at least {count(int(least))} effective draws"]
    if (some := health.divergences) is not None:
        facts.append(("no divergences", "one divergence")[some] if some < 2 else f"{some} divergences")
    return f"Passed its own checks, so the verdicts stand: {', '.join(facts)}."


def number(value: int) -> str:
    """Small whole numbers as words."""
    return WORDS[value] if 0 <= value < len(WORDS) else count(value)


def listed(names: Sequence[str]) -> str:
    """A, B and C."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def beyond(summary: Summary, method: str) -> tuple[list[Summary], int]:
    """A method's quantities without labels that are beyond the tolerance, the furthest first, and how many there are.

    These have no interval. A row of which the reference's sd is 0 has no ratio, and is not counted.
    """
    rows = [r for r in (summary.get("labels") or {}).get("label_free") or [] if r["method"] == method]
    rows = [r for r in rows if r.get("sd_ratio") is not None]
    sd, mean = summary["tolerance"]["sd"], summary["tolerance"]["mean"]
    off = [r for r in rows if abs(r["sd_ratio"] - 1) > sd or abs(r.get("bias") or 0.0) > mean]
    return sorted(off, key=lambda r: -abs(math.log(max(r["sd_ratio"], 1e-12)))), len(rows)


def heavy(entry: Summary) -> bool:
    """Whether the importance ratios say that a method's joint distribution is not the posterior."""
    return entry.get("khat") is not None and entry["khat"] > (entry.get("khat_threshold") or 0.7)


def _headline(summary: Summary) -> str:
    if _untold(summary):
        if not any(entry["judged"] for entry in summary["verdicts"].values()):
            return "No verdict: nothing here can be judged."
        return f"No verdict: {_reference(summary)} did not pass its own checks."
    sentences = []
    for words, methods in _groups(summary).items():
        names, verb = listed([spoken(m) for m in methods]), "are" if len(methods) > 1 else "is"
        if words == (NOT_CONVERGED,):
            sentences.append(f"{names} {'have' if len(methods) > 1 else 'has'} not converged.")
        elif words == (INCONCLUSIVE,):
            sentences.append(f"{names} {verb} not decided yet.")
        elif words == (POINT,):
            sentences.append(f"{names} {verb} a point without spread.")
        else:
            sentences.append(f"{names} {verb} {listed(words)}{'' if sentences else ' here'}.")
    return " ".join(sentences)


def _lede(summary: Summary) -> str:
    if _untold(summary):
        return f"{summary['reference']['sentence']} The numbers below show why; they judge nothing."
    limited = _limited(summary)
    if not limited:
        return _first(summary)
    names, verb = listed([spoken(m) for m in limited]), "are" if len(limited) > 1 else "is"
    why = _reserved(summary, limited[0])
    under = f" under {spoken(limited[0])}" if len(limited) > 1 else ""
    return f"{_first(summary)} {names} {verb} right for {_single(summary)} only:{under} {why}."


def _first(summary: Summary) -> str:
    """The lede on the gravest verdict."""
    reference, tolerance = _reference(summary), percent(summary["tolerance"]["sd"])
    words, methods = next(iter(_groups(summary).items()))
    entry, name = summary["verdicts"][methods[0]], spoken(methods[0])
    if OVER in words:
        if BIASED in words:
            trusted = "means cannot be trusted, nor can its intervals"
        elif entry["off_centre_count"]:
            trusted = "intervals cannot be trusted, and not every mean is decided"
        else:
            trusted = "means can be trusted, its intervals cannot"
        return f"{name}\u2019s {trusted}: {_few(entry, 'overconfident_count')} more than {tolerance} too small."
    if UNDER in words:
        few = _few(entry, "underconfident_count")
        return f"{name} is less sure than the data let it be: {few} more than {tolerance} too large."
    if BIASED in words:
        sds = f"{bare(summary['reference']['method'])} sds"
        off = f"`{entry['worst_bias_parameter']}` is off by {signed(entry['worst_bias'])} {sds}"
        return f"No sd of {name} is decidedly wrong, but its centre is: the mean of {off}."
    if words == (NOT_CONVERGED,):
        return "An unfinished optimiser can look like an overconfident family. Finish it before you judge."
    if words == (INCONCLUSIVE,):
        why = f"{reference} needs more draws" if _to_sample(summary) else "the methods\u2019 own draws are too few"
        return f"No difference beyond the tolerance is shown, but not every one is ruled out: {why}."
    if words == (POINT,):
        return "A point estimate has no spread to compare."
    return f"Every sd is within {tolerance} of {reference}, and every mean within {_tolerated_mean(summary)}."


def _actions(summary: Summary) -> list[Summary]:
    if _untold(summary):
        return _mend(summary)
    reference, verdicts = summary["reference"], summary["verdicts"]
    name, plain, tolerance = _reference(summary), bare(reference["method"]), summary["tolerance"]
    having = lambda word: [m for m, v in verdicts.items() if word in v["verdict"]]
    out = []
    over, limited = having(OVER), _limited(summary)
    good = [m for m in having(CALIBRATED) if m not in limited]
    within = f"Every sd is within {percent(tolerance['sd'])} of {name}, every mean within {_tolerated_mean(summary)}"
    if good:
        out.append(_do(f"Use {listed([spoken(m) for m in good])}.", f"{within}.", _open(good[0])))
    if limited:
        do = f"Use {listed([spoken(m) for m in limited])} for {_single(summary)}, not for several at once."
        why = "; ".join(f"under {spoken(m)} {_reserved(summary, m)}" for m in limited)
        out.append(_do(do, f"{within}. But {why}.", _open(limited[0])))
    if not good:
        cost = (summary.get("cost") or {}).get(reference["method"])
        took = f" It took {cost['wall_seconds']:.0f} s." if cost else ""
        why = f"It passed its own checks, and its draws are in the run\u2019s folder.{took}"
        rest = " for everything else" if limited else ""
        out.append(_do(f"Report intervals from {name}{rest}.", why, _open(reference["method"])))
    out += [_reweigh(m, verdicts[m]["importance"]) for m in over if _reliable(verdicts[m]) and not good]
    centred = [m for m in over if not verdicts[m]["off_centre_count"]]
    if centred:
        furthest = max(abs(verdicts[m]["worst_bias"]) for m in centred)
        why = f"Every mean is right; the furthest is off by {furthest:.2f} of a {plain} sd (tolerance {tolerance['mean']:g})."
        out.append(_do(f"Keep {listed([spoken(m) for m in centred])} for point estimates.", why, None))
    for m in over:
        worst, missed = verdicts[m]["worst_parameter"], percent(1 - verdicts[m]["coverage90_worst"])
        why = f"At 90\u202f%, that of `{worst}` misses {missed} of {name} instead of 10."
        out.append(_do(f"Do not quote {spoken(m)}\u2019s intervals, least of all for `{worst}`.", why, None))
    for m in having(BIASED):
        off, by = verdicts[m]["worst_bias_parameter"], signed(verdicts[m]["worst_bias"])
        out.append(_do(f"Do not quote {spoken(m)}\u2019s mean of `{off}`.", f"It is off by {by} {plain} sds.", None))
    for m in having(NOT_CONVERGED):
        sentence = verdicts[m]["status_sentence"]
        out.append(_do(f"Let {spoken(m)} finish first.", f"{sentence[:1].upper()}{sentence[1:]}.", None))
    if longer := _to_sample(summary):
        names = listed([spoken(m) for m in longer])
        why = "An interval shrinks as the square root of the number of draws."
        out.append(_do(f"Sample {name} longer to decide on {names}.", why, _longer(summary)))
    return out


def _to_sample(summary: Summary) -> list[str]:
    """Methods that more draws of the reference may decide on: the undecided ones whose own draws suffice."""
    entries = summary["verdicts"].items()
    return [m for m, v in entries if v["verdict"] == [INCONCLUSIVE] and not v.get("own_draws_too_few")]


def _limited(summary: Summary) -> list[str]:
    """Calibrated methods that something which depends on several parameters at once contradicts, the furthest first."""
    found = {}
    for m, entry in summary["verdicts"].items():
        off = beyond(summary, m)[0]
        if entry["verdict"] == [CALIBRATED] and (off or heavy(entry)):
            found[m] = off[0]["sd_ratio"] if off else 1.0
    return sorted(found, key=lambda m: -abs(math.log(max(found[m], 1e-12))))


def _reserved(summary: Summary, method: str) -> str:
    """What contradicts a calibrated method, as a clause."""
    entry, (off, total), out = summary["verdicts"][method], beyond(summary, method), []
    if heavy(entry):
        out.append("k\u2011hat is {}, above {}".format(*apart(entry["khat"], entry.get("khat_threshold") or 0.7)))
    if off:
        some = f"{number(len(off))} of {number(total)} quantities without labels {'is' if len(off) == 1 else 'are'}"
        out.append(f"{some} beyond the tolerance, {furthest(summary, off[0])}")
    return ", and ".join(out)


def furthest(summary: Summary, row: Summary) -> str:
    """A quantity without labels, with what is wrong with it."""
    if abs(row["sd_ratio"] - 1) > summary["tolerance"]["sd"]:
        return f"furthest `{row['parameter']}`, sd {row['sd_ratio']:.2f} of {_reference(summary)}"
    sds = f"{bare(summary['reference']['method'])} sds"
    return f"furthest `{row['parameter']}`, its mean off by {signed(row['bias'])} {sds}"


def _single(summary: Summary) -> str:
    return "single quantities" if summary["reference"].get("label_free") else "single parameters"


def _reliable(entry: Summary) -> bool:
    return bool((entry.get("importance") or {}).get("reliable"))


def _reweigh(method: str, found: Summary) -> Summary:
    khat, edge = apart(found["khat"], found["threshold"])
    why = (
        f"k\u2011hat is {khat}, below {edge}: importance weights leave "
        f"{count(round(found['ess']))} effective draws of {count(found['draws'])}."
    )
    return _do(f"Or reweight {spoken(method)}\u2019s draws.", why, f"vm.resample({_open(method)}, seed=0)")


def _mend(summary: Summary) -> list[Summary]:
    """What would make a failed reference one."""
    failed = {c["name"] for c in summary["reference"]["checks"] if not c["passed"]}
    out = []
    if failed & CURABLE:
        why = "Chains that mix slowly need more draws. Chains that sit on different modes need more than draws."
        out.append(_do("Sample longer.", why, _longer(summary)))
    if failed - CURABLE:
        why = "A part of the posterior was not reached. A prior that holds every parameter, or fewer components, helps."
        out.append(_do("Ease the geometry.", why, None))
    return out or [_do("Compare other parameters.", "Nothing that is compared here can be judged.", None)]


def _groups(summary: Summary) -> dict[tuple[str, ...], list[str]]:
    """Methods by verdict, the gravest first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for method, entry in sorted(summary["verdicts"].items(), key=lambda kv: ORDER.index(kv[1]["verdict"][0])):
        groups.setdefault(tuple(entry["verdict"]), []).append(method)
    return groups


def _untold(summary: Summary) -> bool:
    return any(v["verdict"] == [NO_VERDICT] for v in summary["verdicts"].values())


def _reference(summary: Summary) -> str:
    return the(summary["reference"]["method"])


def _few(entry: Summary, which: str) -> str:
    some, judged = entry[which], entry["judged"]
    if some == judged:
        return {1: "the one sd is", 2: "both sds are"}.get(some, f"all {number(some)} sds are")
    return f"at least {number(some)} of {judged} sds {'is' if some == 1 else 'are'}"


def _tolerated_mean(summary: Summary) -> str:
    mean = summary["tolerance"]["mean"]
    return "a quarter of an sd" if mean == 0.25 else f"{mean:g} of an sd"


def _longer(summary: Summary) -> str | None:
    """The option that samples on, to what would decide where that is known; a file cannot."""
    if summary["kind"] != "compare":
        return None
    reference = summary["reference"]
    wanted = [entry.get("draws_to_decide") or 0 for entry in summary["verdicts"].values()]
    each = -(-max(wanted, default=0) // reference["chains"])
    return f"--max-draws {each if each > reference['draws'] else 4 * reference['draws']}"


def _open(method: str) -> str:
    return f'xarray.open_datatree("posteriors/{file_name(method)}.nc")'


def _do(do: str, why: str, command: str | None) -> Summary:
    return {"do": do, "why": why, "command": command}
