"""Where a long ascent stands, kept in a file: what was started again goes on from there."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vi_vs_mcmc.errors import DataError, SettingError
from vi_vs_mcmc.peers import ALONE, Peers

PAUSE = 20.0  # seconds between two writings, at least


@dataclass
class Checkpoint:
    """A file that process 0 writes and reads, for all.

    Attributes:
        path: of the file.
        identity: what the fit is determined by, by name; a file of another fit is refused.
        peers: the processes of the fit.
    """

    path: Path
    identity: Mapping[str, Any]
    peers: Peers = ALONE
    _written: float = field(default=-np.inf, repr=False)

    def load[T](self, like: T) -> tuple[T, int]:
        """The state that was kept, in the shape of `like`, and its number of looks; `like` and 0 where there is none.

        Raises:
            SettingError: the file is of another fit.
            DataError: the file is damaged.
        """
        leaves, structure = jax.tree.flatten(like)
        found, looks, refusal = [np.zeros_like(np.asarray(leaf)) for leaf in leaves], 0, ""
        if self.peers.number == 0 and self.path.is_file():
            found, looks, refusal = self._read(found)
        refused, looks = (int(v) for v in self.peers.gathered(np.array([bool(refusal), looks]))[0])
        if refused:
            raise (DataError if "damaged" in refusal else SettingError)(refusal or "process 0 refused its checkpoint")
        if not looks:
            return like, 0
        shared = [self.peers.gathered(leaf)[0] for leaf in found]
        return jax.tree.unflatten(structure, [jax.numpy.asarray(leaf) for leaf in shared]), looks

    def _read(self, like: list[np.ndarray]) -> tuple[list[np.ndarray], int, str]:
        try:
            with np.load(self.path, allow_pickle=False) as file:
                digest, looks = str(file["identity"]), int(file["looks"])
                found = [file[f"leaf{i}"] for i in range(len(like))] if digest == self._digest() else like
        except (OSError, ValueError, KeyError, EOFError) as error:
            return like, 0, f"{self.path} is damaged ({error}); remove it to start afresh"
        if digest != self._digest():
            return like, 0, f"{self.path} is the checkpoint of another fit; remove it, or choose another --out"
        return found, looks, ""

    def keep(self, state: Any, looks: int, *, now: bool = False) -> None:
        """Write, whole or not at all, where this is process 0 and the last writing was a while ago."""
        if self.peers.number or not (now or time.monotonic() - self._written > PAUSE):
            return
        leaves = {f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
        fresh = self.path.with_name(self.path.name + ".part")
        with fresh.open("wb") as file:
            np.savez(file, allow_pickle=False, identity=np.asarray(self._digest()), looks=np.asarray(looks), **leaves)  # pyright: ignore[reportArgumentType] - its stub takes names for settings
        os.replace(fresh, self.path)
        self._written = time.monotonic()

    def remove(self) -> None:
        """Take the file away: the ascent has come to its end."""
        if self.peers.number == 0:
            self.path.unlink(missing_ok=True)

    def _digest(self) -> str:
        return hashlib.sha256(json.dumps(dict(self.identity), sort_keys=True, default=str).encode()).hexdigest()
