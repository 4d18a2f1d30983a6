"""The database: predictions, the ledger, and the workers' reports. The only user of SQLAlchemy.

SQLite under `BENTOML_HOME` by default. Times are UTC, kept as microseconds since 1970.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from prediction.errors import JournalBusy, JournalTooNew, JournalUnavailable, UnknownPrediction

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_PATIENCE_MS = 5_000

_tables = sa.MetaData()

predictions = sa.Table(
    "predictions",
    _tables,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("prediction_id", sa.String(36), nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("features", sa.Text, nullable=False),
    sa.Column("predicted_class", sa.String(255), nullable=False),
    sa.Column("probabilities", sa.Text, nullable=False),
    sa.Column("warnings", sa.Text, nullable=False),
    sa.Index("predictions_id", "prediction_id", unique=True),
    sa.Index("predictions_model_time", "model", "at_us"),
)
ledger = sa.Table(
    "ledger",
    _tables,
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("from_version", sa.String(64)),
    sa.Column("to_version", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("by", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
)
workers = sa.Table(
    "workers",
    _tables,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("worker", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("since_us", sa.BigInteger, nullable=False),
    sa.Column("seen_us", sa.BigInteger, nullable=False),
)


class Prediction(NamedTuple):
    """One answered row; the fields are those of the table. `features` is JSON already."""

    prediction_id: str
    at_us: int
    model: str
    version: str
    features: str
    predicted_class: str
    probabilities: dict[str, float]
    warnings: list[dict[str, Any]]


@dataclass(frozen=True)
class Promotion:
    """One entry of the ledger: the champion of `model` went from one version to another."""

    model: str
    position: int
    from_version: str | None
    to_version: str
    digest: str
    by: str
    reason: str
    at_us: int


def now_us() -> int:
    """Return the time as the journal keeps it."""
    return time.time_ns() // 1000


class Journal:
    """A connection pool on one database. Calls block: on an event loop use a thread.

    Every call raises `JournalUnavailable` when the database does not answer.
    """

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _connect_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def migrate(self) -> None:
        """Bring the tables to this release, under the journal's lock.

        Raises
        ------
        JournalTooNew
            When a newer release has migrated it already.
        """
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._write(durable=True) as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                if "Can't locate revision" not in str(error):
                    raise
                raise JournalTooNew(
                    "the journal was written by a newer release: install that one, or set"
                    " PREDICTION_DATABASE_URL to another journal"
                ) from error

    def writer(self) -> Writer:
        """Open the connection that an event loop records predictions with."""
        with _translated():
            return Writer(self._engine.connect().execution_options(write=True))

    def prediction(self, prediction_id: str) -> Prediction:
        """Return one prediction.

        Raises
        ------
        UnknownPrediction
            When the journal has none of that id.
        """
        query = sa.select(predictions).where(predictions.c.prediction_id == prediction_id)
        with self._read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise UnknownPrediction(f"no prediction has the id {prediction_id}")
        return Prediction(
            row.prediction_id,
            row.at_us,
            row.model,
            row.version,
            row.features,
            row.predicted_class,
            json.loads(row.probabilities),
            json.loads(row.warnings),
        )

    def promote(
        self, model: str, version: str, digest: str, by: str, reason: str, only_first: bool = False
    ) -> Promotion | None:
        """Append a promotion to the ledger: from now on `version` is the champion of `model`.

        Concurrent promotions of a model take one order, each from the one before.

        Parameters
        ----------
        only_first
            Do nothing, and return None, where the model has a champion already.
        """
        while True:
            try:
                with self._write(durable=True) as connection:
                    last = _champion(connection, model)
                    if last and only_first:
                        return None
                    promotion = Promotion(
                        model=model,
                        position=last.position + 1 if last else 1,
                        from_version=last.to_version if last else None,
                        to_version=version,
                        digest=digest,
                        by=by,
                        reason=reason,
                        at_us=now_us(),
                    )
                    connection.execute(ledger.insert(), [vars(promotion)])
                return promotion
            except IntegrityError:  # another host took the position between our read and our write
                continue

    def champions(self) -> dict[str, Promotion]:
        """Return the promotion that made each model's champion."""
        last = sa.select(ledger.c.model, sa.func.max(ledger.c.position).label("position"))
        last_of_model = last.group_by(ledger.c.model).subquery()
        same = (ledger.c.model == last_of_model.c.model) & (ledger.c.position == last_of_model.c.position)
        with self._read() as connection:
            rows = connection.execute(sa.select(ledger).join(last_of_model, same))
            return {row.model: Promotion(*row) for row in rows}

    def promotions(self, model: str, limit: int, before: int | None = None) -> list[Promotion]:
        """Return a model's ledger, newest first, from below position `before`."""
        query = sa.select(ledger).where(ledger.c.model == model)
        if before is not None:
            query = query.where(ledger.c.position < before)
        with self._read() as connection:
            rows = connection.execute(query.order_by(ledger.c.position.desc()).limit(limit))
            return [Promotion(*row) for row in rows]

    def report_worker(self, host: str, worker: int, serving: dict[str, tuple[str, int]]) -> None:
        """Write down what a worker serves now: version and since when (us), by model."""
        mine = (workers.c.host == host) & (workers.c.worker == worker)
        rows = [
            {"host": host, "worker": worker, "model": model, "version": version}
            | {"since_us": since_us, "seen_us": now_us()}
            for model, (version, since_us) in serving.items()
        ]
        with self._write() as connection:
            connection.execute(workers.delete().where(mine))
            if rows:
                connection.execute(workers.insert(), rows)

    def workers(self, model: str, seen_since_us: int) -> list[dict[str, Any]]:
        """Return what each worker that reported lately serves of a model."""
        query = sa.select(workers).where(workers.c.model == model, workers.c.seen_us >= seen_since_us)
        with self._read() as connection:
            rows = connection.execute(query.order_by(workers.c.host, workers.c.worker))
            return [dict(row._mapping) for row in rows]

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with _translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _write(self, durable: bool = False) -> Iterator[sa.Connection]:
        """Open a transaction; `durable` makes its commit survive the loss of power."""
        with _translated(), self._engine.connect() as raw:
            connection = raw.execution_options(write=True, durable=durable)
            with connection.begin():
                yield connection


