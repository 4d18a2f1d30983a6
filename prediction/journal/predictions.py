"""Predictions: how they are stored, inserted and found. Their labels are `feedback`'s."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import to_json

from prediction.errors import UnknownPrediction
from prediction.journal.database import Journal
from prediction.journal.tables import predictions


class Prediction(NamedTuple):
    """One answered row; the fields are those of the table. `features` is JSON already.

    One that was answered and could not be recorded has no id.
    """

    prediction_id: str | None
    at_us: int
    model: str
    version: str
    features: str
    predicted_class: str
    probabilities: dict[str, float]
    warnings: list[dict[str, Any]]

    def read_features(self) -> dict[str, Any]:
        """Return the features by name."""
        return dict(json.loads(self.features))


def find(journal: Journal, prediction_id: str) -> Prediction:
    """Return one prediction.

    Raises
    ------
    UnknownPrediction
        When the journal has none of that id.
    """
    if not is_id(prediction_id):
        raise UnknownPrediction("no prediction has that id: it is not one")
    query = sa.select(predictions).where(predictions.c.prediction_id == prediction_id)
    with journal.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownPrediction(f"no prediction has the id {prediction_id}")
    return as_prediction(row)


class Inserter:
    """One connection that inserts predictions.

    On SQLite it raises `JournalBusy` at once when another process writes; the caller tries again.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._connection = journal.connect_inserter()
        mark = "?" if journal.is_sqlite else "%s"
        names, marks = ", ".join(Prediction._fields), ", ".join([mark] * len(Prediction._fields))
        self._insert = f"INSERT INTO predictions ({names}) VALUES ({marks})"  # noqa: S608 -- all ours

    def insert(self, rows: Sequence[Prediction], again: bool = False) -> None:
        """Insert rows in one transaction: all of them or none.

        Parameters
        ----------
        again
            Whether they may be there already, by a try whose answer was lost: those are left alone.
        """
        encoded = [
            (*row[:6], to_json(row.probabilities).decode(), to_json(row.warnings).decode()) for row in rows
        ]
        statement = f"{self._insert} ON CONFLICT (prediction_id) DO NOTHING" if again else self._insert
        with self._journal.translated_raw():
            cursor = self._connection.cursor()
            try:
                if self._journal.is_sqlite:
                    cursor.execute("BEGIN IMMEDIATE")
                cursor.executemany(statement, encoded)
                self._connection.commit()
            except BaseException:
                with suppress(Exception):  # a connection that is gone has nothing to take back
                    self._connection.rollback()
                raise
            finally:
                cursor.close()

    def close(self) -> None:
        """Give the connection up."""
        self._connection.invalidate()


def is_id(text: str) -> bool:
    """Tell whether a text may be the id of a prediction: databases refuse some others."""
    return re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


def as_prediction(row: Any) -> Prediction:
    """Make a prediction of a row of the table."""
    values = {name: row._mapping[predictions.c[name]] for name in Prediction._fields}
    for name in ("probabilities", "warnings"):
        values[name] = json.loads(values[name])
    return Prediction(**values)
