"""The last sections: what it cost, how to make it again, and what the words mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vi_vs_mcmc.figures.palette import Style
from vi_vs_mcmc.report.mixture import of_a_row
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import code, count, day, grouped, listed, number, percent, seconds


@dataclass(frozen=True)
class Cost:
    """What one method took."""

    style: Style
    share: str  # of the longest, percent
    seconds: str
    work: str


def costs(view: View) -> list[Cost]:
    """The cost of every method that says so."""
    given = view.run.summary.get("cost") or {}
    wall = {m: (given.get(m) or {}).get("wall_seconds") for m in [view.reference, *view.methods]}
    for m in view.methods:
        wall[m] = view.run.summary["verdicts"][m].get("wall_seconds") if wall[m] is None else wall[m]
    longest = max((w for w in wall.values() if w is not None), default=0) or 1
    out = []
    for m, w in wall.items():
        if w is None:
            continue
        entry = given.get(m) or {}
        work = "; ".join(str(entry[k]) for k in ("work", "note") if entry.get(k))
        if not work and m in view.methods:
            work = str(view.run.summary["verdicts"][m].get("work") or "")
        out.append(Cost(view.styles[m], f"{max(100 * w / longest, 0.8):.1f}%", seconds(w), grouped(work)))
    return out


def provenance(view: View) -> list[tuple[str, str]]:
    """Pairs of a term and a sentence."""
    s, problem, data = (
        view.run.summary,
        view.run.summary.get("problem") or {},
        view.run.summary.get("data") or {},
    )
    out = []
    if data:
        out.append(("Data", _data_words(data)))
    sites = list(dict.fromkeys(p.split("[")[0] for p in view.run.table.parameters))
    shown = [code(x) for x in sites[:12]] + ([f"{count(len(sites) - 12)} more"] if len(sites) > 12 else [])
    scalars = len(view.run.table.parameters)
    without = scalars - len(view.run.table.judged_parameters)
    out_of = f", {count(without)} of them left out of the verdict" if without else ""
    sd, mean = view.tolerance
    out.append(
        (
            "Compared",
            f"{count(scalars)} scalar{'s' if scalars != 1 else ''} of {listed(shown)}{out_of}; tolerance "
            f"{percent(sd)} on an sd, {number(mean)} sd on a mean",
        )
    )
    if problem.get("priors"):
        out.append(("Priors", _priors(str(problem["priors"]), problem.get("settings") or {})))
    settings = {k: v for k, v in (problem.get("settings") or {}).items() if isinstance(v, int | float | str)}
    if settings:
        out.append(
            (
                "Settings",
                ", ".join(f"{k} {v}" for k, v in sorted(settings.items())),
            )
        )
    if s.get("versions"):
        out.append(("Versions", ", ".join(f"{k} {v}" for k, v in s["versions"].items())))
    out.append(("Files", "`comparison.csv`, `summary.json`, `posteriors/*.nc` and `figures/*.json` beside this page"))
    return out


def header(view: View) -> list[str]:
    """The header's pieces after the title: data, reference, seed, day."""
    s, data, reference = view.run.summary, view.run.summary.get("data") or {}, view.run.summary["reference"]
    out = []
    if data.get("name"):
        size = ""
        if data.get("rows") is not None:
            columns = data.get("columns") or []
            size = f", {count(data['rows'])} rows" + (
                f" × {len(columns)} column{'s' if len(columns) != 1 else ''}" if columns else ""
            )
        out.append(f"{data['name']} data{size}")
    chains, draws = view.draws[view.reference].shape[:2]
    size = f"{count(reference.get('chains') or chains)} × {count(reference.get('draws') or draws)} draws"
    out.append(f"reference {view.styles[view.reference].label}, {size}")
    if s.get("seed") is not None:
        out.append(f"seed {s['seed']}")
    when = [day(s.get("created")), seconds(s["wall_seconds"]) if s.get("wall_seconds") is not None else None]
    if any(when):
        out.append(", ".join(w for w in when if w))
    return out


