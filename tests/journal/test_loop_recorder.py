"""The recorder on the event loop of SQLite: few commits, small commits, and locks of other processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prediction.errors import JournalBusy, JournalUnavailable
from prediction.journal.database import Journal
from prediction.journal.predictions import CHUNK_ROWS
from prediction.journal.recorder import PATIENCE_SECONDS, LoopRecorder
from tests.databases import locked, run_at_once
from tests.journal.test_recorder import commits, numbered, recorded
from tests.timing import WENT_ON, turns

RECORD = """
import asyncio
from prediction.journal.database import Journal
from prediction.journal.recorder import LoopRecorder
from tests.journal.test_recorder import numbered

async def main(url, process, count):
    journal = Journal(url)
    recorder = LoopRecorder(journal)
    async def one(number):
        await asyncio.sleep(number % 50 / 1000)
        await recorder.record(numbered(2, start=process * 1_000_000 + number * 2))
    await asyncio.gather(*(one(number) for number in range(count)))
    recorder.close()
    journal.close()

wait()
asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


@pytest.fixture
def recorder(opened: Journal) -> Iterator[LoopRecorder]:
    """A recorder that has recorded nothing yet."""
    recorder = LoopRecorder(opened)
    yield recorder
    recorder.close()


# --------------------------------------------------------------------------------------- commits


def test_an_empty_list_makes_no_commit(recorder: LoopRecorder) -> None:
    """It returns at once and does not touch the database."""
    before = commits()

    asyncio.run(recorder.record([]))

    assert before == commits()


def test_requests_of_one_turn_share_a_commit(recorder: LoopRecorder, url: str) -> None:
    """200 requests that are ready at the same moment are committed together, not one by one."""

    async def main() -> None:
        await asyncio.gather(*(recorder.record(numbered(1, number)) for number in range(200)))

    before = commits()
    asyncio.run(main())

    assert list(range(200)) == recorded(url)
    assert 1 == commits() - before


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(CHUNK_ROWS // 2, CHUNK_ROWS - CHUNK_ROWS // 2, 1), (CHUNK_ROWS, 1, 2), (1, CHUNK_ROWS, 2)],
    ids=["exactly a chunk", "one row more, at the end", "one row more, at the start"],
)
def test_a_shared_commit_has_at_most_a_chunk_of_rows(
    recorder: LoopRecorder, url: str, first: int, second: int, expected: int
) -> None:
    """Two lists share a commit when they fit into one chunk, to the row."""

    async def main() -> None:
        lists = (numbered(first), numbered(second, first))
        await asyncio.gather(*map(recorder.record, lists))

    before = commits()
    asyncio.run(main())

    assert list(range(first + second)) == recorded(url)
    assert expected == commits() - before


@pytest.mark.parametrize(("rows", "expected"), [(2 * CHUNK_ROWS, 2), (2 * CHUNK_ROWS + 1, 3)])
def test_a_long_list_is_committed_in_full_chunks(
    recorder: LoopRecorder, url: str, rows: int, expected: int
) -> None:
    """Every commit but the last has exactly `CHUNK_ROWS` rows."""
    before = commits()
    asyncio.run(recorder.record(numbered(rows)))

    assert list(range(rows)) == recorded(url)
    assert expected == commits() - before


def test_processes_record_into_one_journal(opened: Journal, url: str) -> None:
    """Three busy processes on one SQLite file lose no row, and none of their requests fails."""
    run_at_once(RECORD, [[url, str(number), "300"] for number in range(3)])

    expected = [base * 1_000_000 + number for base in range(3) for number in range(600)]
    assert expected == sorted(recorded(url))


# ----------------------------------------------------------------------------------------- locks


@pytest.mark.parametrize("warm", [True, False], ids=["after a commit", "before the first commit"])
def test_the_loop_goes_on_while_a_short_lock_is_waited_for(
    recorder: LoopRecorder, url: str, warm: bool
) -> None:
    """While another connection writes, the loop serves others; then the rows are written."""

    async def main() -> None:
        if warm:
            await recorder.record(numbered(1, start=99))
        async with turns() as made:
            with locked(url):
                waiting = asyncio.create_task(recorder.record(numbered(1)))
                while made[0] < WENT_ON:
                    await asyncio.sleep(0)
                assert not waiting.done()
            await asyncio.wait_for(waiting, 10)

    asyncio.run(main())

    assert 0 == recorded(url)[-1]


