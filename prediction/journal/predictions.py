"""Predictions: how they are stored, inserted and found. Their labels are `feedback`'s."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import from_json

from prediction import metrics
from prediction.errors import JournalBusy, JournalFault, JournalUnavailable, UnknownPrediction
from prediction.journal.database import LOCK_PATIENCE_MS, Journal
from prediction.journal.sqlite.checkpoints import Checkpoints
from prediction.journal.tables import predictions

CHUNK_ROWS = 250
"""Rows of one commit: about 5 ms, in which the event loop stands still and nobody else can write."""

JOINED_ROWS = 50
"""Rows of one statement, where there are so many."""

NO_WARNINGS = "[]"
"""The warnings of an ordinary prediction, as JSON."""


class Prediction(NamedTuple):
    """One answered row, as the table has it: `features`, `probabilities` and `warnings` are JSON texts.

    `prediction_id` is None if the row was answered but could not be recorded. `value`, `low` and `high`
    are those of a quantity: the answer, and the ends of its interval, which may lie beyond the range.
    """

    prediction_id: str | None
    at_us: int
    model: str
    version: str
    features: str
    predicted_class: str
    probabilities: str
    warnings: str = NO_WARNINGS
    value: float | None = None
    low: float | None = None
    high: float | None = None

    def read_features(self) -> dict[str, Any]:
        """Return the features by name."""
        return dict(from_json(self.features))

    def read_probabilities(self) -> dict[str, float]:
        """Return the probability of every class; of a quantity, how its interval was adapted, if it was."""
        return dict(from_json(self.probabilities))

    def read_warnings(self) -> list[dict[str, Any]]:
        """Return the warnings: what is unusual about which feature, or about the answer."""
        return list(from_json(self.warnings))


def find(journal: Journal, prediction_id: str) -> Prediction:
    """Return one prediction.

    Raises
    ------
    UnknownPrediction
        When no prediction has that id.
    """
    if not is_id(prediction_id):
        raise UnknownPrediction("no prediction has that id: it is not a valid id")
    query = sa.select(predictions).where(predictions.c.prediction_id == prediction_id)
    with journal.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownPrediction(f"no prediction has the id {prediction_id}")
    return as_prediction(row)


class Inserter:
    """Inserts predictions by one connection, which is opened when it is needed.

    On SQLite it raises `JournalBusy` at once when another process writes; the caller tries again.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._connection: Any = None
        self._checkpoints: Checkpoints | None = None
        names, marks = ", ".join(Prediction._fields), ", ".join("?" * len(Prediction._fields))
        self._row = f"({marks})"
        self._insert = f"INSERT INTO predictions ({names}) VALUES {self._row}"  # noqa: S608 -- all ours
        if not journal.is_sqlite:
            from prediction.journal.postgresql.insertion import Insertion  # with SQLite nobody needs it

            self._insertion = Insertion(predictions, Prediction._fields, "prediction_id", LOCK_PATIENCE_MS)

    def connect(self) -> None:
        """Open the connection, unless it is open."""
        if self._connection is None:
            self._connection = self._journal.connect_inserter()
            if self._journal.is_sqlite:
                guarded = partial(self._guarded, self._connection)
                self._checkpoints = Checkpoints(self._journal.connect_inserter, guarded)

    def close(self) -> None:
        """Close the connection; the next insert opens another."""
        if self._connection is not None:
            if self._checkpoints is not None:
                self._checkpoints.close()
            self._connection.invalidate()
            self._connection = self._checkpoints = None

    def insert(self, rows: Sequence[Prediction], again: bool = False) -> None:
        """Insert rows in one transaction: all of them or none.

        Parameters
        ----------
        again
            Whether the rows may be there already, because the answer to the commit was lost. Rows that
            are there are left as they are.
        """
        self.connect()
        if rows:
            started = time.perf_counter()
            self._commit(rows, again)
            metrics.JOURNAL_COMMIT_SECONDS.observe(time.perf_counter() - started)

    def insert_or_reconnect(self, rows: Sequence[Prediction], again: bool = False) -> None:
        """Insert rows; if the connection is lost, maybe with the answer, try once more on a new one."""
        had_connection = self._connection is not None
        try:
            self.insert(rows, again)
        except (JournalBusy, JournalFault):
            raise
        except JournalUnavailable:
            self.close()
            if not had_connection:
                raise
        else:
            return
        try:
            self.insert(rows, again=True)
        except JournalUnavailable:
            self.close()
            raise

    def _commit(self, rows: Sequence[Prediction], again: bool) -> None:
        with self._journal.translated_raw():
            self._journal.demand_usable()
            cursor = self._connection.cursor()
            try:
                if self._journal.is_sqlite:
                    cursor.execute("BEGIN IMMEDIATE")
                    self._execute(cursor, rows, " ON CONFLICT (prediction_id) DO NOTHING" if again else "")
                    self._connection.commit()
                else:
                    cursor.execute(*self._insertion.write(rows, again))
            except BaseException:
                with suppress(Exception):  # a lost connection can't roll back
                    self._connection.rollback()
                raise
            finally:
                cursor.close()
        try:
            self._journal.demand_file(self._connection)
        except JournalFault as fault:
            fault.committed = True
            raise
        if self._checkpoints is not None:
            self._checkpoints.committed(len(rows))

    @contextmanager
    def _guarded(self, connection: Any) -> Iterator[None]:
        """Use the database in another thread, if its files are still those that a connection has open."""
        with self._journal.translated_raw():
            self._journal.demand_file(connection)
            yield

    def _execute(self, cursor: Any, rows: Sequence[Prediction], rest: str) -> None:
        """Insert rows on SQLite, many by one statement: that is faster than one statement a row."""
        done = 0
        while len(rows) - done >= JOINED_ROWS:
            joined = chain.from_iterable(rows[done : done + JOINED_ROWS])
            cursor.execute(self._insert + f", {self._row}" * (JOINED_ROWS - 1) + rest, list(joined))
            done += JOINED_ROWS
        cursor.executemany(self._insert + rest, rows[done:] if done else rows)


def is_id(text: str) -> bool:
    """Return whether a text has the form of an id. Databases raise errors for some other texts."""
    return re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


def as_prediction(row: Any) -> Prediction:
    """Turn a row of the table into a prediction."""
    return Prediction(**{name: row._mapping[predictions.c[name]] for name in Prediction._fields})
