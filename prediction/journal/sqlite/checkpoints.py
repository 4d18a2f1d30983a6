"""Moves the log (-wal) of a SQLite journal into its file, in a thread beside the one that commits.

SQLite would do it within a commit, as soon as the log has 1,000 pages: under load ten times a second, for
5 ms each, in which an event loop that commits stands still. A thread can do it while others commit. But
then the log is never moved whole, which it must be to begin anew, and grows. So when it is long, the rest,
which is short by then, is moved while nobody may commit.

SQLite before 3.51.3 may lose pages if a commit begins the log anew just when somebody starts to move it
(https://www.sqlite.org/wal.html#walresetbug). So a second connection reads meanwhile: what somebody reads
stays in the log, and a log that was moved whole is not moved while somebody reads the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from prediction.errors import JournalBusy, JournalUnavailable

MOVED_ROWS = 1_000
"""Rows after which the log is moved: of a small model about 700 pages, and 5 ms of work."""

MOST_PAGES = 4_000
"""Pages after which the log begins anew: 16 MB. It grows beyond them while somebody reads for long."""

ATTEMPTS, PAUSE_SECONDS = 10, 0.001
"""How often it tries to move the rest, and the pause between."""

CLOSE_SECONDS = 1.0
"""Timeout for a move that is not finished when it is closed."""


class Checkpoints:
    """Moves the log for one writer; its methods are not for threads.

    Parameters
    ----------
    connect
        Opens a connection that never waits for a lock.
    guarded
        Makes a context in which the database is used: its errors become `JournalUnavailable`, and it is
        not entered if the journal's files are not the writer's any more.
    """

    def __init__(
        self, connect: Callable[[], Any], guarded: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._connect, self._guarded = connect, guarded
        self._rows = 0
        self._due: SimpleQueue[bool] = SimpleQueue()
        self._thread: Thread | None = None

    def committed(self, rows: int) -> None:
        """Count rows that were committed, and let the log be moved when there are enough of them."""
        self._rows += rows
        if self._rows < MOVED_ROWS or not self._due.empty():
            return
        self._rows = 0
        if self._thread is None or not self._thread.is_alive():  # ended by an error of no database
            self._thread = Thread(target=self._work, name="checkpoints", daemon=True)
            self._thread.start()
        self._due.put(True)

    def close(self) -> None:
        """Close the connections, after the move that goes on."""
        if self._thread is not None:
            self._due.put(False)
            self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        opened: list[Any] = []
        while self._due.get():
            with suppress(JournalUnavailable):  # the guard tells of what is wrong
                with self._guarded():
                    opened.extend(self._connect() for _ in range(2 - len(opened)))
                self._move(*(each.driver_connection for each in opened))
        for connection in opened:
            connection.invalidate()

    def _move(self, moving: Any, reading: Any) -> None:
        """Move what is in the log now; if it is long, then also the rest, so that it can begin anew."""
        with self._guarded():
            state = move(moving, reading)
        for _ in range(ATTEMPTS if state.pages > MOST_PAGES else 0):
            with suppress(JournalBusy), self._guarded():
                state = move(moving, reading, "BEGIN IMMEDIATE")
                if state.moved == state.pages >= 0:
                    return
            time.sleep(PAUSE_SECONDS)


class State(NamedTuple):
    """The pages that the log has, and how many of them are in the file too.

    Both are -1 while somebody else moves it.
    """

    pages: int
    moved: int


def move(moving: Any, reading: Any, begin: str = "BEGIN") -> State:
    """Move what is in the log.

    Parameters
    ----------
    moving, reading
        Two DBAPI connections.
    begin
        How the second one begins: as a writer it keeps other writers out, and all of the log is moved,
        unless somebody reads an older state of it.
    """
    reading.execute(begin)
    try:
        reading.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        return State(*moving.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1:])
    finally:
        reading.execute("ROLLBACK")
