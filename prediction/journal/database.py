"""The journal's database: connections, transactions, locks, migrations, errors.

SQLite and PostgreSQL differ here and nowhere else. The other modules of this folder query it.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    SQLAlchemyError,
)

from prediction.errors import InvalidSettings, JournalBusy, JournalTooNew, JournalUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0006"
"""The newest of the migrations."""

MIGRATION_LOCK = 0x70726564  # "pred": any number will do, as long as all hosts use the same
ORDER_LOCK = MIGRATION_LOCK + 1
LOCK_PATIENCE_MS = 800
"""How long a client waits for a lock that its predictions or labels need."""

LOCK_POLL_SECONDS = 0.002

WRITE_PATIENCE_MS = 5_000
"""How long any other writer waits for those that come before it: a promotion, a run, periodic work."""

STATEMENT_SECONDS = 10.0
"""How long PostgreSQL works on one statement before it gives up."""

STARTING_PATIENCE_MS = 60_000
"""How long a start waits for another one's migrations."""

WORK_SECONDS = 0.2
"""What a request keeps of its time for the work that it does once it has the lock."""

LOCKED = "the journal is locked by another process: try again"
NO_ANSWER = "the journal does not answer: try again in a second"

_given_up_at: ContextVar[float] = ContextVar("given_up_at", default=math.inf)


@contextmanager
def until(given_up_at: float) -> Iterator[None]:
    """Let no transaction of this thread wait or be committed beyond a time of `time.monotonic`.

    Whoever asked has had an error by then, and is not to be surprised by what was done after it.
    """
    token = _given_up_at.set(given_up_at)
    try:
        yield
    finally:
        _given_up_at.reset(token)


class Journal:
    """A pool of connections to SQLite or PostgreSQL. Calls block: on an event loop use a thread.

    Every call raises `JournalUnavailable` when the database does not answer.

    Parameters
    ----------
    durable_predictions
        Whether predictions too must survive the loss of power, as everything else does.

    Raises
    ------
    InvalidSettings
        When the URL names no database that is supported.
    """

    def __init__(self, url: str, durable_predictions: bool = False) -> None:
        parsed = _parse(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._durable_predictions = durable_predictions
        self._writing = threading.Lock()
        make = _sqlite if self.is_sqlite else _postgresql
        self._engine = make(parsed, pool_timeout=1, max_overflow=15)
        self._writers = make(parsed, poolclass=sa.NullPool)

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Lend a connection that only reads."""
        with translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Lend one that sees, through all of its queries, what there was at the first of them."""
        with self.read() as connection:
            if not self.is_sqlite:  # there every transaction is one
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def add(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows; where the primary key is there already, add to the last column, a counter."""
        if not rows:
            return
        insert: Any  # each dialect has its own; the other one need not be loaded
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
            Whether the commit must survive the loss of power. PostgreSQL's always do.
        patience_ms
            How long to wait for another writer's lock, before `JournalBusy`.

        Raises
        ------
        JournalUnavailable
            Also, and nothing is committed, when that took longer than `until` allows.
        """
        given_up_at = _given_up_at.get()
        patience = min(patience_ms / 1000, given_up_at - WORK_SECONDS - time.monotonic())
        with translated(), self._turn(max(0.0, patience)) as left_ms, self._engine.connect() as raw:
            connection = raw.execution_options(write=True, durable=durable, patience_ms=left_ms)
            with connection.begin():
                yield connection
                if time.monotonic() > given_up_at:
                    raise JournalUnavailable(NO_ANSWER)

    @contextmanager
    def _turn(self, patience_seconds: float) -> Iterator[int]:
        """Let the threads of this process write one by one on SQLite; lend the milliseconds that are left.

        Only one of them then asks for the lock among those of other processes.
        """
        until = time.monotonic() + patience_seconds
        if not self.is_sqlite:
            yield 0
        elif self._writing.acquire(timeout=patience_seconds):
            try:
                yield max(0, int((until - time.monotonic()) * 1000))
            finally:
                self._writing.release()
        else:
            raise JournalBusy(LOCKED)

    def order(self, connection: sa.Connection) -> None:
        """Let what a transaction inserts from here on be numbered in the order of commits.

        PostgreSQL gives a number when a row is inserted: without this, one that is committed later may
        have a smaller number, and whoever reads on from the last number would never meet it.
        """
        if not self.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ORDER_LOCK)))

    def connect_inserter(self) -> Any:
        """Open a DBAPI connection of one's own; on SQLite it never waits for a lock.

        SQLAlchemy is not in its way, because a transaction of one row is over before SQLAlchemy's
        own work would be. It is none of the pool's: an event loop would wait until one is free.
        """
        with self.translated_raw():
            connection = self._writers.raw_connection()
            if self.is_sqlite:
                raw: Any = connection.driver_connection
                raw.execute("PRAGMA busy_timeout = 0")
                raw.execute(f"PRAGMA synchronous = {'FULL' if self._durable_predictions else 'NORMAL'}")
        return connection

    @contextmanager
    def translated_raw(self) -> Iterator[None]:
        """Raise a DBAPI connection's errors as ours; a row that is refused keeps the DBAPI's."""
        dbapi: Any = self._engine.dialect.loaded_dbapi
        try:
            yield
        except (dbapi.IntegrityError, dbapi.DataError, dbapi.ProgrammingError):
            raise
        except dbapi.Error as error:
            if _is_lock(error):
                raise JournalBusy(LOCKED) from error
            raise JournalUnavailable(NO_ANSWER) from error

    @property
    def file(self) -> Path:
        """The file of a SQLite journal."""
        return Path(str(self._engine.url.database))

    def migrate(self) -> None:
        """Bring the tables to this release; hosts that start at once take turns.

        Raises
        ------
        JournalTooNew
            When a newer release has migrated it already.
        """
        until = time.monotonic() + STARTING_PATIENCE_MS / 1000
        while True:
            try:
                self._migrate()
                return
            except JournalBusy:  # merely to connect needs the lock, where the file is being made
                if time.monotonic() > until:
                    raise
            time.sleep(LOCK_POLL_SECONDS)

    def _migrate(self) -> None:
        if self._revision() == HEAD:
            return
        from alembic import command  # a third of a second, which most starts need not pay
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.write(durable=True, patience_ms=STARTING_PATIENCE_MS) as connection:
            if not self.is_sqlite:
                connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
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

    def _revision(self) -> str | None:
        with self.read() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
            return str(found)


