"""What both recorders of requests do, on the event loop for SQLite and in a thread for PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

import pytest
from prometheus_client import REGISTRY

from prediction.errors import JournalUnavailable
from prediction.journal import recorder
from prediction.journal.database import Journal
from prediction.journal.predictions import CHUNK_ROWS, Prediction
from prediction.journal.recorder import LoopRecorder, Recorder, ThreadRecorder
from tests import databases
from tests.databases import prediction, query
from tests.timing import WENT_ON, turns

journal_url = databases.journal_url
journal = databases.journal

Use = Callable[[], Coroutine[Any, Any, Any]]


@pytest.fixture
def patience_seconds() -> float:
    """How long a request waits for the journal: as long as a busy machine may need."""
    return 20.0


impatient = pytest.mark.parametrize("patience_seconds", [recorder.PATIENCE_SECONDS], ids=["impatient"])
"""Requests wait as long as in a server, because a test lets them fail."""


@pytest.fixture(autouse=True)
def _waiting(patience_seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "PATIENCE_SECONDS", patience_seconds)


@pytest.fixture
def recording(journal: Journal) -> Iterator[Recorder]:
    """The recorder that suits the journal."""
    recording = recorder.make(journal)
    yield recording
    recording.close()


def numbered(rows: int, start: int = 0) -> list[Prediction]:
    """Make predictions numbered from `start` on."""
    return [prediction(number, at_us=number) for number in range(start, start + rows)]


def recorded(url: str) -> list[int]:
    """Return the numbers of the predictions in the journal, in the order they were written."""
    return [number for (number,) in query(url, "SELECT at_us FROM predictions ORDER BY seq")]


def commits() -> float:
    """Return how many commits this process has made."""
    return REGISTRY.get_sample_value("prediction_journal_commit_seconds_count") or 0


def run(main: Use) -> Any:
    """Run a test's coroutine; one that hangs fails."""
    return asyncio.run(asyncio.wait_for(main(), 30))


# ------------------------------------------------------------------------------------- committing


def test_each_database_has_its_recorder(recording: Recorder, journal: Journal) -> None:
    """SQLite is written on the event loop, PostgreSQL in a thread."""
    assert type(recording) is (LoopRecorder if journal.is_sqlite else ThreadRecorder)


def test_what_was_awaited_is_committed(recording: Recorder, journal_url: str) -> None:
    """When `record` returns, another connection sees every row, in order and whole."""

    async def main() -> None:
        await recording.record(numbered(3))
        assert [0, 1, 2] == recorded(journal_url)
        await recording.record([])
        await recording.record(numbered(1, start=3))
        assert [0, 1, 2, 3] == recorded(journal_url)

    run(main)


def test_many_at_once_share_commits(recording: Recorder, journal_url: str) -> None:
    """200 requests at the same moment are all recorded, by fewer commits than requests."""
    before = commits()

    async def main() -> None:
        await asyncio.gather(*(recording.record(numbered(1, number)) for number in range(200)))

    run(main)
    assert list(range(200)) == sorted(recorded(journal_url))
    assert commits() - before < 100


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1] * CHUNK_ROWS, 1),
        ([1] * (CHUNK_ROWS + 1), 2),
        ([CHUNK_ROWS, CHUNK_ROWS, 1], 2),
        ([CHUNK_ROWS - 1, CHUNK_ROWS - 1], 1),
        ([CHUNK_ROWS - 1, 1, CHUNK_ROWS - 1], 2),
    ],
    ids=["a chunk of single rows", "one row more", "full chunks", "short chunks", "more short chunks"],
)
def test_a_commit_of_the_thread_has_short_chunks_and_one_full_chunk(
    recording: ThreadRecorder, journal_url: str, sizes: list[int], expected: int
) -> None:
    """It takes short chunks until it has `CHUNK_ROWS` rows, and one full chunk."""

    async def main() -> float:
        before = commits()
        with recording._arrived:  # so the thread finds all requests at once
            records = (
                recording.record(numbered(rows, number * CHUNK_ROWS)) for number, rows in enumerate(sizes)
            )
            requests = [asyncio.create_task(record) for record in records]
            await asyncio.sleep(0)
        await asyncio.gather(*requests)
        return commits() - before

    assert expected == run(main)
    assert sum(sizes) == len(recorded(journal_url))


def test_a_long_list_leaves_the_loop_to_others(recording: Recorder, journal_url: str) -> None:
    """10,000 rows are recorded in order, and meanwhile the event loop goes on."""

    async def main() -> None:
        async with turns() as made:
            await recording.record(numbered(10_000))
        assert made[0] >= 10_000 / CHUNK_ROWS / 2

    run(main)
    assert list(range(10_000)) == recorded(journal_url)


