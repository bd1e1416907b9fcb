"""The page's own words: headline, lede, what to do, warnings. Every sentence is made from the summary's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vi_vs_mcmc.metrics.health import Health
from vi_vs_mcmc.names import count, percent, signed, spoken
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.verdict import BIASED, CALIBRATED, INCONCLUSIVE, NO_VERDICT, NOT_CONVERGED, OVER, POINT, UNDER

WORDS = "no one two three four five six seven eight nine ten eleven twelve".split()
ORDER = (OVER, UNDER, BIASED, NOT_CONVERGED, INCONCLUSIVE, POINT, CALIBRATED)


def tell(summary: dict[str, Any], problem: Problem | None) -> dict[str, Any]:
    """`headline`, `lede`, `actions` and `warnings` of a summary."""
    return {
        "headline": _headline(summary),
        "lede": _lede(summary),
        "actions": _actions(summary),
        "warnings": _warnings(summary, problem),
    }


def of_reference(name: str, health: Health) -> str:
    """One sentence on whether the reference may be called one."""
    if not health.passed:
        return f"Failed its own checks, so no verdict stands: {health.failures()}."
    values = {c.name: c.value for c in health.checks}
    least = min(values["bulk ESS, smallest"] or 0, values["tail ESS, smallest"] or 0)
    facts = [f"R\u2011hat at most {values['R-hat, largest']:.3f}", f"at least {count(int(least))} effective draws"]
    if health.divergences is not None:
        facts.append("no divergences" if not health.divergences else f"{health.divergences} divergences")
    return f"Passed its own checks, so the verdicts stand: {', '.join(facts)}."


def number(value: int) -> str:
    """Small whole numbers as words."""
    return WORDS[value] if 0 <= value < len(WORDS) else count(value)


def listed(names: Sequence[str]) -> str:
    """A, B and C."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _groups(summary: dict[str, Any]) -> dict[tuple[str, ...], list[str]]:
    """Methods by verdict, the gravest first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    entries = sorted(summary["verdicts"].items(), key=lambda kv: ORDER.index(kv[1]["verdict"][0]))
    for method, entry in entries:
        groups.setdefault(tuple(entry["verdict"]), []).append(spoken(method))
    return groups


def _headline(summary: dict[str, Any]) -> str:
    reference = spoken(summary["reference"]["method"])
    if any(v["verdict"] == [NO_VERDICT] for v in summary["verdicts"].values()):
        if summary["reference"]["status"] == "passed":
            return "No verdict: nothing here can be judged."
        return f"No verdict: {reference} did not pass its own checks."
    sentences = []
    for words, names in _groups(summary).items():
        verb = "are" if len(names) > 1 else "is"
        said = {
            (NOT_CONVERGED,): f"{listed(names)} {'have' if len(names) > 1 else 'has'} not converged",
            (INCONCLUSIVE,): f"{listed(names)} {verb} not decided yet",
            (POINT,): f"{listed(names)} {verb} a point without spread",
        }.get(words, f"{listed(names)} {verb} {listed(words)}")
        sentences.append(f"{said}{' here' if not sentences else ''}.")
    return " ".join(sentences)


def _lede(summary: dict[str, Any]) -> str:
    reference, verdicts = spoken(summary["reference"]["method"]), summary["verdicts"]
    tolerance = percent(summary["tolerance"]["sd"])
    if any(v["verdict"] == [NO_VERDICT] for v in verdicts.values()):
        return f"{summary['reference']['sentence']} The numbers below are shown so that you can see why; they judge nothing."
    method, entry = next((m, v) for m, v in sorted(verdicts.items(), key=lambda kv: ORDER.index(kv[1]["verdict"][0])))
    name, words = spoken(method), entry["verdict"]
    if OVER in words:
        means = _means(entry, summary)
        few = f"{number(entry['overconfident_count'])} of {entry['judged']} sds"
        verb = "is" if entry["overconfident_count"] == 1 else "are"
        return f"{name}\u2019s {means}, its intervals cannot: {few} {verb} more than {tolerance} too small."
    if UNDER in words:
        few = f"{number(entry['underconfident_count'])} of {entry['judged']} sds"
        return f"{name} is less sure than it could be: {few} are more than {tolerance} too large."
    if BIASED in words:
        return f"{name}\u2019s sds are not decidedly wrong, but its centre is: `{entry['worst_bias_parameter']}` is off by {signed(entry['worst_bias'])} {reference} sds."
    if words == [NOT_CONVERGED]:
        return "An unfinished optimiser can look like an overconfident family; finish it before you judge."
    if words == [INCONCLUSIVE]:
        return f"The Monte Carlo error of {reference} is still too large to tell; no difference beyond {tolerance} is shown, none is ruled out."
    if words == [POINT]:
        return "A point estimate has no spread to compare."
    return f"Every sd is within {tolerance} of {reference}, and every mean within {_quarter(summary)}."


def _means(entry: dict[str, Any], summary: dict[str, Any]) -> str:
    return "means can be trusted" if not entry["biased_count"] else "means cannot be trusted"


def _quarter(summary: dict[str, Any]) -> str:
    mean = summary["tolerance"]["mean"]
    return "a quarter of an sd" if mean == 0.25 else f"{mean:g} of an sd"


def _actions(summary: dict[str, Any]) -> list[dict[str, Any]]:
    reference, verdicts = summary["reference"]["method"], summary["verdicts"]
    name = spoken(reference)
    if any(v["verdict"] == [NO_VERDICT] for v in verdicts.values()):
        return _mend(summary)
    out = []
    good = [m for m, v in verdicts.items() if v["verdict"] == [CALIBRATED]]
    if good:
        out.append(_do(f"Use {listed([spoken(m) for m in good])}.", f"Its sds are within {percent(summary['tolerance']['sd'])} of {name}, its means within {_quarter(summary)}.", _open(good[0])))
    else:
        out.append(_do(f"Report intervals from {name}.", "It passed its own checks; its draws are in the run\u2019s folder.", _open(reference)))
    for method, entry in verdicts.items():
        words, who = entry["verdict"], spoken(method)
        if OVER in words and not entry["biased_count"]:
            out.append(_do(f"Keep {who} for point estimates.", f"No mean is decidedly off; the furthest is {signed(abs(entry['worst_bias']))} of a {name} sd (tolerance {summary['tolerance']['mean']:g}).", None))
        if OVER in words:
            missed = percent(1 - entry["coverage90_lowest"])
            out.append(_do(f"Do not quote {who}\u2019s intervals, least of all for `{entry['worst_parameter']}`.", f"At 90\u202f%, they miss up to {missed} instead of 10.", None))
        if BIASED in words:
            out.append(_do(f"Do not quote {who}\u2019s mean of `{entry['worst_bias_parameter']}`.", f"It is {signed(entry['worst_bias'])} {name} sds away.", None))
        if words == [NOT_CONVERGED]:
            out.append(_do(f"Let {who} finish before judging its family.", f"{entry['status_sentence'][:1].upper()}{entry['status_sentence'][1:]}.", None))
        if words == [INCONCLUSIVE]:
            out.append(_do(f"Sample {name} longer to decide on {who}.", "The interval of a ratio shrinks as the square root of the draws.", f"--max-draws {4 * summary['reference']['draws']}"))
    return out


def _mend(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """What would make a failed reference one."""
    failed = {c["name"] for c in summary["reference"]["checks"] if not c["passed"]}
    out = []
    if failed & {"R-hat, largest", "bulk ESS, smallest", "tail ESS, smallest"}:
        out.append(_do("Sample longer.", "Chains that mix slowly need more draws; chains that disagree may sit on different modes, which more draws do not mend.", f"--max-draws {4 * summary['reference']['draws']}"))
    if failed & {"divergences", "E-BFMI, smallest", "draws at the depth limit"}:
        out.append(_do("Ease the geometry.", "Divergences mean that part of the posterior was not reached: use a prior that holds every parameter, or fewer components.", None))
    return out or [_do("Compare other parameters.", "Nothing that is compared here can be judged.", None)]


def _do(do: str, why: str, command: str | None) -> dict[str, Any]:
    return {"do": do, "why": why, "command": command}


def _open(method: str) -> str:
    from vi_vs_mcmc.record import file_name

    return f'xarray.open_datatree("posteriors/{file_name(method)}.nc")'


def _warnings(summary: dict[str, Any], problem: Problem | None) -> list[dict[str, Any]]:
    reference = summary["reference"]
    out = [_note(*caution) for caution in (problem.cautions if problem is not None else ())]
    out += [{"level": "check", "fact": text, "consequence": "", "remedy": None} for text in (problem.table.warnings if problem is not None and problem.table is not None else ())]
    for method, entry in summary["verdicts"].items():
        restarts = entry.get("restarts")
        if restarts and restarts["number"] > 1:
            out.append(_modes(spoken(method), restarts))
        if entry.get("khat") is not None and entry["khat"] > entry["khat_threshold"]:
            out.append(_note(f"{spoken(method)}\u2019s k\u2011hat is {entry['khat']:.2f}.", f"Above {entry['khat_threshold']:.2f}, reweighting its draws does not repair it.", None))
    if reference["left_out"]:
        labels = sorted({item["reason"] for item in reference["left_out"]})
        out.append(_note(f"{len(reference['left_out'])} scalars are left out of the verdict.", f"{'; '.join(labels[:3])}.", None))
    if reference["status"] == "passed" and reference["divergences"]:
        out.append(_note(f"{reference['divergences']} draws diverged.", "Few enough to pass, but a corner of the posterior may be missed.", None))
    moved = reference["relabelled"]
    if moved and (moved["chains"] or moved["draws"]):
        out.append(_note(f"Labels were put in order: {moved['chains']} chains and {count(moved['draws'])} draws moved.", "Answers for single components depend on the order chosen; sorted weights and densities do not.", None))
    return out


def _modes(name: str, restarts: dict[str, Any]) -> dict[str, Any]:
    number_, agreeing = restarts["number"], restarts["agreeing"]
    if agreeing == number_:
        fact = f"All {number_} restarts of {name} reached one optimum."
        return {"level": "note", "fact": fact, "consequence": "Chains start there; a mode that no restart found would go unseen.", "remedy": f"--restarts {8 * number_}"}
    inferior = f"{number(number_ - agreeing)} of {number_} restarts ended at another optimum."
    return {"level": "check", "fact": f"{name}: {inferior}", "consequence": "The posterior may have several modes; the best one found is reported, and chains start at modes by their weight.", "remedy": f"--restarts {8 * number_}"}


def _note(fact: str, consequence: str, remedy: str | None) -> dict[str, Any]:
    return {"level": "note", "fact": fact, "consequence": consequence, "remedy": remedy}
