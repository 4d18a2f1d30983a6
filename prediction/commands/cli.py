"""The command line: `loop COMMAND`, or `python -m prediction COMMAND`."""

from __future__ import annotations

import argparse
import sys

from models_store.errors import Error
from prediction import errors
from prediction.commands import (
    artifacts,
    champions,
    journal,
    monitor,
    retrain,
    score,
    serve,
    status,
    stopping,
    train,
    transfers,
)
from prediction.commands.authoring import check, imports, init, new

VERSION = "0.1.0"
"""That of pyproject.toml, which a Bento does not hold."""

DECLARATIONS = (
    init.declare,
    new.declare,
    check.declare,
    train.declare,
    imports.declare,
    serve.declare,
    status.declare,
    score.declare,
    monitor.declare,
    retrain.declare,
    champions.declare,
    artifacts.declare,
    transfers.declare,
    journal.declare,
)
"""In the order of a model's life, which is the order of the help."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed or rows refused, 2 misused.

    Parameters
    ----------
    arguments
        By default those of this process.
    """
    options = parser().parse_args(arguments)
    try:
        with stopping.stoppable():
            return int(options.act(options))
    except (Error, OSError) as error:
        print(f"loop {options.command}: {errors.in_full(error)}", file=sys.stderr)
        return 1
    except stopping.Stopped as stopped:
        print(f"loop {options.command}: {stopped}", file=sys.stderr)
        return stopped.exit_code


def parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    whole = argparse.ArgumentParser(
        prog="loop",
        description="Train, serve, watch and retrain scikit-learn models.",
        epilog="`loop COMMAND --help` shows the arguments of a command and an example.",
    )
    whole.add_argument("--version", action="version", version=f"loop {VERSION}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for declare in DECLARATIONS:
        declare(commands)
    return whole
