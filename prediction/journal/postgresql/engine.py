"""Connections to PostgreSQL: how they are opened, and how a transaction begins.

A session keeps nothing from one transaction to the next: PgBouncer may give each another session.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

STATEMENT_SECONDS = 10.0
"""Statement timeout."""

SILENT_SECONDS = 5.0
"""Timeout of a transaction that does nothing: its host may have lost its power or its network, and its
locks would stay until TCP gives the connection up, after two hours by default."""

CLIENT = {
    "connect_timeout": 2,  # of each host of the URL
    # A host that has crashed sends nothing: without these, a connection would wait for ever.
    "tcp_user_timeout": 2000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "autocommit": True,  # BEGIN is ours
    "prepare_threshold": None,  # prepared statements belong to a session
}


def make(url: sa.URL, patience_ms: int, **pool: Any) -> sa.Engine:
    """Make an engine for statements with parameters of their own.

    Parameters
    ----------
    patience_ms
        Timeout for a lock.
    pool
        Options of the pool.
    """
    engine = _make(url, {}, pool)
    # A snapshot locks nothing that others wait for, and its rows may be read slowly.
    snapshot = begin(patience_ms, " ISOLATION LEVEL REPEATABLE READ READ ONLY")
    writing = (
        f"{begin(patience_ms)}; SET LOCAL idle_in_transaction_session_timeout = {SILENT_SECONDS * 1000:.0f}"
    )

    def start(connection: sa.Connection) -> None:
        is_snapshot = connection.get_execution_options().get("snapshot")
        connection.exec_driver_sql(snapshot if is_snapshot else writing)

    event.listen(engine, "begin", start)
    event.listen(engine, "after_cursor_execute", _wind_the_clock)
    return engine


def make_for_messages(url: sa.URL, **pool: Any) -> sa.Engine:
    """Make an engine whose raw connections send several statements with their parameters as one message."""
    from psycopg import ClientCursor

    return _make(url, {"cursor_factory": ClientCursor}, pool)


def begin(patience_ms: int, modes: str = "") -> str:
    """Return what begins a transaction with our timeouts, in one message.

    The timeouts are not options of the connection: PgBouncer refuses these.
    """
    return (
        f"BEGIN{modes}; SET LOCAL lock_timeout = {patience_ms};"
        f" SET LOCAL statement_timeout = {STATEMENT_SECONDS * 1000:.0f}"
    )


def _wind_the_clock(_: Any, cursor: Any, *rest: Any) -> None:
    """Let the server count the silence from here: after the driver's pipeline of many rows it does not."""
    is_many = rest[-1]
    if is_many:
        cursor.connection.execute("SELECT 1")


def _make(url: sa.URL, cursors: dict[str, Any], pool: dict[str, Any]) -> sa.Engine:
    return sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,  # after a restart of the server we reconnect, and no request fails
        use_native_hstore=False,  # it would be looked for on each new connection
        connect_args=CLIENT | cursors,
        **pool,
    )
