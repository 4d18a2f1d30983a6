"""The operator's commands: `python -m prediction COMMAND`."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from models_store import catalog, store
from models_store.errors import Error, InvalidInput
from prediction import errors, home, settings
from prediction.batch import files
from prediction.commands import progress, stopping, transfers
from prediction.http import bodies
from prediction.journal import backups, ledger, retention, runs, workers
from prediction.journal.database import Journal
from prediction.monitoring import health
from prediction.pages import dashboard, reports
from prediction.retraining import process, steps
from prediction.serving import champions
from prediction.times import iso

ENTRIES_SHOWN = 50
"""Of a model's ledger."""


def main(arguments: list[str]) -> int:
    """Run a command and return its exit code: 0 done, 1 failed or rows refused, 2 misused."""
    options = _parser().parse_args(arguments)
    try:
        with stopping.stoppable():
            return _run(options)
    except (Error, OSError) as error:
        print(f"prediction {options.command}: {errors.in_full(error)}", file=sys.stderr)
        return 1
    except stopping.Stopped as stopped:
        print(f"prediction {options.command}: {stopped}", file=sys.stderr)
        return stopped.exit_code


def _run(options: argparse.Namespace) -> int:
    if options.command == "score":  # opens the journal itself, unless a server answers
        return transfers.score(options)
    configured = settings.load()
    home.make(configured.home)
    with closing(Journal(configured.journal_url)) as journal:
        if options.command != "restore":
            journal.migrate()
        return int(options.act(options, configured, journal))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m prediction", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(act=run)
        return command

    add("prune", prune, "delete predictions older than PREDICTION_JOURNAL_DAYS")
    command = add("export", transfers.export, "write a model's labelled predictions into a file")
    command.add_argument("model")
    command.add_argument("file", type=Path, help=f"ends with {', '.join(files.KINDS)}")
    command.add_argument("--since", metavar="SPAN", help="labels of the last 30m, 24h or 7d")
    command = add("import-feedback", transfers.import_feedback, "give the labels that a file holds")
    command.add_argument("model")
    command.add_argument("file", type=Path, help="columns prediction_id, label and, if wanted, correct")
    command = add("score", transfers.score, "score the rows of a file into another file")
    command.add_argument("model")
    command.add_argument("file", type=Path, help=f"ends with {', '.join(files.KINDS)}")
    command.add_argument("target", type=Path, help="the same")
    command.add_argument("--version", help="that answers, in the place of the champion")
    command.add_argument("--server", metavar="URL", help="a server answers, not this process")
    command.add_argument(
        "--journal", action="store_true", help="record the rows, so that labels can follow"
    )
    command.add_argument("--strict", action="store_true", help="end at the first row that is refused")
    command = add("status", status, "show each model's champion, versions and workers")
    command.add_argument("model", nargs="?")
    command = add("monitor", monitor, "show how a model is doing: accuracy, drift, data quality")
    command.add_argument("model")
    command.add_argument("--window", default=health.DEFAULT_WINDOW, help="30m, 24h or 7d")
    command.add_argument("--html", type=Path, metavar="FILE", help="write a page that needs nothing else")
    command = add("history", history, "show a model's ledger")
    command.add_argument("model")
    command = add("promote", promote, "make a version the champion")
    command.add_argument("model")
    command.add_argument("version")
    command.add_argument("--reason", required=True, type=_reason)
    command = add("rollback", rollback, "go back to the champion before")
    command.add_argument("model")
    command.add_argument("--reason", required=True, type=_reason)
    command = add("retrain", retrain, "train a candidate on dataset and feedback, and judge it")
    command.add_argument("model")
    command.add_argument("--force", action="store_true", help="although there are few new labels")
    command = add("backup", backup, "copy a SQLite journal into a file, while it is in use")
    command.add_argument("file", type=Path)
    command = add("restore", restore, "put a backup in the place of a SQLite journal")
    command.add_argument("file", type=Path)
    return parser


def _reason(text: str) -> str:
    """Read a reason as the admin calls take it."""
    try:
        return bodies.Rollback(reason=text).reason
    except ValueError:
        raise argparse.ArgumentTypeError("give up to 1,000 characters of text, not only blanks") from None


