"""What a user keeps in a Python file of their own: `path/to/file.py:NAME`."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from vi_vs_mcmc.errors import SettingError, unknown

FILE = re.compile(r"(?P<path>.+\.py)(:(?P<name>\w+))?")


_loaded: dict[Path, tuple[int, ModuleType]] = {}  # by resolved path: when the file last changed, and its module


def imported(path: Path) -> ModuleType:
    """The file as a module; it may import its neighbours. It runs once, and again only where it has changed since.

    Raises:
        SettingError: no such file, or one that fails when it is imported.
    """
    if not path.is_file():
        raise SettingError(f"there is no file {path}")
    whole = path.resolve()
    changed, known = whole.stat().st_mtime_ns, _loaded.get(whole)
    if known is not None and known[0] == changed:
        return known[1]
    if (where := str(whole.parent)) not in sys.path:
        sys.path.insert(0, where)  # as where the file is run
    name = f"{path.stem}_{hashlib.sha256(str(whole).encode()).hexdigest()[:12]}"  # no other module's, whatever the stem
    spec: Any = importlib.util.spec_from_file_location(name, whole)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # a dataclass looks its own module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise SettingError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    _loaded[whole] = changed, module
    return module


def one_of(module: ModuleType, path: Path, name: str | None, wanted: Callable[[Any], bool]) -> Any:
    """The object called so that the file itself defines, or its only one; of those that are `wanted`.

    Raises:
        SettingError: no such name, with the closest; no name, and not just one object.
    """
    own = {
        n: value
        for n, value in vars(module).items()
        if wanted(value) and value.__module__ == module.__name__ and not n.startswith("_")
    }
    if name is None and len(own) != 1:
        raise SettingError(f"{path} defines {', '.join(own) or 'nothing that would do'}; say which: {path}:NAME")
    name = name or next(iter(own))
    if name not in own:
        raise unknown(f"name in {path}", name, own)
    return own[name]
