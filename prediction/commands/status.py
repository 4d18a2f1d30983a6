"""`loop status`: the champion, the versions and the workers of each model."""

from __future__ import annotations

import argparse

from rich.console import Console

from models_store import catalog, store
from models_store.spec import Spec
from prediction.commands import subcommands
from prediction.http.parameters import LIMIT
from prediction.http.resources import Resources
from prediction.journal import ledger, workers
from prediction.journal.database import Journal
from prediction.pages import reports
from prediction.settings import Settings

EXAMPLE = """\
loop status
loop status iris --json"""


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "show the champion, the versions and the workers of each model"
    command = subcommands.add(commands, "status", subcommands.on_versions(status), text, example=EXAMPLE)
    command.add_argument("model", nargs="?", metavar="MODEL", help="name of a model; default: all")
    subcommands.add_json(command)


def status(options: argparse.Namespace, configured: Settings, journal: Journal) -> int:
    """Print what is served; as JSON it is what `GET /models` answers."""
    specs = catalog.select([options.model] if options.model else [])
    if options.json:
        resources = Resources(catalog.load(), configured.home, journal)
        subcommands.print_json({"models": [resources.describe(spec.name, LIMIT) for spec in specs]})
        return 0
    for spec in specs:
        _show(Console(), configured, journal, spec)
    return 0


def _show(console: Console, configured: Settings, journal: Journal, spec: Spec) -> None:
    found = ledger.champion(journal, spec.name)
    champion = found.to_version if found else ""
    versions = store.versions(configured.home, spec.name)
    alive = workers.alive(journal, spec.name)
    serving = [report.version for report in alive]
    columns = ("version", "created (UTC)", "served by", "accuracy", "")
    table = reports.narrow(spec.name, *columns, wrapped=columns[1:])
    for version in versions:
        served = serving.count(version.version)
        notes = ["champion"] * (version.version == champion)
        notes += [f"{served} worker{'s' * (served > 1)}"] * bool(served)
        accuracy = f"{version.metrics['accuracy']:.3f}"
        created = f"{version.created_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(version.version, created, version.runtime, accuracy, ", ".join(notes))
    if champion and champion not in {version.version for version in versions}:
        table.add_row(champion, "", "", "", "champion, missing from the store")
    console.print(table)
    others = sorted({report.version or "nothing" for report in workers.disagreeing(alive, champion)})
    if others:
        console.print(
            f"{spec.name}: at least one worker serves {', '.join(others)} instead of the champion"
        )
