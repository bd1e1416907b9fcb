"""What a comparison leaves behind: the table, the summary that every sentence is made from, the posteriors, the run folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from xarray import Dataset, DataTree

from vi_vs_mcmc import labels, posterior, story
from vi_vs_mcmc.against import Found
from vi_vs_mcmc.cautions import cautions
from vi_vs_mcmc.conjugate import one_outcome
from vi_vs_mcmc.data import thin
from vi_vs_mcmc.metrics.agreement import agreement
from vi_vs_mcmc.metrics.importance import khat
from vi_vs_mcmc.metrics.marginals import simultaneous
from vi_vs_mcmc.metrics.occupancy import mean_responsibilities
from vi_vs_mcmc.names import count, file_name, spoken
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.verdict import Tolerance

SCHEMA = 1
EMBEDDED_ROWS = 5_000


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        table: one row per method and distinct scalar; the columns of `comparison.csv`.
        summary: the verdicts and everything a sentence needs; the content of `summary.json`.
        posteriors: by method, the reference among them, labels aligned.
    """

    table: pd.DataFrame
    summary: dict[str, Any]
    posteriors: dict[str, DataTree]

    def save(self, folder: str | Path) -> Path:
        """Write the run folder: comparison.csv, summary.json, posteriors/, figures/, report.html. Returns the page's path."""
        from vi_vs_mcmc import report

        folder = Path(folder)
        (folder / "posteriors").mkdir(parents=True, exist_ok=True)
        self.table.to_csv(folder / "comparison.csv", index=False)
        text = json.dumps(plain(self.summary), indent=1, ensure_ascii=False, allow_nan=False)
        (folder / "summary.json").write_text(text + "\n", "utf-8")
        for name, tree in self.posteriors.items():
            posterior.save(tree, folder / "posteriors" / f"{file_name(name)}.nc")
        return report.write(folder)

    def __str__(self) -> str:
        lines = [self.summary["headline"], self.summary["lede"]]
        if left_out := self.summary["reference"]["left_out"]:
            first, some = left_out[0], len(left_out)
            more = f" and {some - 1} more {'are' if some > 2 else 'is'}" if some > 1 else " is"
            lines.append(f"`{first['parameter']}`{more} left out of the verdict: {first['reason']}.")
        lines += [f"{name}: {', '.join(v['verdict'])}. {v['sentence']}" for name, v in self.summary["verdicts"].items()]
        return "\n".join(lines)


def comparison(
    found: Found,
    trees: dict[str, DataTree],
    tolerance: Tolerance,
    *,
    kind: str,
    wall_seconds: float,
    problem: Problem | None = None,
    sites: tuple[str, ...] = (),
    exchangeable: str | None = None,
    settings: dict[str, Any] | None = None,
    seed: int | None = None,
    command: str | None = None,
    embed_data: bool = True,
    tails: dict[str, tuple[float, float] | None] | None = None,
    more: dict[str, Any] | None = None,
) -> Comparison:
    """Put what was found into its lasting form.

    Args:
        found: the last look at the reference.
        trees: posteriors by name, the reference first.
        tolerance: what did not matter.
        kind: "compare" or "check".
        wall_seconds: of the whole run.
        problem: what was fitted, where it is known.
        sites: what was compared, where no problem says so.
        exchangeable: the dimension that was relabelled, where no problem says so.
        settings: what was set, where no problem says so.
        seed: of the run.
        command: that does it again.
        embed_data: keep rows of the data.
        tails: k-hat and its threshold by method, where more draws were looked at than are kept.
        more: entries of the summary that the whole run gave: `evidence`, `modes`, `labels`.
    """
    if problem is not None:
        trees = {name: _for_record(problem, tree, seed, embed_data=embed_data) for name, tree in trees.items()}
    tails = {name: khat(trees[name]) for name in found.verdicts} if tails is None else tails
    verdicts = {
        name: entry | _fit_facts(trees[name], tails[name]) | found.facts.get(name, {})
        for name, entry in found.verdicts.items()
    }
    judged = int(found.table.loc[found.table["judged"], "parameter"].nunique())
    summary: dict[str, Any] = {
        "schema_version": SCHEMA,
        "kind": kind,
        "problem": _problem(problem, sites, exchangeable, settings or {}),
        "reference": _reference(found),
        "verdicts": verdicts,
        "cost": {name: _cost(name, tree, found) for name, tree in trees.items() if "wall_seconds" in tree.attrs},
        "why": found.why,
        "agreement": _agreement(found, trees),
        "tolerance": asdict(tolerance),
        "simultaneous_z": simultaneous(2 * judged),
        "data": _data(problem, embed_data),
        "truth": _truth(problem, found),
        "seed": seed,
        "versions": posterior.versions(),
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": wall_seconds,
    } | (more or {})
    of_data = problem.table.warnings if problem is not None and problem.table is not None else ()
    of_settings = problem.cautions if problem is not None else ()
    summary = story.tell(summary) | {"warnings": cautions(summary, of_data, of_settings)} | summary
    return Comparison(found.table, summary, trees)


