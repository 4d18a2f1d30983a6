"""Whether the journal needs a migration, and how one runs beside others. `versions/` has the steps.

A release uses every journal that does not ask for a newer reader, also if a newer release has migrated it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from prediction.errors import JournalBusy, JournalTooNew

HEAD = "0008"
"""The newest migration of this release."""

FOLDER = Path(__file__).parent
TURN_LOCK = 0x70726564  # "pred": any number will do, as long as all hosts use the same

PATIENCE_SECONDS = 60.0
"""A migration that does not get its locks for so long ends the start."""

LOCK_MS = 100
"""Lock timeout of a migration on PostgreSQL. While it waits, statements of others wait behind it."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0
"""Pauses between the attempts to get the locks: each is twice as long as the one before."""

IN_USE = "the journal can't be migrated yet: other transactions use its tables"
OLDEST = sa.text(
    "SELECT a.pid, extract(epoch FROM clock_timestamp() - a.xact_start)"
    " FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND l.granted"
    " AND l.relation IN (SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = CAST("
    "current_schema() AS regnamespace))"
    " WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()"
    " AND a.xact_start < clock_timestamp() - interval '1 s'"
    " ORDER BY a.xact_start LIMIT 1"
)

Lender = Callable[[], AbstractContextManager[sa.Connection]]
_log = logging.getLogger("bentoml.prediction")


def migrate(read: Lender, write: Lender, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Migrate the tables to this release, unless they are of it or of a newer one that they work with.

    Hosts that start at the same time take turns. Others may use the journal meanwhile.

    Parameters
    ----------
    read, write
        Lend a connection that reads, and one in a transaction that is committed at the end. They raise
        `JournalBusy` when they don't get a lock.
    patience_seconds
        Timeout of all attempts to get the locks.

    Raises
    ------
    JournalTooNew
        When a newer release has migrated the journal, and it asks for a newer reader than this release.
    JournalBusy
        When others hold the locks for so long.
    """
    end = time.monotonic() + patience_seconds
    pause_seconds = FIRST_PAUSE_SECONDS
    for attempt in count(1):
        try:
            _try(read, write)
            return
        except JournalBusy as error:
            words = _explain(read, error)
            if time.monotonic() + pause_seconds > end:
                raise JournalBusy(f"{words}; end them, or start again later") from error.__cause__
            _log.warning("%s; attempt %d, the next one in %.1f s", words, attempt, pause_seconds)
        time.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)


def upgrade(connection: sa.Connection, revision: str = "head") -> None:
    """Run the migrations up to a revision, in the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _try(read: Lender, write: Lender) -> None:
    with read() as connection:
        if _is_usable(connection):
            return
    import alembic.command  # noqa: F401 -- it takes a third of a second, in which nobody should wait for the lock

    with write() as connection:
        if connection.dialect.name == "postgresql":
            # Not by the options of the connection, which a pooler between us and the server may refuse.
            connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
            connection.execute(sa.text(f"SET LOCAL lock_timeout = {LOCK_MS}"))
            if not connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(TURN_LOCK))):
                raise JournalBusy("another host migrates the journal")
        if not _is_usable(connection):  # another host may have migrated it meanwhile
            upgrade(connection)


def _is_usable(connection: sa.Connection) -> bool:
    """Return whether the tables need no migration by this release.

    Raises
    ------
    JournalTooNew
        When this release can't use them.
    """
    tables = sa.inspect(connection)
    if not tables.has_table("alembic_version"):
        return False
    revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    if revision == HEAD:
        return True
    if revision is None or any(revision == file.name[:4] for file in (FOLDER / "versions").glob("*.py")):
        return False
    if tables.has_table("journal_format"):
        min_reader = connection.scalar(sa.text("SELECT min_reader FROM journal_format"))
        if min_reader is not None and min_reader <= int(HEAD):
            _log.info("a newer release has migrated the journal (%s); this one can use it", revision)
            return True
    raise JournalTooNew(
        "the journal was written by a newer release: install that one, or set PREDICTION_DATABASE_URL to"
        f" another journal (it is at migration {revision}, this release knows those up to {HEAD})"
    )


def _explain(read: Lender, error: JournalBusy) -> str:
    """Return why the migration waits; on PostgreSQL with the process that has the oldest transaction."""
    if getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) is None:
        return str(error)
    with read() as connection:
        oldest = connection.execute(OLDEST).first()
    return f"{IN_USE} (PostgreSQL's process {oldest[0]} for {oldest[1]:.0f} s)" if oldest else IN_USE
