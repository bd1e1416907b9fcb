"""Print how often verdicts are wrong, in 200 seeds each, where the right one is known. `tests/test_error_rates.py` counts.

uv run python benchmarks/rates.py            # all, about ten minutes on two cores
uv run python benchmarks/rates.py equal      # one of: equal, limit, beyond, short, unfinished
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator

from said import Record, Section, run, say, tests

import vi_vs_mcmc as vm

tests()
counted = importlib.import_module("test_error_rates")
SEED = f"{counted.SEEDS} seeds"


def spoken(words: Counter[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in words.most_common())


def equal() -> Iterator[Record]:
    """A good reference, and VI draws of its own law."""
    wanted = f"overconfident in at most {counted.WRONG}"
    for draws, said, note in ((40_000, True, ""), (4_000, True, ""), (4_000, False, ", from a plain file")):
        words = counted.against_a_known_law(draws, said=said)
        holds = words["overconfident"] <= counted.WRONG
        yield say(f"{draws} VI draws{note}", spoken(words), wanted, against=f"a known law, {SEED}", holds=holds)


def limit() -> Iterator[Record]:
    """Every sd at .9 of the reference's, where the tolerance ends."""
    words = counted.against_a_known_law(40_000, 0.9)
    wanted, holds = f"overconfident in at most {counted.WRONG}", words["overconfident"] <= counted.WRONG
    what = "every sd ratio .9, 40000 VI draws"
    yield say(what, spoken(words), wanted, against=f"a known law, {SEED}", holds=holds)


def beyond() -> Iterator[Record]:
    """Every sd at .8 of the reference's."""
    words = counted.against_a_known_law(4_000, 0.8)
    wanted, holds = f"overconfident in at least {counted.RIGHT}", words["overconfident"] >= counted.RIGHT
    yield say("every sd ratio .8, 4000 VI draws", spoken(words), wanted, against=f"a known law, {SEED}", holds=holds)


def short() -> Iterator[Record]:
    """CAVI on the lecture's data, by 50 draws of each of four chains."""
    words = counted.against_a_short_run(vm.load("gmm")(), 50)
    wanted, holds = f"no verdict in at least {counted.RIGHT}", words["no verdict"] >= counted.RIGHT
    yield say("NUTS, 4 x 50", spoken(words), wanted, against=SEED, holds=holds)


def unfinished() -> Iterator[Record]:
    """SVI on the lecture's data, stopped at a hundredth of its steps."""
    words, needed, taken = counted.of_an_unfinished_optimiser(vm.load("gmm")())
    yield say("steps of SVI to convergence, and those taken", f"{needed}, {taken}")
    wanted, holds = f"not converged in at least {counted.RIGHT}", words["not converged"] >= counted.RIGHT
    yield say("svi:AutoNormal", spoken(words), wanted, against=SEED, holds=holds)


SECTIONS: dict[str, Section] = {f.__name__: f for f in (equal, limit, beyond, short, unfinished)}


if __name__ == "__main__":
    run(SECTIONS)
