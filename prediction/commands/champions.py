"""`loop promote`, `loop rollback` and `loop history`: change the champion, and show who changed it."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.markup import escape

from prediction.artifacts import exchange
from prediction.commands import subcommands
from prediction.http.resources import describe_promotion
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.pages import tables
from prediction.serving import champions
from prediction.settings import Settings
from prediction.times import iso

ENTRIES_SHOWN = 50
"""Of a model's ledger."""


def declare(commands: subcommands.Commands) -> None:
    """Declare the commands."""
    run = subcommands.on_versions(promote)
    example = 'loop promote iris latest --reason "better on new flowers"'
    command = subcommands.add(commands, "promote", run, "make a version the champion", example=example)
    subcommands.add_model(command)
    text = "as `loop status` shows it, a tag such as iris:ueruxphgy6ru6ax4, or latest"
    command.add_argument("version", metavar="VERSION", help=text)
    subcommands.add_reason(command)

    run = subcommands.on_versions(rollback)
    example = 'loop rollback iris --reason "wrong labels"'
    command = subcommands.add(commands, "rollback", run, "go back to the champion before", example=example)
    subcommands.add_model(command)
    subcommands.add_reason(command)

    run = subcommands.on_versions(history)
    text = "show who made which version the champion, when and why"
    command = subcommands.add(commands, "history", run, text, example="loop history iris")
    subcommands.add_model(command)
    subcommands.add_json(command)


def promote(options: argparse.Namespace, configured: Settings, journal: Journal) -> int:
    """Change the champion."""
    name = options.model
    entry = champions.promote(
        journal,
        configured.home,
        name,
        options.version,
        by="command line",
        reason=options.reason,
        exchange=exchange.of(configured),
    )
    print(f"{name}: {entry.to_version} is the champion; it was {entry.from_version}")
    return 0


def rollback(options: argparse.Namespace, configured: Settings, journal: Journal) -> int:
    """Change the champion back."""
    name = options.model
    entry = champions.roll_back(
        journal,
        configured.home,
        name,
        by="command line",
        reason=options.reason,
        exchange=exchange.of(configured),
    )
    print(f"{name}: {entry.to_version} is the champion again; it was {entry.from_version}")
    return 0


def history(options: argparse.Namespace, _: Settings, journal: Journal) -> int:
    """Print the ledger."""
    entries = ledger.entries(journal, options.model, limit=ENTRIES_SHOWN + 1)
    if options.json:
        subcommands.print_json([describe_promotion(entry) for entry in entries[:ENTRIES_SHOWN]])
        return 0
    columns = ("at (UTC)", "version", "by", "reason")  # the version before is on the next line
    table = tables.narrow(options.model, *columns, wrapped=["reason"])
    for entry in entries[:ENTRIES_SHOWN]:
        at = iso(entry.at_us)[:19]
        table.add_row(at, entry.to_version, entry.by, escape(tables.printable(entry.reason)))
    Console().print(table)
    if len(entries) > ENTRIES_SHOWN:
        print(f"the newest {ENTRIES_SHOWN} entries; there are older ones")
    return 0
