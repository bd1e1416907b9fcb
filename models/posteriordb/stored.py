"""The data sets as posteriordb has them, the variables that a program uses, under their names in Stan.

`data/NAME.json`, or `data/NAME.npz` where text would be large; `LICENCE.md` is posteriordb's. `benchmarks/posteriordb_data.py`
wrote them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "data"


def stored(name: str) -> dict[str, np.ndarray]:
    """Variables of a data set, as arrays of their own shapes."""
    if (packed := FOLDER / f"{name}.npz").is_file():
        with np.load(packed, allow_pickle=False) as found:
            return dict(found)
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    return {variable: np.asarray(value) for variable, value in json.loads(text).items()}
