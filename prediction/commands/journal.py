"""`loop backup`, `loop restore` and `loop prune`: the journal's file, and the age of its rows."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing, suppress
from pathlib import Path

from models_store.errors import InvalidInput
from prediction import home, settings
from prediction.commands import progress, subcommands
from prediction.journal import backups, retention
from prediction.journal.database import Journal
from prediction.settings import Settings


def declare(commands: subcommands.Commands) -> None:
    """Declare the commands."""
    run = subcommands.on_journal(backup)
    text = "copy a SQLite journal into a file, also while servers use it"
    command = subcommands.add(commands, "backup", run, text, example="loop backup journal-copy.db")
    command.add_argument("file", type=Path, metavar="FILE", help="the copy to write")

    text = "replace a SQLite journal by a backup, while no server runs"
    command = subcommands.add(commands, "restore", restore, text, example="loop restore journal-copy.db")
    command.add_argument("file", type=Path, metavar="FILE", help="a copy that `loop backup` wrote")
    text = "replace the journal without a question; needed where there is no terminal"
    command.add_argument("--yes", action="store_true", help=text)

    run = subcommands.on_journal(prune)
    text = "delete predictions past their retention time (PREDICTION_JOURNAL_DAYS); servers do it hourly"
    subcommands.add(commands, "prune", run, text, example="PREDICTION_JOURNAL_DAYS=90 loop prune")


def backup(options: argparse.Namespace, _: Settings, journal: Journal) -> int:
    """Copy the journal."""
    backups.backup(journal, options.file)
    print(f"the journal is copied to {options.file}: {options.file.stat().st_size} bytes")
    return 0


def restore(options: argparse.Namespace) -> int:
    """Replace the journal, unless a server uses it; the old one is kept."""
    configured = settings.load()
    with closing(Journal(configured.journal_url)) as journal:
        with home.lock(configured.home):
            kept = backups.restore(journal, options.file, _agree if options.yes else _ask)
        journal.migrate()
    print(f"the journal was replaced by {options.file}" + (f"; the old one is {kept}" if kept else ""))
    return 0


def _agree(_: Path) -> None:
    """Ask nobody."""


def _ask(file: Path) -> None:
    """Ask whether the journal may be replaced.

    Raises
    ------
    InvalidInput
        When the answer is not yes, or nobody can be asked.
    """
    if not sys.stdin.isatty():
        raise InvalidInput(f"{file} would be replaced, and there is no terminal to ask: add --yes")
    with suppress(EOFError):
        question = f"Replace {file}? Rows that the backup lacks stay in the old file only. [y/N] "
        if input(question).strip().lower() in ("y", "yes"):
            return
    raise InvalidInput(f"{file} was not replaced")


def prune(_: argparse.Namespace, configured: Settings, journal: Journal) -> int:
    """Delete predictions past their retention time."""
    with progress.bar() as shown:
        task = shown.add_task("pruning", total=None)
        rows = 0
        for deleted in retention.prune(journal, configured.journal_days):
            rows += deleted
            shown.update(task, completed=rows)
    days = configured.journal_days
    print(f"{rows} predictions deleted; {days} days are kept, labelled ones ten times as long")
    return 0
