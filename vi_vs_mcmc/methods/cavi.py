"""Coordinate-ascent variational inference. Source: Bishop (2006), PRML, section 10.1."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from xarray import Dataset, DataTree

from vi_vs_mcmc import engine, posterior
from vi_vs_mcmc.ascent import CHUNK, Ascent, as_eta, ascend
from vi_vs_mcmc.call import unconstrain
from vi_vs_mcmc.checkpoint import Checkpoint
from vi_vs_mcmc.conjugate import Conjugate, Natural
from vi_vs_mcmc.errors import PeerError, SettingError, whole
from vi_vs_mcmc.flat import in_batches
from vi_vs_mcmc.precision import in_float64
from vi_vs_mcmc.problem import Problem
from vi_vs_mcmc.streams import MODES, of_key, stream

SAME = 1e-6  # relative ELBO difference within which two restarts found one optimum
SINGLE = 1e-4  # residual at which float32 has told what it can
BATCH = 500  # draws whose log p is computed side by side


@dataclass(frozen=True)
class Optima:
    """What R restarts found, best first; numpy arrays with a leading axis R."""

    eta: Natural
    start: Natural
    ascent: Ascent
    single: Ascent | None = None  # the passes in float32 that came first, in the order of `ascent`

    def best(self) -> Natural:
        """The natural parameters of the restart with the highest ELBO."""
        return jax.tree.map(lambda leaf: leaf[0], self.eta)

    @property
    def sweeps(self) -> np.ndarray:
        """Of each restart, those in float32 included, (R,)."""
        return self.ascent.sweeps + (0 if self.single is None else self.single.sweeps)

    def agreeing(self) -> np.ndarray:
        """Which restarts have the best one's ELBO, (R,)."""
        elbo = self.ascent.elbo
        return np.abs(elbo - elbo[0]) <= SAME * (1 + abs(elbo[0]))

    def distinct(self) -> np.ndarray:
        """Indices of the first restart at each distinct optimum (by ELBO), best first."""
        elbo = self.ascent.elbo
        return np.flatnonzero(np.r_[True, -np.diff(elbo) > SAME * (1 + np.abs(elbo[1:]))])

    def allocate(self, number: int, negligible: float) -> np.ndarray:
        """Restarts to start `number` chains from, (number,): each distinct optimum in proportion to exp(ELBO).

        An optimum of weight `negligible` or more gets one chain at least, while chains last: if the chains then do not
        mix, R-hat says so.
        """
        modes = self.distinct()
        weight = np.exp(self.ascent.elbo[modes] - self.ascent.elbo[0])
        weight /= weight.sum()
        modes, weight = modes[weight >= negligible][:number], weight[weight >= negligible][:number]
        counts = np.ones(len(modes), int)
        for _ in range(number - len(modes)):
            counts[np.argmax(weight / counts)] += 1
        return np.repeat(modes, counts)


