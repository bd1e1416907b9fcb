"""The race of the samplers: rounds in turn, one posterior, one relabelling, means that must agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from .rows import Context, Row, against
from .timing import seconds, three, timed
from .worker import Worker, WorkerError, on

CHAINS = 4
WARMUP = 1000  # of the contenders that have no default
SAME = 1e-4  # nats: how constant the difference of two log densities must be
AGREE = 4.5  # Monte Carlo standard errors, the largest of some twenty differences
MIXED = 1.05  # R-hat above which an ESS means little
POINTS = 5
MANY = 5000  # rows
SHORT = 50  # draws and warm-up steps of a run that only tells which way is faster


Ask = Callable[[int], dict[str, Any]]  # a seed -> times, gradients and draws of one run


@dataclass(frozen=True)
class Start:
    """What a contender is given."""

    stack: ExitStack
    context: Context
    place: str
    ours: Worker
    x: np.ndarray
    prior: dict[str, np.ndarray]
    starts: dict[str, np.ndarray]  # {site: (chains, ...)}
    draws: int
    warmup: int

    @property
    def bound(self) -> dict[str, Any]:
        """Rows and prior."""
        return {"x": self.x, "prior": self.prior}

    def peer(self, module: str, **how: Any) -> Worker:
        """A process of the second environment."""
        if self.context.peers is None or self.context.peers.python is None:
            raise WorkerError(f"not installed: {getattr(self.context.peers, 'reason', 'no second environment')}")
        return self.stack.enter_context(self.context.peers.worker(module, **how))


def race(
    context: Context, *, rows: int, draws: int, rounds: int, least: Mapping[str, float], warmup: int = WARMUP
) -> Iterator[Row]:
    """Rows of the table: what each contender reached, then our ratio to each."""
    for place in context.platforms:
        yield from _race(context, place, rows, draws, rounds, least, warmup)


def _race(context, place, rows, draws, rounds, least, warmup) -> Iterator[Row]:
    where = "" if place == "cpu" else f", on the {place}"
    with ExitStack() as stack:
        ours = stack.enter_context(Worker("ours", **on(place)))
        x = ours("lecture", rows=rows)
        prior = ours("load", x=x, components=3, **lecture_prior())
        starts = ours("at_the_mode", chains=CHAINS, seed=1)
        field: dict[str, Ask] = {"ours": lambda seed: ours("run", seed=seed, chains=CHAINS, draws=draws)}
        for name, enter in FIELD.items() if place == "cpu" else ():  # there the others would take hours
            try:
                field[name] = enter(Start(stack, context, place, ours, x, prior, starts, draws, warmup))
                spent, _ = timed(lambda ask=field[name]: ask(0))  # compiles; not counted
                print(f"   {name} is ready: {seconds(spent)}", flush=True)
            except WorkerError as error:
                field.pop(name, None)
                yield Row(f"{name}{where}", "not run", note=str(error))
        field["ours"](0)
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in field}
        for turn in range(rounds):
            for name, ask in field.items():
                spent, out = timed(lambda ask=ask, seed=turn + 1: ask(seed))
                print(f"   round {turn + 1}, {name}: {seconds(spent)}", flush=True)
                found[name].append(out | ours("measure", draws=out.pop("draws")))
    yield from told(found, least, where)


def told(found: Mapping[str, list[dict[str, Any]]], least: Mapping[str, float], where: str = "") -> Iterator[Row]:
    """The rows from what each round measured."""
    rate = {name: np.array([o["ess"] / o["sampling"] for o in outs]) for name, outs in found.items()}
    whole = {name: np.array([o["ess"] / (o["sampling"] + o["warm-up"]) for o in outs]) for name, outs in found.items()}
    middle = lambda outs, key: float(np.median([o[key] for o in outs]))
    for name, outs in found.items():
        gradients = np.median([o["gradients"] / o["sampling"] for o in outs])
        each = np.median([o["ess"] / o["gradients"] for o in outs])
        said = (
            f"{three(np.median(rate[name]))} ESS/s ({three(rate[name].min())} to {three(rate[name].max())}), "
            f"{three(np.median(whole[name]))} with the warm-up; {three(gradients)} gradients/s, {three(1e3 * each)} ESS a "
            "thousand gradients"
        )
        times = f"warm-up {seconds(middle(outs, 'warm-up'))} ({outs[0]['steps']} steps), sampling "
        times += seconds(middle(outs, "sampling"))
        flags = _flags(found["ours"], outs)
        agrees = f"means within {_apart(found['ours'], outs):.1f} errors of ours" if name != "ours" else ""
        yield Row(
            f"{name}{where}",
            said,
            note="; ".join(filter(None, [times, *(flags or [agrees])])),
            numbers={
                "rate": rate[name],
                "whole": whole[name],
                "gradients": gradients,
                "per gradient": each,
                "sampler": name,
            },
        )
    for name in found:
        if name == "ours":
            continue
        parts = rate["ours"] / rate[name], whole["ours"] / whole[name]
        explained = _factors(found["ours"], found[name])
        note = "; ".join(_flags(found["ours"], found[name]))
        yield against(f"ours against {name}{where}: sampling", explained, parts[0], least.get(name), note=note)
        yield against(f"ours against {name}{where}: warm-up and sampling", "", parts[1])


def lecture_prior() -> dict[str, Any]:
    """The prior of the built-in example: alpha = 1, beta = 1, m = the data's mean, W = 0.1 I, nu = D."""
    return {"mean_precision": 1.0, "scale": [[0.1, 0.0], [0.0, 0.1]], "degrees_of_freedom": 2.0}


