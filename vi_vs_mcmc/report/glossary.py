"""What the words of the page mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vi_vs_mcmc.report.mixture import of_a_row
from vi_vs_mcmc.report.view import View
from vi_vs_mcmc.report.words import percent


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
