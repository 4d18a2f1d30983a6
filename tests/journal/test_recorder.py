"""The recorder on a real journal: shared commits, and a loop that never stands still."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from prediction.errors import JournalBusy, JournalUnavailable
from prediction.journal.database import Journal
from prediction.journal.predictions import Prediction
from prediction.journal.recorder import CHUNK_ROWS, PATIENCE_SECONDS, LoopRecorder
from tests.databases import locked, run_at_once
from tests.timing import WENT_ON, turns

RECORD = """
import asyncio
from prediction.journal.database import Journal
from prediction.journal.recorder import LoopRecorder
from tests.journal.test_recorder import predictions

async def main(url, process, count):
    journal = Journal(url)
    recorder = LoopRecorder(journal)
    async def one(number):
        await asyncio.sleep(number % 50 / 1000)
        await recorder.record(predictions(2, start=process * 1_000_000 + number * 2))
    await asyncio.gather(*(one(number) for number in range(count)))
    recorder.close()
    journal.close()

wait()
asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal's file is."""
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """A migrated journal."""
    journal = Journal(f"sqlite:///{path}")
    journal.migrate()
    yield journal
    journal.close()


@pytest.fixture
def recorder(journal: Journal) -> Iterator[LoopRecorder]:
    """A recorder that has recorded nothing yet."""
    recorder = LoopRecorder(journal)
    yield recorder
    recorder.close()


def predictions(count: int, start: int = 0) -> list[Prediction]:
    """Make predictions whose ids are numbers from `start` on."""
    return [
        Prediction(f"{number:036d}", number, "iris", "v", "{}", "setosa", {"setosa": 1.0}, [])
        for number in range(start, start + count)
    ]


def recorded(path: Path) -> list[int]:
    """Return the numbers of the predictions in the journal, in the order they were written."""
    with closing(sqlite3.connect(path)) as connection:
        return [int(row[0]) for row in connection.execute("SELECT at_us FROM predictions ORDER BY seq")]


def commits() -> float:
    """Return how many commits this process has made."""
    return REGISTRY.get_sample_value("prediction_journal_commit_seconds_count") or 0


# ------------------------------------------------------------------------------------- committing


def test_what_was_recorded_is_committed(recorder: LoopRecorder, path: Path) -> None:
    """When `record` returns, another connection sees every row, in order."""

    async def main() -> list[int]:
        await recorder.record(predictions(3))
        return recorded(path)

    assert [0, 1, 2] == asyncio.run(main())


def test_nothing_to_record_is_no_commit(recorder: LoopRecorder) -> None:
    """An empty list returns at once and touches no database."""
    before = commits()

    asyncio.run(recorder.record([]))

    assert before == commits()


def test_many_at_once_share_few_commits(recorder: LoopRecorder, path: Path) -> None:
    """200 requests that are ready at the same moment are committed together, not one by one."""

    async def main() -> None:
        await asyncio.gather(*(recorder.record(predictions(1, number)) for number in range(200)))

    before = commits()
    asyncio.run(main())

    assert list(range(200)) == recorded(path)
    assert commits() - before <= 3


def test_a_group_is_no_longer_than_a_chunk(recorder: LoopRecorder, path: Path) -> None:
    """What waits together is split where one commit would hold the loop too long."""

    async def main() -> None:
        batches = [recorder.record(predictions(100, 100 * number)) for number in range(10)]
        await asyncio.gather(*batches)

    before = commits()
    asyncio.run(main())

    assert list(range(1000)) == recorded(path)
    assert 1000 / CHUNK_ROWS <= commits() - before <= 10


def test_a_long_list_leaves_the_loop_to_others(recorder: LoopRecorder, path: Path) -> None:
    """10,000 rows are committed in chunks, and between them everything else goes on."""

    async def main() -> int:
        async with turns() as made:
            await recorder.record(predictions(10_000))
        return made[0]

    before = commits()
    went_on = asyncio.run(main())

    assert list(range(10_000)) == recorded(path)
    assert 10_000 / CHUNK_ROWS == commits() - before
    assert went_on >= 10_000 / CHUNK_ROWS / 2


def test_a_recorder_may_be_used_again_after_closing(recorder: LoopRecorder, path: Path) -> None:
    """Closing gives the connection back, and recording opens another."""

    async def main() -> None:
        await recorder.record(predictions(1))
        recorder.close()
        await recorder.record(predictions(1, start=1))

    asyncio.run(main())

    assert [0, 1] == recorded(path)


def test_processes_record_into_one_journal(journal: Journal, path: Path) -> None:
    """Three busy processes on one SQLite file lose nothing and give nothing up."""
    run_at_once(RECORD, [[f"sqlite:///{path}", str(number), "300"] for number in range(3)])

    expected = [base * 1_000_000 + number for base in range(3) for number in range(600)]
    assert expected == sorted(recorded(path))


# ------------------------------------------------------------------------------------ a held lock


@pytest.mark.parametrize("warm", [True, False], ids=["at work", "at the very first"])
def test_a_short_lock_is_waited_for_off_the_loop(recorder: LoopRecorder, path: Path, warm: bool) -> None:
    """While another connection writes the loop goes on, and then the rows are written."""

    async def main() -> None:
        if warm:
            await recorder.record(predictions(1, start=99))
        async with turns() as made:
            with locked(f"sqlite:///{path}"):
                waiting = asyncio.create_task(recorder.record(predictions(1)))
                while made[0] < WENT_ON:
                    await asyncio.sleep(0)
                assert not waiting.done()
            await asyncio.wait_for(waiting, 10)

    asyncio.run(main())

    assert 0 == recorded(path)[-1]


