"""The operator's commands: `python -m prediction COMMAND`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from models_store import catalog, store
from models_store.errors import Error, InvalidInput
from models_store.spec import Spec
from prediction import (
    bodies,
    duration,
    feedback,
    home,
    ledger,
    retention,
    retraining,
    runs,
    settings,
    tabular,
)
from prediction.journal import WORKER_SILENCE_US, Journal, now_us

LABELS_CHUNK = 1_000


def main(arguments: list[str]) -> int:
    """Run a command and return its exit code: 0 done, 1 failed or rows refused, 2 misused."""
    options = _parser().parse_args(arguments)
    journal = None
    try:
        configured = settings.load()
        journal = Journal(configured.journal_url)
        if options.command != "restore":
            journal.migrate()
        return int(options.act(options, configured, journal))
    except Error as error:
        print(f"prediction {options.command}: {error}", file=sys.stderr)
        return 1
    finally:
        if journal is not None:
            journal.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m prediction", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(act=run)
        return command

    add("prune", prune, "delete predictions older than PREDICTION_JOURNAL_DAYS")
    command = add("export", export, "write a model's labelled predictions into a file")
    command.add_argument("model")
    command.add_argument("file", type=Path, help=f"ends with {', '.join(tabular.KINDS)}")
    command.add_argument("--since", metavar="SPAN", help="labels of the last 30m, 24h or 7d")
    command = add("import-feedback", import_feedback, "give the labels that a file holds")
    command.add_argument("model")
    command.add_argument("file", type=Path, help="columns prediction_id, label and, if wanted, correct")
    command = add("status", status, "show each model's champion, versions and workers")
    command.add_argument("model", nargs="?")
    command = add("history", history, "show a model's ledger")
    command.add_argument("model")
    command = add("promote", promote, "make a version the champion")
    command.add_argument("model")
    command.add_argument("version")
    command.add_argument("--reason", required=True)
    command = add("rollback", rollback, "go back to the champion before")
    command.add_argument("model")
    command.add_argument("--reason", required=True)
    command = add("retrain", retrain, "train a candidate on dataset and feedback, and judge it")
    command.add_argument("model")
    command.add_argument("--force", action="store_true", help="although there are few new labels")
    command.add_argument("--run", dest="run_id", metavar="RUN_ID", help=argparse.SUPPRESS)
    command = add("backup", backup, "copy a SQLite journal into a file, while it is in use")
    command.add_argument("file", type=Path)
    command = add("restore", restore, "put a backup in the place of a SQLite journal")
    command.add_argument("file", type=Path)
    return parser


def prune(_: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Delete what is older than it is kept."""
    with _progress() as progress:
        task = progress.add_task("pruning", total=None)
        rows = 0
        for deleted in retention.prune(journal, configured.journal_days):
            rows += deleted
            progress.update(task, completed=rows)
    print(f"{rows} predictions deleted; {configured.journal_days} days are kept")
    return 0


def export(options: argparse.Namespace, _: settings.Settings, journal: Journal) -> int:
    """Write outcomes into a file."""
    (spec,) = catalog.select([options.model])
    since_us = now_us() - duration.parse(options.since) if options.since else 0
    with tabular.writer(options.file, _outcome_columns(spec)) as file, _progress() as progress:
        task = progress.add_task("exporting", total=None)
        for chunk in feedback.outcomes(journal, spec.name, since_us):
            file.write([_outcome_row(outcome) for outcome in chunk])
            progress.update(task, completed=file.rows)
    print(f"{file.rows} labelled predictions of {spec.name} in {options.file}")
    return 0


def _outcome_columns(spec: Spec) -> dict[str, type]:
    head = dict.fromkeys(("prediction_id", "at", "version"), str)
    features = {name: str if item.categories else float for name, item in spec.inputs.items()}
    probabilities = {f"probability_{name}": float for name in spec.classes}
    tail = dict.fromkeys(("predicted_class", "label", "labelled_at"), str)
    return {**head, **features, **probabilities, **tail}


def _outcome_row(outcome: feedback.LabelledPrediction) -> tabular.Row:
    prediction = outcome.prediction
    return {
        "prediction_id": prediction.prediction_id,
        "at": bodies.iso(prediction.at_us),
        "version": prediction.version,
        **prediction.read_features(),
        **{f"probability_{name}": p for name, p in prediction.probabilities.items()},
        "predicted_class": prediction.predicted_class,
        "label": outcome.label,
        "labelled_at": bodies.iso(outcome.labelled_us),
    }


def import_feedback(options: argparse.Namespace, _: settings.Settings, journal: Journal) -> int:
    """Give labels; those that are refused stand with their reason in a file beside."""
    (spec,) = catalog.select([options.model])
    source: Path = options.file
    if not source.is_file():
        raise InvalidInput(f"there is no file {source}")
    refused_path = source.with_name(f"{source.stem}.refused.csv")
    columns = dict.fromkeys(("row", "prediction_id", "label", "reason"), str)
    totals = dict.fromkeys(("recorded", "unchanged", "corrected"), 0)
    with tabular.writer(refused_path, columns) as refused, _progress() as progress:
        task = progress.add_task("importing", total=tabular.count(source))
        for number, chunk in _numbered(tabular.read(source)):
            taken, bad = _give(journal, spec, number, chunk)
            for status in taken:
                totals[status] += 1
            refused.write(bad)
            progress.advance(task, len(chunk))
    if not refused.rows:
        refused_path.unlink()
    summary = ", ".join(f"{count} {status}" for status, count in totals.items())
    print(f"{summary}, {refused.rows} refused" + (f": see {refused_path}" if refused.rows else ""))
    return 1 if refused.rows else 0


