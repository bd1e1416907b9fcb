"""The command line: parse, call, print. Results go to stdout, progress and warnings to stderr."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from vi_vs_mcmc import exits, options, terminal, typed
from vi_vs_mcmc.errors import SettingError

app = typer.Typer(
    help="How overconfident is your variational posterior, where, by how much, and how sure are we of that?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def compare(
    model: options.Model,
    data: options.Data = None,
    columns: options.Columns = None,
    settings: options.Settings = None,
    sites: options.Sites = None,
    method: options.Methods = None,
    reference: Annotated[str, typer.Option(help="The method that judges.")] = "nuts",
    chains: options.Chains = 4,
    draws: options.Draws = 1000,
    max_draws: options.MaxDraws = None,
    restarts: options.Restarts = None,
    tolerance: options.Tolerated = 0.1,
    seed: options.Seed = None,
    out: options.Out = None,
    no_data: Annotated[
        bool, typer.Option("--no-data", help="Embed no row of the data in the page or the posteriors.")
    ] = False,
    as_json: options.AsJson = False,
    strict: options.Strict = False,
) -> None:
    """Fit methods and a reference to one model and data; write the page."""
    terminal.fast_restart()
    from vi_vs_mcmc.compare import chosen_seed
    from vi_vs_mcmc.compare import compare as run
    from vi_vs_mcmc.methods.registry import defaults, with_restarts
    from vi_vs_mcmc.plugins import load

    folder = terminal.writable(out or typed.folder(model, data))
    arguments = typed.settings(model, settings, columns)
    problem = load(model)(data, **arguments)
    if sites is not None:
        problem = replace(problem, sites=typed.names(sites))
    if problem.table is not None:
        terminal.warn(problem.table.warnings)
        terminal.left_out(problem.table.not_numeric)
    chosen = seed is None
    seed = chosen_seed(seed)
    with terminal.progress(f"seed {seed}" if chosen else None) as note:
        found = run(
            problem,
            methods=[with_restarts(m, restarts) for m in method or defaults(problem)],
            reference=with_restarts(reference, restarts),
            seed=seed,
            chains=chains,
            draws=draws,
            max_draws=max_draws,
            tolerance=tolerance,
            embed_data=not no_data,
            command=terminal.command(seed),
            progress=note,
        )
        page = _saved(found, folder)
    _finish(found, page, as_json=as_json, strict=strict)


@app.command()
def fit(
    model: options.Model,
    data: Annotated[
        str | None, typer.Option(help="As for compare; with --stream a parquet file, or a folder of them.")
    ] = None,
    columns: options.Columns = None,
    settings: options.Settings = None,
    method: Annotated[str, typer.Option(help="The method that fits.")] = "cavi",
    chains: Annotated[int, typer.Option(help="Chains of the result.")] = 4,
    draws: Annotated[int, typer.Option(help="Draws of each chain.")] = 1000,
    restarts: options.Restarts = None,
    tol: Annotated[float, typer.Option(help="Where coordinate ascent stops: the largest relative move.")] = 1e-8,
    seed: options.Seed = None,
    out: options.Out = None,
    stream: options.Stream = False,
    coordinator: options.Coordinator = None,
    processes: options.Processes = None,
    process: options.Process = None,
    cluster: options.Cluster = False,
) -> None:
    """Fit one method, without a reference; write its posterior. The data may be larger than memory, or shared by processes."""
    terminal.fast_restart()
    from vi_vs_mcmc import peers
    from vi_vs_mcmc.compare import chosen_seed
    from vi_vs_mcmc.compare import fit as run
    from vi_vs_mcmc.methods.cavi import CAVI
    from vi_vs_mcmc.methods.lrvb import LRVB
    from vi_vs_mcmc.methods.registry import with_restarts
    from vi_vs_mcmc.names import file_name
    from vi_vs_mcmc.plugins import load
    from vi_vs_mcmc.posterior import save

    shared = cluster or not (coordinator is processes is process is None)
    if shared and (not stream or seed is None):
        raise SettingError("several processes want --stream, and the same --seed for each")
    if stream and data is None:
        raise SettingError("--stream wants --data, a parquet file or a folder of them")
    folder = terminal.writable(out or typed.folder(model, data))
    arguments = typed.settings(model, settings, None if stream else columns)
    seed = chosen_seed(seed)
    others = peers.join(coordinator, processes, process) if shared else peers.ALONE
    with terminal.progress(f"seed {seed}" if others.number == 0 else None, shown=others.number == 0) as note:
        table: Any = data
        if stream and data is not None:
            from vi_vs_mcmc.streamed import stream as opened

            reading = lambda done, total: note("reading rows", done, total)
            kept = folder / "checkpoint.npz"
            chosen = None if columns is None else typed.names(columns)
            table = opened(data, columns=chosen, peers=others, checkpoint=kept, note=reading)
        problem = load(model)(table, **arguments)
        if problem.table is not None and others.number == 0:
            terminal.warn(problem.table.warnings)
            terminal.left_out(problem.table.not_numeric)
        fitter = with_restarts(method, restarts)
        if isinstance(fitter, CAVI | LRVB):
            fitter = replace(fitter, tol=tol)
        found = run(problem, fitter, seed=seed, chains=chains, draws=draws, progress=note)
    if others.number == 0:
        (folder / "posteriors").mkdir(exist_ok=True)
        path = folder / "posteriors" / f"{file_name(fitter.name)}.nc"
        save(found, path)
        typer.echo(f"{found.attrs['status']}: {found.attrs['status_sentence']}\n")
        typer.echo(terminal.summary(found, problem.compared))
        typer.echo(f"\n{path}")


@app.command()
def check(
    vi: options.Judged,
    against: options.Against,
    sites: Annotated[
        str | None, typer.Option(help="Parameters to compare, separated by commas. Default: all that both have.")
    ] = None,
    rename: options.Rename = None,
    exchangeable: options.Exchangeable = None,
    tolerance: options.Tolerated = 0.1,
    out: options.Out = None,
    as_json: options.AsJson = False,
    strict: options.Strict = False,
) -> None:
    """Judge a posterior file by another; write the page."""
    from vi_vs_mcmc.check import check as run
    from vi_vs_mcmc.names import called

    folder = terminal.writable(out or Path("reports") / f"{called(vi)}-against-{called(against)}")
    found = run(
        vi,
        against,
        sites=None if sites is None else typed.names(sites),
        rename=typed.renamed(rename),
        tolerance=tolerance,
        exchangeable=exchangeable,
        command=terminal.command(None),
    )
    _finish(found, _saved(found, folder, vi, against), as_json=as_json, strict=strict)


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="Which study: overlap, calibration, or posteriordb.")],
    replicates: options.Replicates = None,
    rows: options.Rows = None,
    separations: options.Separations = None,
    posterior: options.Posteriors = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method to judge; repeat for more. Default: cavi; cavi and lrvb for calibration; six for posteriordb."
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(help="Draws of each chain of NUTS, or of a method for calibration. Default: 1000; 999."),
    ] = None,
    max_draws: Annotated[
        int | None, typer.Option(help="Draws of each chain of NUTS at most. Default: 2000; 2500 for posteriordb.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Determines the study.")] = 0,
    out: options.Out = None,
    as_json: options.AsJson = False,
) -> None:
    """Many fits of many problems: one tidy table and one page. Goes on where it was stopped."""
    terminal.fast_restart()
    from vi_vs_mcmc.study import shown
    from vi_vs_mcmc.study import study as run

    folder = terminal.writable(out or Path("reports") / f"study-{name}")
    with terminal.progress() as note:
        table = run(
            name,
            folder,
            separations=None if separations is None else typed.floats("separations", separations),
            replicates=replicates,
            rows=rows,
            methods=method,
            draws=draws,
            max_draws=max_draws,
            posteriors=posterior,
            seed=seed,
            progress=note,
        )
    brief = shown(name, table)
    if as_json:
        typer.echo(brief.to_json(orient="records"))
    else:
        for entry in json.loads((folder / "study.json").read_text("utf-8")).get("verdicts", {}).values():
            typer.echo(f"{entry['sentence']}\n")
        typer.echo(brief.to_string(index=False, float_format="%.3f"))
        typer.echo(f"\n{folder / 'study.csv'}\n{folder / 'study.html'}")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run folder that `compare` or `check` wrote.")],
) -> None:
    """Write a run folder's page again."""
    from vi_vs_mcmc import report as page

    typer.echo(str(page.write(folder)))


