"""One key for all; compiled programs are kept for the length of a session, since many tests share their shapes."""

from pathlib import Path

import jax
import pytest
from xdist.scheduler import LoadScopeScheduling

from vi_vs_mcmc.programs import compile_quickly

compile_quickly()
jax.config.update("jax_num_cpu_devices", 3)  # on every machine, and no divisor of most numbers of rows

LECTURE = ("test_cavi", "test_gibbs", "test_lrvb", "test_nuts", "test_cli", "test_compare", "test_docs")


class ByProgram(LoadScopeScheduling):
    """A file's tests run in one process, and all of the files that compile the same programs, those of the lecture's data."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "lecture" if Path(file).stem in LECTURE else file


def pytest_xdist_make_scheduler(config, log):
    return ByProgram(config, log)


@pytest.fixture(scope="session", autouse=True)
def _compiled(tmp_path_factory):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.getbasetemp().parent / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


@pytest.fixture(scope="session", autouse=True)
def _quick():
    """KL of each marginal, a fit for every scalar, is left out of whole runs; its own tests and the main job's have it."""
    from vi_vs_mcmc import deeper

    deeper.MOST = 0


@pytest.fixture(autouse=True)
def _room():
    """Tests that compile for themselves come to the kernel's limit on memory maps too."""
    from vi_vs_mcmc.programs import make_room

    make_room()


@pytest.fixture
def key():
    return jax.random.key(20)


@pytest.fixture(scope="session")
def lecture():
    import vi_vs_mcmc as vm

    return vm.load("gmm")()