@pytest.mark.parametrize("warm", [True, False], ids=["at work", "at the very first"])
def test_a_long_lock_is_given_up_and_got_over(recorder: LoopRecorder, path: Path, warm: bool) -> None:
    """A lock held too long is an error within about a second; once released, all works as before."""

    async def main() -> float:
        if warm:
            await recorder.record(predictions(1, start=99))
        with locked(f"sqlite:///{path}"):
            async with turns() as made:
                started = time.monotonic()
                with pytest.raises(JournalUnavailable):
                    await recorder.record(predictions(1))
                waited = time.monotonic() - started
        assert made[0] >= WENT_ON * waited
        await asyncio.wait_for(recorder.record(predictions(1, start=1)), 10)
        return waited

    waited = asyncio.run(main())

    assert PATIENCE_SECONDS <= waited < PATIENCE_SECONDS + 3
    assert ([99, 1] if warm else [1]) == recorded(path)


def test_each_request_waits_its_own_time(recorder: LoopRecorder, path: Path) -> None:
    """Of two requests behind a lock, the one that came later is still answered when it ends."""

    async def main() -> None:
        await recorder.record(predictions(1, start=99))
        with locked(f"sqlite:///{path}"):
            early = asyncio.create_task(recorder.record(predictions(1)))
            await asyncio.sleep(PATIENCE_SECONDS * 0.9)
            late = asyncio.create_task(recorder.record(predictions(1, start=1)))
            with pytest.raises(JournalBusy):
                await early
            assert not late.done()
        await asyncio.wait_for(late, 10)

    asyncio.run(main())

    assert [99, 1] == recorded(path)


def test_a_client_that_left_holds_nobody_up(recorder: LoopRecorder, path: Path) -> None:
    """A request that is cancelled behind a lock is dropped, and the one beside it is recorded."""

    async def main() -> None:
        await recorder.record(predictions(1, start=99))
        with locked(f"sqlite:///{path}"):
            gone = asyncio.create_task(recorder.record(predictions(1)))
            stays = asyncio.create_task(recorder.record(predictions(1, start=1)))
            await asyncio.sleep(0.05)
            gone.cancel()
            await asyncio.sleep(0.05)
        await asyncio.wait_for(stays, 10)
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(main())

    assert [99, 1] == recorded(path)


# ----------------------------------------------------------------------------- a journal that fails


def test_a_missing_folder_is_an_error_until_it_is_there(tmp_path: Path) -> None:
    """A journal whose folder is gone fails each request, and works once the folder is back."""
    path = tmp_path / "later" / "journal.db"
    journal = Journal(f"sqlite:///{path}")
    recorder = LoopRecorder(journal)

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(JournalUnavailable):
                await asyncio.wait_for(recorder.record(predictions(1)), 2)
        path.parent.mkdir()
        journal.migrate()
        await asyncio.wait_for(recorder.record(predictions(1)), 2)

    asyncio.run(main())
    recorder.close()
    journal.close()

    assert [0] == recorded(path)


def test_a_read_only_journal_is_an_error(journal: Journal, path: Path) -> None:
    """A file that may not be written fails each request, and no row is half there."""
    read_only = Journal(f"sqlite:///file:{path}?mode=ro&uri=true")
    recorder = LoopRecorder(read_only)

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(JournalUnavailable):
                await asyncio.wait_for(recorder.record(predictions(1)), 2)

    asyncio.run(main())
    recorder.close()
    read_only.close()

    assert [] == recorded(path)


def test_every_request_of_a_group_that_fails_is_told(tmp_path: Path) -> None:
    """When a shared commit fails, none of its requests is left waiting."""
    journal = Journal(f"sqlite:///{tmp_path / 'missing' / 'journal.db'}")
    recorder = LoopRecorder(journal)

    async def main() -> list[BaseException | None]:
        requests = (recorder.record(predictions(1, number)) for number in range(20))
        return await asyncio.wait_for(asyncio.gather(*requests, return_exceptions=True), 2)

    outcomes = asyncio.run(main())
    recorder.close()
    journal.close()

    assert [JournalUnavailable] * 20 == [type(outcome) for outcome in outcomes]


@pytest.mark.parametrize(
    "refused",
    [
        predictions(1, start=99)[0],
        predictions(1)[0]._replace(at_us=2**70),
        predictions(1)[0]._replace(predicted_class="\ud800"),
    ],
    ids=["an id twice", "too large a number", "no text"],
)
def test_a_row_that_can_t_be_written_fails_alone(
    recorder: LoopRecorder, path: Path, refused: Prediction
) -> None:
    """Whatever the database refuses, its request gets an error and later ones are recorded."""

    async def main() -> None:
        await recorder.record(predictions(1, start=99))
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            await asyncio.wait_for(recorder.record([refused]), 2)
        assert not isinstance(caught.value, TimeoutError)
        await asyncio.wait_for(recorder.record(predictions(1, start=1)), 2)

    asyncio.run(main())

    assert [99, 1] == recorded(path)


def test_a_row_that_can_t_be_written_fails_no_request_beside_it(recorder: LoopRecorder, path: Path) -> None:
    """Of requests that share a commit, only the one with the bad row gets an error."""

    async def main() -> list[BaseException | None]:
        await recorder.record(predictions(1, start=99))
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        rows = [predictions(1, start=number) for number in (1, 99, 2)]
        requests = asyncio.gather(*map(recorder.record, rows), return_exceptions=True)
        return await asyncio.wait_for(requests, 10)

    before, refused, after = asyncio.run(main())

    assert (None, None) == (before, after)
    assert isinstance(refused, Exception)
    assert [99, 1, 2] == recorded(path)
