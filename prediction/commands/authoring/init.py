"""`loop init`: a folder for models of one's own."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from prediction.commands import subcommands
from prediction.projects import folders

EXAMPLE = "loop init shop"


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "make a folder for models of your own: an empty catalog, and what BentoML needs beside it"
    command = subcommands.add(commands, "init", init, text, example=EXAMPLE)
    command.add_argument("folder", type=Path, metavar="FOLDER", help="the folder to make, for example shop")


def init(options: argparse.Namespace) -> int:
    """Make the folder, and say what comes next."""
    made = folders.make(options.folder)
    print(
        f"made {options.folder}/: {', '.join(path.name for path in made)}, and an empty {folders.CATALOG}/"
    )
    go = "" if options.folder == Path() else f"cd {shlex.quote(str(options.folder))} && "
    print(f"next: {go}loop new MODEL FILE --target COLUMN")
    return 0
