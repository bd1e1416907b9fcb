"""scikit-learn's BayesianGaussianMixture with our priors."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

_KEPT: dict[str, Any] = {}
_FITTED = ("weight_concentration_", "mean_precision_", "means_", "degrees_of_freedom_", "covariances_")


def load(x: np.ndarray, prior: dict[str, np.ndarray]) -> None:
    """Keep the rows and the settings. No ridge is added to covariances, for we add none."""
    _KEPT["x"] = np.ascontiguousarray(x)
    _KEPT["settings"] = {
        "n_components": len(prior["concentration"]),
        "covariance_type": "full",
        "reg_covar": 0.0,
        "tol": 0.0,
        "n_init": 1,
        "init_params": "random_from_data",
        "weight_concentration_prior_type": "dirichlet_distribution",
        "weight_concentration_prior": float(prior["concentration"][0]),
        "mean_precision_prior": float(prior["mean_precision"][0]),
        "mean_prior": prior["mean"][0],
        "degrees_of_freedom_prior": float(prior["degrees_of_freedom"][0]),
        "covariance_prior": np.linalg.inv(prior["scale"][0]),
        "random_state": 0,
    }


def seconds_per_iteration(low: int, high: int) -> float:
    """Wall time of an iteration: two runs from one start, so that initialisation and the last labelling cancel."""
    spent = [_run(BayesianGaussianMixture(max_iter=n, **_KEPT["settings"]))[0] for n in (low, high)]
    return (spent[1] - spent[0]) / (high - low)


def begin(start: dict[str, np.ndarray]) -> None:
    """Start at given parameters (concentration, mean_precision, mean, scale, degrees_of_freedom)."""
    model = BayesianGaussianMixture(warm_start=True, **_KEPT["settings"])
    covariances = np.linalg.inv(start["scale"]) / start["degrees_of_freedom"][:, None, None]
    values = (start["concentration"], start["mean_precision"], start["mean"], start["degrees_of_freedom"], covariances)
    for name, value in zip(_FITTED, values, strict=True):
        setattr(model, name, np.array(value))
    model.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(covariances))
    model.converged_, model.lower_bound_ = False, -np.inf  # warm_start then initialises nothing
    _KEPT["model"] = model


def advance(iterations: int) -> dict[str, Any]:
    """Go on for so many iterations: seconds, and the parameters reached."""
    model = _KEPT["model"].set_params(max_iter=iterations)
    spent, done = _run(model)
    scale = np.linalg.inv(model.covariances_ * model.degrees_of_freedom_[:, None, None])
    return {
        "seconds": spent,
        "iterations": done,
        "concentration": model.weight_concentration_,
        "mean_precision": model.mean_precision_,
        "mean": model.means_,
        "degrees_of_freedom": model.degrees_of_freedom_,
        "scale": scale,
    }


def _run(model: Any) -> tuple[float, int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped on purpose
        began = time.perf_counter()
        model.fit(_KEPT["x"])
        return time.perf_counter() - began, int(model.n_iter_)
