"""Rows from files: the same fit as from memory, by one process or several, and refusals of what cannot be trusted."""

import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from numpy.testing import assert_allclose

import vi_vs_mcmc as vm
from vi_vs_mcmc import engine, posterior, streamed
from vi_vs_mcmc import parquet as rows_of
from vi_vs_mcmc.checkpoint import Checkpoint
from vi_vs_mcmc.peers import ALONE

ROWS, TIGHT = 3000, vm.CAVI(tol=1e-12, restarts=2)


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(5)
    centres = np.array([[0.0, 0.0, 1.0], [3.0, 3.0, 0.0], [0.0, 4.0, 5.0]])
    return centres[rng.integers(3, size=ROWS)] + rng.normal(size=(ROWS, 3))


@pytest.fixture(scope="module")
def file(x, tmp_path_factory):
    return written(x, tmp_path_factory.mktemp("rows") / "rows.parquet")


def written(x, path, group=271):
    columns = {f"x{j}": x[:, j] for j in range(x.shape[1])} | {"word": ["a"] * len(x)}
    parquet.write_table(pa.table(columns), path, row_group_size=group)
    return path


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    for module in (rows_of, streamed):
        monkeypatch.setattr(module, "BLOCK", 512)


def q(tree):
    return {name: value.values for name, value in tree["variational"].data_vars.items() if name.startswith("q_")}


def test_a_pass_over_a_file_sums_what_a_pass_over_memory_sums(x, file):
    table = vm.stream(file)
    assert table.columns == ("x0", "x1", "x2")
    assert_allclose(table.mean, x.mean(0), rtol=1e-12)
    assert_allclose(table.sd, x.std(0), rtol=1e-12)
    with jax.enable_x64(True):
        model = vm.load("gmm")(x).conjugate
        m = jax.vmap(jax.grad(model.log_normaliser))(engine.starts(model, jax.random.key(0), 2))
        coefficients = jax.vmap(model.coefficients)(m)
        found = table.streamed.total(model)(coefficients)
        tiles = engine.tiled(model)
        wanted = jax.vmap(lambda one: engine.summed(model, one, tiles))(coefficients)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max())


@pytest.mark.slow
def test_the_fit_is_that_of_the_same_rows_in_memory(x, file):
    whole = vm.fit(vm.load("gmm")(x), TIGHT, seed=1, draws=10)
    read = vm.fit(vm.load("gmm")(vm.stream(file)), TIGHT, seed=1, draws=10)
    assert_allclose(read.attrs["elbo"], whole.attrs["elbo"], rtol=1e-10)
    for name, value in q(whole).items():
        assert_allclose(q(read)[name], value, rtol=1e-9, atol=1e-9 * np.abs(value).max())
    assert "sample_stats" not in read.children


def test_every_row_belongs_to_one_process_and_row_groups_stay_whole(file):
    rows = rows_of.open_rows(file)
    for processes in (1, 2, 3, 20):
        shares = [rows.share(number, processes) for number in range(processes)]
        assert [g for share in shares for g in share.groups] == list(rows.groups)
        if processes <= 3:
            assert max(s.count for s in shares) - min(s.count for s in shares) <= 2 * 271


def test_a_folder_of_files_is_one_table(x, tmp_path):
    written(x[:1000], tmp_path / "a.parquet")
    written(x[1000:], tmp_path / "b.parquet")
    assert_allclose(np.concatenate(list(rows_of.open_rows(tmp_path).blocks())), x)


def test_a_method_that_needs_every_row_refuses_a_stream(file):
    with pytest.raises(vm.SettingError, match="nuts needs every row in memory"):
        vm.fit(vm.load("gmm")(vm.stream(file)), "nuts", seed=1)


def test_a_missing_cell_is_named_with_its_row(x, tmp_path):
    holed = x.copy()
    holed[1234, 1] = np.nan
    with pytest.raises(vm.DataError, match="column 'x1', row 1235"):
        vm.stream(written(holed, tmp_path / "holed.parquet"))


def test_a_file_that_changes_between_passes_is_refused(x, tmp_path):
    path = written(x, tmp_path / "rows.parquet")
    table = vm.stream(path)
    written(x[:-1], path)
    with pytest.raises(vm.DataError, match="changed while it was being used"):
        vm.fit(vm.load("gmm")(table), "cavi", seed=1)