def _numbered(chunks: Iterable[list[tabular.Row]]) -> Iterable[tuple[int, list[tabular.Row]]]:
    number = 1
    for chunk in chunks:
        for start in range(0, len(chunk), LABELS_CHUNK):
            part = chunk[start : start + LABELS_CHUNK]
            yield number, part
            number += len(part)


def _give(
    journal: Journal, spec: Spec, number: int, rows: list[tabular.Row]
) -> tuple[list[str], list[tabular.Row]]:
    validator = bodies.feedback_validator(spec)
    taken, refused, labels, origins = [], [], [], []
    for position, row in enumerate(rows):
        origin = {"row": number + position} | {name: row.get(name) for name in ("prediction_id", "label")}
        try:
            item = validator.object(_typed(row))
        except InvalidInput as error:
            refused.append({**origin, "reason": str(error)})
        else:
            labels.append(feedback.Label(item.prediction_id, item.label, item.correct))
            origins.append(origin)
    for origin, answer in zip(origins, feedback.give(journal, spec.name, labels), strict=True):
        if isinstance(answer, Error):
            refused.append({**origin, "reason": str(answer)})
        else:
            taken.append(answer)
    return taken, sorted(refused, key=itemgetter("row"))


def _typed(row: tabular.Row) -> tabular.Row:
    """Read `correct` as a CSV writes it; an empty cell is no value."""
    words = {"true": True, "1": True, "false": False, "0": False}
    typed = {name: value for name, value in row.items() if value is not None}
    if isinstance(correct := typed.get("correct"), str):
        typed["correct"] = words.get(correct.lower(), correct)
    return typed


def status(options: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Print what is served."""
    console = Console()
    champions = journal.champions()
    for spec in catalog.select([options.model] if options.model else []):
        champion = champions.get(spec.name)
        workers = journal.workers(spec.name, now_us() - WORKER_SILENCE_US)
        table = Table(
            "version", "created", "served by", "accuracy", "", title=spec.name, title_justify="left"
        )
        for version in store.versions(configured.home, spec.name):
            is_champion = champion is not None and champion.to_version == version.version
            served = sum(row["version"] == version.version for row in workers)
            notes = ["champion"] * is_champion + [f"{served} workers"] * bool(served)
            accuracy = f"{version.metrics['accuracy']:.3f}"
            created = f"{version.created_at:%Y-%m-%d %H:%M:%S}"
            table.add_row(version.version, created, version.runtime, accuracy, ", ".join(notes))
        console.print(table)
    return 0


def history(options: argparse.Namespace, _: settings.Settings, journal: Journal) -> int:
    """Print the ledger."""
    (spec,) = catalog.select([options.model])
    table = Table("at (UTC)", "from", "to", "by", "reason", title=spec.name, title_justify="left")
    for entry in journal.promotions(spec.name, limit=50):
        at = bodies.iso(entry.at_us)[:19]
        table.add_row(at, entry.from_version or "", entry.to_version, entry.by, entry.reason)
    Console().print(table)
    return 0


def promote(options: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Change the champion."""
    (spec,) = catalog.select([options.model])
    entry = ledger.promote(
        journal, configured.home, spec.name, options.version, "command line", options.reason
    )
    print(f"{spec.name}: {entry.to_version} is the champion; it was {entry.from_version}")
    return 0


def rollback(options: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Change the champion back."""
    (spec,) = catalog.select([options.model])
    entry = ledger.rollback(journal, configured.home, spec.name, "command line", options.reason)
    print(f"{spec.name}: {entry.to_version} is the champion again; it was {entry.from_version}")
    return 0


def retrain(options: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Retrain in the foreground; with `--run`, as the process of a run that a server asked for."""
    (spec,) = catalog.select([options.model])
    plan = retraining.Plan(
        spec, configured.home, journal, configured.min_outcomes, configured.keep_versions
    )
    if options.run_id:
        run = runs.get(journal, spec.name, options.run_id)
        retraining.execute(plan, run, server_lock=configured.home / home.LOCK_FILE)
        return 0
    run, is_new = runs.request(journal, spec.name, options.force)
    if not is_new:
        raise InvalidInput(f"a retraining of {spec.name} is {run.status} already: {run.run_id}")
    with _progress("steps") as progress:
        task = progress.add_task(spec.name, total=len(retraining.STEPS))

        def show(step: str) -> None:
            progress.update(task, description=f"{spec.name}: {step}")
            progress.advance(task)

        ended = retraining.execute(plan, run, watch=show)
    print(ended.verdict["sentence"] if ended.verdict else f"{ended.status}: {ended.step}")
    return 0 if ended.status == "promoted" else 1


def backup(options: argparse.Namespace, _: settings.Settings, journal: Journal) -> int:
    """Copy the journal."""
    journal.database.backup(options.file)
    print(f"the journal is copied to {options.file}: {options.file.stat().st_size} bytes")
    return 0


def restore(options: argparse.Namespace, configured: settings.Settings, journal: Journal) -> int:
    """Replace the journal, unless a server uses it."""
    with home.lock(configured.home):
        journal.database.restore(options.file)
    journal.migrate()
    print(f"the journal is what {options.file} holds")
    return 0


def _progress(unit: str = "rows") -> Progress:
    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # where nobody looks, it would leave an empty line
    )
