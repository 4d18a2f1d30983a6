"""`loop status`: the champion, the versions and the workers of each model."""

from __future__ import annotations

import argparse

from rich.console import Console

from models_store import catalog, store
from prediction.commands import subcommands
from prediction.http.parameters import LIMIT
from prediction.http.resources import Resources
from prediction.journal import ledger, workers
from prediction.journal.database import Journal
from prediction.pages import tables
from prediction.pages.targets import kinds
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
    names, broken = [options.model] if options.model else catalog.names(), catalog.broken()
    if options.json:
        faults = {name: file.public for name, file in broken.items()}
        resources = Resources(catalog.load(), configured.home, journal, faults)
        subcommands.print_json({"models": [resources.describe(name, LIMIT) for name in names]})
        return 0
    for name in names:
        _show(Console(), configured, journal, name)
        if name in broken:
            print(f"{name} can't be used: {broken[name].reason}")
    return 0


def _show(console: Console, configured: Settings, journal: Journal, name: str) -> None:
    found = ledger.champion(journal, name)
    champion = found.to_version if found else ""
    versions = store.versions(configured.home, name)
    alive = workers.alive(journal, name)
    serving = [report.version for report in alive]
    spec = catalog.load().get(name)
    part = kinds.of(spec.target) if spec else None
    columns = ("version", "created (UTC)", "served by", part.METRIC if part else "", "")
    table = tables.narrow(name, *columns, wrapped=columns[1:])
    for version in versions:
        served = serving.count(version.version)
        notes = ["champion"] * (version.version == champion)
        notes += [f"{served} worker{'s' * (served > 1)}"] * bool(served)
        metric = part.metric(version.metrics) if part else ""
        created = f"{version.created_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(version.version, created, version.runtime, metric, ", ".join(notes))
    if champion and champion not in {version.version for version in versions}:
        table.add_row(champion, "", "", "", "champion, missing from the store")
    console.print(table)
    others = sorted({report.version or "nothing" for report in workers.disagreeing(alive, champion)})
    if others:
        console.print(f"{name}: at least one worker serves {', '.join(others)} instead of the champion")