def glossary(view: View) -> Sequence[tuple[str, str]]:
    """The words of this page: those of methods, checks and estimates only where they are on it."""
    names, summary = {view.reference, *view.methods}, view.run.summary
    ninety, local = percent(0.9), of_a_row(view.run)
    kept, guessed = "each row’s own z, where there is one,", "every row’s z" if local else "what it sums out"
    if local == "labels":
        kept, guessed = "the labels", "which component every row belongs to"
    lower = f" CAVI’s own bound keeps {kept} and is lower; compare methods with {local} summed out." if local else ""
    words = [
        (
            "sd ratio",
            "A parameter’s posterior sd under a method, divided by its sd under the reference. Below 1 "
            "is overconfident.",
        ),
        (
            "Coverage",
            f"How much of the reference posterior a method’s interval really holds. A {ninety} interval "
            f"should hold {ninety}.",
        ),
        ("Mean off by", "Difference of the two posterior means, in reference sds."),
        (
            "Overconfident, underconfident, biased",
            "Some sd is clearly too small, some sd clearly too large, some mean clearly off: its whole "
            "simultaneous interval lies outside the tolerance.",
        ),
        (
            "Inconclusive",
            "Nothing is clearly off, but the Monte Carlo error is too large to call it right. More draws decide it.",
        ),
        (
            "Calibrated",
            "Every sd and every mean, one parameter at a time, is inside the tolerance with its whole interval.",
        ),
        (
            "Simultaneous interval",
            f"Intervals wide enough that all of them hold together with {percent(0.95)} probability, not "
            "each on its own.",
        ),
        (
            "Mean field",
            "Approximating a posterior by independent pieces. It forgets correlations between pieces, "
            "which makes each piece too narrow.",
        ),
    ]
    if "cavi" in names:
        words.append(
            (
                "CAVI",
                "Coordinate-ascent variational inference: mean field, fitted piece by piece in closed form.",
            )
        )
    if "lrvb" in names:
        words.append(
            (
                "Linear response (LRVB)",
                "Reads the forgotten covariance off how CAVI’s answer moves when the problem is nudged.",
            )
        )
    if any(n.startswith("svi") for n in names):
        words.append(
            (
                "SVI",
                "Stochastic variational inference: the ELBO is climbed along noisy gradients; the guide "
                "(AutoNormal, …) is the family.",
            )
        )
    if "laplace" in names:
        words.append(("Laplace", "A normal at the posterior’s mode, as wide as the curvature there says."))
    if "em" in names:
        words.append(
            (
                "EM",
                f"Expectation-maximisation: guesses {guessed}, moves the parameters to fit that guess best, and repeats; it "
                "ends at one point.",
            )
        )
    if "nuts" in names:
        words.append(
            (
                "NUTS",
                "The no-U-turn sampler: draws from the posterior by following its slope along paths, each as long as it "
                "leads away from its start.",
            )
        )
    if "gibbs" in names:
        words.append(
            (
                "Gibbs",
                "A sampler that draws one group of unknowns at a time from its exact distribution given all others.",
            )
        )
    words += [word for fact, word in _of_bounds_and_weights(lower) if fact is None or view.tells(fact)]
    return [*words, *_of_checks(summary), *_of_estimates(summary)]


def _of_bounds_and_weights(lower: str) -> Sequence[tuple[str | None, tuple[str, str]]]:
    """Words that every page has, but for a check whose files do not tell the fact."""
    return (
        (
            "elbo",
            (
                "ELBO",
                "The quantity VI raises: a lower bound on the log evidence, in nats. Their distance is the "
                f"divergence to the posterior.{lower}",
            ),
        ),
        (None, ("R‑hat, ESS", "Whether chains agree, and how many independent draws they are worth.")),
        (
            "elbo",
            (
                "Log evidence",
                "How probable the data are under the model, in nats: what every bound stays below. A nat is a factor of "
                "2.7 in probability.",
            ),
        ),
        (
            None,
            (
                "Shrinkage, delinkage",
                "What a factorised approximation loses because each coordinate’s own spread is too small, and what it gains "
                "back because the coordinates vary independently.",
            ),
        ),
        (
            "khat",
            (
                "Effective draws",
                "How many equally weighted draws the reweighted ones are worth.",
            ),
        ),
        (
            "khat",
            (
                "k‑hat",
                "How heavy the tail of the importance weights is. Above its threshold (at most 0.7), "
                "reweighting the method’s draws cannot repair it.",
            ),
        ),
    )


