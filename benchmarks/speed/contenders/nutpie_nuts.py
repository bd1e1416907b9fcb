r"""nutpie at its defaults on the same posterior, written in PyMC with the labels summed out; compiled by numba.

PyMC's Wishart cannot be sampled, so Lambda = L L' with free (log l11, l21, log l22), flat, and the prior as a potential with

    log|d Lambda / d free| = 2 log 2 + 3 log l11 + 2 log l22        (D = 2)

The log joint of a row and a component is linear in [1, x, vech(x x')], as in the package: one product, one logsumexp.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import nutpie  # pyright: ignore[reportMissingImports] - of the second environment
import pymc as pm  # pyright: ignore[reportMissingImports] - of the second environment
import pytensor.tensor as pt  # pyright: ignore[reportMissingImports] - of the second environment

_KEPT: dict[str, Any] = {}
SHORT = 2.0  # seconds
STEP = 1e-5  # of the central differences that check the Jacobian


def load(x: np.ndarray, prior: dict[str, np.ndarray], start: dict[str, np.ndarray]) -> float:
    """Bind rows (N, 2), prior and one starting point {site: (...)}, and compile; seconds."""
    if x.shape[1] != 2:
        raise ValueError(f"written for two columns; got {x.shape[1]}")
    centre = x.mean(0)
    root = np.linalg.cholesky(start["precisions"])
    free = np.stack([np.log(root[:, 0, 0]), root[:, 1, 0], np.log(root[:, 1, 1])], 1)
    points = {"weights": start["weights"], "offsets": start["means"] - centre, "free": free}
    model = _model(x - centre, {**prior, "mean": prior["mean"] - centre}, points)
    _KEPT.update(model=model, centre=centre)
    began = time.perf_counter()
    _KEPT["compiled"] = nutpie.compile_pymc_model(model, backend="numba", jitter_rvs=set())
    return time.perf_counter() - began


def _model(x: np.ndarray, prior: dict[str, np.ndarray], start: dict[str, np.ndarray]) -> pm.Model:
    one, two = x.T
    features = np.stack([np.ones(len(x)), one, two, one**2, one * two, two**2], 1)
    inverse, mean = np.linalg.inv(prior["scale"]), prior["mean"]
    beta, nu = prior["mean_precision"], prior["degrees_of_freedom"]
    components = len(beta)
    with pm.Model() as model:
        weights = pm.Dirichlet("weights", a=prior["concentration"], initval=start["weights"])
        offsets = pm.Flat("offsets", shape=(components, 2), initval=start["offsets"])
        free = pm.Flat("free", shape=(components, 3), initval=start["free"])
        l11, l21, l22 = pt.exp(free[:, 0]), free[:, 1], pt.exp(free[:, 2])
        a, b, c = l11**2, l11 * l21, l21**2 + l22**2  # Lambda = [[a, b], [b, c]]
        log_det = 2.0 * (free[:, 0] + free[:, 2])
        trace = inverse[:, 0, 0] * a + 2.0 * inverse[:, 0, 1] * b + inverse[:, 1, 1] * c
        u, v = offsets[:, 0] - mean[:, 0], offsets[:, 1] - mean[:, 1]
        square = a * u**2 + 2.0 * b * u * v + c * v**2
        pm.Potential("wishart", (0.5 * (nu - 3.0) * log_det - 0.5 * trace).sum())
        pm.Potential("jacobian", (3.0 * free[:, 0] + 2.0 * free[:, 2]).sum())
        pm.Potential("normal", (0.5 * log_det - 0.5 * beta * square).sum())
        m, n = offsets[:, 0], offsets[:, 1]
        linear = a * m + b * n, b * m + c * n
        constant = pt.log(weights) + 0.5 * log_det - 0.5 * (m * linear[0] + n * linear[1])
        coefficients = pt.stack([constant, *linear, -0.5 * a, -b, -0.5 * c])  # (6, K)
        pm.Potential("rows", pt.logsumexp(pt.dot(features, coefficients), axis=1).sum())
    return model


def log_densities(number: int, seed: int) -> dict[str, Any]:
    """Points theta near the start and log p(x, theta) there, with respect to theta: the Jacobian by central differences."""
    model = _KEPT["model"]
    start = {name: np.asarray(value) for name, value in model.initial_point().items()}
    density = model.compile_logp()
    of_values = model.replace_rvs_by_values([model["weights"]])  # the variable itself would be drawn at random
    weights = model.compile_fn(of_values, inputs=model.value_vars, on_unused_input="ignore")
    rng = np.random.default_rng(seed)

    def parts(flat: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.cumsum([value.size for value in start.values()])[:-1]
        split = np.split(flat, ends)
        return {name: part.reshape(v.shape) for part, (name, v) in zip(split, start.items(), strict=True)}

    def theta(flat: np.ndarray) -> dict[str, np.ndarray]:
        u = parts(flat)
        means, precisions = u["offsets"] + _KEPT["centre"], _precisions(u["free"])
        return {"weights": np.asarray(weights(u)[0]), "means": means, "precisions": precisions}

    def distinct(flat: np.ndarray) -> np.ndarray:
        of = theta(flat)
        row, column = np.tril_indices(2)
        return np.concatenate([of["weights"][:-1], of["means"].ravel(), of["precisions"][:, row, column].ravel()])

    points, values = [], []
    for _ in range(number):
        flat = np.concatenate([value.ravel() for value in start.values()])
        flat = flat + 0.1 * rng.normal(size=flat.shape)
        moves = STEP * np.eye(len(flat))
        jacobian = np.stack([(distinct(flat + e) - distinct(flat - e)) / (2 * STEP) for e in moves])
        points.append(theta(flat))
        values.append(float(density(parts(flat))) - np.linalg.slogdet(jacobian)[1])
    return {"points": {name: np.stack([p[name] for p in points]) for name in points[0]}, "values": np.array(values)}


def run(seed: int, draws: int, chains: int, cores: int) -> dict[str, Any]:
    """Tune and sample; the warm-up's time is that of a run with the same seed that stops after it.

    Short runs are made three times, and medians subtracted.
    """
    settings = {"chains": chains, "cores": cores, "seed": seed, "progress_bar": False}
    times: dict[int, list[float]] = {1: [], draws: []}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one draw of four chains is meant
        while len(times[draws]) < 1 or (len(times[draws]) < 3 and times[draws][0] < SHORT):
            for number, spent in times.items():
                began = time.perf_counter()
                found = nutpie.sample(_KEPT["compiled"], draws=number, **settings)
                spent.append(time.perf_counter() - began)
    warm, whole = (float(np.median(spent)) for spent in times.values())
    group = found["posterior"]
    means = group["offsets"].values + _KEPT["centre"]
    return {
        "warm-up": warm,
        "sampling": whole - warm,
        "gradients": int(found["sample_stats"]["n_steps"].sum()),
        "steps": int(found["warmup_posterior"].sizes["draw"]),
        "draws": {"weights": group["weights"].values, "means": means, "precisions": _precisions(group["free"].values)},
    }


def _precisions(free: np.ndarray) -> np.ndarray:
    l11, l21, l22 = np.exp(free[..., 0]), free[..., 1], np.exp(free[..., 2])
    rows = np.stack([l11**2, l11 * l21], -1), np.stack([l11 * l21, l21**2 + l22**2], -1)
    return np.stack(rows, -2)
