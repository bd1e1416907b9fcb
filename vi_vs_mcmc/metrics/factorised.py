"""How narrow a factorised Gaussian has to be, from the reference's covariance alone.

Where the coordinates u have covariance S, the factorised Gaussian q that minimises KL(q || p) has the variances
1 / (S^-1)_jj: those of each coordinate with all of the others held fixed, which is less the more they are correlated. If a
method's observed sd ratio is the predicted one, then its family is to blame; if it is not, then look at the optimiser, or
at what is not Gaussian.

A family that keeps blocks of coordinates together (a full-rank block, a factor of CAVI) has ((S^-1)_BB)^-1 in their place.

Source: Margossian and Saul (2023), The shrinkage-delinkage trade-off, UAI; Bishop (2006), PRML, section 10.1.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SINGULAR = 1e-10  # smallest eigenvalue of a correlation matrix that counts as a direction in which the draws move
CONSTANT = 1e-10  # relative range within which a scalar moves by rounding only
BATCHES = 20  # of consecutive draws, each left out once


class Prediction(NamedTuple):
    """What a factorised Gaussian should give, by scalar.

    Attributes:
        ratio: its sd over the reference's, of the part of the scalar that is linear in the coordinates.
        error: Monte Carlo standard error of log ratio, nan from fewer than two batches.
        explained: share of the scalar's variance that is linear in the coordinates; believe the ratio where it is near 1.
    """

    ratio: np.ndarray
    error: np.ndarray
    explained: np.ndarray


class TradeOff(NamedTuple):
    """KL(q || p) of the best factorised Gaussian, and its parts, in nats: kl = shrinkage - delinkage.

    Attributes:
        shrinkage: uncertainty lost because every coordinate's own spread is too small.
        delinkage: uncertainty gained back because the coordinates are let vary independently of each other.
        kl: what is lost in all, the entropy of p less that of q; 0 where p factorises.
    """

    shrinkage: float
    delinkage: float
    kl: float


def predicted_ratio(
    scalars: np.ndarray, coordinates: np.ndarray, blocks: Sequence[Sequence[int]] | None = None
) -> Prediction:
    """sqrt(sum_j B_hj^2 / (S^-1)_jj / (B S B')_hh) for each scalar h, with h ~ B u by least squares.

    Where the scalars are the coordinates this is 1 / sqrt(S_jj (S^-1)_jj). From n effectively independent draws of U
    coordinates it reads low by about U / (2 n). Coordinates that do not move are passed over. nan where the scalar does not
    move or the coordinates are collinear. The error is a jackknife over BATCHES runs of consecutive draws.

    Args:
        scalars: (chain, draw, P) what is predicted.
        coordinates: (chain, draw, U) what q factorises over, in which p is about Gaussian: the unconstrained ones.
        blocks: coordinates that the family keeps together; those named in none stand alone.
    """
    u, u_moves = _standard(coordinates)
    h, h_moves = _standard(scalars)
    number = u.shape[-1]
    groups = _groups(number, blocks)
    both = np.concatenate([u, h], -1)
    batches = _batches(both)
    sums = np.array([b.sum(0) for b in batches])
    products = np.array([b.T @ b[:, :number] for b in batches])
    squares = np.array([(b**2).sum(0) for b in batches])
    sizes = np.array([len(b) for b in batches])

    def log_ratio(keep):  # and the explained share, from the batches kept
        n = sizes[keep].sum()
        mean = sums[keep].sum(0) / n
        moments = products[keep].sum(0) / n - np.outer(mean, mean[:number])
        variance = squares[keep].sum(0)[number:] / n - mean[number:] ** 2
        ratio, explained = _ratio(moments[:number], moments[number:], groups, u_moves)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(h_moves, np.log(ratio), np.nan), np.where(h_moves, explained / variance, np.nan)

    every = np.arange(len(batches))
    value, explained = log_ratio(every)
    error = np.full(value.shape, np.nan)
    if len(batches) > 1:
        left_out = np.array([log_ratio(every != b)[0] for b in every])
        error = np.sqrt((len(batches) - 1) * left_out.var(0))
    return Prediction(np.exp(value), error, explained)


def shrinkage_delinkage(coordinates: np.ndarray, blocks: Sequence[Sequence[int]] | None = None) -> TradeOff:
    """KL(q || p) = shrinkage - delinkage = log|S*| / 2 - log|C^-1| / 2, S* = diag(S_jj (S^-1)_jj), C the correlations.

    For a Gaussian p of these coordinates' covariance: q has the variances 1 / (S^-1)_jj, the trace in KL(q || p) is the
    dimension, and what is left is the difference of two log determinants. Both terms are at least 0. From n effectively
    independent draws of U coordinates they read high by about U^2 / (2 n) and U^2 / (4 n). nan where coordinates are
    collinear.

    Args:
        coordinates: (chain, draw, U).
        blocks: coordinates that the family keeps together, as in `predicted_ratio`.
    """
    u, moves = _standard(coordinates)
    flat = u.reshape(-1, u.shape[-1])
    covariance = flat.T @ flat / len(flat)
    inverse = _inverse(covariance, moves)
    if inverse is None:
        return TradeOff(np.nan, np.nan, np.nan)
    covariance = _whole(covariance, moves)
    shrinkage, within = 0.0, 0.0
    for group in _groups(len(moves), blocks):
        at = np.ix_(group, group)
        marginal = np.linalg.slogdet(covariance[at])[1]
        shrinkage += 0.5 * (marginal + np.linalg.slogdet(inverse[at])[1])
        within += 0.5 * marginal
    delinkage = within - 0.5 * np.linalg.slogdet(covariance)[1]
    return TradeOff(float(shrinkage), float(delinkage), float(shrinkage - delinkage))


def _standard(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(x - mean) / sd, 0 where it does not move, and whether it does."""
    values = np.asarray(values, float)
    lead = tuple(range(values.ndim - 1))
    centred = values - values.mean(lead)
    moves = np.ptp(values, axis=lead) > CONSTANT * np.abs(values).max(lead)
    return np.where(moves, centred / np.where(moves, centred.std(lead), 1.0), 0.0), moves


def _batches(values: np.ndarray) -> list[np.ndarray]:
    """About BATCHES runs of consecutive draws, none across chains, (draws, .) each."""
    chains, draws = values.shape[:2]
    per_chain = min(-(-BATCHES // chains), draws)
    return [run for chain in values for run in np.array_split(chain, per_chain)]


def _groups(number: int, blocks: Sequence[Sequence[int]] | None) -> list[list[int]]:
    named = [list(block) for block in blocks or ()]
    taken = {j for block in named for j in block}
    return named + [[j] for j in range(number) if j not in taken]


def _whole(covariance: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """The covariance with a variance of 1 for what does not move: it is linked to nothing."""
    return np.where(np.eye(len(moves), dtype=bool) & ~moves, 1.0, covariance)


def _inverse(covariance: np.ndarray, moves: np.ndarray) -> np.ndarray | None:
    """Of a covariance in units of sds; None where the coordinates are collinear."""
    covariance = _whole(covariance, moves)
    if covariance.size == 0 or not np.linalg.eigvalsh(covariance)[0] > SINGULAR:
        return None
    return np.linalg.inv(covariance)


def _ratio(
    covariance: np.ndarray, cross: np.ndarray, groups: list[list[int]], moves: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The sd ratio and the variance explained, by scalar, from the covariances (U, U) and (P, U)."""
    inverse = _inverse(covariance, moves)
    if inverse is None:
        return np.full(len(cross), np.nan), np.full(len(cross), np.nan)
    weights = cross @ inverse
    explained = (weights * cross).sum(-1)
    own = np.zeros(len(cross))
    for group in groups:
        b = weights[:, group]
        own += (b * np.linalg.solve(inverse[np.ix_(group, group)], b.T).T).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(own / explained), explained
