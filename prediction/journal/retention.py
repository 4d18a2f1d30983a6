"""Deletion of predictions: those that are too old, and those whose clients got an error instead.

Outcomes, and counts and sums by hour, are kept ten times as long as predictions without a label.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from threading import Lock, Thread
from typing import Any

import sqlalchemy as sa

from prediction import errors
from prediction.journal.database import Journal
from prediction.journal.predictions import CHUNK_ROWS, Prediction
from prediction.journal.rollups import take_back
from prediction.journal.tables import corrections, feedback, predictions, refusals, rollups, sums
from prediction.times import DAY_US, now_us

OUTCOME_FACTOR = 10
PRUNED_ROWS = 1_000
"""Predictions of one transaction of pruning."""

PAUSE_SECONDS = 0.02
"""Pause between these transactions, in which workers can commit."""

EVERY_SECONDS = 3600.0
TURN_SECONDS = 1.0
"""A server prunes for this time at once, because its thread has other periodic work."""

RETRY_SECONDS = 0.5
"""Pause before the next attempt to delete predictions whose clients got an error."""

_log = logging.getLogger("bentoml.prediction")


class Pruner:
    """Prunes once an hour, in short turns."""

    def __init__(self, journal: Journal, days: int) -> None:
        self._journal = journal
        self._days = days
        self._walk: Iterator[int] | None = None
        self._due = 0.0

    def turn(self) -> None:
        """Continue for `TURN_SECONDS`, if there is something to delete."""
        end = time.monotonic() + TURN_SECONDS
        if self._walk is None and time.monotonic() >= self._due:
            self._walk = prune(self._journal, self._days)
        for _ in self._walk or ():
            if time.monotonic() >= end:
                return
        if self._walk is not None:
            self._walk, self._due = None, time.monotonic() + EVERY_SECONDS


def prune(journal: Journal, days: int) -> Iterator[int]:
    """Delete old rows in short transactions, and yield how many predictions each one has deleted.

    Parameters
    ----------
    days
        Predictions without a label are kept for so many days, those with one `OUTCOME_FACTOR` times as
        long.
    """
    for model in _models(journal):
        yield from _prune_model(journal, model, now_us() - days * DAY_US, days)
    too_old_us = now_us() - days * OUTCOME_FACTOR * DAY_US
    with journal.write() as connection:
        for table in (rollups, sums, refusals):
            connection.execute(table.delete().where(table.c.hour_us < too_old_us))


def _models(journal: Journal) -> Iterator[str]:
    """Yield the models, each by one look-up in the index: DISTINCT would read all predictions."""
    last: str | None = ""
    while True:
        following = sa.select(sa.func.min(predictions.c.model)).where(predictions.c.model > last)
        with journal.read() as connection:
            last = connection.scalar(following)
        if last is None:
            return
        yield last


def _prune_model(journal: Journal, model: str, before_us: int, days: int) -> Iterator[int]:
    outcomes_before_us = before_us - days * (OUTCOME_FACTOR - 1) * DAY_US
    old = (
        sa.select(predictions.c.seq, predictions.c.at_us, predictions.c.prediction_id)
        .add_columns(feedback.c.seq.label("feedback_seq"))
        .outerjoin(feedback, feedback.c.prediction_id == predictions.c.prediction_id)
        .where(predictions.c.model == model, predictions.c.at_us < before_us)
        .order_by(predictions.c.at_us, predictions.c.seq)
        .limit(PRUNED_ROWS)
    )
    last_us, last_seq = -1, -1
    with journal.read() as connection:
        # The newest stays, however old it is: SQLite would use its number again, and counts need numbers.
        newest = connection.scalar(sa.select(sa.func.max(predictions.c.seq)))
    while True:
        after = sa.tuple_(predictions.c.at_us, predictions.c.seq) > sa.tuple_(
            sa.literal(last_us), sa.literal(last_seq)
        )
        with journal.read() as connection:
            rows = list(connection.execute(old.where(after)))
        if not rows:
            return
        last_us, last_seq = rows[-1].at_us, rows[-1].seq
        old_rows = (row for row in rows if row.feedback_seq is None or row.at_us < outcomes_before_us)
        doomed = [row for row in old_rows if row.seq != newest]
        yield _delete(journal, doomed, outcomes_before_us)
        if doomed:
            time.sleep(PAUSE_SECONDS)


def _delete(journal: Journal, doomed: Sequence[sa.Row[Any]], outcomes_before_us: int) -> int:
    """Delete predictions, except those that have got a label since they were read."""
    if not doomed:
        return 0
    ids = [row.prediction_id for row in doomed]
    locked = sa.select(predictions.c.prediction_id).where(predictions.c.prediction_id.in_(ids))
    with journal.write() as connection:
        # in the order in which feedback locks them, so that the two can't deadlock
        connection.execute(locked.order_by(predictions.c.prediction_id).with_for_update())
        labelled = sa.select(feedback.c.prediction_id).where(feedback.c.prediction_id.in_(ids))
        kept = set(connection.scalars(labelled))
        gone = [
            row.prediction_id
            for row in doomed
            if row.prediction_id not in kept or row.at_us < outcomes_before_us
        ]
        for table in (corrections, feedback, predictions):
            connection.execute(table.delete().where(table.c.prediction_id.in_(gone)))
    return len(gone)


class Deletions:
    """A queue of predictions to delete. Its thread runs only while the queue is not empty."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = Lock()
        self._unwanted: list[str | None] = []
        self._thread: Thread | None = None

    def add(self, committed: Sequence[Prediction]) -> None:
        """Queue predictions; return at once."""
        if committed:
            with self._lock:
                self._unwanted += [prediction.prediction_id for prediction in committed]
                if self._thread is None:
                    self._thread = Thread(target=self._work, name="deletions", daemon=True)
                    self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until everything is deleted, with a timeout."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _work(self) -> None:
        warned = False
        while chunk := self._next_chunk():
            try:
                take_back(self._journal, chunk)
            except Exception as error:  # nobody waits for the result: a later attempt may succeed
                if not warned:
                    words = "%d predictions whose clients got an error are still in the journal: %s"
                    _log.warning(words, len(self._unwanted), errors.cause(error))
                warned = True
                time.sleep(RETRY_SECONDS)
            else:
                with self._lock:
                    del self._unwanted[: len(chunk)]

    def _next_chunk(self) -> list[str | None]:
        with self._lock:
            if not self._unwanted:
                self._thread = None
            return self._unwanted[:CHUNK_ROWS]
