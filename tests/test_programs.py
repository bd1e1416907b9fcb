"""Compiled programs: made quickly, small enough for the memory, forgotten before the kernel's limit on memory maps is reached."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vi_vs_mcmc import flat, programs

QUICK = "--xla_backend_optimization_level=1"


@pytest.fixture
def maps(tmp_path, monkeypatch):
    """A process that holds so many of 100 maps."""
    monkeypatch.setattr(programs, "MAPS", tmp_path / "maps")
    monkeypatch.setattr(programs, "LIMIT", tmp_path / "limit")
    (tmp_path / "limit").write_text("100\n")
    return lambda held: (tmp_path / "maps").write_text("address rw-p\n" * held)


def test_below_half_of_the_limit_every_program_is_kept(maps):
    double = jax.jit(lambda x: 2 * x)
    double(jnp.ones(3))
    maps(49)
    assert not programs.make_room()
    assert double._cache_size() == 1


def test_from_half_of_the_limit_on_programs_are_forgotten_and_still_run(maps):
    double = jax.jit(lambda x: 2 * x)
    double(jnp.ones(3))
    maps(50)
    assert programs.make_room()
    assert double._cache_size() == 0
    assert double(jnp.ones(3))[0] == 2


def test_where_the_system_shows_no_maps_nothing_is_forgotten(maps):
    assert not programs.make_room()


@pytest.mark.parametrize(
    ("before", "plugins", "after"),
    [(None, [], QUICK), ("--xla_dump_to=/x", [], "--xla_dump_to=/x"), (None, ["cuda"], None)],
)
def test_compiling_is_quick_unless_the_user_says_how_or_has_an_accelerator(monkeypatch, before, plugins, after):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if before is not None:
        monkeypatch.setenv("XLA_FLAGS", before)
    monkeypatch.setattr(programs, "entry_points", lambda group: plugins)
    programs.compile_quickly()
    assert os.environ.get("XLA_FLAGS") == after


def test_the_longer_the_data_the_fewer_draws_are_evaluated_side_by_side():
    assert flat.abreast([np.zeros((500, 2)), np.zeros(())]) == flat.ABREAST
    assert flat.abreast([jnp.zeros((10**6, 1))]) == 4
    assert flat.abreast({"x": jax.ShapeDtypeStruct((10**9, 8), float)}) == 1
    assert flat.abreast([]) == flat.ABREAST
