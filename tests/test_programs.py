"""Compiled programs: made quickly, small enough for the memory, forgotten before the kernel's limit on memory maps is reached."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vi_vs_mcmc as vm
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


DEVICES = """
import jax, vi_vs_mcmc as vm
{first}
try:
    vm.use_every_core()
except vm.SettingError as error:
    print(error)
print(jax.local_device_count("cpu"))
"""


@pytest.mark.parametrize(
    ("first", "environment", "last"),
    [
        ("", {}, str(programs.cores())),
        ("", {"JAX_NUM_CPU_DEVICES": "5"}, "5"),
        ("", {"XLA_FLAGS": f"--{programs.SET}=4"}, "4"),
        pytest.param(
            "jax.numpy.ones(3)",
            {},
            "1",
            marks=pytest.mark.skipif(programs.cores() == 1, reason="one core wants no second device"),
        ),
    ],
)
def test_a_cpu_is_a_device_for_each_core_unless_the_user_says_how_many_or_jax_has_begun(first, environment, last):
    kept = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
    command = [sys.executable, "-c", DEVICES.format(first=first)]
    out = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, check=True).stdout
    lines = out.splitlines()
    assert lines[-1] == last
    assert ("too late" in out) == (first != "")


def test_many_rows_on_one_of_several_cores_are_told(monkeypatch):
    from vi_vs_mcmc import passes

    model = vm.load("gmm")(components=2).conjugate
    monkeypatch.setattr(passes, "WORTH", 0)
    monkeypatch.setattr(passes, "cores", lambda: 8)
    one = [jax.devices("cpu")[0]]
    monkeypatch.setattr(jax, "local_devices", lambda: one)
    with jax.enable_x64(True), pytest.warns(UserWarning, match=r"500 rows will use one of 8 cores.*use_every_core"):
        passes.laid_out(model, 1)


def test_the_longer_the_data_the_fewer_draws_are_evaluated_side_by_side():
    assert flat.abreast([np.zeros((500, 2)), np.zeros(())]) == flat.ABREAST
    assert flat.abreast([jnp.zeros((10**6, 1))]) == 4
    assert flat.abreast({"x": jax.ShapeDtypeStruct((10**9, 8), float)}) == 1
    assert flat.abreast([]) == flat.ABREAST