def plain(value: Any) -> Any:
    """Numbers and containers as JSON knows them; what is not finite becomes null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


@in_float64
def _for_record(problem: Problem, tree: DataTree, seed: int | None, *, embed_data: bool) -> DataTree:
    """The posterior as it is saved: thinned rows of the data with their responsibilities, or none."""
    out = tree.copy()
    out.attrs["seed"] = -1 if seed is None else seed
    if problem.table is None:
        return out
    x = problem.table.values
    if not embed_data:
        return out.drop_nodes("observed_data", errors="ignore")
    at = thin(x, EMBEDDED_ROWS)
    out["observed_data"] = DataTree(posterior.observed(problem).isel(observation=at))
    r = mean_responsibilities(problem, tree, x[at])
    if r is not None:
        coords = {"observation": at, "component": np.arange(r.shape[1])}
        out["local"] = DataTree(Dataset({"responsibilities": (("observation", "component"), r)}, coords))
    return out


def _problem(
    problem: Problem | None, sites: tuple[str, ...], exchangeable: str | None, settings: dict[str, Any]
) -> dict[str, Any]:
    if problem is None:
        of_files = {"name": None, "title": ", ".join(sites), "settings": settings, "priors": None}
        return of_files | {"exchangeable": exchangeable, "dims": {}}
    return {
        "name": problem.name,
        "title": problem.title,
        "settings": dict(problem.settings),
        "priors": problem.priors,
        "exchangeable": problem.exchangeable,
        "dims": {name: list(problem.site_dims(name)) for name in problem.compared},
        "local": problem.conjugate is not None and not one_outcome(problem.conjugate),
    }


def _reference(found: Found) -> dict[str, Any]:
    state, attrs = found.health, found.tree.attrs
    value = {check.name: check.value for check in state.checks}
    group = found.tree["posterior"]
    return {
        "method": found.name,
        "status": "passed" if state.passed else "failed",
        "sentence": story.of_reference(found.name, state),
        "rhat_max": value.get("R-hat, largest"),
        "ess_min": min(value.get(f"{which} ESS, smallest") or 0.0 for which in ("bulk", "tail")),
        "ess_bulk_min": value.get("bulk ESS, smallest"),
        "ess_tail_min": value.get("tail ESS, smallest"),
        "ebfmi_min": value.get("E-BFMI, smallest"),
        "divergences": state.divergences,
        "tree_depth_share": value.get("draws at the depth limit"),
        "chains": group.sizes["chain"],
        "draws": group.sizes["draw"],
        "checks": [asdict(check) for check in state.checks],
        "relabelled": None if found.moved is None else asdict(found.moved),
        "left_out": found.left_out,
        "label_free": found.why_label_free,
        "no_variance": _no_variance(found),
        "work": attrs.get("work"),
    }


def _no_variance(found: Found) -> list[str]:
    rows = found.table.loc[found.table["scale"] != "sd", "parameter"]
    return list(dict.fromkeys(rows))


def _fit_facts(tree: DataTree, shape: tuple[float, float] | None) -> dict[str, Any]:
    """What the fit says of itself, beside the verdict."""
    attrs = tree.attrs
    facts: dict[str, Any] = {
        "khat": None if shape is None else shape[0],
        "khat_threshold": None if shape is None else shape[1],
        "restarts": None,
    }
    for name in (
        "elbo",
        "elbo_marginal",
        "elbo_marginal_se",
        "wall_seconds",
        "passes",
        "work",
        "spectral_radius",
        "empty",
    ):
        facts[name] = attrs.get(name)
    variational = tree["variational"].to_dataset() if "variational" in tree.children else {}
    if "elbo_restarts" in variational and {"restarts", "restarts_agreeing"} <= set(attrs):
        trace = variational["elbo_restarts"].values
        sweeps = np.isfinite(trace).sum(1)
        facts["restarts"] = {
            "number": int(attrs["restarts"]),
            "agreeing": int(attrs["restarts_agreeing"]),
            "elbos": [float(t[n - 1]) for t, n in zip(trace, sweeps, strict=True)],
            "sweeps": [int(n) for n in sweeps],
        }
    return facts


def _agreement(found: Found, trees: dict[str, DataTree]) -> dict[str, Any] | None:
    """Of the first method that is a sampler, as the reference is."""
    for name in found.verdicts:
        tree = trees[name]
        stats = tree["sample_stats"] if "sample_stats" in tree.children else {}
        weighed = "log_p" in stats  # by an importance ratio: Pathfinder's draws are no chain's
        if "variational" not in tree.children and not weighed and "method" in tree.attrs:
            own = agreement(found.table, name)
            return None if own is None else own | {"label": spoken(name)}
    return None


def _cost(name: str, tree: DataTree, found: Found) -> dict[str, Any]:
    seconds, note = float(tree.attrs["wall_seconds"]), None
    if name == found.name and np.isfinite(found.health.ess_bulk).any():
        rate = np.nanmin(found.health.ess_bulk) / max(seconds, 1e-9)
        note = f"{count(int(rate))} effective draws per second"
    return {"wall_seconds": seconds, "work": tree.attrs.get("work"), "note": note}


def _data(problem: Problem | None, embed_data: bool) -> dict[str, Any] | None:
    if problem is None or problem.table is None:
        return None
    table = problem.table
    return {
        "name": table.name,
        "rows": len(table.values),
        "columns": list(table.columns),
        "left_out": list(table.left_out),
        "sha256": table.sha256,
        "embedded": embed_data,
    }


def _truth(problem: Problem | None, found: Found) -> dict[str, Any] | None:
    """Generating values, with each component at the place that the reference has it."""
    if problem is None or problem.truth is None:
        return None
    dim = problem.exchangeable
    if dim is None:
        return dict(problem.truth)
    sites = found.tree["posterior"].to_dataset()
    along = {site: labels.axes(problem.site_dims(site), dim) for site in problem.truth}
    of_label = lambda site, value: np.moveaxis(value.diagonal(), -1, 0) if len(along[site]) == 2 else value
    own = {site: np.asarray(value) for site, value in problem.truth.items()}
    means = {site: of_label(site, sites[site].mean(posterior.SAMPLE).values) for site, axes in along.items() if axes}
    order = labels.match({site: of_label(site, own[site]) for site in means}, means)
    return {site: labels.reordered(value, along[site], order) for site, value in own.items()}
