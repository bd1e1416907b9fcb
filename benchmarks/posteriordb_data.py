"""Write what the project keeps of posteriordb: data, summaries of reference draws, and a few of these draws. Run by hand.

    git clone https://github.com/stan-dev/posteriordb && git -C posteriordb checkout 28f8d3d6
    uv run python benchmarks/posteriordb_data.py posteriordb [NAME ...]

Of each data set it keeps the variables that the programs read, to the last bit. Of 10 chains of 1000 draws it keeps a summary,
and every 20th draw as float32. Last it prints how well all 10 000 fit the program's gradient (`tests/posteriordb_draws.py`), the
largest deviation of each of two identities in Monte Carlo standard errors.
"""

from __future__ import annotations

import importlib
import json
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import arviz_stats  # noqa: F401 - registers what array_stats needs
import numpy as np
from arviz_stats.base import array_stats
from said import TRUTH, tests
from vi_vs_mcmc.models.posteriordb import CATALOGUE
from vi_vs_mcmc.models.posteriordb.entry import Entry
from vi_vs_mcmc.models.posteriordb.reference import FOLDER as REFERENCES
from vi_vs_mcmc.models.posteriordb.stored import FOLDER as DATA

SOURCE = "stan-dev/posteriordb 28f8d3d, BSD-3-Clause"
THIN = 20
LARGE = 300_000  # bytes of JSON from which on a data set is packed
PRECISE = ("gp_pois_regr-gp_pois_regr",)  # its latent values are the draws divided by eigenvalues down to 1e-10


class Read(Mapping):
    """A data set that remembers which of its variables were asked for."""

    def __init__(self, values: dict[str, Any]):
        self.values_, self.asked = values, set()

    def __getitem__(self, name: str) -> np.ndarray:
        self.asked.add(name)
        return np.asarray(self.values_[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def unpacked(path: Path) -> Any:
    """The one JSON file in a zip file."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(archive.namelist()[0]))


def write_data(checkout: Path, entries: list[Entry]) -> None:
    """What the entries read of their data set."""
    name = entries[0].data
    data = Read(unpacked(checkout / "posterior_database" / "data" / "data" / f"{name}.json.zip"))
    for entry in entries:
        entry.arguments(data)
    kept = {variable: value for variable, value in data.values_.items() if variable in data.asked}
    lines = [f"{json.dumps(variable)}: {json.dumps(value)}" for variable, value in kept.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    if len(text) < LARGE:
        (DATA / f"{name}.json").write_text(text)
        return
    # Column after column: equal values then stand together, and pack well.
    arrays: dict[str, Any] = {variable: np.asfortranarray(np.array(value)) for variable, value in kept.items()}
    np.savez_compressed(DATA / f"{name}.npz", **arrays)


def read_draws(checkout: Path, posterior: str) -> dict[str, np.ndarray]:
    """Reference draws by site, (chain, draw, *shape)."""
    folder = checkout / "posterior_database" / "reference_posteriors" / "draws" / "draws"
    chains = unpacked(folder / f"{posterior}.json.zip")
    found: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    for label in chains[0]:
        site, _, index = label.partition("[")
        found[site][int(index.rstrip("]") or 0)] = np.array([chain[label] for chain in chains])
    return {
        site: parts[0] if set(parts) == {0} else np.stack([parts[i] for i in sorted(parts)], -1)
        for site, parts in found.items()
    }


def summary(draws: np.ndarray) -> dict[str, float]:
    """Moments of (chain, draw) with their errors, and quantiles."""
    mcse = lambda method: float(array_stats.mcse(draws, chain_axis=0, draw_axis=1, method=method))
    quantiles = np.quantile(draws, [0.05, 0.5, 0.95])
    return {
        "mean": float(draws.mean()),
        "sd": float(draws.std(ddof=1)),
        "mcse_mean": mcse("mean"),
        "mcse_sd": mcse("sd"),
        **{name: float(q) for name, q in zip(("q5", "q50", "q95"), quantiles, strict=True)},
    }


def write_reference(posterior: str, sites: tuple[str, ...], draws: dict[str, np.ndarray]) -> None:
    """Summaries by label, and every 20th draw."""
    scalars = {}
    for site in sites:
        of = draws[site]
        if of.ndim == 2:
            scalars[site] = summary(of)
        else:
            scalars |= {f"{site}[{i}]": summary(of[..., i]) for i in range(of.shape[-1])}
    record = {
        "posterior": posterior,
        "source": SOURCE,
        "draws": int(np.prod(draws[sites[0]].shape[:2])),
        "scalars": scalars,
    }
    (REFERENCES / f"{posterior}.json").write_text(json.dumps(record, indent=1) + "\n")
    kind = np.float64 if posterior in PRECISE else np.float32
    few: dict[str, Any] = {
        site: draws[site][:, THIN - 1 :: THIN].reshape(-1, *draws[site].shape[2:]).astype(kind) for site in sites
    }
    np.savez_compressed(TRUTH / "posteriordb" / f"{posterior}.npz", **few)


def main() -> None:
    """Write everything, or what belongs to the posteriors named."""
    tests()
    check: Any = importlib.import_module("posteriordb_draws")
    checkout, names = Path(sys.argv[1]), sys.argv[2:] or list(CATALOGUE)
    REFERENCES.mkdir(exist_ok=True)
    DATA.mkdir(exist_ok=True)
    (DATA / "LICENCE.md").write_text((checkout / "LICENCE.md").read_text())
    for name in sorted({CATALOGUE[posterior].data for posterior in names}):
        write_data(checkout, [entry for entry in CATALOGUE.values() if entry.data == name])
    for posterior in names:
        entry = CATALOGUE[posterior]
        draws = read_draws(checkout, entry.reference or posterior)
        if not entry.reference or entry.reference == posterior:
            write_reference(posterior, entry.sites, draws)
        flat = {site: of.reshape(-1, *of.shape[2:]) for site, of in draws.items()}
        gradient, curvature = check.scores(check.looked_at(posterior, flat))
        print(f"{posterior:48} {np.abs(gradient).max():6.2f} {np.abs(curvature).max():6.2f}", flush=True)


if __name__ == "__main__":
    main()
