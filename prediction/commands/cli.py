"""The command line: `loop COMMAND`, or `python -m prediction COMMAND`."""

from __future__ import annotations

import argparse
import importlib
import sys
from contextlib import nullcontext

from models_store.errors import Error
from prediction import errors
from prediction.commands import stopping
from prediction.processes import collector, openmp
from prediction.telemetry import logs

VERSION = "0.1.0"
"""That of pyproject.toml, which a Bento does not hold."""

MODULES = {
    "authoring.init": ["init"],
    "authoring.new": ["new"],
    "authoring.check": ["check"],
    "train": ["train"],
    "authoring.imports": ["import"],
    "serve": ["serve"],
    "status": ["status"],
    "score": ["score"],
    "monitor": ["monitor"],
    "retrain": ["retrain"],
    "champions": ["promote", "rollback", "history"],
    "artifacts": ["artifacts"],
    "transfers": ["export", "import-feedback"],
    "journal": ["backup", "restore", "prune"],
}
"""The commands of each module in the order of a model's life, which is that of the help."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed or rows refused, 2 misused.

    Parameters
    ----------
    arguments
        By default those of this process.
    """
    openmp.wait_asleep()  # before a command loads what fits trees
    given = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["loop", *given[:1]])
    try:
        with stopping.stoppable():  # also while a command is imported, which takes a moment
            with collector.paused() if arguments is None else nullcontext():
                options = parser(given[0] if given else None).parse_args(given)
            if logs.wants_json():
                logs.write_json()
            return int(options.act(options))
    except (Error, OSError) as error:
        logs.fail(f"{command}: {errors.in_full(error)}")
        return 1
    except stopping.Stopped as stopped:
        words = "; ".join([str(stopped), *getattr(stopped, "__notes__", ())])  # how to go on, if one can
        logs.fail(f"{command}: {words}")
        return stopped.exit_code


def parser(asked: str | None = None) -> argparse.ArgumentParser:
    """Make the parser of all commands, or of those of one module if a command is asked for."""
    whole = argparse.ArgumentParser(
        prog="loop",
        description="Train, serve, watch and retrain scikit-learn models.",
        epilog="`loop COMMAND --help` shows the arguments of a command and an example.",
    )
    whole.add_argument("--version", action="version", version=f"loop {VERSION}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    those = [module for module, names in MODULES.items() if asked in names] or list(MODULES)
    for module in those:
        importlib.import_module(f"prediction.commands.{module}").declare(commands)
    return whole