def test_a_single_row_does_not_wait_for_many_lists(recording: Recorder, journal_url: str) -> None:
    """A row that arrives while six lists of 2,000 rows are recorded is committed long before their end."""

    async def main() -> None:
        lists = [recording.record(numbered(2_000, start)) for start in range(10_000, 22_000, 2_000)]
        crowd = asyncio.gather(*lists)
        await asyncio.sleep(0.01)
        await recording.record(numbered(1))
        assert not crowd.done()
        await crowd

    run(main)
    assert recorded(journal_url).index(0) < 6_000


def test_a_list_does_not_wait_for_a_stream_of_single_rows(recording: Recorder, journal_url: str) -> None:
    """A list of 2,000 rows is committed although single rows arrive all the time."""
    numbers = count(10_000)

    async def stream() -> None:
        while True:
            await recording.record(numbered(1, next(numbers)))

    async def main() -> None:
        streams = [asyncio.create_task(stream()) for _ in range(20)]
        await recording.record(numbered(2_000))
        for each in streams:
            each.cancel()

    run(main)
    assert list(range(2_000)) == [number for number in recorded(journal_url) if number < 10_000]


def test_lists_at_once_are_all_recorded(recording: Recorder, journal_url: str) -> None:
    """Long and short lists that arrive together are each recorded whole."""

    async def main() -> None:
        lists = [numbered(size, start) for start, size in [(0, 1), (1, 999), (1_000, 10), (1_010, 490)]]
        await asyncio.gather(*(recording.record(each) for each in lists))

    run(main)
    assert list(range(1_500)) == sorted(recorded(journal_url))


def test_a_recorder_may_be_used_again_after_closing(
    recording: Recorder, journal: Journal, journal_url: str
) -> None:
    """Closing twice is no error; recording opens another connection."""

    async def main() -> None:
        await recording.record(numbered(1))
        recording.close()
        recording.close()
        await recording.record(numbered(1, start=1))

    run(main)
    assert [0, 1] == recorded(journal_url)


# ----------------------------------------------------------------------------------------- faults


def frozen(_: str) -> AbstractContextManager[None]:
    """Let PostgreSQL hang."""
    return databases.start_postgres().frozen()


def stopped(_: str) -> AbstractContextManager[None]:
    """Stop PostgreSQL."""
    return databases.start_postgres().stopped()


FAULTS = [
    pytest.param("sqlite", databases.locked, id="sqlite locked"),
    pytest.param("postgresql", databases.locked, id="postgresql locked"),
    pytest.param("postgresql", stopped, id="postgresql stopped"),
    pytest.param("postgresql", frozen, id="postgresql frozen"),
]


@pytest.mark.parametrize(("journal_url", "fault"), FAULTS, indirect=["journal_url"])
@pytest.mark.parametrize("warm", [True, False], ids=["after a commit", "before the first commit"])
@impatient
def test_a_journal_that_fails_is_an_error_until_it_works_again(
    recording: Recorder,
    journal_url: str,
    fault: Callable[[str], AbstractContextManager[None]],
    warm: bool,
) -> None:
    """Each request gets its error within about a second, and the loop goes on meanwhile."""
    failures = REGISTRY.get_sample_value("prediction_journal_failures_total") or 0

    async def main() -> None:
        if warm:
            await recording.record(numbered(1, start=99))
        with fault(journal_url):
            async with turns() as made:
                started = time.monotonic()
                requests = [recording.record(numbered(1, number)) for number in range(5)]
                answers = await asyncio.gather(*requests, return_exceptions=True)
                waited = time.monotonic() - started
        assert [True] * 5 == [isinstance(answer, JournalUnavailable) for answer in answers]
        assert waited < 3
        assert made[0] >= WENT_ON * waited
        await record_at_last(recording, numbered(1, start=50))

    run(main)
    assert 50 in recorded(journal_url)
    assert (REGISTRY.get_sample_value("prediction_journal_failures_total") or 0) - failures >= 5


