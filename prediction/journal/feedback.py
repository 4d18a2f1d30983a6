"""The true labels of predictions: recorded once by the prediction's id, corrected on request.

A label counts for the version that made the prediction, even if it comes after a promotion.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from models_store.errors import Error
from prediction.errors import ConflictingLabel, JournalUnavailable, UnknownPrediction
from prediction.journal import rollups
from prediction.journal.database import LOCK_PATIENCE_MS, Journal
from prediction.journal.predictions import Prediction, as_prediction, is_id
from prediction.journal.predictions import find as find_prediction
from prediction.journal.rollups import Count, Total
from prediction.journal.tables import corrections, feedback, predictions
from prediction.times import now_us

CHUNK_LABELS = 500
"""Labels of one transaction. It takes about 0.1 s, in which no prediction is recorded."""

PAUSE_SECONDS = 0.005
"""Shortest pause between two transactions: longer than the retry interval of others that need the lock."""

PAUSE_SHARE = 0.1
"""Pause after a transaction as a share of its time: on a slow machine others need longer too."""

QUERY_IDS = 500
"""Ids of one query: SQLite limits the parameters of a statement."""

COUNTED = (
    *("prediction_id", "model", "at_us", "version", "predicted_class", "probabilities"),
    *("value", "low", "high"),
)
"""The columns of a prediction that are needed to count its label."""

Measure = Callable[[Any, str], Mapping[str, int]]
"""Returns what a prediction, a row of the columns `COUNTED`, adds to the sums if it has a label."""


def measure_nothing(_prediction: Any, _label: str) -> dict[str, int]:
    """Add nothing to the sums."""
    return {}


A_NUMBER = "a number"
"""Labels that are numbers are counted under this name: each would need a row of its own."""


class Label(NamedTuple):
    """A label that a client sends for one prediction. `correct` allows it to replace another label.

    `value` is the number of a label that is one.
    """

    prediction_id: str
    label: str
    correct: bool = False
    value: float | None = None


class Current(NamedTuple):
    """The present label of a prediction, and the time it was given; `value` is its number."""

    label: str
    at_us: int
    value: float | None = None

    @property
    def counted(self) -> str:
        """The name under which it is counted."""
        return self.label if self.value is None else A_NUMBER


class Replaced(NamedTuple):
    """A former label of a prediction, with the time of its correction."""

    label: str
    at_us: int
    replaced_us: int


class Outcome(NamedTuple):
    """A prediction with its label, which was given at `labelled_us`."""

    prediction: Prediction
    label: str
    labelled_us: int


class LabelHistory(NamedTuple):
    """The present label of a prediction, the time it was given, and the former labels, newest first."""

    label: str
    at_us: int
    history: list[Replaced]


def give(
    journal: Journal, model: str, labels: Sequence[Label], measure: Measure = measure_nothing
) -> list[str | Error]:
    """Record labels in order, in transactions that survive a loss of power.

    Many labels take several short transactions. Predictions are recorded between them.

    Parameters
    ----------
    measure
        What the sums are of. A corrected label is taken out of them, and the new one is added.

    Returns
    -------
    list
        For each label `recorded`, `unchanged` or `corrected`, or the error of a refused label:
        `UnknownPrediction` (no such id, or a prediction of another model) or `ConflictingLabel`. If the
        journal fails after the first transaction, each remaining label has `JournalUnavailable`.

    Raises
    ------
    JournalUnavailable
        When the journal fails in the first transaction: no label is recorded.
    """
    answers: list[str | Error] = []
    took = 0.0
    for start in range(0, len(labels), CHUNK_LABELS):
        if start:
            time.sleep(max(PAUSE_SECONDS, PAUSE_SHARE * took))
        began = time.monotonic()
        try:
            answers += _give_chunk(journal, model, labels[start : start + CHUNK_LABELS], measure)
        except JournalUnavailable as error:
            if not start:
                raise
            answers += [error] * (len(labels) - start)
            break
        took = time.monotonic() - began
    return answers


def _give_chunk(
    journal: Journal, model: str, labels: Sequence[Label], measure: Measure
) -> list[str | Error]:
    answers: list[str | Error] = []
    with journal.write(durable=True, patience_ms=LOCK_PATIENCE_MS) as connection:
        known = _lock_predictions(connection, model, labels)
        current = _current(connection, known)
        changes = _Changes(now_us(), measure)  # the time after waiting for the lock
        for item in labels:
            old = current.get(item.prediction_id)
            answer = _decide(item, model, item.prediction_id in known, old)
            answers.append(answer)
            if answer in ("recorded", "corrected"):
                current[item.prediction_id] = changes.add(item, known[item.prediction_id], old)
        if changes:
            journal.order(connection)
            changes.write(connection)
            rollups.add(journal, connection, changes.counts)
            rollups.add_totals(journal, connection, changes.totals)
    return answers


def _decide(item: Label, model: str, is_known: bool, old: Current | None) -> str | Error:
    """Return `recorded`, `unchanged` or `corrected`, or the error of a refused label."""
    if not is_known:
        return UnknownPrediction(f"no prediction of {model} has that id")
    if old is None:
        return "recorded"
    if old.label == item.label:
        return "unchanged"
    if item.correct:
        return "corrected"
    return ConflictingLabel(
        f"the prediction is labelled {old.label} already: send correct: true to replace that"
    )


@dataclass
class _Changes:
    """The rows that one transaction writes. A batch may have several labels for one prediction."""

    at_us: int
    measure: Measure
    added: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: dict[str, dict[str, Any]] = field(default_factory=dict)
    replaced: list[dict[str, Any]] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    totals: list[Total] = field(default_factory=list)

    def add(self, item: Label, of: Any, old: Current | None) -> Current:
        """Add a label of the prediction `of`, whose present label is `old`; return the new one."""
        prediction_id = item.prediction_id
        new = Current(item.label, self.at_us, item.value)
        for label, rows in ((old, -1), (new, 1)):
            counted = label.counted if label else ""
            self.counts.append(Count(of.model, of.at_us, of.version, of.predicted_class, counted, rows))
            for name, value in self.measure(of, label.label).items() if label else ():
                self.totals.append(Total(of.model, of.at_us, of.version, name, rows * value))
        if old is not None:
            replaced = {"prediction_id": prediction_id, "replaced_us": self.at_us}
            self.replaced.append(old._asdict() | replaced)
        is_new = old is None or prediction_id in self.added
        row = new._asdict() | {"prediction_id": prediction_id, "model": of.model}
        (self.added if is_new else self.changed)[prediction_id] = row
        return new

    def __bool__(self) -> bool:
        return bool(self.added or self.changed)

    def write(self, connection: sa.Connection) -> None:
        if self.replaced:
            connection.execute(corrections.insert(), self.replaced)
        if self.changed:  # a new row has a new seq: readers that continue after the last seq find it
            for ids in _chunks(sorted(self.changed)):
                connection.execute(feedback.delete().where(feedback.c.prediction_id.in_(ids)))
        connection.execute(feedback.insert(), [*self.added.values(), *self.changed.values()])


def find(journal: Journal, prediction_id: str) -> LabelHistory | None:
    """Return the label of a prediction with its history; None if it has no label."""
    with journal.read() as connection:
        query = sa.select(feedback).where(feedback.c.prediction_id == prediction_id)
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        before = sa.select(corrections.c.label, corrections.c.at_us, corrections.c.replaced_us)
        before = before.where(corrections.c.prediction_id == prediction_id)
        rows = connection.execute(before.order_by(corrections.c.seq.desc()))
        return LabelHistory(row.label, row.at_us, [Replaced(*old) for old in rows])


def outcomes(
    journal: Journal, model: str, since_us: int = 0, chunk_rows: int = 5_000
) -> Iterator[list[Outcome]]:
    """Yield the outcomes of a model in chunks, in the order in which the labels were given.

    All chunks are of one snapshot: a label that is corrected during the reading appears exactly once.

    Parameters
    ----------
    since_us
        Earlier labels are left out.
    """
    joined = (
        sa.select(feedback.c.seq.label("label_seq"), feedback.c.label)
        .add_columns(feedback.c.at_us.label("labelled_us"), predictions)
        .join(predictions, predictions.c.prediction_id == feedback.c.prediction_id)
        .where(feedback.c.model == model, feedback.c.at_us >= since_us)
        .order_by(feedback.c.seq)
    )
    last_seq = 0
    with journal.snapshot() as connection:
        while rows := list(connection.execute(joined.where(feedback.c.seq > last_seq).limit(chunk_rows))):
            last_seq = rows[-1].label_seq
            yield [Outcome(as_prediction(row), row.label, row.labelled_us) for row in rows]


def waiting_since_us(journal: Journal, model: str) -> int | None:
    """Return the time of the first prediction that is younger than the newest label; None if none is."""
    newest = sa.select(feedback.c.at_us).where(feedback.c.model == model)
    newest = newest.order_by(feedback.c.seq.desc()).limit(1)
    query = sa.select(predictions.c.at_us).where(
        predictions.c.model == model,
        predictions.c.at_us > sa.func.coalesce(newest.scalar_subquery(), 0),
    )
    with journal.read() as connection:
        found = connection.scalar(query.order_by(predictions.c.at_us).limit(1))
    return None if found is None else int(found)


def latest(
    journal: Journal, model: str, limit: int, before: str | None = None
) -> list[tuple[Prediction, str | None]]:
    """Return a model's newest predictions, each with its label or None.

    Parameters
    ----------
    before
        The id of a prediction: return only older ones.

    Raises
    ------
    UnknownPrediction
        When no prediction has the id `before`.
    """
    query = (
        sa.select(feedback.c.label, predictions)
        .outerjoin(feedback, feedback.c.prediction_id == predictions.c.prediction_id)
        .where(predictions.c.model == model)
        .order_by(predictions.c.at_us.desc(), predictions.c.prediction_id.desc())
    )
    if before is not None:
        last = find_prediction(journal, before)
        query = query.where(
            sa.tuple_(predictions.c.at_us, predictions.c.prediction_id)
            < sa.tuple_(sa.literal(last.at_us), sa.literal(last.prediction_id))
        )
    with journal.read() as connection:
        return [(as_prediction(row), row.label) for row in connection.execute(query.limit(limit))]


def _lock_predictions(
    connection: sa.Connection, model: str, labels: Sequence[Label]
) -> dict[str, sa.Row[Any]]:
    """Return the model's predictions by their ids, locked against the feedback of others.

    They are locked in the order of their ids, so that two batches can't deadlock. SQLite needs no such
    lock: it has one writer at a time.
    """
    known: dict[str, sa.Row[Any]] = {}
    columns = [predictions.c[name] for name in COUNTED]
    given = {label.prediction_id for label in labels}
    for ids in _chunks(sorted(filter(is_id, given))):
        # The model is compared below: in the query, a database without statistics may use its index.
        query = sa.select(*columns).where(predictions.c.prediction_id.in_(ids))
        rows = connection.execute(query.order_by(predictions.c.prediction_id).with_for_update())
        known.update((row.prediction_id, row) for row in rows if row.model == model)
    return known


def _current(connection: sa.Connection, known: Iterable[str]) -> dict[str, Current]:
    current: dict[str, Current] = {}
    for ids in _chunks(sorted(known)):
        columns = [feedback.c[name] for name in ("prediction_id", *Current._fields)]
        for row in connection.execute(sa.select(*columns).where(feedback.c.prediction_id.in_(ids))):
            current[row.prediction_id] = Current(row.label, row.at_us, row.value)
    return current


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), QUERY_IDS):
        yield ids[start : start + QUERY_IDS]
