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