@pytest.mark.parametrize(
    ("source", "columns", "error", "words"),
    [
        ("nothing.parquet", None, vm.DataError, "no parquet file"),
        (None, ["x7"], vm.SettingError, "x7"),
        (None, ["x0", "x0"], vm.SettingError, "each once"),
        (__file__, None, vm.DataError, "only parquet"),
    ],
)
def test_what_cannot_be_streamed_is_refused(file, source, columns, error, words):
    with pytest.raises(error, match=words):
        vm.stream(source or file, columns=columns)


def test_an_ascent_that_was_stopped_goes_on_where_it_stood(file, tmp_path):
    kept = tmp_path / "checkpoint.npz"
    problem = lambda: vm.load("gmm")(vm.stream(file, checkpoint=kept))
    stopped, looks = problem(), []

    class HaltError(Exception):
        pass

    def halt(done, total):
        looks.append(done)
        if looks.count(ROWS) == 12:
            raise HaltError

    with pytest.raises(HaltError):
        vm.fit(stopped, TIGHT, seed=1, draws=10, progress=lambda stage, done, total: halt(done, total))
    assert kept.is_file()
    with pytest.raises(vm.SettingError, match="another fit"):
        vm.fit(problem(), TIGHT, seed=2, draws=10)
    passes = []
    note = lambda stage, done, total: passes.append(done) if done == total else None
    on = vm.fit(problem(), TIGHT, seed=1, draws=10, progress=note)
    whole = vm.fit(vm.load("gmm")(vm.stream(file)), TIGHT, seed=1, draws=10)
    assert_allclose(on.attrs["elbo"], whole.attrs["elbo"], rtol=1e-10)
    assert on.attrs["passes"] > len(passes)
    assert not kept.exists()


def test_a_damaged_checkpoint_is_named(tmp_path):
    kept = tmp_path / "checkpoint.npz"
    kept.write_bytes(b"PK nothing")
    with pytest.raises(vm.DataError, match="damaged"):
        Checkpoint(kept, {}, ALONE).load(np.zeros(3))


def command(file, out, port, processes, number, *more):
    return [
        *(sys.executable, "-m", "vi_vs_mcmc.cli", "fit", "gmm", "--data", str(file), "--stream", "--seed", "1"),
        *("--out", str(out), "--restarts", "2", "--coordinator", f"127.0.0.1:{port}"),
        *("--processes", str(processes), "--process", str(number), *more),
    ]


def free_port():
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def started(file, folder, processes, *more, last=()):
    port = free_port()
    return [
        subprocess.Popen(
            command(file, folder / str(i), port, processes, i, *more, *(last if i == processes - 1 else ())),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(processes)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_find_what_one_finds(x, file, tmp_path, processes):
    running = started(file, tmp_path, processes, "--tol", "1e-12")
    said = [p.communicate(timeout=200)[0] for p in running]
    assert [p.returncode for p in running] == [0] * processes, said
    together = posterior.load(tmp_path / "0" / "posteriors" / "cavi.nc")
    alone = vm.fit(vm.load("gmm")(vm.stream(file)), TIGHT, seed=1)
    assert_allclose(together.attrs["elbo"], alone.attrs["elbo"], rtol=1e-12)
    for name, value in q(alone).items():
        assert_allclose(q(together)[name], value, rtol=1e-10, atol=1e-10 * np.abs(value).max())


@pytest.mark.slow
def test_processes_that_were_started_differently_all_refuse(file, tmp_path):
    running = started(file, tmp_path, 2, last=("--set", "components=2"))
    said = [p.communicate(timeout=200)[0] for p in running]
    assert [p.returncode for p in running] == [2, 2], said
    assert all("not started alike: they differ in model" in words for words in said)


@pytest.mark.slow
def test_a_dead_process_is_reported_and_what_was_done_is_kept(x, tmp_path):
    path = written(np.tile(x, (400, 1)), tmp_path / "many.parquet", group=50_000)
    survivor, victim = started(path, tmp_path, 2, "--set", "components=6")
    kept = tmp_path / "0" / "checkpoint.npz"
    until = time.monotonic() + 150
    while not kept.exists() and time.monotonic() < until and survivor.poll() is None:
        time.sleep(0.1)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate(timeout=30)
    said = survivor.communicate(timeout=150)[0]
    assert survivor.returncode == 5, said
    assert "another process has died" in said
    assert "checkpoint.npz" in said
    assert kept.is_file()
