"""Run folders for every story a page may have to tell, by name; each function writes one."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import xarray as xr
from report_fixture import Fit, Recipe, load_summary, save_summary, write_mixture, write_sites

from vi_vs_mcmc.report import write

HOSTILE = "</script><script>alert(1)</script> \"q\" & 'a' `b` %{x} <img src=x onerror=alert(2)> é λ 漢字 " + "long" * 20
SCHOOLS = (
    "Choate",
    "Deerfield",
    "Phillips Andover",
    "Phillips Exeter",
    "Hotchkiss",
    "Lawrenceville",
    "St. Paul's",
    "Mt. Hermon",
)


def overconfident(folder: Path) -> Path:
    """CAVI too narrow, SVI right: the plain story."""
    return write_mixture(folder)


def calibrated(folder: Path) -> Path:
    """Every method right."""
    return write_mixture(folder, Recipe(fits={"cavi": Fit(restarts=4), "lrvb": Fit()}, draws=2000))


def no_verdict(folder: Path) -> Path:
    """The reference failed its checks."""
    return write_mixture(folder, Recipe(failed=True))


def not_converged(folder: Path) -> Path:
    """An optimiser that stopped early, alone on the page."""
    return write_mixture(folder, Recipe(fits={"svi:AutoNormal": Fit(width=0.5, verdict=("not converged",))}))


def inconclusive(folder: Path) -> Path:
    """Too few draws to say."""
    return write_mixture(folder, Recipe(fits={"cavi": Fit(verdict=("inconclusive",))}, draws=60))


def disagreeing(folder: Path) -> Path:
    """A generic model with labels for coordinates, and methods that err in different ways."""
    fits = {
        "svi:AutoNormal": Fit(0.7, 0, ("overconfident",)),
        "svi:AutoMultivariateNormal": Fit(1.4, 0, ("underconfident",)),
        "laplace": Fit(0.7, 1.5, ("overconfident", "biased")),
        "em": Fit(1e-9, 0, ("point estimate",)),
        "pathfinder": Fit(1, -1, ("biased",)),
        "dadvi": Fit(1, 0, ("inconclusive",)),
    }
    return write_sites(folder, Recipe(fits=fits, data=False), {"mu": None, "theta": SCHOOLS, "tau": None})


def empty_components(folder: Path) -> Path:
    """Six components of which two hold no rows."""
    return write_mixture(folder, Recipe(empty=2), components=6)


def without_data(folder: Path) -> Path:
    """A mixture whose rows were not kept."""
    return write_mixture(folder, Recipe(data=False))


def one_column(folder: Path) -> Path:
    """A mixture of one column."""
    return write_mixture(folder, Recipe(columns=("waiting",)), components=2)


def five_columns(folder: Path) -> Path:
    """A mixture of five columns, of which two can be drawn."""
    return write_mixture(folder, Recipe(columns=("a", "b", "c", "d", "e")), components=2)


def two_files(folder: Path) -> Path:
    """A check of two files: little is known, and the numbers of chains and draws differ."""
    recipe = Recipe(fits={"a": Fit(0.75, 0, ("overconfident",))}, reference="b", kind="check", data=False)
    write_sites(folder, recipe, {"beta": 4, "sigma": None})
    path = folder / "posteriors" / "a.nc"
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        short = tree.load()
    short["posterior"] = short["posterior"].to_dataset().isel(chain=[0], draw=slice(0, 200))
    short.to_netcdf(path, engine="h5netcdf", mode="w")
    summary = load_summary(folder)
    summary |= {
        "problem": None,
        "seed": None,
        "wall_seconds": None,
        "versions": None,
        "actions": None,
        "warnings": None,
    }
    return save_summary(folder, summary)


def one_parameter(folder: Path) -> Path:
    """A single scalar under a single method."""
    return write_sites(folder, Recipe(fits={"laplace": Fit(0.9, 0, ("inconclusive",))}), {"mu": None})


def many_parameters(folder: Path) -> Path:
    """A hundred and one scalars."""
    fits = {"svi:AutoNormal": Fit(0.7, 0, ("overconfident",)), "laplace": Fit(1, 0, ("calibrated",))}
    return write_sites(folder, Recipe(fits=fits, draws=120), {"theta": 100, "tau": None})


def hostile_names(folder: Path) -> Path:
    """Names that would break a page built from strings."""
    recipe = Recipe(fits={'<script>b "%{x}': Fit(0.8, 0, ("overconfident",)), "svi:Auto\"Normal'&": Fit()})
    write_sites(folder, recipe, {HOSTILE.replace("/", "∕"): None, "theta": [HOSTILE, "b", "c"]})
    summary = load_summary(folder)
    summary["headline"] = summary["lede"] = summary["command"] = HOSTILE
    summary["problem"]["title"] = HOSTILE
    summary["data"] = {
        "name": HOSTILE,
        "rows": 3,
        "columns": [HOSTILE, "y"],
        "sha256": "0",
        "embedded": False,
    }
    return save_summary(folder, summary)


def constant(folder: Path) -> Path:
    """A parameter that does not move, with a table that has no ratio for it."""
    write_sites(folder, Recipe(), {"mu": 2})
    for path in sorted((folder / "posteriors").glob("*.nc")):
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            loaded = tree.load()
        loaded["posterior"]["mu"][:, :, 1] = 3.0
        loaded.to_netcdf(path, engine="h5netcdf", mode="w")
    lines = (folder / "comparison.csv").read_text().splitlines()
    head = next(iter([lines[0].split(",")]))
    out = [lines[0]]
    for line in lines[1:]:
        quoted = line.split(",")
        if quoted[head.index("parameter")] == "mu[1]":
            quoted = [c if name in ("method", "parameter") else "" for name, c in zip(head, quoted, strict=True)]
            quoted[head.index("judged")] = "False"
        out.append(",".join(quoted))
    (folder / "comparison.csv").write_text("\n".join(out) + "\n")
    return folder


STORIES: dict[str, Callable[[Path], Path]] = {
    story.__name__: story
    for story in (
        overconfident,
        calibrated,
        no_verdict,
        not_converged,
        inconclusive,
        disagreeing,
        empty_components,
        without_data,
        one_column,
        five_columns,
        two_files,
        one_parameter,
        many_parameters,
        hostile_names,
        constant,
    )
}


@cache
def recorded(name: str) -> Path:
    """The run folder of a story, without its page."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return STORIES[name](folder)


@cache
def told(name: str) -> Path:
    """The run folder of a story with its page, rendered once."""
    write(recorded(name))
    return recorded(name)