def _of_checks(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The words of the reference's checks that the page shows."""
    said = {
        "divergences": (
            "Divergence",
            "A step of NUTS whose simulated path went numerically wrong; many of them mean that a part of the posterior was "
            "not reached.",
        ),
        "E-BFMI, smallest": (
            "E‑BFMI",
            "How freely a chain of NUTS moves between likely and unlikely places: near 1 is free, below 0.3 is stuck.",
        ),
        "draws at the depth limit": (
            "Depth limit",
            "The longest path that NUTS may take for one draw; draws that hit it explore slowly.",
        ),
    }
    checks = [c.get("name") for c in summary["reference"].get("checks") or []]
    return [word for name, word in said.items() if name in checks]


def _of_estimates(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The words of evidence, modes and certificates that the page shows."""
    verdicts, out = summary["verdicts"].values(), []
    out.append(
        (
            "KL",
            "The divergence from an approximation to the posterior, in nats: 0 where the two are the same, and larger the "
            "more they differ.",
        )
    )
    if any(e.get("certificate") for e in verdicts):
        out.append(
            (
                "Certificate",
                "A bound on a method’s errors from its own draws, as far as they reach, without the reference.",
            )
        )
    if any(e.get("spectral_radius") is not None for e in verdicts):
        out.append(
            (
                "Spectral radius",
                "By how much the slowest error of coordinate ascent shrinks in one sweep: near 1 it hardly shrinks, and linear "
                "response says little.",
            )
        )
    if any("bridge" in str(e.get("how")) for e in (summary.get("evidence") or {}).get("estimates") or []):
        out.append(
            (
                "Bridge sampling",
                "Estimates the log evidence from draws of the posterior and of a simpler density, each weighed by the other.",
            )
        )
    if len((summary.get("modes") or {}).get("modes") or []) > 1:
        out.append(
            (
                "Optima visited",
                "Places where coordinate ascent came to rest and at least one draw of the reference lies.",
            )
        )
    return out


def _priors(text: str, settings: dict[str, Any]) -> str:
    """The priors with four significant digits, matrices by rows, and what all components share said to be shared."""
    return "; ".join(_prior(item.strip(), settings) for item in text.split(";"))


def _prior(text: str, settings: dict[str, Any]) -> str:
    name = re.match(r"[a-z ]*[a-z]", text)
    text = re.sub(r"(?<![\w.])-?\d+\.\d*(?:e[+-]?\d+)?(?!\w)", lambda found: _short(float(found[0])), text)
    text = re.sub(r"\s+(?=[,\]])", "", text)
    text = re.sub(r"\[\[(.*)\]\]", r"rows [\1]", text)
    values, components = settings.get(name[0].replace(" ", "_")) if name else None, settings.get("components")
    shared = isinstance(values, list) and len(values) == components and all(v == values[0] for v in values)
    shared = shared and (components or 0) > 1 and "for each component" not in text
    return f"{text} for each component" if shared else text


def _short(value: float) -> str:
    """At most four significant digits, without the zeros that say nothing."""
    return count(value) if abs(value) >= 10_000 else f"{value:.4g}".replace("-", "−")


def _data_words(data: dict) -> str:
    columns = [code(str(c)) for c in data.get("columns") or []]
    shown = columns[:8] + ([f"{len(columns) - 8} more"] if len(columns) > 8 else [])
    parts = [str(data.get("name") or "")]
    if data.get("rows") is not None:
        parts.append(
            f"{count(data['rows'])} rows"
            + (f", column{'s' if len(columns) != 1 else ''} {listed(shown)}" if columns else "")
        )
    if data.get("sha256"):
        parts.append(f"sha256 {code(data['sha256'])}")
    if data.get("embedded") is False:
        parts.append("the rows are not kept in the run folder")
    return "; ".join(p for p in parts if p)