@app.command()
def models() -> None:
    """List the models, what each is, what is known of its posterior, and its settings."""
    from vi_vs_mcmc import plugins
    from vi_vs_mcmc.plugins import described, load, settings_of

    for name in plugins.models():
        plugin = load(name)
        line, meanings = described(plugin)
        typer.echo(f"{name}: {line}")
        if known := plugins.known(name):
            typer.echo(textwrap.fill(known, 120, initial_indent="    ", subsequent_indent="    "))
        for setting in settings_of(plugin):
            typer.echo(f"    --set {setting}=    {meanings.get(setting, '')}")


@app.command()
def doctor() -> None:
    """Check this installation: versions, devices, precision, and one answer that is known."""
    from vi_vs_mcmc.doctor import examine

    ok = True
    for good, line in examine():
        ok &= good
        typer.echo(f"{'ok  ' if good else 'BAD '} {line}")
    raise typer.Exit(0 if ok else 4)


def main() -> None:
    """Run, and turn each kind of error into one sentence and its exit code."""
    exits.run(app)


def _saved(found: Any, folder: Path, *sources: Path) -> Path:
    """The page, in a folder that keeps no other run's files but what this one was made from."""
    again = (folder / "summary.json").is_file()
    page = found.save(folder)
    if again:
        terminal.sweep(folder, found.posteriors, sources)
    return page


def _finish(found: Any, page: Path, *, as_json: bool, strict: bool) -> None:
    from vi_vs_mcmc.record import plain

    if as_json:
        typer.echo(json.dumps(plain(found.summary), indent=1, ensure_ascii=False))
    else:
        typer.echo(f"\n{found}\n\n{page}")
    calibrated = all(entry["verdict"] == ["calibrated"] for entry in found.summary["verdicts"].values())
    raise typer.Exit(1 if strict and not calibrated else 0)


if __name__ == "__main__":
    main()