@pytest.mark.parametrize("warm", [True, False], ids=["after a commit", "before the first commit"])
def test_a_long_lock_is_an_error_after_the_timeout(recorder: LoopRecorder, url: str, warm: bool) -> None:
    """The error comes no earlier than the timeout; its row is not recorded after the lock is released."""

    async def main() -> float:
        if warm:
            await recorder.record(numbered(1, start=99))
        with locked(url):
            started = time.monotonic()
            with pytest.raises(JournalBusy):
                await recorder.record(numbered(1))
            waited = time.monotonic() - started
        await asyncio.wait_for(recorder.record(numbered(1, start=1)), 10)
        return waited

    waited = asyncio.run(main())

    assert PATIENCE_SECONDS <= waited < PATIENCE_SECONDS + 3
    assert ([99, 1] if warm else [1]) == recorded(url)


def test_each_request_has_its_own_timeout(recorder: LoopRecorder, url: str) -> None:
    """Of two requests that wait for a lock, the later one is still recorded when the earlier one failed."""

    async def main() -> None:
        await recorder.record(numbered(1, start=99))
        with locked(url):
            early = asyncio.create_task(recorder.record(numbered(1)))
            await asyncio.sleep(PATIENCE_SECONDS * 0.9)
            late = asyncio.create_task(recorder.record(numbered(1, start=1)))
            with pytest.raises(JournalBusy):
                await early
            assert not late.done()
        await asyncio.wait_for(late, 10)

    asyncio.run(main())

    assert [99, 1] == recorded(url)


def test_a_cancelled_request_is_not_recorded(recorder: LoopRecorder, url: str) -> None:
    """A request that is cancelled while it waits leaves no row; the one beside it is recorded."""

    async def main() -> None:
        await recorder.record(numbered(1, start=99))
        with locked(url):
            gone = asyncio.create_task(recorder.record(numbered(1)))
            stays = asyncio.create_task(recorder.record(numbered(1, start=1)))
            await asyncio.sleep(0.05)
            gone.cancel()
        await asyncio.wait_for(stays, 10)
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(main())

    assert [99, 1] == recorded(url)


# ------------------------------------------------------------------------------ a journal that fails


def test_recording_works_once_a_missing_folder_is_there(tmp_path: Path) -> None:
    """While the journal's folder is missing each request fails; afterwards recording works."""
    path = tmp_path / "later" / "journal.db"
    journal = Journal(f"sqlite:///{path}")
    recorder = LoopRecorder(journal)

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(JournalUnavailable):
                await asyncio.wait_for(recorder.record(numbered(1)), 2)
        path.parent.mkdir()
        journal.migrate()
        await asyncio.wait_for(recorder.record(numbered(1)), 2)

    asyncio.run(main())
    recorder.close()
    journal.close()

    assert [0] == recorded(f"sqlite:///{path}")


def test_a_read_only_journal_is_an_error(opened: Journal, url: str, path: Path) -> None:
    """Each request to a file that can't be written fails, and no row is there."""
    read_only = Journal(f"sqlite:///file:{path}?mode=ro&uri=true")
    recorder = LoopRecorder(read_only)

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(JournalUnavailable):
                await asyncio.wait_for(recorder.record(numbered(1)), 2)

    asyncio.run(main())
    recorder.close()
    read_only.close()

    assert [] == recorded(url)


def test_every_request_of_a_failed_commit_gets_the_error(tmp_path: Path) -> None:
    """When a shared commit fails, no request waits for ever."""
    journal = Journal(f"sqlite:///{tmp_path / 'missing' / 'journal.db'}")
    recorder = LoopRecorder(journal)

    async def main() -> list[BaseException | None]:
        requests = (recorder.record(numbered(1, number)) for number in range(20))
        return await asyncio.wait_for(asyncio.gather(*requests, return_exceptions=True), 2)

    answers = asyncio.run(main())
    recorder.close()
    journal.close()

    assert [JournalUnavailable] * 20 == [type(answer) for answer in answers]