def _numpyro(of: Start) -> Ask:
    """Chains side by side or in parallel, by what gives more gradients a second in a short run; many rows: in parallel.

    With many rows a third of the draws: it is by far the slowest, and a rate is what counts.
    """
    peer = of.stack.enter_context(Worker("contenders.numpyro_textbook", **on(of.place)))
    peer("load", **of.bound, starts=of.starts)
    _same(peer("log_densities", points=of.starts), of.ours("log_densities", points=of.starts))
    if len(of.x) > MANY:
        how = {"draws": of.draws // 3, "warmup": of.warmup, "method": "parallel" if of.place == "cpu" else "vectorized"}
        return lambda seed: peer("run", seed=seed, **how)
    speed = {}
    for method in ("vectorized", "parallel") if of.place == "cpu" else ("vectorized",):
        outs = [peer("run", seed=seed, draws=SHORT, warmup=SHORT, method=method) for seed in (0, 1)]
        speed[method] = outs[1]["gradients"] / outs[1]["sampling"]
    fastest = max(speed, key=lambda m: speed[m])
    return lambda seed: peer("run", seed=seed, draws=of.draws, warmup=of.warmup, method=fastest)


def _nutpie(of: Start) -> Ask:
    """As many threads as chains."""
    peer = of.peer("contenders.nutpie_nuts")
    peer("load", **of.bound, start={name: value[0] for name, value in of.starts.items()})
    own = peer("log_densities", number=POINTS, seed=0)
    _same(own["values"], of.ours("log_densities", points=own["points"]))
    return lambda seed: peer("run", seed=seed, draws=of.draws, chains=CHAINS, cores=CHAINS)


def _blackjax(of: Start) -> Ask:
    """On our own density, so there is nothing to check."""
    peer = of.peer("contenders.blackjax_nuts", with_ours=True, **on(of.place))
    peer("load", **of.bound, starts=of.starts)
    return lambda seed: peer("run", seed=seed, draws=of.draws, warmup=of.warmup)


FIELD: dict[str, Callable[[Start], Ask]] = {"NumPyro": _numpyro, "nutpie": _nutpie, "BlackJAX": _blackjax}


def _same(theirs: np.ndarray, own: np.ndarray) -> None:
    """Two log densities that differ by one constant."""
    apart = float(np.ptp(theirs - own))
    if not apart < SAME:
        raise WorkerError(f"its log density differs from ours by {apart:.2g} nats between points: another posterior")


def _flags(own: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[str]:
    """What is wrong with a contender's draws."""
    worst, apart = max(o["rhat"] for o in theirs), 0.0 if own is theirs else _apart(own, theirs)
    flags = [f"R-hat {worst:.2f}: its ESS means little"] if worst > MIXED else []
    return flags + ([f"means {apart:.1f} errors from ours: another answer"] if apart > AGREE else [])


def _apart(own: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> float:
    """The largest difference of the means of all rounds, in Monte Carlo standard errors."""
    mean = lambda outs: np.mean([o["mean"] for o in outs], 0)
    square = lambda outs: np.mean([o["error"] ** 2 for o in outs], 0) / len(outs)
    return float(np.max(np.abs(mean(own) - mean(theirs)) / np.sqrt(square(own) + square(theirs))))


def _factors(own: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """What a ratio is made of."""
    speed = lambda outs: np.median([o["gradients"] / o["sampling"] for o in outs])
    worth = lambda outs: np.median([o["ess"] / o["gradients"] for o in outs])
    a, b = speed(own) / speed(theirs), worth(own) / worth(theirs)
    return f"{three(a)}× the gradients a second, {three(b)}× the ESS of a gradient"