def prune(_: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Delete what is older than it is kept."""
    with progress.bar() as shown:
        task = shown.add_task("pruning", total=None)
        rows = 0
        for deleted in retention.prune(journal, configured.journal_days):
            rows += deleted
            shown.update(task, completed=rows)
    print(f"{rows} predictions deleted; {configured.journal_days} days are kept")
    return 0


def status(options: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Print what is served."""
    console = Console()
    champions = ledger.champions(journal)
    for spec in catalog.select([options.model] if options.model else []):
        champion = champions[spec.name].to_version if spec.name in champions else ""
        versions = store.versions(configured.home, spec.name)
        serving = [report.version for report in workers.alive(journal, spec.name)]
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
        astray = sorted({version or "nothing" for version in serving} - {champion})
        if astray:
            console.print(f"{spec.name}: a worker serves {', '.join(astray)}, and not the champion")
    return 0


def monitor(options: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Print how a model is doing, or write it into a file."""
    (spec,) = catalog.select([options.model])
    span = health.window(options.window)
    if options.html is None:
        for table in reports.tables(health.describe(spec, configured.home, journal, span)):
            Console().print(table)
        return 0
    text = reports.html(dashboard.describe(spec, configured.home, journal, span))
    try:
        options.html.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{options.html} can't be written: {error.strerror}") from error
    print(f"{options.html}: {len(text.encode()) / 1e6:.1f} MB")
    return 0


def history(options: argparse.Namespace, _: settings.Settings, journal: Journal) -> int:
    """Print the ledger."""
    (spec,) = catalog.select([options.model])
    columns = ("at (UTC)", "version", "by", "reason")  # what it was before stands in the line below
    table = reports.narrow(spec.name, *columns, wrapped=["reason"])
    entries = ledger.entries(journal, spec.name, limit=ENTRIES_SHOWN + 1)
    for entry in entries[:ENTRIES_SHOWN]:
        at = iso(entry.at_us)[:19]
        table.add_row(at, entry.to_version, entry.by, escape(reports.printable(entry.reason)))
    Console().print(table)
    if len(entries) > ENTRIES_SHOWN:
        print(f"the newest {ENTRIES_SHOWN} entries; there are older ones")
    return 0


def promote(options: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Change the champion."""
    (spec,) = catalog.select([options.model])
    entry = champions.promote(
        journal, configured.home, spec.name, options.version, by="command line", reason=options.reason
    )
    print(f"{spec.name}: {entry.to_version} is the champion; it was {entry.from_version}")
    return 0


def rollback(options: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Change the champion back."""
    (spec,) = catalog.select([options.model])
    entry = champions.roll_back(
        journal, configured.home, spec.name, by="command line", reason=options.reason
    )
    print(f"{spec.name}: {entry.to_version} is the champion again; it was {entry.from_version}")
    return 0


def retrain(options: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Retrain in the foreground."""
    (spec,) = catalog.select([options.model])
    plan = steps.Plan(spec, configured.home, journal, configured.min_outcomes, configured.keep_versions)
    run, is_new = runs.request(journal, spec.name, options.force)
    if not is_new:
        raise InvalidInput(f"a retraining of {spec.name} is {run.status} already: {run.run_id}")
    with progress.bar("steps") as shown:

        def leave(words: str) -> None:
            shown.stop()  # or the terminal stays without a cursor
            print(f"prediction retrain: {words}", file=sys.stderr, flush=True)

        process.take_process(journal, run, leave)
        task = shown.add_task(spec.name, total=len(steps.STEPS))

        def show(step: str) -> None:
            shown.update(task, description=f"{spec.name}: {step}")
            shown.advance(task)

        ended = steps.execute(plan, run, watch=show, leave=leave)
    print(ended.verdict["sentence"] if ended.verdict else f"{ended.status}: {ended.step}")
    return 0 if ended.status == "promoted" else 1


def backup(options: argparse.Namespace, _: settings.Settings, journal: Journal) -> int:
    """Copy the journal."""
    backups.backup(journal, options.file)
    print(f"the journal is copied to {options.file}: {options.file.stat().st_size} bytes")
    return 0


def restore(options: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Replace the journal, unless a server uses it."""
    with home.lock(configured.home):
        backups.restore(journal, options.file)
    journal.migrate()
    print(f"the journal is what {options.file} holds")
    return 0
