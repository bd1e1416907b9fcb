"""Section: did each optimiser finish, and what did it climb? ELBO, restarts, log-likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from vi_vs_mcmc.figures.climb import Trace, climb
from vi_vs_mcmc.report.blocks import Block, Panel, Section, Table
from vi_vs_mcmc.report.em_steps import em_steps
from vi_vs_mcmc.report.evidence import digits, evidence, fine, gap_of
from vi_vs_mcmc.report.findings import sentences
from vi_vs_mcmc.report.mixture import of_a_row
from vi_vs_mcmc.report.ratios import ratios
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import capital, count, listed, number, plural, spelled, told_apart

_TRACES = 6  # methods whose traces are drawn
_LIKELIHOODS = 2  # methods whose bound is drawn beside the likelihood
_SETTLED = 0.01  # nats


def optimiser(view: View) -> Section:
    """The section on the health of the variational fits."""
    stopped = [view.label(m) for m in view.methods if _status(view, m) == "not converged"]
    unknown = [m for m in view.methods if _status(view, m) is None]
    intro = "An unfinished optimiser can look like an overconfident family. "
    if stopped:
        intro += (
            f"{listed(stopped)} did not finish: judge {'it' if len(stopped) == 1 else 'them'} again after more work."
        )
    elif len(unknown) == len(view.methods):
        intro += "These files do not say whether their fits finished."
    else:
        intro += f"{'This one is' if len(view.methods) == 1 else 'These are'} finished." if not unknown else ""
    traced = [m for m in view.methods if _elbo(view, m) is not None][:_TRACES]
    likelihoods = [b for m in view.methods if (b := _likelihood(view, m))]
    blocks = [
        evidence(view),
        _climbs(view, traced) if traced else None,
        *likelihoods[:_LIKELIHOODS],
        em_steps(view),
        ratios(view),
    ]
    return Section("vi", "VI health", intro.strip(), tuple(b for b in blocks if b is not None))


def health_table(view: View) -> Table:
    """Status, k-hat and its meaning, and the two ELBOs of every method; of a check, those that its files tell."""
    body = []
    for m in view.methods:
        v = view.run.summary["verdicts"][m]
        marginal = number(v.get("elbo_marginal"), 2)
        if v.get("elbo_marginal_se") is not None and v.get("elbo_marginal") is not None:
            error = float(v["elbo_marginal_se"])
            marginal = f"{number(v['elbo_marginal'], digits(error))} ± {fine(error)}"
        own, says = number(v.get("elbo"), 2), khat_means(v)
        if is_point(view, m):
            # the density of one point: it rises without limit as q narrows, and bounds no evidence
            own = f"log p {own}, not a bound" if v.get("elbo") is not None else own
            says, marginal = "has no meaning for a point", number(None)
        khat = told_apart(v.get("khat"), v.get("khat_threshold") or 0.7)[0]
        body.append([view.label(m), _finished(v), khat, says, own, marginal])
    last = f"ELBO, {local} summed out" if (local := of_a_row(view.run)) else "marginal ELBO"
    head = ["method", "finished?", "k‑hat", "what k‑hat says", "its own ELBO", last]
    told = [None, None, "khat", "khat", "elbo", "elbo_marginal"]
    kept = [i for i, fact in enumerate(told) if fact is None or view.tells(fact)]
    left = [kept.index(i) for i in (0, 1, 3) if i in kept]
    rows = [[row[i] for i in kept] for row in body]
    return Table("health of the variational fits", [head[i] for i in kept], rows, left=left, methods=view.methods)


def khat_means(verdict: dict[str, Any]) -> str:
    """What the tail of a method's importance ratios allows."""
    khat = verdict.get("khat")
    if khat is None or not np.isfinite(khat):
        return "not known"
    threshold = verdict.get("khat_threshold") or 0.7
    edge = told_apart(khat, threshold)[1].rstrip("0").rstrip(".")
    if khat < 0.5:
        return "good: reweighting its draws would work well"
    if khat < threshold:
        return f"below {edge}: reweighting its draws is possible"
    return f"above {edge}: reweighting its draws cannot repair it"


def log_evidence(view: View) -> float | None:
    """The log evidence: the run's own, else that of some method which gives one."""
    entry = view.run.summary.get("evidence") or {}
    if entry.get("log_evidence") is not None:
        return float(entry["log_evidence"])
    for m in [view.reference, *view.methods]:
        value = view.run.posteriors[m].attrs.get("log_evidence")
        if isinstance(value, (int, float, np.number)) and np.isfinite(float(value)):
            return float(value)
    return None


