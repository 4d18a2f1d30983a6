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
from prediction.journal.recorder import RETRY_SECONDS
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
    sleep, retries = time.sleep, threading.Event()

    def note(seconds: float) -> None:
        if seconds == RETRY_SECONDS:
            retries.set()
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", note)
    databases.record(journal, numbered(1, start=999_999))
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(file_recorder.record, numbered(100_000))
        while len(recorded(journal_url)) < 2:
            assert not working.done()
        databases.insist(lambda: rollups.roll_up(journal))
        with databases.locked(journal_url):
            retries.clear()
            assert retries.wait(20)  # it has met the lock, with the patience from above
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


def test_rows_that_are_there_already_are_left_as_they_are(journal: Journal, journal_url: str) -> None:
    """What a run records again, after it was cut, is recorded once; its rows stay after an error."""
    first, second = FileRecorder(journal, again=True), FileRecorder(journal, again=True)
    rows = numbered(2 * CHUNK_ROWS + 1)
    first.record(rows[: CHUNK_ROWS + 7])
    second.record([*(row._replace(at_us=-1) for row in rows[: CHUNK_ROWS + 7]), *rows[CHUNK_ROWS + 7 :]])
    assert list(range(2 * CHUNK_ROWS + 1)) == recorded(journal_url)

    refused = prediction(99_999)._replace(model=None)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"(?i)null"):
        second.record([*numbered(CHUNK_ROWS, start=90_000), refused])
    assert 3 * CHUNK_ROWS + 1 == len(recorded(journal_url))
    first.close()
    second.close()


def test_after_each_block_there_is_a_rest(
    file_recorder: FileRecorder, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has met the block finds the journal free at its next attempt."""
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    file_recorder.record(numbered(3 * CHUNK_ROWS))

    assert 3 == len(rests)
    assert min(rests) >= 2 * recorder.RETRY_SECONDS


@pytest.mark.parametrize("journal_url", ["sqlite"], indirect=True)
def test_of_all_that_record_files_one_has_the_turn(
    journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many workers leave a server as much time as one does: a rest is a part of the turn."""
    looks, resting, over = [0], threading.Event(), threading.Event()
    sleep = time.sleep

    def wait(seconds: float) -> None:
        name = threading.current_thread().name
        if name == "first":
            resting.set()
            over.wait(20)
        looks[0] += name == "second"
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", wait)
    recorders = [FileRecorder(journal), FileRecorder(journal)]
    threads = [
        threading.Thread(target=each.record, args=(numbered(1, start=number),), name=name)
        for number, (name, each) in enumerate(zip(("first", "second"), recorders, strict=True))
    ]
    threads[0].start()
    assert resting.wait(20)
    threads[1].start()
    eventually(lambda: looks[0] > 2)
    assert [0] == recorded(journal_url)
    over.set()
    for thread, each in zip(threads, recorders, strict=True):
        thread.join(20)
        each.close()

    assert [0, 1] == recorded(journal_url)
