"""Draws as CmdStan writes them: one csv file for each chain, with comments, made into an ArviZ DataTree.

Lines that begin with `#` are comments; the first other line names the columns. A name that ends in two underscores is the
algorithm's own; `theta.2` is the second entry of a vector, `L.1.2` of a matrix, counted from 1. Left out are the warm-up rows
that NUTS saved, and the first row of the variational method, which holds the mean of its q and is no draw.

Source: CmdStan's guide, appendix on the Stan csv file format.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import dropwhile
from pathlib import Path

import numpy as np
from xarray import Dataset, DataTree

from vi_vs_mcmc.errors import DataError

PATTERN = re.compile(r"[*?\[]")  # what makes a path a pattern
ENTRY = re.compile(r"(?P<name>.+?)(?P<index>(\.\d+)+)")
OPTION = re.compile(r"#\s*(?P<key>\w+) = (?P<value>\S*)")
NO_DRAWS = ("optimize", "diagnose")
KNOWN = {  # the algorithm's columns by ArviZ's names
    "lp": "lp",
    "accept_stat": "acceptance_rate",
    "stepsize": "step_size",
    "treedepth": "tree_depth",
    "n_leapfrog": "n_steps",
    "divergent": "diverging",
    "energy": "energy",
}


def files(source: str | Path) -> list[Path]:
    """The chains' files at a path: a csv file, a pattern of them such as `run-*.csv`, or a folder's that begin with a comment.

    Empty where the path leads to nothing of the kind.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return [file for file in _in_order(path.glob("*.csv")) if file.is_file() and _begins_with_comment(file)]
    if path.is_file():
        return [path] if path.suffix == ".csv" else []
    if PATTERN.search(path.name):
        return _in_order(file for file in path.parent.glob(path.name) if file.suffix == ".csv" and file.is_file())
    return []


def load(paths: Sequence[Path]) -> DataTree:
    """The posterior, and the sampler's statistics where NUTS drew it, from one file for each chain.

    Returns:
        posterior (chain, draw, ...), dimensions named as `theta_dim_0`; sample_stats (chain, draw) by ArviZ's names.

    Raises:
        DataError: a file that is not Stan's, or chains of unequal columns or lengths.
    """
    chains = [_chain(path) for path in paths]
    columns, values, options = chains[0]
    for path, (own, drawn, _) in zip(paths, chains, strict=True):
        if own != columns:
            raise DataError(
                f"{path} has other columns than {paths[0]}; want the chains of one program, such as run-*.csv"
            )
        if len(drawn) != len(values):
            raise DataError(
                f"{path} has {len(drawn)} draws and {paths[0]} has {len(values)}; want as many in each chain"
            )
    draws = np.stack([drawn for _, drawn, _ in chains])  # (chain, draw, column)
    index = {"chain": np.arange(len(chains)), "draw": np.arange(draws.shape[1])}
    groups = {"/posterior": Dataset(_variables(paths[0], columns, draws), index)}
    if options.get("method") == "sample":
        stats = {
            KNOWN[name[:-2]]: (("chain", "draw"), draws[..., j])
            for j, name in enumerate(columns)
            if name.endswith("__") and name[:-2] in KNOWN
        }
        groups["/sample_stats"] = Dataset(stats, index)
    tree = DataTree.from_dict(groups)
    if "max_depth" in options:
        tree.attrs["max_tree_depth"] = _option(paths[0], options, "max_depth", 0)
    return tree


def _begins_with_comment(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4).removeprefix(b"\xef\xbb\xbf")[:1] == b"#"  # a byte order mark may come first


