"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str, typer.Argument(help="A model's name (`vi-vs-mcmc models` lists them), or a NumPyro program: FILE.py:FUNCTION.")
]
Columns = Annotated[
    str | None, typer.Option(help="Columns to take, by name, separated by commas. Default: the numeric ones.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the model, KEY=VALUE; matrices as JSON.")
]
Sites = Annotated[
    str | None,
    typer.Option(help="Sites to compare, separated by commas, deterministic ones too. Default: the model's choice."),
]
Restarts = Annotated[int | None, typer.Option(help="Random starts of coordinate ascent. Default: the method's own, 8.")]
Methods = Annotated[
    list[str] | None,
    typer.Option("--method", help="A method to judge; repeat for more. Default: what applies cheaply."),
]
Chains = Annotated[int, typer.Option(help="Chains of the reference.")]
Draws = Annotated[int, typer.Option(help="Draws of each chain, to begin with.")]
MaxDraws = Annotated[
    int | None,
    typer.Option(help="Draws of each chain at most; the reference samples on while it must. Default: 5000."),
]
Seed = Annotated[int | None, typer.Option(help="Determines the run. Default: chosen, printed and stored.")]
Out = Annotated[Path | None, typer.Option(help="Folder to write. Default: reports/NAME.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
Strict = Annotated[bool, typer.Option(help="Exit 1 unless every method is calibrated.")]
Tolerated = Annotated[float, typer.Option(help="Share of an sd that does not matter.")]
Coordinator = Annotated[
    str | None, typer.Option(help="HOST:PORT of process 0, where several processes share the rows.")
]
Processes = Annotated[int | None, typer.Option(help="How many processes there are.")]
Process = Annotated[int | None, typer.Option(help="Which of them this one is, from 0.")]
Cluster = Annotated[bool, typer.Option("--cluster", help="Find the other processes as Slurm, Kubernetes or MPI say.")]
Stream = Annotated[
    bool, typer.Option("--stream", help="Read the rows anew at each pass; memory does not grow with the file.")
]
Rename = Annotated[
    list[str] | None,
    typer.Option(help="THEIRS=OURS: a name in the posterior to judge, and the reference's name for it; repeat."),
]
Exchangeable = Annotated[str | None, typer.Option(help="The dimension whose labels cannot be told apart.")]
Replicates = Annotated[int | None, typer.Option(help="Data sets at each separation. Default: 3; 400 for calibration.")]
Rows = Annotated[int | None, typer.Option(help="Rows of each data set. Default: 300; 60 for calibration.")]
Separations = Annotated[
    str | None,
    typer.Option(help="Distances between the components, in sds. Default: 1.5,2,2.5,3,4,5; 2 for calibration."),
]
Posteriors = Annotated[
    list[str] | None, typer.Option(help="A posterior of posteriordb; repeat for more. Default: all.")
]
Data = Annotated[str | None, typer.Option(help="csv, tsv, parquet or npy. Default: the model's built-in example.")]
Judged = Annotated[
    Path, typer.Argument(help="The posterior to judge: netCDF, as ArviZ writes it, or csv files of Stan's.")
]
Against = Annotated[
    Path,
    typer.Option(help="The reference: likewise. Stan's: a file, a folder, or a pattern in quotes, 'run-*.csv'."),
]
