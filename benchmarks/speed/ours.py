"""Every call into the package, in one file: what `worker.py` runs for us. All in float64."""

from __future__ import annotations

import gc
import importlib
import time

_BEGAN = time.perf_counter()

from typing import Any  # noqa: E402

import jax  # noqa: E402
import numpy as np  # noqa: E402
from xarray import DataTree  # noqa: E402

import vi_vs_mcmc as vm  # noqa: E402
from vi_vs_mcmc import engine, expfam, labels, posterior  # noqa: E402
from vi_vs_mcmc.ascent import ascend  # noqa: E402
from vi_vs_mcmc.call import unconstrain  # noqa: E402

_IMPORTS = time.perf_counter() - _BEGAN  # seconds

jax.config.update("jax_enable_x64", True)
vm.use_every_core()

PRIOR = ("concentration", "mean", "mean_precision", "scale", "degrees_of_freedom")
CLOUD = 500  # draws of q that tell what a label looks like
FEW = 5  # passes of the shorter of two runs
SPAN = 6, 60  # least and most passes that the longer has more
NEVER = 1e-300  # a tolerance that no residual meets

_bound = jax.jit(engine.bound_and_map)
_problem: dict[str, Any] = {}
_start: dict[int, Any] = {}
_chains: dict[str, Any] = {}


def platforms() -> list[tuple[str, str]]:
    """(platform, name) of every kind of device that JAX sees, the default one first."""
    return list(dict.fromkeys((d.platform, d.device_kind) for d in jax.devices()))


def lecture(rows: int) -> np.ndarray:
    """The lecture's generator, (rows, 2)."""
    return importlib.import_module("vi_vs_mcmc.models.gmm.lecture").lecture_data(rows=rows)


def load(x: np.ndarray, components: int, **settings: Any) -> dict[str, np.ndarray]:
    """Bind a mixture to rows x; its prior, for the others."""
    _problem["gmm"] = vm.load("gmm")(x, components=components, **settings)
    _start.clear()
    return {name: np.asarray(_problem["gmm"].kwargs[name]) for name in PRIOR}


# --- passes over the data


def seconds_per_pass(restarts: int, low: int, high: int, key: int = 0) -> float:
    """Wall time of one pass of so many restarts side by side: two runs from the same starts, the difference."""
    spent, passes = zip(*(_ascend(restarts, n, NEVER, key) for n in (low, high)), strict=True)
    if passes[1] <= passes[0]:
        raise RuntimeError(f"coordinate ascent ended by itself after {passes[0]} passes; want data that take longer")
    return (spent[1] - spent[0]) / (passes[1] - passes[0])


def passes_worth(restarts: int, budget: float) -> dict[str, int]:
    """Two numbers of passes whose difference takes about `budget` seconds; compiles."""
    _ascend(restarts, FEW, NEVER, 0)
    spent, passes = _ascend(restarts, FEW, NEVER, 0)
    return {"low": FEW, "high": FEW + int(np.clip(budget * passes / spent, *SPAN))}


def _ascend(restarts: int, sweeps: int, tol: float, key: int) -> tuple[float, int]:
    model = _problem["gmm"].conjugate
    if restarts not in _start:
        _start[restarts] = jax.block_until_ready(engine.starts(model, jax.random.key(key), restarts))
    began = time.perf_counter()
    found = ascend(model, _start[restarts], tol=tol, max_sweeps=sweeps)
    return time.perf_counter() - began, int(np.max(found.sweeps))


def start(key: int) -> dict[str, np.ndarray]:
    """A start, in the data's units: what scikit-learn is started at."""
    model = _problem["gmm"].conjugate
    _start[1] = engine.starts(model, jax.random.key(key), 1)
    return {n: np.asarray(v) for n, v in model.parameters(jax.tree.map(lambda leaf: leaf[0], _start[1])).items()}


def climb(tol: float, sweeps: int) -> dict[str, Any]:
    """Ascend from that start until the fixed point is met: the bound after each pass, seconds, passes."""
    model = _problem["gmm"].conjugate
    began = time.perf_counter()
    found = ascend(model, _start[1], tol=tol, max_sweeps=sweeps)
    spent = time.perf_counter() - began
    parameters = model.parameters(jax.tree.map(lambda leaf: leaf[0], found.eta))
    return {
        "seconds": spent,
        "passes": int(found.sweeps[0]),
        "trace": np.asarray(found.trace)[0],
        "converged": bool(found.converged[0]),
        "elbo": elbo_at({name: np.asarray(value) for name, value in parameters.items()}),
    }


