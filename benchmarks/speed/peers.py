"""The second environment, with what ours does not need: made when missing; where that fails, the reason is told."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import version

from .worker import ROOT, Worker

WANTED = ("nutpie", "pymc", "numba", "blackjax")
FOLDER = ROOT / ".peers"
MINUTES = 15


@dataclass(frozen=True)
class Peers:
    """A Python, or why there is none."""

    python: str | None
    reason: str = ""

    def worker(self, module: str, *, with_ours: bool = False, **environment: str) -> Worker:
        """A process of that Python; with our own packages behind its own where the contender runs our density."""
        borrow = sysconfig.get_paths()["purelib"] if with_ours else ""
        return Worker(module, python=str(self.python), borrow=borrow, **environment)


def peers(given: str | None) -> Peers:
    """The environment that was named, else `.peers`."""
    python = given or str(FOLDER / "bin" / "python")
    if given is None and not FOLDER.exists() and (reason := _make()):
        return Peers(None, reason)
    probe = f"import sys, {', '.join(WANTED)}; print(sys.version_info[:2] == {tuple(sys.version_info[:2])})"
    try:
        found = subprocess.run([python, "-c", probe], capture_output=True, text=True, timeout=300, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        return Peers(None, said[-1] if said else "it cannot be run")
    if "True" not in found.stdout:
        return Peers(None, f"its Python is not {sys.version_info.major}.{sys.version_info.minor}")
    return Peers(python)


def versions(of: Peers) -> dict[str, str]:
    """Versions of the packages in the second environment."""
    if of.python is None:
        return {}
    code = "from importlib.metadata import version as v; print(*(f'{p}={v(p)}' for p in %r))"
    found = subprocess.run([of.python, "-c", code % (WANTED,)], capture_output=True, text=True, check=True)
    return dict(pair.split("=") for pair in found.stdout.split())


def _make() -> str:
    """Why it could not be made; nothing where it was. JAX is held at our version: the compiler is part of a timing."""
    held = [f"{name}=={version(name)}" for name in ("jax", "jaxlib", "numpy")]
    python = str(FOLDER / "bin" / "python")
    print(f"making {FOLDER.name} with {', '.join(WANTED)}", flush=True)
    for command in (
        ["uv", "venv", "--python", sys.executable, str(FOLDER)],
        ["uv", "pip", "install", "--python", python, *WANTED, *held],
    ):
        try:
            subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60 * MINUTES, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            said = str(getattr(error, "stderr", "") or error).strip().splitlines()
            return f"{command[0]} {command[1]} failed: {said[-1] if said else error}"
    return ""
