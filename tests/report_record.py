"""The table and the summary that a comparison of synthetic posteriors writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vi_vs_mcmc.names import file_name

TOLERANCE = {"sd": 0.1, "mean": 0.25}
Z = 3.2  # simultaneous


@dataclass(frozen=True)
class Fit:
    """How one method errs: its sds are `width` of the reference's, its means off by `shift` sds."""

    width: float = 1.0
    shift: float = 0.0
    verdict: Sequence[str] = ("calibrated",)
    restarts: int = 0


@dataclass
class Recipe:
    """A run folder to write; `edit` changes the finished summary."""

    fits: Mapping[str, Fit] = field(
        default_factory=lambda: {
            "cavi": Fit(width=0.8, verdict=("overconfident",), restarts=4),
            "svi:AutoNormal": Fit(),
        }
    )
    reference: str = "nuts"
    chains: int = 4
    draws: int = 250
    data: bool = True
    columns: Sequence[str] = ("x0", "x1")
    empty: int = 0  # components without rows, left out of the verdict
    failed: bool = False
    kind: str = "compare"
    seed: int = 0


def save_summary(folder: Path, summary: dict[str, Any]) -> Path:
    """Write a changed summary back."""
    (folder / "summary.json").write_text(json.dumps(summary, indent=1, default=lambda v: v.item()), encoding="utf-8")
    return folder


