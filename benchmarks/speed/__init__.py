"""How fast the package is beside its peers and beside the machine, in one run: `uv run python -m benchmarks.speed`.

    --only passes nuts    some sections; the others keep their last numbers
    --quick               small shapes, to see that it runs; kept apart from the real numbers
    --write               run nothing: table and page again from the last numbers
    --peers PATH          the Python of an environment with nutpie, pymc, numba and blackjax; default .peers, made when missing

A section is one file in `sections/`, a contender one in `contenders/`; every call into the package is in `ours.py`. Contenders
live in processes of their own and are asked in turn, so that all of them see the same machine. Results are written after each
section: reports/benchmarks/results.json, table.md, index.html.
"""
