"""A corrected posterior from a VI method's draws: importance resampling by Pareto-smoothed weights.

Systematic resampling with replacement: with W the running sum of the weights and one uniform u, draw n is the i with
W_(i-1) <= (n + u) / N < W_i, so that draw i comes floor(N w_i) or ceil(N w_i) times. Copies of a draw stand side by side, as
in a Metropolis chain: ArviZ's effective sample size sees them, and Monte Carlo errors stay honest.

It moves mass among places that the method visited. A mode that no draw reached stays missing, and k-hat cannot see it.

Source: Rubin (1988), Using the SIR algorithm to simulate posterior distributions; Douc, Cappe and Moulines (2005), Comparison
of resampling schemes for particle filtering; Vehtari, Simpson, Gelman, Yao and Gabry (2024), JMLR 25(72).
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from xarray import DataArray, Dataset, DataTree

from vi_vs_mcmc import flat, posterior
from vi_vs_mcmc.errors import DataError, whole
from vi_vs_mcmc.metrics.importance import log_ratio
from vi_vs_mcmc.psis import EQUAL, FEW, Weights, smoothed

DATA = ("observed_data", "constant_data")  # what the posterior is of, whoever computed it
INSTEAD = "Start NUTS or Gibbs from it instead, or fit a wider family, such as lrvb or svi:AutoMultivariateNormal."


def resample(
    tree: DataTree | str | Path, *, seed: int, chains: int | None = None, draws: int | None = None
) -> DataTree:
    """Draws of the posterior itself, taken from a VI method's draws in proportion to their importance weights.

    The more draws to take from the better (40 000, say); drawing more than there are adds nothing. The result keeps every
    group of draws and the data; not the method's closed-form moments and parameters, which are not its own, and not
    `log_q`, the density of what the draws were taken from.

    Args:
        tree: from a VI method that keeps `log_p` and `log_q` of its draws, or a netCDF file of one.
        seed: determines the choice.
        chains: of the result; by default as many as there are.
        draws: of each chain; likewise.

    Returns:
        posterior (chain, draw, ...); attrs method "NAME resampled", khat, khat_threshold, ess (effective draws), status.

    Raises:
        DataError: a file that cannot be read, no `log_p` and `log_q`, too few draws, or k-hat at or above its threshold.
        SettingError: `seed`, `chains` or `draws` out of range.
    """
    began = time.perf_counter()
    tree = posterior.read(tree, "tree")
    name, sizes = str(tree.attrs.get("method", "vi")), _sizes(tree)
    seed = whole("seed", seed, 0)
    chains = sizes[0] if chains is None else whole("chains", chains)
    draws = sizes[1] if draws is None else whole("draws", draws, posterior.FEWEST)
    weights = _weights(tree, name)
    chosen = flat.systematic(np.exp(weights.log_weight), chains * draws, np.random.default_rng(seed))
    at = [DataArray(index.reshape(chains, draws), dims=posterior.SAMPLE) for index in np.divmod(chosen, sizes[1])]
    groups = {}
    for group in tree.children:
        content = tree[group].to_dataset()
        if set(posterior.SAMPLE) <= set(content.dims):
            groups[f"/{group}"] = _taken(content, at)
        elif group in DATA:
            groups[f"/{group}"] = content
    out = DataTree.from_dict(groups)
    out.attrs = _attrs(tree.attrs, name, weights, seed, (chains, draws), time.perf_counter() - began)
    return out


def _sizes(tree: DataTree) -> tuple[int, int]:
    """(chains, draws) of the posterior."""
    sizes = tree["posterior"].to_dataset().sizes if "posterior" in tree.children else {}
    if not set(posterior.SAMPLE) <= set(sizes):
        raise DataError(f"want a group 'posterior' with dims chain and draw; got {dict(sizes) or 'none'}")
    return sizes["chain"], sizes["draw"]


def _weights(tree: DataTree, name: str) -> Weights:
    """The smoothed weights, chain by chain, or a DataError that says why there are none."""
    sizes, ratios = _sizes(tree), log_ratio(tree)
    if ratios is None:
        raise DataError(
            f"{name} keeps no log_p and log_q of its draws, and without them a draw has no weight; samplers, guides "
            f"without a density and point estimates have none. {INSTEAD}"
        )
    stats = tree["sample_stats"].to_dataset()
    found = {stat: dict(stats[stat].sizes) for stat in ("log_p", "log_q")}
    wanted = dict(zip(posterior.SAMPLE, sizes, strict=True))
    if any(of != wanted for of in found.values()):
        raise DataError(f"{name} has log_p and log_q of dims {found}; want {wanted}, a value for each draw")
    ratios = (stats["log_p"] - stats["log_q"]).transpose(*posterior.SAMPLE).values.ravel()
    if ratios.size < FEW:
        raise DataError(f"{name} has {ratios.size} draws; want {FEW} or more, better 40 000, to take from")
    if bad := int((~np.isfinite(ratios)).sum()):
        raise DataError(f"{name}: log_p - log_q of {bad} draws is not finite; want a number for each")
    weights = smoothed(ratios)
    if weights is None and np.ptp(ratios) <= EQUAL:
        raise DataError(
            f"{name}: log_p - log_q is the same for every draw: the draws are the posterior's already, or one point "
            "repeated; there is nothing to resample"
        )
    if weights is None:
        raise DataError(f"{name}: the largest values of log_p - log_q are tied, and k-hat cannot be told. {INSTEAD}")
    if not weights.reliable:
        raise DataError(
            f"{name}: k-hat is {weights.khat:.2f}; want below {weights.threshold:.2f} for {ratios.size} draws. Its draws "
            f"would be as good as {weights.ess:.0f} by their weights, and not even that is sure. {INSTEAD}"
        )
    return weights


def _taken(group: Dataset, at: list[DataArray]) -> Dataset:
    """The chosen draws of every variable; those kept by chain or by draw alone are of a run that this is not."""
    partial = [v for v in group.data_vars if len(set(posterior.SAMPLE) & set(group[v].dims)) == 1]
    group = group.drop_vars([*partial, *posterior.SAMPLE, "log_q"], errors="ignore")
    group = group.isel(dict(zip(posterior.SAMPLE, at, strict=True)))
    coords = {dim: np.arange(group.sizes[dim]) for dim in posterior.SAMPLE}
    return group.assign_coords(coords).transpose(*posterior.SAMPLE, ...)


def _attrs(
    of: dict[Any, Any], name: str, weights: Weights, seed: int, shape: tuple[int, int], seconds: float
) -> dict[str, Any]:
    size = weights.log_weight.size
    return {
        "method": f"{name} resampled",
        "settings": json.dumps(
            {"of": name, "of_seed": of.get("seed"), "chains": shape[0], "draws": shape[1]}, default=int
        ),
        "seed": seed,
        "status": "ok",
        "status_sentence": (
            f"k-hat {weights.khat:.2f}, below {weights.threshold:.2f}: {size} draws are worth {weights.ess:.0f}; "
            f"a mode that {name} missed stays missing"
        ),
        "wall_seconds": float(of.get("wall_seconds", 0.0)) + seconds,
        "work": f"{shape[0] * shape[1]} draws taken from {size} of {name} by importance",
        "passes": int(of.get("passes", 0)),
        "khat": weights.khat,
        "khat_threshold": weights.threshold,
        "ess": weights.ess,
        "versions": json.dumps(posterior.versions()),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
