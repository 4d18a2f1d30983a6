"""What is stored: predictions, the ledger, and the workers' reports.

Feedback is `prediction.journal.feedback`'s. Times are UTC, kept as microseconds since 1970.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.exc import IntegrityError

from prediction.errors import NothingToRollBack, UnknownPrediction
from prediction.journal.database import Database
from prediction.journal.tables import ledger, predictions, workers

WORKER_SILENCE_US = 15_000_000
"""A worker that has not reported for this long is no longer there."""

FORGOTTEN_US = 86_400_000_000


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


@dataclass(frozen=True)
class Promotion:
    """One entry of the ledger: the champion of `model` went from one version to another.

    `digest` is that of the version's files, `data_digest` that of the rows it was trained on.
    """

    model: str
    position: int
    from_version: str | None
    to_version: str
    digest: str
    by: str
    reason: str
    at_us: int
    is_rollback: bool = False
    data_digest: str | None = None


def now_us() -> int:
    """Return the time as the journal keeps it."""
    return time.time_ns() // 1000


class Journal:
    """Queries on one database. Calls block: on an event loop use a thread.

    Every call raises `JournalUnavailable` when the database does not answer.

    Parameters
    ----------
    durable_predictions
        Whether predictions too must survive the loss of power, as everything else does.
    """

    def __init__(self, url: str, durable_predictions: bool = False) -> None:
        self.database = Database(url)
        self._durable_predictions = durable_predictions

    def close(self) -> None:
        """Give all connections back."""
        self.database.close()

    def migrate(self) -> None:
        """Bring the tables to this release."""
        self.database.migrate()

    def writer(self) -> Writer:
        """Open a connection that only records predictions."""
        return Writer(self.database, self._durable_predictions)

    def prediction(self, prediction_id: str) -> Prediction:
        """Return one prediction.

        Raises
        ------
        UnknownPrediction
            When the journal has none of that id.
        """
        if not is_id(prediction_id):
            raise UnknownPrediction("no prediction has that id: it is not one")
        query = sa.select(predictions).where(predictions.c.prediction_id == prediction_id)
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise UnknownPrediction(f"no prediction has the id {prediction_id}")
        return as_prediction(row)

    def promote(
        self, model: str, version: str, digest: str, by: str, reason: str, data_digest: str | None = None
    ) -> Promotion:
        """Append a promotion to the ledger: from now on `version` is the champion of `model`.

        Concurrent promotions of a model take one order, each from the one before.
        """
        while True:
            try:
                with self.database.write(durable=True) as connection:
                    return append(connection, model, version, digest, by, reason, data_digest)
            except IntegrityError:  # another host took the position between our read and our write
                continue

    def promote_first(
        self, model: str, version: str, digest: str, by: str, reason: str, data_digest: str | None = None
    ) -> Promotion | None:
        """Promote a version where the model has no champion yet; else do nothing, return None."""
        try:
            with self.database.write(durable=True) as connection:
                if champion(connection, model):
                    return None
                return append(connection, model, version, digest, by, reason, data_digest)
        except IntegrityError:
            return None

    def champion_before(self, model: str) -> Promotion:
        """Return where a rollback would go.

        Raises
        ------
        NothingToRollBack
            When the champion is the first one.
        """
        with self.database.read() as connection:
            return _champion_before(connection, model)

    def rollback(self, model: str, before: Promotion, by: str, reason: str) -> Promotion | None:
        """Give the championship back to the version that had it before.

        A second rollback goes one further: what was rolled back from is not returned to.

        Parameters
        ----------
        before
            What `champion_before` said. Where that is no longer so, nothing is done, and None returned.
        """
        try:
            with self.database.write(durable=True) as connection:
                if _champion_before(connection, model) != before:
                    return None
                return append(
                    connection,
                    model,
                    before.to_version,
                    before.digest,
                    by,
                    reason,
                    before.data_digest,
                    is_rollback=True,
                )
        except IntegrityError:  # another host took the position between our read and our write
            return None

    def champions(self) -> dict[str, Promotion]:
        """Return the promotion that made each model's champion."""
        last = sa.select(ledger.c.model, sa.func.max(ledger.c.position).label("position"))
        last_of_model = last.group_by(ledger.c.model).subquery()
        same = (ledger.c.model == last_of_model.c.model) & (ledger.c.position == last_of_model.c.position)
        with self.database.read() as connection:
            rows = connection.execute(sa.select(ledger).join(last_of_model, same))
            return {row.model: Promotion(*row) for row in rows}

    def promotions(self, model: str, limit: int, before: int | None = None) -> list[Promotion]:
        """Return a model's ledger, newest first, from below position `before`."""
        query = sa.select(ledger).where(ledger.c.model == model)
        if before is not None:
            query = query.where(ledger.c.position < before)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(ledger.c.position.desc()).limit(limit))
            return [Promotion(*row) for row in rows]

    def data_digest(self, model: str, version: str) -> str | None:
        """Return the digest of what a version that was ever promoted was trained on."""
        known = sa.select(ledger.c.data_digest).where(
            ledger.c.model == model, ledger.c.to_version == version, ledger.c.data_digest.is_not(None)
        )
        with self.database.read() as connection:
            return connection.scalar(known.limit(1))

    def report_worker(self, host: str, worker: int, serving: dict[str, tuple[str, int]]) -> None:
        """Write down what a worker serves now: version and since when (us), by model.

        The version is empty where it can serve none. What dead workers left behind goes after a day.
        """
        mine = (workers.c.host == host) & (workers.c.worker == worker)
        long_dead = workers.c.seen_us < now_us() - FORGOTTEN_US
        rows = [
            {"host": host, "worker": worker, "model": model, "version": version}
            | {"since_us": since_us, "seen_us": now_us()}
            for model, (version, since_us) in serving.items()
        ]
        with self.database.write() as connection:
            connection.execute(workers.delete().where(mine | long_dead))
            if rows:
                connection.execute(workers.insert(), rows)

    def workers(self, model: str, seen_since_us: int) -> list[dict[str, Any]]:
        """Return what each worker that reported lately serves of a model."""
        query = sa.select(workers).where(workers.c.model == model, workers.c.seen_us >= seen_since_us)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(workers.c.host, workers.c.worker))
            return [dict(row._mapping) for row in rows]


