"""Give it any NumPyro model and data; it tells you how overconfident your variational posterior is, where and by how much.

    import vi_vs_mcmc as vm

    problem = vm.load("gmm")("faithful.csv", components=2)
    comparison = vm.compare(problem, seed=0)
    comparison.save("reports/faithful")

Names are loaded on first use: importing the package imports neither JAX nor xarray.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_HOMES = {
    "CAVI": "methods.cavi",
    "Comparison": "record",
    "DADVI": "methods.dadvi",
    "DataError": "errors",
    "EM": "methods.em",
    "Exact": "methods.exact",
    "Gibbs": "methods.gibbs",
    "LRVB": "methods.lrvb",
    "Laplace": "methods.laplace",
    "NUTS": "methods.nuts",
    "NumericalError": "errors",
    "Pathfinder": "methods.pathfinder",
    "PeerError": "errors",
    "Problem": "problem",
    "SVI": "methods.svi",
    "SettingError": "errors",
    "Tolerance": "verdict",
    "check": "check",
    "compare": "compare",
    "fit": "compare",
    "load": "plugins",
    "join": "peers",
    "resample": "resample",
    "stream": "streamed",
    "study": "study",
    "use_every_core": "programs",
}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll] - one list of names, not two


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vi_vs_mcmc' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"vi_vs_mcmc.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """Python sets a submodule as an attribute of its package; `compare`, `check` and `study` must stay the functions."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