def ceiling(view: View, method: str) -> tuple[float, str] | None:
    """What a method's bound cannot pass and its name: log Z, less log K! where q keeps to one labelling of K!."""
    value = log_evidence(view)
    if value is None or is_point(view, method):
        return None
    found = gap_of(view, method)
    if found is None or found.labels == 0:
        return value, "log evidence"
    every = float((view.run.summary.get("evidence") or {}).get("labels") or 0.0)
    one = abs(found.labels - every) < 1e-6
    return value - found.labels, f"log evidence of {'one labelling' if one else 'its labellings'}"


def is_point(view: View, method: str) -> bool:
    """Whether a method gives one point, whose log p is no bound."""
    return bool(view.run.posteriors[method].attrs.get("point_estimate", 0)) or "point estimate" in view.words(method)


def _status(view: View, method: str) -> str | None:
    return view.run.summary["verdicts"][method].get("status")


def _finished(verdict: dict[str, Any]) -> str:
    sentence, status = verdict.get("status_sentence"), verdict.get("status")
    if not sentence and not status:
        return "not known"
    answer = {"not converged": "no", "converged": "yes", "ok": "yes"}.get(str(status), str(status or ""))
    return f"{answer}: {sentence}" if sentence and answer else str(sentence or answer)


def _variational(view: View, method: str) -> xr.Dataset | None:
    tree = view.run.posteriors[method]
    return tree["variational"].to_dataset() if "variational" in tree.children else None


def _elbo(view: View, method: str) -> list[Trace] | None:
    """The traces of all restarts if there are several, else the best one's."""
    group = _variational(view, method)
    if group is None or "elbo" not in group:
        return None
    best = np.asarray(group["elbo"].to_numpy(), float)
    steps = group["elbo_step"].to_numpy() if "elbo_step" in group else np.arange(1, best.size + 1)
    if "elbo_restarts" in group:
        every = [np.asarray(r, float) for r in group["elbo_restarts"].to_numpy()]
        ends = [float(r[np.isfinite(r)][-1]) if np.isfinite(r).any() else -np.inf for r in every]
        top = int(np.argmax(ends))
        traces = [_trace(np.arange(1, r.size + 1), r, best=i == top) for i, r in enumerate(every)]
    else:
        traces = [_trace(steps, best, best=True)]
    return [t for t in traces if t is not None] or None


def _trace(x: np.ndarray, y: np.ndarray, *, best: bool) -> Trace | None:
    use = np.isfinite(y)
    return Trace(np.asarray(x, float)[use], y[use], best) if use.any() else None


def _unit(view: View, method: str) -> str:
    group = _variational(view, method)
    return "step" if group is not None and {"elbo_step", "log_joint"} & set(group) else "sweep"


def _climbs(view: View, traced: list[str]) -> Block:
    tops = {m: ceiling(view, m) for m in traced}
    panels, body = [], []
    for i, m in enumerate(traced):
        traces, unit = _elbo(view, m) or [], _unit(view, m)
        value, name = tops[m] or (None, "")
        fig = climb(traces, view.styles[m], unit, ceiling=value, ceiling_name=name)
        several = f", {plural(len(traces), 'restart')}" if len(traces) > 1 else ""
        group, height = _variational(view, m), "log p at its point" if is_point(view, m) else "ELBO"
        window = ", mean of a window of steps" if group is not None and "elbo_step" in group else ""
        panels.append(
            Panel(
                f"elbo{i}",
                fig,
                f"{height} of {view.styles[m].label} by {unit}",
                f"{view.styles[m].label}{several}",
                f"{height}, nats{window}",
            )
        )
        for r, t in enumerate(traces):
            body.append([view.label(m), str(r), count(t.x[-1]), number(float(t.y[-1]), 3)])
    title, what = _climb_words(view, traced, tops)
    known = {t[1] for t in tops.values() if t}
    names = listed([f"the {name}" for name in sorted(known)], "or")
    bound = f" towards {names}, which no bound can pass" if known else ""
    read = (
        f"Each line is one fit climbing{bound}. Flat at the end means finished; flat at "
        "different heights means several modes, or a family with several optima. Heights of different "
        "methods compare only in the last column of the table above."
    )
    if "log evidence of one labelling" in known:
        read += (
            " A q that keeps to one numbering of its labels can reach the log evidence less the log of how "
            "many numberings there are."
        )
    points = [view.label(m) for m in traced if is_point(view, m)]
    if points:
        read += f" {listed(points)} climbs log p at a single point, which the evidence does not limit."
    table = Table("where each fit ended", ["method", "restart", "sweeps or steps", "final ELBO"], body)
    return Block("elbo", title, what, read, panels, table, columns=2 if len(panels) > 1 else 1)


