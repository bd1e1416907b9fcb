"""One key for all; compiled programs are kept for the length of a session, since many tests share their shapes."""

import jax
import pytest


@pytest.fixture(scope="session", autouse=True)
def _compiled(tmp_path_factory):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.getbasetemp().parent / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


@pytest.fixture
def key():
    return jax.random.key(20)


@pytest.fixture(scope="session")
def lecture():
    import vi_vs_mcmc as vm

    return vm.load("gmm")()