def elbo_at(parameters: dict[str, np.ndarray]) -> float:
    """ELBO, nats, every constant in it, of a q given by its familiar parameters in the data's units."""
    model = _problem["gmm"].conjugate
    centre, spread = np.asarray(model.centre), np.asarray(model.spread)
    scaled = (
        parameters["mean_precision"],
        (parameters["mean"] - centre) / spread,
        np.linalg.inv(parameters["scale"]) / (spread[:, None] * spread[None, :]),
        parameters["degrees_of_freedom"],
    )
    components = expfam.normal_wishart_natural(expfam.NormalWishartParameters(*map(jax.numpy.asarray, scaled)))
    eta = {"weights": jax.numpy.asarray(parameters["concentration"] - 1.0), "components": components}
    return float(_bound(model, eta)[0])


# --- chains


def at_the_mode(chains: int, seed: int) -> dict[str, np.ndarray]:
    """Where the others' chains start: draws of q at the best optimum, {site: (chains, ...)}."""
    tree = vm.fit(_problem["gmm"], "cavi", seed=seed, chains=1, draws=CLOUD)
    _chains["pivot"] = labels.pivot_of(tree, "component")
    return {n: tree["posterior"][n].values[0, :chains] for n in _problem["gmm"].latent}


def run(seed: int, chains: int, draws: int) -> dict[str, Any]:
    """Look for modes, warm up and sample with the package's own settings."""
    began = time.perf_counter()
    sampler = vm.NUTS().begin(_problem["gmm"], jax.random.key(seed), chains=chains)
    middle = time.perf_counter()
    sampler.sample(draws)
    ended = time.perf_counter()
    tree = sampler.result()
    return {
        "warm-up": middle - began,
        "sampling": ended - middle,
        "gradients": int(tree["sample_stats"]["n_steps"].sum()),
        "steps": int(vm.NUTS().warmup),
        "draws": {n: tree["posterior"][n].values for n in ("weights", "means", "precisions")},
    }


def log_densities(points: dict[str, np.ndarray]) -> np.ndarray:
    """log p(x, theta), with respect to the constrained sites, up to one constant, at points {site: (number, ...)}."""
    problem = _problem["gmm"]
    call, arrays = problem.bound

    def one(theta):
        u, log_volume = unconstrain(problem.supports, theta)
        return call.log_density(arrays, u) - log_volume

    return np.asarray(jax.vmap(one)({n: jax.numpy.asarray(v) for n, v in points.items()}))


def measure(draws: dict[str, np.ndarray]) -> dict[str, Any]:
    """Labels put in one order, then the smallest bulk ESS, the largest R-hat, means and their errors, of distinct scalars."""
    problem, pivot = _problem["gmm"], _chains["pivot"]
    full = {**draws, "covariances": np.linalg.inv(draws["precisions"])}
    tree = DataTree.from_dict({"/posterior": posterior.dataset(problem, full)})
    tree = labels.align(tree, "component", labels.refine(tree, "component", pivot))[0]
    group = tree["posterior"].to_dataset()[["weights", "means", "covariances"]]
    stats: Any = importlib.import_module("arviz_stats")
    each = stats.ess(group, method="bulk"), stats.rhat(group), stats.mcse(group, method="mean")
    ess, rhat, error = map(_scalars, each)
    return {
        "ess": float(ess.min()),
        "rhat": float(rhat.max()),
        "mean": _scalars(group.mean(("chain", "draw"))),
        "error": error,
    }


def _scalars(of: Any) -> np.ndarray:
    """Weights, means, and the lower halves of the covariances, flat."""
    size = of["covariances"].shape[-1]
    row, column = np.tril_indices(size)
    halves = of["covariances"].values[..., row, column]
    return np.concatenate([of["weights"].values.ravel(), of["means"].values.ravel(), halves.ravel()])


# --- a whole run


def to_ess(enough: int, seed: int) -> dict[str, Any]:
    """The built-in data to a smallest bulk ESS of `enough`, imports done before: seconds, and where they went."""
    began = time.perf_counter()
    for name in (
        "numpyro.infer",
        "arviz_stats",
        "vi_vs_mcmc.methods.nuts",
        "vi_vs_mcmc.methods.cavi",
        "vi_vs_mcmc.models",
    ):
        importlib.import_module(name)
    vm.load("gmm")  # brings the model's own imports
    imports = time.perf_counter() - began + _IMPORTS
    gc.freeze()  # as the command line does
    began = time.perf_counter()
    _problem["gmm"] = vm.load("gmm")()
    _chains["pivot"] = None
    sampler = vm.NUTS().begin(_problem["gmm"], jax.random.key(seed), chains=4)
    warm = time.perf_counter()
    ess, asked = 0.0, 0
    while ess < enough:
        asked += 100
        sampler.sample(asked)
        tree = sampler.result()
        if _chains["pivot"] is None:
            _chains["pivot"] = labels.settle(tree, "component")
        ess = measure({n: tree["posterior"][n].values for n in ("weights", "means", "precisions")})["ess"]
    ended = time.perf_counter()
    parts = {"modes and warm-up": warm - began, "draws and ESS": ended - warm}
    return {"seconds": ended - began, "imports": imports, "ess": ess, "parts": parts}
