"""How the command line ends: an exit code for each kind of error, and one sentence on stderr."""

from __future__ import annotations

import signal
import sys
import traceback
from typing import NoReturn

import typer

from vi_vs_mcmc import terminal
from vi_vs_mcmc.errors import DataError, NumericalError, PeerError, SettingError

EXIT = {SettingError: 2, DataError: 3, NumericalError: 4, PeerError: 5}
UNEXPECTED = 70  # an error of this package: EX_SOFTWARE of sysexits.h
INTERRUPTED = 130


def run(app: typer.Typer) -> NoReturn:
    """Run, and turn each kind of error into one sentence and its exit code."""
    interrupts: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        interrupts.append(number)  # an import that is interrupted turns the exception into another one
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        code = app(standalone_mode=False)
    except (SettingError, DataError, NumericalError, PeerError) as error:
        if isinstance(error, DataError | PeerError) and terminal.among_others():  # who would wait for this one
            typer.echo(f"vi-vs-mcmc: {error}", err=True)
            terminal.leave(EXIT[type(error)])
        _fail(str(error), EXIT[type(error)])
    except typer.Exit as leave:
        if leave.exit_code == INTERRUPTED:
            _fail("interrupted", INTERRUPTED)
        sys.exit(leave.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", INTERRUPTED)
    except Exception as error:
        if interrupts:
            _fail("interrupted", INTERRUPTED)
        message = getattr(error, "format_message", None)
        if callable(message) and hasattr(error, "exit_code"):  # a usage error from the parser
            _fail(str(message()), 2)
        traceback.print_exc()
        sys.exit(UNEXPECTED)
    finally:
        signal.signal(signal.SIGINT, before)
    if code == INTERRUPTED:  # how the parser reports an interrupt
        _fail("interrupted", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    typer.echo(f"vi-vs-mcmc: {message}", err=True)
    sys.exit(code)
