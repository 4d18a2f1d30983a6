"""The true labels of predictions, by their ids: given once, repeated at will, corrected on request.

A label counts for the version that predicted, however late it comes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from models_store.errors import Error
from prediction.errors import ConflictingLabel, JournalUnavailable, UnknownPrediction
from prediction.journal import rollups
from prediction.journal.database import LOCK_PATIENCE_MS, Journal
from prediction.journal.predictions import Prediction, as_prediction, is_id
from prediction.journal.predictions import find as find_prediction
from prediction.journal.rollups import Count
from prediction.journal.tables import corrections, feedback, predictions
from prediction.times import now_us

CHUNK_LABELS = 500
"""Labels of one transaction: about 0.1 s in which no prediction is recorded."""

PAUSE_SECONDS = 0.005
"""Between them, at least: longer than others wait before they ask for the lock again."""

PAUSE_SHARE = 0.1
"""Of what a transaction took: where that is slow, so are those who wait for their turn."""

QUERY_IDS = 500
"""Ids in one query: SQLite limits the parameters of a statement."""

COUNTED = ("prediction_id", "model", "at_us", "version", "predicted_class")
"""What a label must know of its prediction, to be counted with it."""


class Label(NamedTuple):
    """What a client says of one prediction. `correct` allows replacing another label."""

    prediction_id: str
    label: str
    correct: bool = False


class Current(NamedTuple):
    """The label of a prediction now, and since when."""

    label: str
    at_us: int


class Replaced(NamedTuple):
    """A label that a prediction had before it was corrected."""

    label: str
    at_us: int
    replaced_us: int


class LabelledPrediction(NamedTuple):
    """A prediction joined with its label, given at `labelled_us`."""

    prediction: Prediction
    label: str
    labelled_us: int


class Outcome(NamedTuple):
    """The feedback of one prediction: its label now, since when, and the ones before."""

    label: str
    at_us: int
    history: list[Replaced]


def give(journal: Journal, model: str, labels: Sequence[Label]) -> list[str | Error]:
    """Record labels in order, in transactions that survive the loss of power.

    Many take several short ones, between which predictions are recorded.

    Returns
    -------
    list
        For each label `recorded`, `unchanged` or `corrected`; or why it was not taken:
        `UnknownPrediction` (or another model's), `ConflictingLabel`; `JournalUnavailable` for all that
        are left, where the journal fails when some were taken already.

    Raises
    ------
    JournalUnavailable
        When none was taken.
    """
    answers: list[str | Error] = []
    took = 0.0
    for start in range(0, len(labels), CHUNK_LABELS):
        if start:
            time.sleep(max(PAUSE_SECONDS, PAUSE_SHARE * took))
        began = time.monotonic()
        try:
            answers += _give(journal, model, labels[start : start + CHUNK_LABELS])
        except JournalUnavailable as error:
            if not start:
                raise
            answers += [error] * (len(labels) - start)
            break
        took = time.monotonic() - began
    return answers


def _give(journal: Journal, model: str, labels: Sequence[Label]) -> list[str | Error]:
    answers: list[str | Error] = []
    with journal.write(durable=True, patience_ms=LOCK_PATIENCE_MS) as connection:
        known = _lock_predictions(connection, model, labels)
        current = _current(connection, known)
        changes = _Changes(now_us(), {}, {}, [], [])  # now, not before: others may have been waited for
        for item in labels:
            had = current.get(item.prediction_id)
            answer = _judge(item, model, item.prediction_id in known, had)
            answers.append(answer)
            if answer in ("recorded", "corrected"):
                current[item.prediction_id] = changes.add(item, known[item.prediction_id], had)
        if changes:
            journal.order(connection)
            changes.write(connection)
            rollups.add(journal, connection, changes.counts)
    return answers


def _judge(item: Label, model: str, is_known: bool, had: Current | None) -> str | Error:
    if not is_known:
        return UnknownPrediction(f"no prediction of {model} has that id")
    if had is None:
        return "recorded"
    if had.label == item.label:
        return "unchanged"
    if item.correct:
        return "corrected"
    return ConflictingLabel(
        f"the prediction is labelled {had.label} already: send correct: true to replace that"
    )


@dataclass
class _Changes:
    """What one transaction writes; a batch may name the same prediction several times."""

    at_us: int
    added: dict[str, dict[str, Any]]
    changed: dict[str, dict[str, Any]]
    replaced: list[dict[str, Any]]
    counts: list[Count]

    def add(self, item: Label, of: Any, had: Current | None) -> Current:
        """Give a label to the prediction `of`."""
        prediction_id = item.prediction_id
        row = {"prediction_id": prediction_id, "label": item.label, "at_us": self.at_us, "model": of.model}
        for label, rows in ((had.label if had else "", -1), (item.label, 1)):
            self.counts.append(Count(of.model, of.at_us, of.version, of.predicted_class, label, rows))
        if had is not None:
            old = {"prediction_id": prediction_id, "label": had.label, "at_us": had.at_us}
            self.replaced.append(old | {"replaced_us": self.at_us})
        is_new = had is None or prediction_id in self.added
        (self.added if is_new else self.changed)[prediction_id] = row
        return Current(item.label, self.at_us)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed)

    def write(self, connection: sa.Connection) -> None:
        if self.replaced:
            connection.execute(corrections.insert(), self.replaced)
        if self.changed:  # a new seq, so that who reads on from the last one seen meets the new label
            for ids in _chunks(sorted(self.changed)):
                connection.execute(feedback.delete().where(feedback.c.prediction_id.in_(ids)))
        connection.execute(feedback.insert(), [*self.added.values(), *self.changed.values()])


def find(journal: Journal, prediction_id: str) -> Outcome | None:
    """Return the feedback of a prediction, if it has any."""
    with journal.read() as connection:
        query = sa.select(feedback).where(feedback.c.prediction_id == prediction_id)
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        before = sa.select(corrections.c.label, corrections.c.at_us, corrections.c.replaced_us)
        before = before.where(corrections.c.prediction_id == prediction_id)
        rows = connection.execute(before.order_by(corrections.c.seq.desc()))
        return Outcome(row.label, row.at_us, [Replaced(*old) for old in rows])


def outcomes(
    journal: Journal, model: str, since_us: int = 0, chunk_rows: int = 5_000
) -> Iterator[list[LabelledPrediction]]:
    """Yield the predictions of a model that have labels, in the order of their labels, in chunks.

    All are of one moment: none comes twice, or not at all, because it is corrected meanwhile.

    Parameters
    ----------
    since_us
        Leave out labels that were given before.
    """
    joined = (
        sa.select(feedback.c.seq, feedback.c.label, feedback.c.at_us, predictions)
        .join(predictions, predictions.c.prediction_id == feedback.c.prediction_id)
        .where(feedback.c.model == model, feedback.c.at_us >= since_us)
        .order_by(feedback.c.seq)
    )
    last_seq = 0
    with journal.snapshot() as connection:
        while rows := list(connection.execute(joined.where(feedback.c.seq > last_seq).limit(chunk_rows))):
            last_seq = rows[-1][0]
            yield [LabelledPrediction(as_prediction(row), row[1], row[2]) for row in rows]


def waiting_since_us(journal: Journal, model: str) -> int | None:
    """Return when the first prediction was made after the newest label came; None if there is none."""
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
    """Return a model's newest predictions, each with its label if it has one.

    Parameters
    ----------
    before
        The id of a prediction: only those that are older than it.

    Raises
    ------
    UnknownPrediction
        When there is none of that id.
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
        return [(as_prediction(row), row[0]) for row in connection.execute(query.limit(limit))]


def _lock_predictions(
    connection: sa.Connection, model: str, labels: Sequence[Label]
) -> dict[str, sa.Row[Any]]:
    """Return by their ids which are predictions of the model, and let no other feedback at them.

    They are locked in one order, so that two batches can't wait for each other. SQLite has one
    writer at a time anyway.
    """
    known: dict[str, sa.Row[Any]] = {}
    columns = [predictions.c[name] for name in COUNTED]
    given = {label.prediction_id for label in labels}
    for ids in _chunks(sorted(filter(is_id, given))):
        # The model is compared below: with it, a database without statistics may take its index.
        query = sa.select(*columns).where(predictions.c.prediction_id.in_(ids))
        rows = connection.execute(query.order_by(predictions.c.prediction_id).with_for_update())
        known.update((row.prediction_id, row) for row in rows if row.model == model)
    return known


def _current(connection: sa.Connection, known: Iterable[str]) -> dict[str, Current]:
    current: dict[str, Current] = {}
    for ids in _chunks(sorted(known)):
        query = sa.select(feedback.c.prediction_id, feedback.c.label, feedback.c.at_us)
        for row in connection.execute(query.where(feedback.c.prediction_id.in_(ids))):
            current[row.prediction_id] = Current(row.label, row.at_us)
    return current


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), QUERY_IDS):
        yield ids[start : start + QUERY_IDS]