@dataclass(frozen=True)
class CAVI:
    """Sweep the factors of q in turn until the fixed point stops moving.

    Attributes:
        tol: the largest |F(eta) - eta| / (1 + |eta|) at which it has stopped; an ELBO gain of 1e-9 would leave sds wrong by 1 %.
        restarts: random starts, fitted side by side in the same passes; the best is kept.
        max_sweeps: give up, and say so, after so many.
        float32: make the first passes in single precision, until the fixed point is met to SINGLE or the ELBO's gain is lost in
            the digits, and the last in float64: the same optima, and the status says by how much of itself single precision put
            the ELBO off (some 1e-8). A pass takes half to two thirds of the time; where rows are few nothing is gained.
    """

    tol: float = 1e-8
    restarts: int = 8
    max_sweeps: int = 20_000
    float32: bool = False

    name = "cavi"
    streams = True

    def __post_init__(self):
        if not 0 < self.tol < 1:
            raise SettingError(f"tol is {self.tol}; want a number between 0 and 1")
        for name in ("restarts", "max_sweeps"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))

    def suits(self, problem: Problem) -> Conjugate:
        """The structure that it works on; a SettingError where there is none."""
        return problem.structure("cavi", "svi:AutoNormal")

    def optima(self, model: Conjugate, key: Array, *, progress=None, total=None, checkpoint=None) -> Optima:
        """Fit all restarts; sorted by ELBO, labels in their canonical order. `total` and `checkpoint` as `ascend` takes them."""
        start, single = engine.starts(model, key, self.restarts), None
        if self.float32:
            single = ascend(
                model, start, tol=max(self.tol, SINGLE), max_sweeps=self.max_sweeps, progress=progress, float32=True
            )
        ascent = ascend(
            model,
            start if single is None else jax.tree.map(jnp.asarray, single.eta),
            tol=self.tol,
            max_sweeps=self.max_sweeps,
            progress=progress,
            total=total,
            checkpoint=checkpoint,
        )
        order = np.lexsort((np.arange(self.restarts), -ascent.elbo))
        path, ascent = ascent.path, ascent._replace(path=None)
        single = None if single is None else single._replace(path=None)
        start, ascent, single = jax.tree.map(lambda leaf: np.asarray(leaf)[order], (start, ascent, single))
        best = None if path is None else path[order[:1]]  # those of the others are large, and nobody asks for them
        eta = jax.tree.map(np.asarray, _canonical(model, ascent.eta))
        return Optima(eta, start, ascent._replace(path=best), single)

    @in_float64
    def fit(self, problem: Problem, key: Array, *, chains: int, draws: int, progress=None) -> DataTree:
        """Fit q, then draw from it.

        Returns:
            posterior (chain, draw, *event) on the constrained scale; variational/elbo (sweep,), nats, rising.

        Raises:
            SettingError: the problem has no closed-form structure.
            NumericalError: the ELBO fell.
        """
        model = self.suits(problem)
        key_draw = stream(key, self.name)
        optima = self.search(problem, key, progress=progress)
        eta = optima.best()
        if problem.source is None:
            theta, log_p, log_q = drawn(model, eta, key_draw, chains * draws, problem.supports)
            densities = {"log_p": log_p, "log_q": log_q}
        else:  # log p of a draw would be a pass over the data
            theta = thetas(model, optima.eta, np.zeros(chains * draws, int), key_draw)
            densities = {}
        ascent, agree = optima.ascent, optima.agreeing()
        return posterior.build(
            problem,
            self,
            theta,
            chains=chains,
            status="converged" if ascent.converged[0] else "not converged",
            status_sentence=self._sentence(optima, agree),
            work=f"{self.restarts} restarts, {optima.sweeps.min()} to {optima.sweeps.max()} sweeps",
            passes=int(optima.sweeps.max()) * len(model.blocks),
            sample_stats=densities,
            variational=_variational(problem, model, eta, optima),
            attrs={
                "elbo": float(ascent.elbo[0]),
                "restarts": self.restarts,
                "restarts_agreeing": int(agree.sum()),
                "closed_form": 1,
            },
        )

    def search(self, problem: Problem, key: Array, *, progress=None) -> Optima:
        """The optima of a problem by a run's key: searched for once, whichever methods ask, and counted in the time of each."""
        model = self.suits(problem)
        return problem.memory.once((self, of_key(key)), lambda: self._searched(problem, model, key, progress))

    def _searched(self, problem: Problem, model: Conjugate, key: Array, progress) -> Optima:
        """All restarts, over rows in memory or streamed from files, by one process or several."""
        source = problem.source
        if source is None:
            return self.optima(model, stream(key, MODES), progress=progress)
        what = {
            "settings": asdict(self),
            "model": _rounded(dict(problem.settings)),
            "seed": np.asarray(jax.random.key_data(key)).tolist(),
            "data": problem.table.sha256 if problem.table else "",
        }
        if self.float32:
            raise SettingError("float32 is for rows in memory, and these are streamed; leave it out")
        source.peers.agree(what)
        kept = None if source.checkpoint is None else Checkpoint(source.checkpoint, what, source.peers)
        try:
            optima = self.optima(model, stream(key, MODES), total=source.total(model, progress), checkpoint=kept)
        except PeerError as error:
            if kept is None:
                raise
            raise PeerError(
                f"{error}; what was done is kept in {kept.path.name}: start all again to go on from there"
            ) from error
        if kept is not None:
            kept.remove()
        return optima

    def _sentence(self, optima: Optima, agree: np.ndarray) -> str:
        many, ascent = f"{agree.sum()} of {len(agree)} restarts reached this optimum", optima.ascent
        if optima.single is not None:
            off = abs(optima.single.elbo[0] / ascent.trace[0, 0] - 1.0)
            many += f"; {optima.single.sweeps[0]} sweeps in float32 knew the ELBO to {off:.0e} of itself"
        if ascent.converged[0]:
            return f"{many}; fixed point to {ascent.residual[0]:.0e} after {optima.sweeps[0]} sweeps"
        return (
            f"still moving by {ascent.residual[0]:.1e} after {self.max_sweeps} sweeps, where {self.tol:.0e} is wanted; "
            "raise max_sweeps"
        )


