"""How the journal's database is spoken to: connections, transactions, locks, migrations, errors.

SQLite and PostgreSQL differ here and nowhere else. What is stored is `prediction.journal`'s.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from models_store.errors import InvalidInput
from prediction.errors import InvalidSettings, JournalBusy, JournalTooNew, JournalUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x70726564  # "pred": any number will do, as long as all hosts use the same
LOCK_PATIENCE_MS = 800
"""How long a request waits for a lock."""

STARTING_PATIENCE_MS = 60_000
"""How long a start waits for another one's migrations."""

NO_ANSWER = "the journal does not answer: try again in a second"


class Database:
    """A pool of connections to SQLite or PostgreSQL. Calls block: on an event loop use a thread.

    Raises
    ------
    InvalidSettings
        When the URL names no database that is supported.
    """

    def __init__(self, url: str) -> None:
        try:
            kind = sa.make_url(url).get_backend_name()
        except ArgumentError:
            kind = ""
        if kind == "sqlite":
            self._engine = sa.create_engine(url)
            event.listen(self._engine, "connect", _connect_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        elif kind == "postgresql":
            self._engine = _postgresql(url)
        else:
            raise InvalidSettings(
                "PREDICTION_DATABASE_URL: give sqlite:////path/to/file.db or"
                " postgresql+psycopg://user:password@host/database"
            )
        self.is_sqlite = kind == "sqlite"

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Lend a connection that only reads."""
        with translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, durable: bool = False, patience_ms: int = LOCK_PATIENCE_MS) -> Iterator[sa.Connection]:
        """Lend a connection in a transaction, committed at the end.

        Parameters
        ----------
        durable
            Whether the commit must survive the loss of power. PostgreSQL's always do.
        patience_ms
            How long to wait for another writer's lock, before `JournalBusy`.
        """
        with translated(), self._engine.connect() as raw:
            connection = raw.execution_options(write=True, durable=durable, patience_ms=patience_ms)
            with connection.begin():
                yield connection

    def connect_writer(self, durable: bool) -> sa.Connection:
        """Open a connection of one's own that never waits for a lock."""
        with translated():
            connection = self._engine.connect()
            return connection.execution_options(write=True, durable=durable, patience_ms=0)

    def backup(self, target: Path) -> None:
        """Copy a SQLite journal into a file, whole or not at all, while it is written to.

        Raises
        ------
        InvalidInput
            On PostgreSQL, which has its own tools.
        """
        self._refuse_postgresql("pg_dump")
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        with self.read() as connection, closing(sqlite3.connect(draft)) as copy:
            raw: Any = connection.connection.driver_connection
            raw.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        draft.replace(target)

    def restore(self, source: Path) -> None:
        """Put a backup in the place of a SQLite journal that nobody uses.

        Raises
        ------
        InvalidInput
            When the file is no whole journal; the old one stays.
        """
        self._refuse_postgresql("pg_restore")
        target = Path(str(self._engine.url.database))
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            shutil.copyfile(source, draft)
            with closing(sqlite3.connect(draft)) as copy:
                (state,) = copy.execute("PRAGMA integrity_check").fetchone()
                copy.execute("SELECT version_num FROM alembic_version").fetchone()
                if state != "ok":
                    raise InvalidInput(f"{source} is damaged: {state}")
        except (OSError, sqlite3.Error) as error:
            draft.unlink(missing_ok=True)
            raise InvalidInput(f"{source} is no backup of a journal: {error}") from error
        except InvalidInput:
            draft.unlink(missing_ok=True)
            raise
        self.close()
        for suffix in ("-wal", "-shm"):  # they belong to the journal that goes
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        draft.replace(target)

    def _refuse_postgresql(self, tool: str) -> None:
        if not self.is_sqlite:
            raise InvalidInput(f"the journal is on PostgreSQL: use {tool}")

    def migrate(self) -> None:
        """Bring the tables to this release; hosts that start at once take turns.

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


@contextmanager
def translated() -> Iterator[None]:
    """Raise the database's errors as ours; the cause keeps its words, which clients do not get."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        if _is_lock(error.orig):
            raise JournalBusy("the journal is locked by another process: try again") from error
        raise JournalUnavailable(NO_ANSWER) from error
    except SQLAlchemyError as error:
        raise JournalUnavailable(NO_ANSWER) from error


def _is_lock(error: Any) -> bool:
    locked_by_postgresql = getattr(error, "sqlstate", None) == "55P03"  # lock_not_available
    return locked_by_postgresql or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def _postgresql(url: str) -> sa.Engine:
    limits = f"-c lock_timeout={LOCK_PATIENCE_MS} -c statement_timeout=10000"
    return sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,  # a server that was restarted costs a reconnection, not a request
        pool_timeout=1,
        connect_args={"connect_timeout": 2, "tcp_user_timeout": 2000, "options": limits},
    )


def _connect_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    for pragma in (f"busy_timeout = {LOCK_PATIENCE_MS}", "journal_mode = WAL", "synchronous = NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    """Begin as SQLite needs it.

    A writer takes the write lock first, because a reader that turns writer may fail at once; and a
    commit that must survive the loss of power syncs the log.
    """
    options = connection.get_execution_options()
    wanted = {
        "synchronous": "FULL" if options.get("durable") else "NORMAL",
        "busy_timeout": options.get("patience_ms", LOCK_PATIENCE_MS),
    }
    for pragma, value in wanted.items():
        if connection.info.get(pragma) != value:
            connection.exec_driver_sql(f"PRAGMA {pragma} = {value}")
            connection.info[pragma] = value
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("write") else "BEGIN")