def load_summary(folder: Path) -> dict[str, Any]:
    """Read the summary to change it."""
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def record(folder, trees, recipe, problem, data, *, left_out) -> dict[str, Any]:
    (folder / "posteriors").mkdir(parents=True, exist_ok=True)
    for method, tree in trees.items():
        tree.to_netcdf(folder / "posteriors" / f"{file_name(method)}.nc", engine="h5netcdf")
    reference = scalars(trees[recipe.reference])
    rows = [_row(m, p, scalars(trees[m])[p], reference[p], p not in left_out) for m in recipe.fits for p in reference]
    with (folder / "comparison.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    label = recipe.reference.upper()
    known = recipe.kind == "compare"
    verdicts = {
        m: _verdict(m, f, [r for r in rows if r["method"] == m and r["judged"]], label, recipe)
        for m, f in recipe.fits.items()
    }
    first = next(iter(recipe.fits))
    status = "failed" if recipe.failed else "passed"
    checks = [
        {
            "name": "R-hat, largest",
            "value": 1.31 if recipe.failed else 1.001,
            "wanted": "below 1.01",
            "passed": not recipe.failed,
        },
        {"name": "Bulk ESS, smallest", "value": 812.0, "wanted": "at least 400", "passed": True},
        {"name": "Tail ESS, smallest", "value": 760.0, "wanted": "at least 400", "passed": True},
        {
            "name": "Divergences",
            "value": 0 if known else None,
            "wanted": "at most 0.1 % of draws",
            "passed": True,
        },
        {
            "name": "E-BFMI, smallest",
            "value": 0.94 if known else None,
            "wanted": "at least 0.3",
            "passed": True,
        },
    ]
    sentence = "Failed its own checks: R-hat 1.31 on `means[0, 0]`." if recipe.failed else "Passed its own checks."
    return {
        "schema_version": 1,
        "kind": recipe.kind,
        "headline": "No verdict." if recipe.failed else f"{first.upper()}: {', '.join(recipe.fits[first].verdict)}.",
        "lede": "A lede with a number, **six of 18 sds**, and `means[0, 0]`.",
        "actions": [{"do": "Report intervals from NUTS.", "why": "They are right.", "command": "vi-vs-mcmc report x"}],
        "warnings": [
            {
                "level": "check",
                "fact": "One mode was explored.",
                "consequence": "Others go unseen.",
                "remedy": "--restarts 64",
            },
            {
                "level": "note",
                "fact": "A prior is vague.",
                "consequence": "Nothing follows here.",
                "remedy": None,
            },
        ],
        "problem": problem,
        "reference": {
            "method": recipe.reference,
            "status": status,
            "sentence": sentence,
            "rhat_max": checks[0]["value"],
            "ess_min": 760.0,
            "divergences": checks[3]["value"],
            "chains": recipe.chains,
            "draws": recipe.draws,
            "checks": checks,
            "relabelled": {"chains": 0, "draws": 0} if problem["exchangeable"] else None,
            "left_out": [
                {"parameter": p, "reason": "its component is occupied in 12 % of draws"} for p in sorted(left_out)
            ],
        },
        "verdicts": verdicts,
        "cost": {m: {"wall_seconds": 12.4, "work": "4 × 250 draws", "note": None} for m in trees} if known else None,
        "tolerance": TOLERANCE,
        "simultaneous_z": Z,
        "data": data,
        "truth": None,
        "seed": 24 if known else None,
        "versions": {"vi_vs_mcmc": "0.1.0", "numpyro": "0.22.0"},
        "command": "vi-vs-mcmc compare gmm --data synthetic.csv",
        "created": "2026-11-22T08:00:00+00:00",
        "wall_seconds": 35.1,
    }


def scalars(tree: xr.DataTree) -> dict[str, np.ndarray]:
    """Distinct scalars of a posterior by label, written apart from the package's own way."""
    out = {}
    for site, variable in tree["posterior"].data_vars.items():
        labels = [
            variable.coords[d].values if d in variable.coords else range(variable.sizes[d]) for d in variable.dims[2:]
        ]
        for index in np.ndindex(*variable.shape[2:]):
            if site == "covariances" and index[1] < index[2]:
                continue
            name = ", ".join(str(axis[i]) for axis, i in zip(labels, index, strict=True))
            out[f"{site}[{name}]" if index else str(site)] = variable.values[(slice(None), slice(None), *index)]
    return out


def _row(method: str, parameter: str, draws: np.ndarray, reference: np.ndarray, judged: bool) -> dict[str, Any]:
    n = reference.size
    sd, base = draws.std(ddof=1), reference.std(ddof=1)
    bias, ratio = (draws.mean() - reference.mean()) / base, sd / base
    se = 1 / np.sqrt(n)
    low, high = np.quantile(draws, [0.05, 0.95])
    held = np.mean((reference >= low) & (reference <= high))
    e = 1.4 * np.sqrt(held * (1 - held) / n)
    q, r = np.quantile(draws, [0.05, 0.5, 0.95]), np.quantile(reference, [0.05, 0.5, 0.95])
    return {
        "method": method,
        "parameter": parameter,
        "mean": draws.mean(),
        "sd": sd,
        "reference_mean": reference.mean(),
        "reference_sd": base,
        "sd_ratio": ratio,
        "sd_ratio_low": ratio * np.exp(-1.96 * se),
        "sd_ratio_high": ratio * np.exp(1.96 * se),
        "bias": bias,
        "bias_low": bias - 1.96 * se,
        "bias_high": bias + 1.96 * se,
        "coverage90": held,
        "coverage90_low": held - 1.96 * e,
        "coverage90_high": held + 1.96 * e,
        "wasserstein1": np.abs(np.sort(draws, None) - np.sort(reference, None)).mean() / base,
        **dict(zip(("q05", "q50", "q95"), q, strict=True)),
        **dict(zip(("reference_q05", "reference_q50", "reference_q95"), r, strict=True)),
        "sd_ratio_lowest": ratio * np.exp(-Z * se),
        "sd_ratio_highest": ratio * np.exp(Z * se),
        "bias_lowest": bias - Z * se,
        "bias_highest": bias + Z * se,
        "judged": judged,
        "reference_rhat": 1.001,
        "reference_ess_bulk": 900.0,
        "reference_ess_tail": 800.0,
    }


def _verdict(method: str, fit: Fit, rows: list[dict[str, Any]], label: str, recipe: Recipe) -> dict[str, Any]:
    worst = max(rows, key=lambda r: abs(np.log(r["sd_ratio"])))
    most = max(rows, key=lambda r: abs(r["bias"]))
    held = np.array([r["coverage90"] for r in rows])
    middle = float(np.median(held))
    own = recipe.kind == "compare"
    return {
        "verdict": ["no verdict"] if recipe.failed else list(fit.verdict),
        "sentence": f"Its 90 % intervals hold {100 * middle:.0f} % "
        f"[{100 * middle - 2:.0f}, {100 * middle + 2:.0f}] of the {label} "
        f"posterior; worst is `{worst['parameter']}`, sd {worst['sd_ratio']:.2f} "
        f"[{worst['sd_ratio_lowest']:.2f}, {worst['sd_ratio_highest']:.2f}] of {label}.",
        "worst_parameter": worst["parameter"],
        "sd_ratio_median": float(np.median([r["sd_ratio"] for r in rows])),
        "coverage90_median": middle,
        "coverage90_median_low": middle - 0.02,
        "coverage90_median_high": middle + 0.02,
        "coverage90_lowest": float(held.min()),
        "coverage90_highest": float(held.max()),
        "overconfident_count": sum(r["sd_ratio_highest"] < 0.9 for r in rows),
        "underconfident_count": sum(r["sd_ratio_lowest"] > 1.1 for r in rows),
        "biased_count": sum(r["bias_lowest"] > 0.25 or r["bias_highest"] < -0.25 for r in rows),
        "judged": len(rows),
        "worst_bias_parameter": most["parameter"],
        "worst_bias": most["bias"],
        "khat": 0.55 if own else None,
        "khat_threshold": 0.7 if own else None,
        "elbo": -1700.0 if own else None,
        "elbo_marginal": -1699.1 if own else None,
        "elbo_marginal_se": 0.01 if own else None,
        "status": "not converged" if "not converged" in fit.verdict else "converged",
        "status_sentence": "8 of 8 restarts reached this optimum; fixed point to 3e-9 after 41 sweeps" if own else None,
        "wall_seconds": 0.4 if own else None,
        "passes": 66 if own else None,
        "work": "8 restarts, 24 to 66 sweeps" if own else None,
        "restarts": {
            "number": fit.restarts,
            "agreeing": fit.restarts,
            "elbos": [-1700.0] * fit.restarts,
            "sweeps": [30] * fit.restarts,
        }
        if fit.restarts
        else None,
    }