def _in_order(paths) -> list[Path]:
    """By name, with 10 after 9."""
    return sorted(paths, key=lambda path: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", path.name)])


def _chain(path: Path) -> tuple[list[str], np.ndarray, dict[str, str]]:
    """Columns, draws (draw, column) and options of one file."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}") from error
    options = {found["key"]: found["value"] for line in lines if (found := OPTION.match(line))}
    header, *rest = list(dropwhile(lambda line: line.startswith("#"), lines)) or [""]
    columns = [name.strip() for name in header.split(",")]
    if "method" not in options or not any(name.endswith("__") for name in columns):
        raise DataError(f"{path} is no csv file of Stan's: it has no comment on its method, or no column such as lp__")
    if options["method"] in NO_DRAWS:
        raise DataError(f"{path} is of Stan's method {options['method']}, which draws from no posterior")
    rows = [line for line in rest if line and not line.startswith("#")]
    try:
        values = np.loadtxt(rows, delimiter=",", ndmin=2) if rows else np.empty((0, len(columns)))
    except ValueError as error:
        raise DataError(f"{path} cannot be read as a csv file of Stan's, it may be cut off: {error}") from error
    if values.shape[1] != len(columns):
        raise DataError(f"{path} has {len(columns)} names and {values.shape[1]} columns; it may be cut off")
    early, drawn = _not_drawn(path, options), _promised(path, options)
    if drawn is not None and len(values) - early < drawn:
        got = f"{max(len(values) - early, 0)} draws and its header promises {drawn}"
        raise DataError(f"{path} has {got}; it may be cut off, or still being written")
    return columns, values[early:], options


def _option(path: Path, options: dict[str, str], key: str, least: int) -> int:
    """A whole number of the header."""
    text = options.get(key, "")
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise DataError(f"{path} has {key} = {text or 'nothing'} in its header; want a whole number, {least} or more")
    return int(text)


def _not_drawn(path: Path, options: dict[str, str]) -> int:
    """How many rows come before the first draw."""
    if options["method"] == "variational":
        return 1
    if options.get("save_warmup") in ("1", "true"):
        return -(-_option(path, options, "num_warmup", 0) // _option(path, options, "thin", 1))
    return 0


def _promised(path: Path, options: dict[str, str]) -> int | None:
    """How many draws the header says there are; None where it does not say."""
    if options["method"] == "sample" and "num_samples" in options:
        thin = _option(path, options, "thin", 1) if "thin" in options else 1
        return -(-_option(path, options, "num_samples", 0) // thin)
    if options["method"] == "variational" and "output_samples" in options:
        return _option(path, options, "output_samples", 0)
    return None


def _variables(path: Path, columns: Sequence[str], draws: np.ndarray) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Parameters (chain, draw, ...) from their entries, whatever the entries' order.

    Raises:
        DataError: names that no posterior can have, or entries that are no whole array.
    """
    entries: dict[str, dict[tuple[int, ...], int]] = {}
    for j, column in enumerate(columns):
        if column.endswith("__"):
            continue
        found = ENTRY.fullmatch(column)
        name, index = (found["name"], found["index"]) if found else (column, "")
        if not name or "/" in name or name in ("chain", "draw"):
            raise DataError(
                f"{path} has a parameter called {name!r}, a name that no posterior's file can hold; rename it"
            )
        at = tuple(int(i) - 1 for i in index.split(".")[1:])
        if at in entries.setdefault(name, {}):
            raise DataError(f"{path} has the column {column} twice")
        entries[name][at] = j
    out = {}
    for name, at in entries.items():
        if len({len(index) for index in at}) > 1:
            raise DataError(f"{path} has {name} with unequal numbers of indices; want one array of each name")
        shape = tuple(max(of) + 1 for of in zip(*at, strict=True))
        if min((min(index, default=0) for index in at), default=0) < 0 or math.prod(shape) != len(at):
            raise DataError(
                f"{path} has {len(at)} entries of {name}, which are no whole array: its indices want to begin at 1 and end at "
                f"{' x '.join(map(str, shape))}"
            )
        values = np.empty((*draws.shape[:2], *shape))
        for index, j in at.items():
            values[(..., *index)] = draws[..., j]
        out[name] = (("chain", "draw", *(f"{name}_dim_{i}" for i in range(len(shape)))), values)
    if taken := {dim for dims, _ in out.values() for dim in dims} & set(out):
        raise DataError(f"{path} has a parameter called {taken.pop()!r}, as a dimension of another; rename it")
    return out