class Writer:
    """One connection that inserts predictions.

    On SQLite it raises `JournalBusy` at once when another process writes; the caller tries again.
    """

    def __init__(self, database: Database, durable: bool) -> None:
        self._database = database
        self._connection = database.connect_writer(durable)
        mark = "?" if database.is_sqlite else "%s"
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
        with self._database.translated_raw():
            cursor = self._connection.cursor()
            try:
                if self._database.is_sqlite:
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


def champion(connection: sa.Connection, model: str) -> Promotion | None:
    """Return the promotion that made the model's champion."""
    query = sa.select(ledger).where(ledger.c.model == model)
    row = connection.execute(query.order_by(ledger.c.position.desc()).limit(1)).one_or_none()
    return Promotion(*row) if row else None


def append(
    connection: sa.Connection,
    model: str,
    version: str,
    digest: str,
    by: str,
    reason: str,
    data_digest: str | None = None,
    is_rollback: bool = False,
) -> Promotion:
    """Append to the ledger in a transaction that the caller has open."""
    last = champion(connection, model)
    promotion = Promotion(
        model=model,
        position=last.position + 1 if last else 1,
        from_version=last.to_version if last else None,
        to_version=version,
        digest=digest,
        by=by,
        reason=reason,
        at_us=now_us(),
        is_rollback=is_rollback,
        data_digest=data_digest,
    )
    connection.execute(ledger.insert(), [vars(promotion)])
    return promotion


def _champion_before(connection: sa.Connection, model: str) -> Promotion:
    """Replay the ledger: a promotion puts a champion on top, a rollback takes one off."""
    stack: list[Promotion] = []
    query = sa.select(ledger).where(ledger.c.model == model).order_by(ledger.c.position)
    for promotion in (Promotion(*row) for row in connection.execute(query)):
        if promotion.is_rollback:
            stack.pop()
        elif not stack or stack[-1].to_version != promotion.to_version:
            stack.append(promotion)
    if len(stack) < 2:
        raise NothingToRollBack(f"{model} had no other champion before: promote a version instead")
    return stack[-2]
