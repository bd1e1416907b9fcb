"""Imports point down, nothing imports the models, and what is shipped is what is there."""

import ast
import importlib
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
FLOORS = {
    **dict.fromkeys(
        (
            "ascent",
            "call",
            "climber",
            "checkpoint",
            "parquet",
            "peers",
            "streamed",
            "errors",
            "files",
            "names",
            "precision",
            "expfam",
            "conjugate",
            "engine",
            "passes",
            "groups",
            "response",
            "data",
            "sources",
            "streams",
            "memory",
            "programs",
            "coordinates",
            "in_file",
            "psis",
            "stan",
        ),
        0,
    ),
    **dict.fromkeys(("problem", "posterior", "flat"), 0),
    "methods": 1,
    **dict.fromkeys(
        (
            "metrics",
            "figures",
            "labels",
            "verdict",
            "bind",
            "plugins",
            "against",
            "story",
            "cautions",
            "evidence",
            "resample",
            "modes",
            "labelfree",
            "carried",
            "counterparts",
            "deeper",
        ),
        2,
    ),
    **dict.fromkeys(("uniformity", "calibration"), 2),
    **dict.fromkeys(("report", "record"), 3),
    **dict.fromkeys(("compare", "check", "study", "studies", "doctor", "reference_run"), 4),
    **dict.fromkeys(("cli", "exits", "options", "terminal", "typed"), 5),
}


def imported(path: Path) -> set[str]:
    """Modules of this package that a file imports, anywhere in it, by their first name below the package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.level == 0
            and node.module.startswith("vi_vs_mcmc")
        ):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("vi_vs_mcmc.")}
    return found


def test_imports_point_down():
    for path in (ROOT / "vi_vs_mcmc").rglob("*.py"):
        own = path.relative_to(ROOT / "vi_vs_mcmc").parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for other in imported(path) - {own}:
            assert FLOORS[other] <= FLOORS[own], f"{path.name} (floor {FLOORS[own]}) imports {other} ({FLOORS[other]})"


def test_models_import_floor_0_only_and_nothing_imports_models():
    for path in (ROOT / "models").rglob("*.py"):
        assert {FLOORS[name] for name in imported(path)} <= {0}, path
    for path in (ROOT / "vi_vs_mcmc").rglob("*.py"):
        assert "models" not in imported(path), path


def test_every_folder_of_code_is_listed_as_a_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "vi_vs_mcmc").rglob("__init__.py")}
    folders |= {
        ".".join(("vi_vs_mcmc", *p.parent.relative_to(ROOT).parts)) for p in (ROOT / "models").rglob("__init__.py")
    }
    assert set(settings["packages"]) == folders
    assert not (ROOT / "vi_vs_mcmc" / "models").exists()


def test_every_data_file_of_the_models_is_shipped_with_its_source():
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert "data/*" in shipped["vi_vs_mcmc.models"]
    told = (ROOT / "models" / "data" / "README.md").read_text()
    for path in (ROOT / "models" / "data").glob("*.csv"):
        assert f"`{path.name}`" in told
        assert not (ROOT / "tests" / "truth" / path.name).exists()  # one copy of each


def test_importing_the_package_imports_neither_jax_nor_xarray():
    import subprocess
    import sys

    code = "import sys, vi_vs_mcmc, vi_vs_mcmc.cli; print([m for m in ('jax', 'xarray', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_every_public_name_loads():
    import vi_vs_mcmc as vm

    assert all(getattr(vm, name) is not None for name in vm.__all__)


def test_a_submodule_does_not_hide_the_function_of_its_name(monkeypatch):
    import vi_vs_mcmc as vm

    for name in ("compare", "study", "check", "resample"):
        monkeypatch.delitem(sys.modules, f"vi_vs_mcmc.{name}", raising=False)
        monkeypatch.delitem(vars(vm), name, raising=False)
        importlib.import_module(f"vi_vs_mcmc.{name}")  # which sets the attribute `name` of the package
        assert callable(getattr(vm, name))
        assert getattr(vm, name).__name__ == name