def _rounded(value: Any) -> Any:
    """Numbers to nine digits: a prior that is read off the data depends, in its last digits, on the order of the sums."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


@jax.jit
def _canonical(model: Conjugate, eta: Natural) -> Natural:
    return jax.vmap(model.canonical)(eta)


def drawn(model: Conjugate, eta: Natural, key: Array, number: int, supports: dict):
    """Draws of q with log p and log q of each on the unconstrained scale: ({site: (number, ...)}, (number,), (number,))."""
    keys = jax.random.split(key, -(-number // BATCH))
    batches = [jax.tree.map(np.asarray, _batch(model, eta, k, supports)) for k in keys]
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:number], *batches)


@jax.jit
def _batch(model: Conjugate, eta: Natural, key: Array, supports: dict):
    """BATCH draws: one compilation serves any number of them."""

    def one(key: Array):
        theta = model.draw(key, eta)
        log_volume = unconstrain(supports, theta)[1]
        return theta, engine.log_p(model, theta) + log_volume, engine.log_q(model, eta, theta) + log_volume

    return jax.vmap(one)(jax.random.split(key, BATCH))


def thetas(model: Conjugate, eta: Natural, index: np.ndarray, key: Array) -> dict[str, np.ndarray]:
    """A draw of each q that `index` names among those of `eta`, leaves (draws, ...), without a look at the data."""
    keys = np.asarray(jax.random.key_data(jax.random.split(key, len(index))))
    each = jax.tree.map(lambda leaf: np.asarray(leaf)[index], eta)
    return in_batches(lambda pair: _thetas(model, *pair), (each, keys))


@jax.jit
def _thetas(model: Conjugate, eta: Natural, keys: Array) -> dict[str, Array]:
    return jax.vmap(lambda one, key: model.draw(jax.random.wrap_key_data(key), one))(eta, keys)


@jax.jit
def _fitting(model: Conjugate, points: Array) -> Array:
    """sum_n log p(x_n | theta) at the expected parameters of each eta, given as vectors (B, P); (B,), nats."""

    def one(eta: Natural) -> Array:
        means = {site: mean for site, (mean, _) in model.moments(eta).items()}
        return engine.total(model, model.sufficient(means))[0]

    return jax.lax.map(one, as_eta(model, points))


def _variational(problem: Problem, model: Conjugate, eta: Natural, optima: Optima) -> Dataset:
    moments, ascent = model.moments(eta), optima.ascent
    out = posterior.dataset(problem, {s: np.asarray(v[0]) for s, v in moments.items()}, (), "mean_")
    out = out.merge(posterior.dataset(problem, {s: np.sqrt(v[1]) for s, v in moments.items()}, (), "sd_"))
    for name, value in model.parameters(eta).items():
        out[f"q_{name}"] = ([f"q_{name}_dim_{i}" for i in range(np.ndim(value))], np.asarray(value))
    sweeps = int(ascent.sweeps[0])
    out["elbo"] = ("sweep", ascent.trace[0, :sweeps])
    if ascent.path is not None:
        out["log_likelihood"] = ("sweep", in_batches(partial(_fitting, model), ascent.path[0, :sweeps], CHUNK))
    out["elbo_restarts"] = (("restart", "restart_sweep"), ascent.trace)
    return out