async def record_at_last(recording: Recorder, rows: list[Prediction]) -> None:
    """Record rows as soon as the journal answers again, which must be soon."""
    until = time.monotonic() + 20
    while True:
        try:
            await recording.record(rows)
            return
        except JournalUnavailable:
            assert time.monotonic() < until


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
def test_no_request_fails_after_a_restart(recording: Recorder, journal_url: str) -> None:
    """After a restart of PostgreSQL between two requests, the second one opens a new connection."""

    async def main() -> None:
        await recording.record(numbered(1))
        databases.start_postgres().restart()
        await recording.record(numbered(1, start=1))

    run(main)
    assert [0, 1] == recorded(journal_url)


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
def test_a_commit_whose_answer_is_lost_is_no_error(journal: Journal, journal_url: str) -> None:
    """The retry on a new connection finds the rows in the journal: no error, and no row twice."""
    with databases.Line(databases.start_postgres()) as line:
        recording = recorder.make(Journal(line.url(journal_url)))

        async def main() -> None:
            await recording.record(numbered(1))
            line.answers_to_lose = 1
            await recording.record(numbered(3, start=1))

        run(main)
        recording.close()

    assert 0 == line.answers_to_lose
    assert [0, 1, 2, 3] == recorded(journal_url)


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
@impatient
def test_rows_committed_after_the_timeout_are_deleted(recording: Recorder, journal_url: str) -> None:
    """When PostgreSQL finishes a commit after the client got its error, the rows are deleted."""

    async def main() -> None:
        await recording.record(numbered(1, start=99))
        with databases.start_postgres().frozen(), pytest.raises(JournalUnavailable):
            await recording.record(numbered(3))
        await record_at_last(recording, numbered(1, start=50))

    run(main)
    recording.close()
    assert [99, 50] == recorded(journal_url)


@pytest.mark.parametrize(
    ("journal_url", "cause"),
    [("sqlite", "a lock"), ("sqlite", "a row that is refused"), ("postgresql", "a row that is refused")],
    indirect=["journal_url"],
)
@impatient
def test_a_list_that_fails_midway_leaves_nothing(recording: Recorder, journal_url: str, cause: str) -> None:
    """A list is recorded whole or not at all: its first rows are deleted as soon as the journal allows."""

    async def fail() -> None:
        if cause == "a lock":
            task = asyncio.create_task(recording.record(numbered(10_000, start=100)))
            while len(recorded(journal_url)) < 2 and not task.done():
                await asyncio.sleep(0)
            with databases.locked(journal_url):
                await task
        else:
            await recording.record([*numbered(600, start=100), prediction(99)])

    async def main() -> None:
        await recording.record(numbered(1, start=99))
        with pytest.raises(Exception, match=r"try again|constraint"):
            await fail()
        await recording.record(numbered(1, start=20_000))
        until = time.monotonic() + 20
        while len(recorded(journal_url)) > 2 and time.monotonic() < until:
            await asyncio.sleep(0.05)

    run(main)
    assert [99, 20_000] == recorded(journal_url)


def test_a_list_that_is_cancelled_midway_leaves_nothing(recording: Recorder, journal_url: str) -> None:
    """A request that is cancelled has no answer: the chunks that were committed are deleted."""

    async def main() -> None:
        await recording.record(numbered(1, start=99))
        task = asyncio.create_task(recording.record(numbered(10_000, start=100)))
        while len(recorded(journal_url)) < 2:
            assert not task.done()
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await recording.record(numbered(1, start=20_000))
        until = time.monotonic() + 20
        while len(recorded(journal_url)) > 2 and time.monotonic() < until:
            await asyncio.sleep(0.05)

    run(main)
    assert [99, 20_000] == recorded(journal_url)


def test_a_cancelled_request_does_not_disturb_others(recording: Recorder, journal_url: str) -> None:
    """When a request is cancelled while the journal is locked, the one beside it is recorded."""

    async def main() -> None:
        await recording.record(numbered(1, start=99))
        with databases.locked(journal_url):
            stays = asyncio.create_task(recording.record(numbered(1, start=1)))
            gone = asyncio.create_task(recording.record(numbered(1)))
            await asyncio.sleep(0.02)
            gone.cancel()
            await asyncio.sleep(0.02)
        await stays
        with pytest.raises(asyncio.CancelledError):
            await gone
        await recording.record(numbered(1, start=2))

    run(main)
    assert {1, 2, 99} <= set(recorded(journal_url))


@pytest.mark.parametrize(
    "refused",
    [prediction(99), prediction(1)._replace(at_us=2**70), prediction(1)._replace(features="\ud800")],
    ids=["an id twice", "too large a number", "no text"],
)
def test_a_row_that_can_t_be_written_fails_alone(
    recording: Recorder, journal_url: str, refused: Prediction
) -> None:
    """The request of a refused row gets an error; those beside it and after it do not."""

    async def main() -> None:
        await recording.record(numbered(1, start=99))
        requests = [recording.record(rows) for rows in (numbered(1, 10), [refused], numbered(1, 11))]
        before, wrong, after = await asyncio.gather(*requests, return_exceptions=True)
        assert before is None
        assert isinstance(wrong, Exception)
        assert after is None
        await recording.record(numbered(1, start=12))

    run(main)
    assert [10, 11, 12, 99] == sorted(recorded(journal_url))
