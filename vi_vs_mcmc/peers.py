"""Several processes that work on one fit: what each adds up is added over all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from vi_vs_mcmc.errors import PeerError, SettingError


@dataclass(frozen=True)
class Peers:
    """This process among all; one process alone needs no network."""

    number: int = 0
    of: int = 1

    def gathered(self, values: np.ndarray) -> np.ndarray:
        """The same array of every process, (processes, ...), in the order of their numbers, on all of them.

        Raises:
            PeerError: another process has died, or cannot be reached.
        """
        if self.of == 1:
            return np.asarray(values)[None]
        from jax.experimental import multihost_utils

        try:
            return np.asarray(multihost_utils.process_allgather(np.asarray(values)))
        except (ValueError, RuntimeError) as error:  # JAX's runtime error is one of these, by version
            reason = str(error).splitlines()[0].rsplit("]", 1)[-1].strip(" :")
            raise PeerError(f"another process has died or cannot be reached ({reason})") from error

    def added(self, tree: Any) -> Any:
        """The sums over all processes of a tree of float64 arrays: added in one order, so that all hold the same bits."""
        if self.of == 1:
            return tree
        leaves, structure = jax.tree.flatten(tree)
        flat = self.gathered(np.concatenate([np.ravel(leaf) for leaf in leaves])).sum(0)
        parts = np.split(flat, np.cumsum([np.size(leaf) for leaf in leaves])[:-1])
        return jax.tree.unflatten(structure, [p.reshape(np.shape(leaf)) for p, leaf in zip(parts, leaves, strict=True)])

    def agree(self, what: Mapping[str, Any]) -> None:
        """Refuse to go on unless every process was given the same.

        Args:
            what: by name; values that JSON can hold.

        Raises:
            SettingError: names what differs.
        """
        names = sorted(what)
        digest = lambda name: np.frombuffer(
            hashlib.sha256(json.dumps(what[name], sort_keys=True, default=str).encode()).digest(), np.uint8
        )
        everyone = self.gathered(np.stack([digest(name) for name in names]))
        differing = [name for i, name in enumerate(names) if (everyone[:, i] != everyone[:1, i]).any()]
        if differing:
            raise SettingError(
                f"the {self.of} processes were not started alike: they differ in {', '.join(differing)}; "
                "start each with the same command, but for its number"
            )


ALONE = Peers()


def join(coordinator: str | None = None, processes: int | None = None, number: int | None = None) -> Peers:
    """Meet the other processes of this fit; to be called before the first array is made.

    Args:
        coordinator: HOST:PORT of process 0, reachable by all; read from the cluster (Slurm, Kubernetes, ...) where all
            three are None.
        processes: how many there are.
        number: which of them this one is, from 0.

    Raises:
        SettingError: some are given and some are not, or the others did not come.
    """
    given = (coordinator, processes, number)
    if any(v is None for v in given) and any(v is not None for v in given):
        raise SettingError(
            "coordinator, processes and number belong together; give all three, or none under Slurm and the like"
        )
    options: dict[str, Any] = {}
    if coordinator is not None and coordinator.split(":")[0] in ("127.0.0.1", "localhost"):
        options["coordinator_bind_address"] = coordinator  # else the port is open to the network
    try:
        jax.distributed.initialize(coordinator, processes, number, **options)
    except (ValueError, RuntimeError) as error:
        raise SettingError(f"the processes did not meet: {str(error).splitlines()[0]}") from error
    return Peers(jax.process_index(), jax.process_count())
