"""What the command line needs of the machine it runs on: a folder, a progress bar, float64, the words that were typed."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from vi_vs_mcmc.errors import SettingError
from vi_vs_mcmc.names import file_name


def writable(folder: Path) -> Path:
    """The folder, made; refused before any work if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingError(
            f"cannot write to the folder {folder}: {error.strerror or error}; choose another --out"
        ) from None
    return folder


def command(seed: int | None) -> str:
    """The command line that makes this run again: the arguments, and the seed where it was chosen for the user."""
    arguments = list(sys.argv[1:])
    if seed is not None and not any(a == "--seed" or a.startswith("--seed=") for a in arguments):
        arguments += ["--seed", str(seed)]
    return shlex.join(["vi-vs-mcmc", *arguments])


def warn(messages: tuple[str, ...]) -> None:
    """Each message as a line on stderr."""
    for message in messages:
        typer.echo(f"warning: {message}", err=True)


def left_out(columns: tuple[str, ...]) -> None:
    """The columns that no model will see, as a line on stderr."""
    if columns:
        more = f" and {len(columns) - 8} more" if len(columns) > 8 else ""
        typer.echo(f"left out: {', '.join(columns[:8])}{more}", err=True)


def sweep(folder: Path, methods: Iterable[str], sources: Iterable[Path] = ()) -> None:
    """Remove what an earlier run left in the folder: posteriors that are neither these methods' nor sources."""
    written = (folder / "posteriors" / f"{file_name(method)}.nc" for method in methods)
    kept = {path.resolve() for path in (*written, *sources)}
    for path in (folder / "posteriors").glob("*.nc"):
        if path.resolve() not in kept:
            path.unlink()


def summary(tree: Any, sites: Iterable[str]) -> str:
    """Mean and sd of each scalar, as lines."""
    from vi_vs_mcmc import posterior

    draws = posterior.scalars(tree, sites)
    mean, sd = draws.mean(("chain", "draw")).values, draws.std(("chain", "draw")).values
    names = [str(name) for name in draws["parameter"].values]
    width = max(len(name) for name in names)
    rows = [f"{name:{width}}  {m:12.6g}  {s:12.4g}" for name, m, s in zip(names, mean, sd, strict=True)]
    return "\n".join([f"{'':{width}}  {'mean':>12}  {'sd':>12}", *rows])


def among_others() -> bool:
    """Whether this process shares a fit with others."""
    return "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()


def leave(code: int) -> None:
    """End this process at once: what JAX would do for the others of its group at exit needs them alive."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def fast_restart() -> None:
    """float64 and every core throughout this process; programs compiled quickly, and kept between runs; all imported at once."""
    import jax

    from vi_vs_mcmc.errors import SettingError
    from vi_vs_mcmc.programs import compile_quickly, use_every_core

    compile_quickly()
    with contextlib.suppress(SettingError):  # JAX has begun: what runs on one core then says so
        use_every_core()
    jax.config.update("jax_enable_x64", True)
    cache = Path(typer.get_app_dir("vi-vs-mcmc")) / "compiled"
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    importlib.import_module("vi_vs_mcmc.compare")
    gc.freeze()  # what was imported stays: two hundred thousand objects that no collection need visit again


@contextlib.contextmanager
def progress(first: str | None = None, *, shown: bool = True) -> Iterator[Callable[[str, int, int], None]]:
    """One bar per stage on stderr, with its speed; nothing where stderr is not a terminal but a line at each new stage.

    Args:
        first: a line to be said once work begins.
        shown: whether to say anything.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text("" if not task.speed else f"{task.speed:,.0f}/s")

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        TextColumn("{task.completed:>6.0f} of {task.total:.0f}"),
        Speed(),
        TimeElapsedColumn(),
    )
    stages: dict[str, Any] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:

        def note(stage: str, done: int, total: int) -> None:
            if not shown:
                return
            if first is not None and not stages:
                typer.echo(first, err=True)
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=total)
                if not console.is_terminal:
                    typer.echo(stage, err=True)
            if done < bars.tasks[stages[stage]].completed:  # another pass over the same rows
                bars.reset(stages[stage], total=total)
            bars.update(stages[stage], completed=done, total=total)

        yield note