class Writer:
    """One connection that inserts predictions without ever waiting for a lock.

    Raises `JournalBusy` at once when another process writes; the caller tries again.
    """

    _INSERT = (  # as text, because building it anew would cost more than running it
        "INSERT INTO predictions (prediction_id, at_us, model, version, features, predicted_class,"
        " probabilities, warnings) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        connection.rollback()

    def insert(self, rows: Sequence[Prediction]) -> None:
        """Insert rows in one transaction: all of them or none."""
        encoded = [(*row[:6], json.dumps(row.probabilities), json.dumps(row.warnings)) for row in rows]
        with _translated():
            try:
                self._connection.exec_driver_sql(self._INSERT, encoded)
                self._connection.commit()
            except BaseException:
                self._connection.rollback()
                raise

    def close(self) -> None:
        """Give the connection up."""
        self._connection.invalidate()
        self._connection.close()


def _champion(connection: sa.Connection, model: str) -> Promotion | None:
    query = sa.select(ledger).where(ledger.c.model == model)
    row = connection.execute(query.order_by(ledger.c.position.desc()).limit(1)).one_or_none()
    return Promotion(*row) if row else None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            raise JournalBusy("the journal is locked by another process: try again") from error
        raise JournalUnavailable(f"the journal does not answer: {error.orig}") from error
    except SQLAlchemyError as error:
        raise JournalUnavailable(f"the journal does not answer: {type(error).__name__}") from error


def _connect_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    for pragma in (
        f"busy_timeout = {LOCK_PATIENCE_MS}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    """Begin as SQLite needs it.

    A writer takes the write lock first, because a reader that turns writer may fail at once; and a
    commit that must survive the loss of power syncs the log.
    """
    options = connection.get_execution_options()
    level = "FULL" if options.get("durable") else "NORMAL"
    if connection.info.get("synchronous", "NORMAL") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
        connection.info["synchronous"] = level
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("write") else "BEGIN")
