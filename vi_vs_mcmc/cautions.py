"""Warnings beside a verdict: what was not explored, what was left out, what the data and the settings bring with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vi_vs_mcmc.names import count, spoken

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
        out += _of_method(spoken(method), entry)
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


def _of_method(name: str, entry: dict[str, Any]) -> list[Caution]:
    out, restarts = [], entry.get("restarts")
    if restarts and restarts["number"] > 1:
        number, agreeing = restarts["number"], restarts["agreeing"]
        remedy = f"--restarts {8 * number}"
        if agreeing == number:
            what = "Chains start there; a mode that no restart found would go unseen."
            out.append(_caution("note", f"All {number} restarts of {name} reached one optimum.", what, remedy))
        else:
            fact = f"{number - agreeing} of {number} restarts of {name} ended at an inferior optimum."
            what = (
                "The posterior may have several modes. The best is reported, and chains start at modes by their weight."
            )
            out.append(_caution("check", fact, what, remedy))
    if entry.get("khat") is not None and entry["khat"] > entry["khat_threshold"]:
        fact = f"{name}\u2019s k\u2011hat is {entry['khat']:.2f}."
        what = f"Above {entry['khat_threshold']:.2f}, reweighting its draws does not repair it."
        out.append(_caution("note", fact, what, None))
    return out


def _caution(level: str, fact: str, consequence: str, remedy: str | None) -> Caution:
    return {"level": level, "fact": fact, "consequence": consequence, "remedy": remedy}
