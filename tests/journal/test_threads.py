"""Threads for requests that access the journal: timeouts count from the arrival of a request."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from prediction.errors import JournalUnavailable
from prediction.journal import rollups, threads
from prediction.journal.threads import Threads
from tests.servers import PROJECT

HANG = """
import threading
from prediction.errors import JournalUnavailable
from prediction.journal.threads import Threads
try:
    Threads(1).call(0.1, threading.Event().wait)
except JournalUnavailable:
    print("timeout")
"""


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """An event for which a call waits that hangs; it is set at the end."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_is_made_in_another_thread_and_its_answer_returned() -> None:
    """Its answer or its exception comes back."""
    mine = Threads(2)

    async def main() -> None:
        assert 5 == await mine.run(1, sum, [2, 3])
        assert threading.get_ident() != await mine.run(1, threading.get_ident)
        with pytest.raises(ZeroDivisionError):
            await mine.run(1, divmod, 1, 0)

    asyncio.run(main())
    assert 5 == mine.call(1, sum, [2, 3])
    with pytest.raises(ZeroDivisionError):
        mine.call(1, divmod, 1, 0)


def test_each_timeout_counts_from_the_arrival_of_the_call(hanging: threading.Event) -> None:
    """While all threads hang, each call has its own timeout, and a call that timed out is never started."""
    mine, begun = Threads(2), list[int]()

    async def ask(number: int) -> float:
        started = time.monotonic()
        with pytest.raises(JournalUnavailable, match="try again"):
            await mine.run(0.3, hanging.wait if number < 2 else lambda: begun.append(number))
        return time.monotonic() - started

    async def main() -> list[float]:
        return await asyncio.gather(*(ask(number) for number in range(20)))

    waited = asyncio.run(main())
    with pytest.raises(JournalUnavailable):
        mine.call(0.1, begun.append, 20)
    hanging.set()

    assert 3 == mine.call(1, sum, [1, 2])
    assert 0.25 < min(waited) <= max(waited) < 2  # one after the other they would wait for 3 s
    assert [] == begun


def test_each_kind_of_request_has_its_own_threads(hanging: threading.Event) -> None:
    """While readers hang, a call of another kind is answered."""

    async def main() -> None:
        stuck = [asyncio.create_task(threads.READING_THREADS.run(0.3, hanging.wait)) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert 1 == await threads.FEEDBACK_THREADS.run(5, abs, -1)
        assert 1 == await threads.ADMIN_THREADS.run(5, abs, -1)
        assert 1 == await asyncio.wait_for(asyncio.to_thread(abs, -1), 5)
        answers = await asyncio.gather(*stuck, return_exceptions=True)
        assert {JournalUnavailable} == {type(answer) for answer in answers}

    asyncio.run(main())


def test_a_process_ends_although_a_call_hangs() -> None:
    """Its threads are daemons."""
    done = subprocess.run(
        [sys.executable, "-c", HANG], cwd=PROJECT, capture_output=True, text=True, timeout=20, check=True
    )

    assert ("timeout\n", "") == (done.stdout, done.stderr)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_predictions_are_counted_by_a_thread_of_a_low_priority() -> None:
    """Requests come first; the other threads of the process keep their priority."""

    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    mine = niceness()

    assert min(19, mine + threads.NICENESS) == rollups.READER.submit(niceness).result()
    assert mine == niceness()
