"""The log of a real SQLite journal is moved into its file while one thread commits and others read."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from prediction.errors import JournalUnavailable
from prediction.journal.database import Journal
from prediction.journal.predictions import Inserter
from prediction.journal.sqlite.checkpoints import MOST_PAGES, MOVED_ROWS, Checkpoints, move
from tests import databases
from tests.databases import prediction
from tests.timing import eventually

PAGE_BYTES = 4096 + 24
"""Of the log: a page and its header."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The journal's file."""
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """An empty journal."""
    with databases.opened(f"sqlite:///{path}") as journal:
        yield journal


@pytest.fixture
def inserter(journal: Journal) -> Iterator[Inserter]:
    """What records predictions."""
    with closing(Inserter(journal)) as inserter:
        yield inserter


def rows_without_log(path: Path) -> int:
    """Count the predictions that are in the file itself."""
    alone = path.with_name("alone.db")
    shutil.copyfile(path, alone)
    try:
        with closing(sqlite3.connect(alone)) as connection:
            return int(connection.execute("SELECT count(*) FROM predictions").fetchone()[0])
    except sqlite3.DatabaseError:  # copied while it was written
        return 0


def log_pages(path: Path) -> int:
    """Return how long the log has been at most."""
    return Path(f"{path}-wal").stat().st_size // PAGE_BYTES


NUMBERS = count()


def insert(inserter: Inserter, rows: int) -> None:
    """Insert so many rows as predictions of requests, in commits of a few."""
    for _ in range(rows // 10):
        some = [prediction(next(NUMBERS)) for _ in range(10)]
        databases.insist(partial(inserter.insert, some))


@contextmanager
def lent(journal: Journal, wanted: int) -> Iterator[list[Any]]:
    """Lend so many of SQLite's own connections."""
    connections = [journal.connect_inserter() for _ in range(wanted)]
    try:
        yield [each.driver_connection for each in connections]
    finally:
        for each in connections:
            each.invalidate()


def move_log(journal: Journal) -> int:
    """Move all of the log in this thread, and return how many pages it has after the next commit."""
    with lent(journal, 2) as (moving, reading):
        move(moving, reading, "BEGIN IMMEDIATE")
        databases.record(journal, [prediction(next(NUMBERS))])
        return move(moving, reading).pages


def test_the_log_is_moved(inserter: Inserter, path: Path) -> None:
    """No commit does it; a thread does, some rows at a time."""
    insert(inserter, MOVED_ROWS - 10)
    assert 0 == rows_without_log(path)

    insert(inserter, 10)

    eventually(lambda: rows_without_log(path) == MOVED_ROWS)


def test_the_log_of_many_commits_stays_short(inserter: Inserter, path: Path) -> None:
    """It begins anew although new rows come all the time."""
    insert(inserter, 20 * MOVED_ROWS)

    assert log_pages(path) < 2 * MOST_PAGES


def test_who_reads_for_long_keeps_nobody_out(journal: Journal, inserter: Inserter, path: Path) -> None:
    """The log grows meanwhile, and begins anew afterwards."""
    with journal.snapshot() as reading:
        reading.exec_driver_sql("SELECT count(*) FROM predictions").all()
        while log_pages(path) <= MOST_PAGES:
            insert(inserter, MOVED_ROWS)
        inserter.close()  # so that its thread does not move the log too
        assert move_log(journal) > MOST_PAGES

    assert move_log(journal) < 10


class Meanwhile:
    """A connection of which somebody else makes use of the time, at the end of each statement."""

    def __init__(self, connection: Any, act: Callable[[], None]) -> None:
        self._connection, self._act = connection, act

    def execute(self, query: str) -> Any:
        """Execute a statement."""
        done = self._connection.execute(query)
        self._act()
        return done


def test_the_log_does_not_begin_anew_while_it_is_moved(journal: Journal) -> None:
    """It is moved whole, so the next commit would begin it anew; SQLite may lose pages then."""
    grown = []
    with lent(journal, 3) as (moving, reading, looking):

        def commit() -> None:
            databases.record(journal, [prediction(next(NUMBERS))])
            grown.append(looking.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])

        databases.record(journal, [prediction(next(NUMBERS)) for _ in range(100)])
        pages = move(Meanwhile(moving, commit), reading).pages

    assert grown[0] > pages > 10


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [JournalUnavailable("for a while"), RuntimeError("unexpected")])
def test_a_move_that_fails_is_tried_again(journal: Journal, path: Path, error: Exception) -> None:
    """Whatever the reason was, the log does not grow for ever."""
    databases.record(journal, [prediction(next(NUMBERS))])
    turns = []

    @contextmanager
    def guarded() -> Iterator[None]:
        turns.append(threading.current_thread())
        if len(turns) == 1:
            raise error
        yield

    with closing(Checkpoints(journal.connect_inserter, guarded)) as checkpoints:
        checkpoints.committed(MOVED_ROWS)
        eventually(lambda: len(turns) == 1)
        if isinstance(error, RuntimeError):
            turns[0].join(20)
        checkpoints.committed(MOVED_ROWS)
        eventually(lambda: rows_without_log(path) == 1)


def test_a_clean_end_leaves_no_log(path: Path) -> None:
    """Its content is in the file, which may be copied then."""
    with databases.opened(f"sqlite:///{path}") as journal, closing(Inserter(journal)) as inserter:
        insert(inserter, 2 * MOVED_ROWS)

    assert ["journal.db"] == [each.name for each in path.parent.iterdir()]
    assert 2 * MOVED_ROWS == rows_without_log(path)
