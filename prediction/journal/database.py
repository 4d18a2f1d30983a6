"""The journal's database: connections, transactions, locks, errors.

Almost everything in which SQLite and PostgreSQL differ is here. The other modules of this folder query it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, SQLAlchemyError

from prediction import home
from prediction.errors import InvalidSettings, JournalBusy, JournalUnavailable
from prediction.journal import migrations
from prediction.journal.postgresql import engine as postgresql
from prediction.journal.sqlite import engine as sqlite
from prediction.journal.sqlite.engine import FILES
from prediction.journal.sqlite.guard import FileFault, Guard

ORDER_LOCK = migrations.TURN_LOCK + 1
LOCK_PATIENCE_MS = 800
"""Lock timeout of predictions and labels, for which a client waits."""

WRITE_PATIENCE_MS = 5_000
"""Lock timeout of all other writers: promotions, runs, periodic work."""

WORK_SECONDS = 0.2
"""Seconds reserved for work after getting the lock."""

KEPT_CONNECTIONS, MOST_CONNECTIONS = 5, 18
"""Connections of the pool: those that stay open, and one for each thread of a worker that uses it."""

LOCKED = "the journal is locked by another process: try again"
NO_ANSWER = "the journal does not answer: try again in a second"

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


@contextmanager
def deadline(at: float) -> Iterator[None]:
    """Let no transaction of this thread wait for a lock, or be committed, after `at` (`time.monotonic`).

    The client gets an error at that time, and nothing may be changed after it.
    """
    token = _deadline.set(at)
    try:
        yield
    finally:
        _deadline.reset(token)


class Journal:
    """A pool of connections to SQLite or PostgreSQL. Calls block: on an event loop use a thread.

    Every call raises `JournalUnavailable` when the database does not answer.

    Parameters
    ----------
    durable_predictions
        Whether predictions must survive a loss of power, as promotions and labels do.

    Raises
    ------
    InvalidSettings
        When the database of the URL is not supported.
    """

    def __init__(self, url: str, durable_predictions: bool = False) -> None:
        parsed = _parse(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._durable_predictions = durable_predictions
        self._writing = threading.Lock()
        self._guard: Guard | None = None
        if self.is_sqlite:
            self._guard = Guard(str(parsed.database).removeprefix("file:"))
            make = partial(sqlite.make, parsed, self._guard, LOCK_PATIENCE_MS)
            self._writers = make(poolclass=sa.NullPool)
        else:
            make = partial(postgresql.make, parsed, LOCK_PATIENCE_MS)
            self._writers = postgresql.make_for_messages(parsed, poolclass=sa.NullPool)
        overflow = MOST_CONNECTIONS - KEPT_CONNECTIONS
        self._engine = make(pool_timeout=1, pool_size=KEPT_CONNECTIONS, max_overflow=overflow)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
        if self._guard is not None:
            self._guard.forget()

    @property
    def fault(self) -> FileFault | None:
        """What is wrong with the file of a SQLite journal, as far as it is known."""
        return None if self._guard is None else self._guard.fault

    def watch(self) -> None:
        """Look whether the file of a SQLite journal is where it was, and whole; once a second will do."""
        if self._guard is not None:
            self._guard.watch()

    def demand_usable(self) -> None:
        """Raise `JournalFault` if the file of a SQLite journal is known to be lost or damaged."""
        if self._guard is not None:
            self._guard.demand_usable()

    def demand_file(self, connection: Any) -> None:
        """Demand that a connection's SQLite file is still the one at its path: rows in another are lost.

        Raises
        ------
        JournalFault
        """
        if self._guard is not None:
            self._guard.demand(connection.info[FILES])

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Lend a connection that only reads."""
        with self._translated(), self._engine.connect() as connection:
            self.demand_file(connection)
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Lend a connection that only reads, and whose queries all see the state of the first one."""
        with self.read() as connection:
            yield connection.execution_options(snapshot=True)  # on SQLite every transaction is one

    def add(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows; where the primary key is there already, add to the last column, a counter."""
        if not rows:
            return
        insert: Any  # each dialect has its own; only that one is loaded
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert
        else:
            from sqlalchemy.dialects.postgresql import insert
        *key, counter = table.c
        new = insert(table)
        total = {counter.name: counter + new.excluded[counter.name]}
        connection.execute(new.on_conflict_do_update(index_elements=key, set_=total), rows)

    @contextmanager
    def write(self, durable: bool = False, patience_ms: int = WRITE_PATIENCE_MS) -> Iterator[sa.Connection]:
        """Lend a connection in a transaction, committed at the end.

        Parameters
        ----------
        durable
            Whether the commit must survive a loss of power. On PostgreSQL every commit does.
        patience_ms
            Timeout for another writer's lock on SQLite. After it: `JournalBusy`. On PostgreSQL writers
            do not exclude each other, and a lock is waited for `LOCK_PATIENCE_MS`.

        Raises
        ------
        JournalUnavailable
            Also when the `deadline` has passed. Nothing is committed then.
        """
        at = _deadline.get()
        patience = min(patience_ms / 1000, at - WORK_SECONDS - time.monotonic())
        with self._translated(), self._turn(max(0.0, patience)) as left_ms, self._engine.connect() as raw:
            connection = raw.execution_options(write=True, durable=durable, patience_ms=left_ms)
            self.demand_file(connection)
            with connection.begin():
                yield connection
                if time.monotonic() > at:
                    raise JournalUnavailable(NO_ANSWER)
            self.demand_file(connection)

    @contextmanager
    def _turn(self, patience_seconds: float) -> Iterator[int]:
        """Let the threads of this process write one by one on SQLite; lend the milliseconds that are left.

        So only one thread of each process waits for SQLite's lock.
        """
        end = time.monotonic() + patience_seconds
        if not self.is_sqlite:
            yield 0
        elif self._writing.acquire(timeout=patience_seconds):
            try:
                yield max(0, int((end - time.monotonic()) * 1000))
            finally:
                self._writing.release()
        else:
            raise JournalBusy(LOCKED)

    def order(self, connection: sa.Connection) -> None:
        """Make rows that the transaction inserts after this call get `seq` numbers in the order of commits.

        PostgreSQL numbers a row when it is inserted. Without this, a row that is committed later may have
        a smaller number, and readers that continue after the last number would never see it.
        """
        if not self.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ORDER_LOCK)))

    def connect_inserter(self) -> Any:
        """Open a DBAPI connection for the caller alone.

        On SQLite it never waits for a lock, and does not move the log: see `sqlite.checkpoints`.
        It bypasses SQLAlchemy, whose own work takes longer than a transaction of one row. It is not of
        the pool, because an event loop must not wait until a connection of the pool is free.
        """
        with self.translated_raw():
            connection = self._writers.raw_connection()
            if self.is_sqlite:
                raw: Any = connection.driver_connection
                raw.execute("PRAGMA busy_timeout = 0")
                raw.execute("PRAGMA wal_autocheckpoint = 0")
                raw.execute(f"PRAGMA synchronous = {'FULL' if self._durable_predictions else 'NORMAL'}")
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise the database's errors as ours. Clients do not see its message, which is the cause."""
        try:
            yield
        except (IntegrityError, DataError):  # the database works, and refuses the row
            raise
        except SQLAlchemyError as error:
            raise self._ours(getattr(error, "orig", None)) from error

    def _ours(self, error: Any) -> JournalUnavailable:
        """Return our error for one of the driver."""
        if _is_lock(error):
            return JournalBusy(LOCKED)
        fault = None if self._guard is None else self._guard.note(error)
        return fault or JournalUnavailable(NO_ANSWER)

    @contextmanager
    def translated_raw(self) -> Iterator[None]:
        """Raise a DBAPI connection's errors as ours; errors of refused rows stay the DBAPI's."""
        dbapi: Any = self._engine.dialect.loaded_dbapi
        try:
            yield
        except (dbapi.IntegrityError, dbapi.DataError, dbapi.ProgrammingError):
            raise
        except dbapi.Error as error:
            raise self._ours(error) from error

    @property
    def file(self) -> Path:
        """The file of a SQLite journal."""
        assert self._guard is not None
        return self._guard.path

    def migrate(self) -> None:
        """Migrate the tables to this release; hosts that start at the same time take turns.

        Raises
        ------
        JournalTooNew
            When a newer release has migrated them, and this one can't use them.
        """
        if self.is_sqlite:
            home.hide(self.file)
        patience_ms = round(migrations.PATIENCE_SECONDS * 1000)
        migrations.migrate(self.read, partial(self.write, durable=True, patience_ms=patience_ms))


def _is_lock(error: Any) -> bool:
    return getattr(error, "sqlstate", None) == "55P03" or sqlite.is_lock(error)  # lock_not_available


def _parse(url: str) -> sa.URL:
    """Return the URL with the driver that we use; SQLite in memory is refused."""
    with suppress(ArgumentError, ValueError):
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "postgresql":
            return _demand_hosts(parsed.set(drivername="postgresql+psycopg"))
        if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
            return parsed.set(drivername="sqlite")
    raise InvalidSettings(
        "PREDICTION_DATABASE_URL: give sqlite:////path/to/file.db or"
        " postgresql+psycopg://user:password@host/database"
    )


def _demand_hosts(url: sa.URL) -> sa.URL:
    """Return the URL if its hosts can be read. After an @ a password would be the name of a host."""
    if "@" in f"{url.host}{url.database}":
        raise InvalidSettings("PREDICTION_DATABASE_URL: write an @ in the user or the password as %40")
    try:
        url.get_dialect()().create_connect_args(url)
    except ArgumentError:
        words = "give each of several hosts as host=name:port (docs/postgresql.md)"
        raise InvalidSettings(f"PREDICTION_DATABASE_URL: {words}") from None
    return url