def _climb_words(view: View, traced: list[str], tops: dict[str, tuple[float, str] | None]) -> tuple[str, str]:
    runs, rest = {}, []
    for m in traced:
        verdict = view.run.summary["verdicts"][m]
        restarts = verdict.get("restarts") or {}
        if (restarts.get("number") or 0) > 1:
            counts = int(restarts["number"]), int(restarts.get("agreeing") or 0)
            runs.setdefault(counts, []).append(view.label(m))
        elif verdict.get("status_sentence"):
            rest.append(f"{view.label(m)}: {str(verdict['status_sentence']).rstrip('.')}")
    for name in ("log evidence of one labelling", "log evidence of its labellings", "log evidence"):
        under = {m: t[0] for m in traced if (t := tops[m]) and t[1] == name}
        ends = {m: float(max(t.y[-1] for t in _elbo(view, m) or [])) for m in under}
        gaps = [f"{view.label(m)} {number(under[m] - end)}" for m, end in ends.items()]
        rest.append(f"below the {name}, in nats: {listed(gaps)}" if gaps else "")
    said = [_restart_clause(names, *counts) for counts, names in runs.items()]
    stopped = [view.label(m) for m in traced if _status(view, m) == "not converged"]
    if stopped:
        return f"{listed(stopped)} had not converged", sentences(*said, *rest)
    if said:
        return said[0], sentences(*said[1:], *rest)
    return f"{'The climb' if len(traced) == 1 else 'The climbs'} of the ELBO", sentences(*rest)


def _restart_clause(names: list[str], n: int, agreeing: int) -> str:
    """How many restarts agree, of one method or of several that have the same counts."""
    each = " each" if len(names) > 1 else ""
    all_, name = "Both" if n == 2 else f"All {spelled(n)}", listed(names)
    if agreeing >= n:
        return (
            f"{all_} {name} restarts reach one optimum"
            if not each
            else f"{all_} restarts of {name} reach one optimum{each}"
        )
    who = f"{capital(spelled(agreeing))} of {spelled(n)}"
    reach = "reaches" if agreeing == 1 else "reach"
    if not each:
        return f"{who} {name} restarts {reach} the best optimum"
    return f"{who} restarts of {name}{each} {reach} the best optimum"


def _likelihood(view: View, method: str) -> Block | None:
    """The ELBO beside the exact log-likelihood at the expected parameters, sweep by sweep."""
    group = _variational(view, method)
    if group is None or "log_likelihood" not in group or "elbo" not in group:
        return None
    likelihood = np.asarray(group["log_likelihood"].to_numpy(), float)
    bound = np.asarray(group["elbo"].to_numpy(), float)
    left = _trace(np.arange(1, bound.size + 1), bound, best=True)
    right = _trace(np.arange(1, likelihood.size + 1), likelihood, best=True)
    if left is None or right is None or right.y.size < 2:
        return None
    style, slug = view.styles[method], view.styles[method].css
    right_name, drawn = "log p(x | expected parameters)", climb([right], style, "sweep")
    panels = [
        Panel(f"bound-{slug}", climb([left], style, "sweep"), "ELBO by sweep", "ELBO", "nats"),
        Panel(f"likelihood-{slug}", drawn, "log-likelihood by sweep", right_name, "nats"),
    ]
    title, what = _likelihood_words(view.label(method), left.y, right.y)
    out = f", {local} summed out" if (local := of_a_row(view.run)) else ""
    read = (
        f"Left, the bound that is climbed; right, the exact log-likelihood of the data at the parameters expected so far{out}. "
        "The bound must rise at every sweep; the likelihood need not, as the bound also pays for the prior and for being "
        "spread out."
    )
    some = np.unique(np.linspace(0, min(left.y.size, right.y.size) - 1, 15).astype(int))
    body = [[str(i + 1), number(float(left.y[i]), 3), number(float(right.y[i]), 3)] for i in some]
    table = Table("ELBO and log-likelihood by sweep", ["sweep", "ELBO", "log-likelihood"], body)
    return Block(f"likelihood-{slug}", title, what, read, panels, table, columns=2)


def _likelihood_words(name: str, bound: np.ndarray, likelihood: np.ndarray) -> tuple[str, str]:
    a, b = _settled(bound), _settled(likelihood)
    drop = float(likelihood.max() - likelihood[-1])
    fall = (
        f" The likelihood was {number(drop, 2)} nats higher at sweep {int(likelihood.argmax()) + 1} and gave that up "
        "for a better bound."
        if drop > 0.05
        else ""
    )
    what = f"The ELBO stays within {_SETTLED} nats of its end from sweep {a}, the log-likelihood from sweep {b}.{fall}"
    if b < a:
        return f"{name}’s likelihood settles by sweep {b}; its ELBO climbs until sweep {a}", what
    if b > a:
        return f"{name}’s ELBO settles by sweep {a}; the likelihood moves until sweep {b}", what
    return f"{name}’s ELBO and likelihood settle together, at sweep {a}", what


def _settled(y: np.ndarray) -> int:
    """The first sweep after which a trace stays near its end."""
    away = np.flatnonzero(np.abs(y - y[-1]) > _SETTLED)
    return int(away[-1]) + 2 if away.size else 1
