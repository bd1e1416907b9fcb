"""What is shared is made once, and charged to everyone who asks."""

import pytest

from vi_vs_mcmc import memory
from vi_vs_mcmc.memory import Memory


@pytest.fixture
def passing(monkeypatch):
    """passing(s) lets s seconds pass."""
    now = [100.0]
    monkeypatch.setattr(memory.time, "perf_counter", lambda: now[0])

    def passes(seconds):
        now[0] += seconds
        return seconds

    return passes


def test_what_is_made_once_counts_in_the_time_of_each_that_asks(passing):
    kept = Memory()
    first = kept.clock()
    assert kept.once("search", lambda: passing(3.0)) == 3.0
    passing(1.0)
    assert first() == 4.0
    second = kept.clock()
    assert kept.once("search", lambda: passing(7.0)) == 3.0
    passing(0.5)
    assert second() == 3.5
    assert kept.once("another", lambda: passing(2.0)) == 2.0


def test_who_asks_twice_is_charged_once(passing):
    kept = Memory()
    first = kept.clock()
    for _ in range(2):
        kept.once("search", lambda: passing(3.0))
    assert first() == 3.0
    second = kept.clock()
    for _ in range(2):
        kept.once("search", lambda: passing(3.0))
    assert second() == 3.0


def test_what_is_made_of_something_shared_costs_both(passing):
    kept = Memory()
    kept.once("starts", lambda: passing(3.0))

    def optimum():
        return kept.once("starts", lambda: passing(9.0)) + passing(2.0)

    first = kept.clock()
    assert kept.once("optimum", optimum) == 5.0
    assert first() == 5.0
    later = kept.clock()
    assert kept.once("optimum", optimum) == 5.0
    assert later() == 5.0


def test_what_fails_is_not_kept(passing):
    kept = Memory()
    with pytest.raises(ZeroDivisionError):
        kept.once("search", lambda: passing(1.0) / 0)
    assert kept.once("search", lambda: passing(1.0)) == 1.0
