"""The command line: `loop COMMAND`, or `python -m prediction COMMAND`."""

from __future__ import annotations

import argparse
import sys

from models_store.errors import Error
from prediction import errors
from prediction.commands import stopping, subcommands
from prediction.commands.authoring import check, init
from prediction.processes import openmp
from prediction.telemetry import logs

VERSION = "0.1.0"
"""That of pyproject.toml, which a Bento does not hold."""

QUICK = {"init": init.declare, "check": check.declare}
"""The commands that need no journal and no server, and import neither."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed or rows refused, 2 misused.

    Parameters
    ----------
    arguments
        By default those of this process.
    """
    openmp.wait_asleep()  # before a command loads what fits trees
    given = sys.argv[1:] if arguments is None else arguments
    options = parser(given[0] if given else None).parse_args(given)
    if logs.wants_json():
        logs.write_json()
    try:
        with stopping.stoppable():
            return int(options.act(options))
    except (Error, OSError) as error:
        logs.fail(f"loop {options.command}: {errors.in_full(error)}")
        return 1
    except stopping.Stopped as stopped:
        words = "; ".join([str(stopped), *getattr(stopped, "__notes__", ())])  # how to go on, if one can
        logs.fail(f"loop {options.command}: {words}")
        return stopped.exit_code


def parser(asked: str | None = None) -> argparse.ArgumentParser:
    """Make the parser of all commands; if the first argument is a quick command, of that only."""
    whole = argparse.ArgumentParser(
        prog="loop",
        description="Train, serve, watch and retrain scikit-learn models.",
        epilog="`loop COMMAND --help` shows the arguments of a command and an example.",
    )
    whole.add_argument("--version", action="version", version=f"loop {VERSION}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    if asked in QUICK:
        QUICK[asked](commands)
    else:
        _declare_all(commands)
    return whole


def _declare_all(commands: subcommands.Commands) -> None:
    """Declare the commands in the order of a model's life, which is the order of the help."""
    from prediction.commands import (
        artifacts,
        champions,
        journal,
        monitor,
        retrain,
        score,
        serve,
        status,
        train,
        transfers,
    )
    from prediction.commands.authoring import imports, new

    for module in (
        *(init, new, check, train, imports, serve, status, score, monitor, retrain),
        *(champions, artifacts, transfers, journal),
    ):
        module.declare(commands)
