"""How far a bound is from the evidence, in its parts: what is known exactly is not split by what is only sampled."""

from types import SimpleNamespace

import pytest

from vi_vs_mcmc.report.evidence import gap_of


def gap(local: float, error: float):
    """Of a bound 1.1 nats short, whose z-free bound is known to `error`; the evidence to .01."""
    parts = {"total": 1.1, "labels": 0.0, "local": local, "parameters": 1.1 - local, "error": (error**2 + 1e-4) ** 0.5}
    summary = {"evidence": {"error": 0.01, "gaps": {"cavi": parts}}}
    return gap_of(SimpleNamespace(run=SimpleNamespace(summary=summary)), "cavi")


def test_a_model_whose_rows_have_no_z_pays_nothing_for_it():
    found = gap(local=-0.015, error=0.01)
    assert [(p.name, p.nats) for p in found.parts] == [("q(θ)", 1.1)]
    assert found.errors == [0.01]


def test_a_z_that_costs_more_than_chance_has_its_part():
    found = gap(local=0.4, error=0.01)
    assert [p.name for p in found.parts] == ["q(z)", "q(θ)"]
    assert [p.nats for p in found.parts] == pytest.approx([0.4, 0.7])