@contextmanager
def translated() -> Iterator[None]:
    """Raise the database's errors as ours; the cause keeps its words, which clients do not get."""
    try:
        yield
    except (IntegrityError, DataError):  # the database answers: it is the row that it refuses
        raise
    except DBAPIError as error:
        if _is_lock(error.orig):
            raise JournalBusy(LOCKED) from error
        raise JournalUnavailable(NO_ANSWER) from error
    except SQLAlchemyError as error:
        raise JournalUnavailable(NO_ANSWER) from error


def _is_lock(error: Any) -> bool:
    locked_by_postgresql = getattr(error, "sqlstate", None) == "55P03"  # lock_not_available
    code = getattr(error, "sqlite_errorcode", None) or 0  # the low byte says what, the others why
    return locked_by_postgresql or code & 0xFF == sqlite3.SQLITE_BUSY


def _parse(url: str) -> sa.URL:
    """Return the URL with the one driver that is used; a SQLite without a file is no journal."""
    with suppress(ArgumentError, ValueError):
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
            return parsed.set(drivername="sqlite")
    raise InvalidSettings(
        "PREDICTION_DATABASE_URL: give sqlite:////path/to/file.db or"
        " postgresql+psycopg://user:password@host/database"
    )


def _sqlite(url: sa.URL, **pool: Any) -> sa.Engine:
    engine = sa.create_engine(url, hide_parameters=True, **pool)
    event.listen(engine, "connect", _connect_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql(url: sa.URL, **pool: Any) -> sa.Engine:
    limits = f"-c lock_timeout={LOCK_PATIENCE_MS} -c statement_timeout={STATEMENT_SECONDS * 1000:.0f}"
    # A host that is gone says nothing: without these, what waits for its answer waits for ever.
    alive = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
    return sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,  # a server that was restarted costs a reconnection, not a request
        connect_args={"connect_timeout": 2, "tcp_user_timeout": 2000, "options": limits, **alive},
        **pool,
    )


def _connect_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    for pragma in (f"busy_timeout = {LOCK_PATIENCE_MS}", "journal_mode = WAL", "synchronous = NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    """Begin as SQLite needs it.

    A writer takes the write lock first, because a reader that turns writer may fail at once; and a
    commit that must survive the loss of power syncs the log. It asks for the lock every few
    milliseconds: SQLite's own waiting grows to a tenth of a second, and others would always be first.
    """
    options = connection.get_execution_options()
    is_writer = options.get("write")
    wanted = {
        "synchronous": "FULL" if options.get("durable") else "NORMAL",
        "busy_timeout": 0 if is_writer else LOCK_PATIENCE_MS,
    }
    for pragma, value in wanted.items():
        if connection.info.get(pragma) != value:
            connection.exec_driver_sql(f"PRAGMA {pragma} = {value}")
            connection.info[pragma] = value
    until = time.monotonic() + options.get("patience_ms", 0) / 1000
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")
            return
        except OperationalError as error:
            if not _is_lock(error.orig) or time.monotonic() > until:
                raise
        time.sleep(LOCK_POLL_SECONDS)
