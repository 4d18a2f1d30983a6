"""Connections to SQLite: how they are opened, and how a transaction begins."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from prediction.journal.sqlite import guard
from prediction.journal.sqlite.guard import Guard

FILES = "files"
"""The key of a connection's `info` under which are the files that it has open."""

LOCK_POLL_SECONDS = 0.002
"""Pause before the next attempt to get SQLite's lock."""


def make(url: sa.URL, guarding: Guard, patience_ms: int, **pool: Any) -> sa.Engine:
    """Make an engine whose connections never make a file: a deleted journal must not become an empty one.

    Parameters
    ----------
    patience_ms
        Timeout of a reader for a lock.
    pool
        Options of the pool.
    """
    engine = sa.create_engine(url, hide_parameters=True, **pool)

    def connect(dialect: Any, record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        record.info[FILES] = guarding.before_opening()
        if not arguments[0].startswith("file:"):
            arguments, options = [guard.address(arguments[0])], {**options, "uri": True}
        return dialect.connect(*arguments, **options)

    def connected(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, see _begin
        for pragma in (f"busy_timeout = {patience_ms}", "journal_mode = WAL", "synchronous = NORMAL"):
            connection.execute(f"PRAGMA {pragma}")
        record.info[FILES] = guarding.opened(record.info[FILES])

    def begin(connection: sa.Connection) -> None:
        _begin(connection, patience_ms)

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begin)
    return engine


def _begin(connection: sa.Connection, reading_patience_ms: int) -> None:
    """Begin a transaction.

    A writer takes the write lock first, because a reader that becomes a writer may fail at once. It tries
    every few milliseconds: SQLite itself waits up to a tenth of a second between two attempts, and other
    writers would always be faster. A commit that must survive a loss of power syncs the log.
    """
    options = connection.get_execution_options()
    is_writer = options.get("write")
    wanted = {
        "synchronous": "FULL" if options.get("durable") else "NORMAL",
        "busy_timeout": 0 if is_writer else reading_patience_ms,
    }
    for pragma, value in wanted.items():
        if connection.info.get(pragma) != value:
            connection.exec_driver_sql(f"PRAGMA {pragma} = {value}")
            connection.info[pragma] = value
    end = time.monotonic() + options.get("patience_ms", 0) / 1000
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")
            return
        except OperationalError as error:
            if not is_lock(error.orig) or time.monotonic() > end:
                raise
        time.sleep(LOCK_POLL_SECONDS)


def is_lock(error: Any) -> bool:
    """Return whether SQLite refused to wait for a lock any longer."""
    code = getattr(error, "sqlite_errorcode", None) or 0  # the low byte is the error, the others the reason
    return code & 0xFF == sqlite3.SQLITE_BUSY
