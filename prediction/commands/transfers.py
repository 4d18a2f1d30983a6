"""`loop export` and `loop import-feedback`: labelled predictions into a file, labels out of one."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path

from models_store import catalog
from models_store.errors import Error, InvalidInput
from models_store.spec import Spec
from prediction import times
from prediction.batch import files, frames, sinks
from prediction.batch.chunks import Chunk, Row
from prediction.batch.sinks import Writer
from prediction.batch.sources import Source
from prediction.batch.targets import kinds
from prediction.commands import progress, subcommands
from prediction.errors import JournalUnavailable
from prediction.http import bodies, posts
from prediction.journal import feedback
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.monitoring.targets import kinds as health_kinds
from prediction.settings import Settings
from prediction.times import iso, now_us

LABELS_CHUNK = 1_000
Give = Callable[[Sequence[Label]], list[str | Error]]
REFUSED_COLUMNS = {"row": int, "prediction_id": str, "label": str, "reason": str}


def declare(commands: subcommands.Commands) -> None:
    """Declare the commands."""
    kinds = ", ".join(files.KINDS)
    run = subcommands.on_journal(export)
    text = "write a model's labelled predictions into a file"
    example = "loop export iris outcomes.parquet --since 7d"
    command = subcommands.add(commands, "export", run, text, example=example)
    subcommands.add_model(command)
    command.add_argument(
        "file", type=Path, metavar="FILE", help=f"the file to write; its name ends with {kinds}"
    )
    text = "only labels given in this time up to now: 30m, 24h or 7d; default: all"
    command.add_argument("--since", metavar="SPAN", help=text)

    run = subcommands.on_journal(import_feedback)
    text = "record the labels in a file as feedback"
    example = "loop import-feedback iris labels.csv"
    command = subcommands.add(commands, "import-feedback", run, text, example=example)
    subcommands.add_model(command)
    text = f"columns prediction_id, label and optionally correct (true replaces a label); {kinds}"
    command.add_argument("file", type=Path, metavar="FILE", help=text)


def export(options: argparse.Namespace, _: Settings, journal: Journal) -> int:
    """Write outcomes into a file; values that the current spec does not know are left out."""
    (spec,) = catalog.select([options.model])
    since_us = now_us() - times.parse_span(options.since) if options.since is not None else 0
    columns, unfit = _outcome_columns(spec), 0
    with Writer(options.file, columns) as file, progress.bar() as shown:
        task = shown.add_task("exporting", total=None)
        for chunk in feedback.outcomes(journal, spec.name, since_us):
            rows = [_outcome_row(spec, outcome) for outcome in chunk]
            fitting = [_fit(columns, row) for row in rows]
            unfit += sum(len(row) < len(whole) for row, whole in zip(fitting, rows, strict=True))
            file.write(sinks.batch_of(fitting, columns))
            shown.update(task, completed=file.rows)
    print(f"{file.rows} labelled predictions of {spec.name} in {options.file}")
    if unfit:
        print(
            f"{unfit} of them have features or classes that {spec.name} no longer has: these are left out"
        )
    return 0


def _fit(columns: dict[str, type], row: Row) -> Row:
    """Drop the values of a row that have no column: the prediction may be older than the current spec."""
    return {
        name: value
        for name, value in row.items()
        if name in columns and (value is None or _is_of(value, columns[name]))
    }


def _is_of(value: object, kind: type) -> bool:
    """Tell whether a column of some type holds a value unchanged."""
    if kind in (float, int) and isinstance(value, int | float) and not isinstance(value, bool):
        return kind is float or float(value).is_integer()
    return isinstance(value, kind)


def _outcome_columns(spec: Spec) -> dict[str, type]:
    head = dict.fromkeys(("prediction_id", "at", "version"), str)
    features = frames.column_types(spec)
    part = kinds.of(spec.target)
    tail = {"label": part.label_type(spec.target), "labelled_at": str}
    return {**head, **features, **part.exported(spec.target), **tail}


def _outcome_row(spec: Spec, outcome: feedback.Outcome) -> Row:
    prediction = outcome.prediction
    return {
        "prediction_id": prediction.prediction_id,
        "at": iso(prediction.at_us),
        "version": prediction.version,
        **prediction.read_features(),
        **kinds.of(spec.target).exported_row(spec.target, prediction),
        "label": spec.target.value(outcome.label),
        "labelled_at": iso(outcome.labelled_us),
    }


def import_feedback(options: argparse.Namespace, configured: Settings, journal: Journal) -> int:
    """Record the labels of a file; refused ones are written with their reason into a file beside it."""
    (spec,) = catalog.select([options.model])
    source = Source(options.file, LABELS_CHUNK)
    total = _check(source, options.file)
    measure = health_kinds.of(spec.target).measure(spec, configured.home)
    give = partial(feedback.give, journal, spec.name, measure=measure)
    refused_path = options.file.with_name(f"{options.file.name}.refused.csv")
    totals = dict.fromkeys(("recorded", "unchanged", "corrected"), 0)
    with Writer(refused_path, REFUSED_COLUMNS) as refused, progress.bar() as shown:
        task = shown.add_task("importing", total=total)
        number = 1
        for chunk in source:
            try:
                taken, bad = _give(give, spec, number, chunk)
            except JournalUnavailable:
                print(f"{_counts(totals)} before the journal failed: import the whole file again later")
                raise
            for status in taken:
                totals[status] += 1
            refused.write(sinks.batch_of(bad, REFUSED_COLUMNS))
            number += chunk.rows
            shown.advance(task, chunk.rows)
    if not refused.rows:
        refused_path.unlink()
    print(f"{_counts(totals)}, {refused.rows} refused" + (f": see {refused_path}" if refused.rows else ""))
    return 1 if refused.rows else 0


def _counts(totals: dict[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in totals.items())


def _check(source: Source, path: Path) -> int:
    """Read a file of labels to its end before the first one is recorded, and count its rows."""
    rows = sum(chunk.rows for chunk in source)
    lacking = [name for name in ("prediction_id", "label") if name not in source.names]
    if rows and lacking and files.kind(path) != ".jsonl":  # there each row has its own names
        wanted = "prediction_id, label and, if wanted, correct"
        raise InvalidInput(f"{path} has no column {lacking[0]}: the columns are {wanted}")
    return rows


def _give(give: Give, spec: Spec, number: int, chunk: Chunk) -> tuple[list[str], list[Row]]:
    validator = bodies.feedback_validator(spec)
    taken, refused, labels, origins = [], [], [], []
    for position, row in enumerate(chunk.by_row()):
        broken = chunk.broken.get(position)
        given = row if broken is None else dict(zip(row, broken.values(), strict=False))
        origin = {"row": number + position} | _shown(given)
        if broken is not None:
            refused.append({**origin, "reason": broken.reason})
            continue
        try:
            item = validator.object(_typed(spec, row))
        except InvalidInput as error:
            refused.append({**origin, "reason": _reason(error)})
        else:
            labels.append(posts.as_label(spec, item))
            origins.append(origin)
    for origin, answer in zip(origins, give(labels), strict=True):
        if isinstance(answer, Error):
            refused.append({**origin, "reason": str(answer)})
        else:
            taken.append(answer)
    return taken, sorted(refused, key=itemgetter("row"))


def _shown(row: Row) -> Row:
    """Return a refused row as texts, whatever its values are."""
    values = {name: row.get(name) for name in ("prediction_id", "label")}
    return {name: None if value is None else str(value) for name, value in values.items()}


def _reason(error: InvalidInput) -> str:
    """Name every fault of a row: a file has no `detail` as an HTTP answer has."""
    faults = (": ".join([*map(str, item["loc"]), item["msg"]]) for item in error.detail)
    return "; ".join(faults)


def _typed(spec: Spec, row: Row) -> Row:
    """Read `label` and `correct` as CSV files write them, and drop empty cells."""
    words = {"true": True, "1": True, "false": False, "0": False}
    typed = {name: value for name, value in row.items() if value is not None}
    if isinstance(correct := typed.get("correct"), str):
        typed["correct"] = words.get(correct.lower(), correct)
    if "label" in typed:
        typed["label"] = kinds.of(spec.target).read_label(spec.target, typed["label"])
    return typed
