"""`loop monitor`: how a model is doing, as tables, as JSON or as one HTML file."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from models_store import catalog
from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.commands import subcommands
from prediction.journal.database import Journal
from prediction.monitoring import health
from prediction.pages import dashboard, reports
from prediction.settings import Settings

EXAMPLE = """\
loop monitor iris --window 7d
loop monitor iris --html report.html"""


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "show how a model is doing: accuracy, drift, data quality"
    run = subcommands.on_versions(monitor)
    command = subcommands.add(commands, "monitor", run, text, example=EXAMPLE)
    subcommands.add_model(command)
    span = f"the time up to now: 30m, 24h or 7d; default: {health.DEFAULT_WINDOW}"
    command.add_argument("--window", default=health.DEFAULT_WINDOW, metavar="SPAN", help=span)
    shape = command.add_mutually_exclusive_group()
    page = "write one HTML file that needs no other file"
    shape.add_argument("--html", type=Path, metavar="FILE", help=page)
    shape.add_argument("--json", action="store_true", help="print JSON in place of tables")


def monitor(options: argparse.Namespace, configured: Settings, journal: Journal) -> int:
    """Print how a model is doing, or write it into a file."""
    (spec,) = catalog.select([options.model])
    span = health.window(options.window)
    if options.html is not None:
        return _write(options.html, spec, configured, journal, span)
    found = health.describe(spec, configured.home, journal, span)
    if options.json:
        subcommands.print_json(found)
        return 0
    for table in reports.tables(spec.target, found):
        Console().print(table)
    return 0


def _write(path: Path, spec: Spec, configured: Settings, journal: Journal, span: health.Window) -> int:
    text = reports.html(dashboard.describe(spec, configured.home, journal, span))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} can't be written: {error.strerror}") from error
    print(f"{path}: {len(text.encode()) / 1e6:.1f} MB")
    return 0
