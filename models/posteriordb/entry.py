"""An entry of the catalogue: a program, and how posteriordb's data become its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints

Data = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Entry:
    """One posterior of posteriordb.

    Attributes:
        posterior: posteriordb's name of it, DATA-MODEL.
        program: the NumPyro program; its sites have the names of the Stan program's parameters.
        arguments: from the data, named as in Stan, to the program's positional arguments.
        sites: what the reference draws hold.
        priors: in words.
        constants: the program's keyword arguments.
        reference: the posterior whose reference draws serve; its own where empty.
        without_variance: labels of scalars whose posterior has no variance, so that neither mean nor sd can be compared.
    """

    posterior: str
    program: Callable[..., None]
    arguments: Callable[[Data], tuple[Any, ...]]
    sites: tuple[str, ...]
    priors: str
    constants: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    without_variance: tuple[str, ...] = ()

    @property
    def data(self) -> str:
        """Name of the data set."""
        return self.posterior.split("-")[0]


def flat(support: constraints.Constraint = constraints.real, *shape: int) -> dist.ImproperUniform:
    """A density of 1 wherever the support allows: what Stan takes for a parameter without a prior."""
    return dist.ImproperUniform(support, (), shape)
