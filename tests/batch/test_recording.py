"""Recording the rows of files, where blocking is allowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from prediction.batch import recording
from prediction.batch.recording import FileRecorder
from prediction.errors import JournalBusy, JournalUnavailable
from prediction.journal import recorder, rollups
from prediction.journal.database import Journal
from prediction.journal.predictions import CHUNK_ROWS
from prediction.times import HOUR_US, now_us
from tests import databases
from tests.databases import prediction
from tests.journal.test_recorder import commits, numbered, recorded
from tests.timing import eventually

journal_url = databases.journal_url
journal = databases.journal


@pytest.fixture
def file_recorder(journal: Journal) -> Iterator[FileRecorder]:
    """A recorder for the rows of files."""
    file_recorder = FileRecorder(journal)
    yield file_recorder
    file_recorder.close()


def test_rows_of_a_file_are_committed_in_chunks(file_recorder: FileRecorder, journal_url: str) -> None:
    """Every commit but the last has exactly `CHUNK_ROWS` rows; no rows are no commit."""
    before = commits()

    file_recorder.record([])
    file_recorder.record(numbered(2 * CHUNK_ROWS + 1))

    assert list(range(2 * CHUNK_ROWS + 1)) == recorded(journal_url)
    assert 3 == commits() - before


def test_a_file_waits_longer_for_a_lock_than_a_request(
    file_recorder: FileRecorder, journal_url: str
) -> None:
    """Rows of a file are recorded after a lock that is longer than the timeout of requests."""
    with ThreadPoolExecutor(1) as pool:
        with databases.locked(journal_url):
            working = pool.submit(file_recorder.record, numbered(3))
            time.sleep(2 * recorder.PATIENCE_SECONDS)
            assert not working.done()
        working.result(timeout=20)

    assert [0, 1, 2] == recorded(journal_url)


def test_a_file_that_fails_at_a_lock_leaves_nothing(
    file_recorder: FileRecorder, journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were committed before the lock are deleted before the error, and counted no longer."""
    monkeypatch.setattr(recording, "FILE_PATIENCE_SECONDS", 1.0)
    databases.record(journal, numbered(1, start=999_999))
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(file_recorder.record, numbered(400_000))
        while len(recorded(journal_url)) < 2:
            assert not working.done()
        databases.insist(lambda: rollups.roll_up(journal))
        with databases.locked(journal_url):
            monkeypatch.setattr(recording, "FILE_PATIENCE_SECONDS", 20.0)
            eventually(lambda: "deletions" in [thread.name for thread in threading.enumerate()])
            assert not working.done()
        with pytest.raises(JournalBusy):
            working.result(timeout=30)

    assert [999_999] == recorded(journal_url)
    assert 1 == sum(item.rows for item in rollups.counts(journal, "iris", 0, now_us(), HOUR_US))


def test_a_file_that_fails_late_says_what_is_kept(
    file_recorder: FileRecorder, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of earlier calls stay in the journal, and the error counts them; without any it says nothing."""
    monkeypatch.setattr(recording, "FILE_PATIENCE_SECONDS", 0.1)
    with databases.locked(journal_url), pytest.raises(JournalUnavailable) as first:
        file_recorder.record(numbered(1, start=99_999))
    file_recorder.record(numbered(CHUNK_ROWS * 5))
    with databases.locked(journal_url), pytest.raises(JournalUnavailable) as late:
        file_recorder.record(numbered(1, start=99_999))

    sentence = "; 1,250 rows of the file stay recorded, and scoring it again records them again"
    assert "rows" not in str(first.value)
    assert str(late.value).endswith(sentence)
    assert list(range(1_250)) == recorded(journal_url)


def test_a_file_with_a_refused_row_leaves_nothing(file_recorder: FileRecorder, journal_url: str) -> None:
    """Rows of earlier chunks are deleted before the error; the recorder can be used again."""
    file_recorder.record(numbered(1, start=99_999))

    with pytest.raises(Exception, match="constraint"):
        file_recorder.record([*numbered(2 * CHUNK_ROWS + 1), prediction(99_999)])

    assert [99_999] == recorded(journal_url)
    file_recorder.record(numbered(1))
    assert [99_999, 0] == recorded(journal_url)


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
def test_a_restart_does_not_interrupt_a_file(file_recorder: FileRecorder, journal_url: str) -> None:
    """After a restart of PostgreSQL between two chunks, recording goes on with a new connection."""
    file_recorder.record(numbered(1))
    databases.start_postgres().restart()
    file_recorder.record(numbered(1, start=1))

    assert [0, 1] == recorded(journal_url)
