"""Lanes: requests that wait are scored in one call, in order, and none spoils another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import joblib
import pytest
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

from prediction.serving.lanes import INLINE_ROWS, JOINED_ROWS, Direct, Joining


class Scoring:
    """Answers each row by its double; notes the size of each call, and waits until it may answer."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.sizes: list[Any] = []
        self.threads: list[threading.Thread] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, rows: Any, sizes: Any = None) -> Any:
        self.calls.append(len(rows))
        self.sizes.append(sizes)
        self.threads.append(threading.current_thread())
        assert self.may_answer.wait(20)
        if "bad" in rows:
            raise ValueError("bad")
        return [row * 2 for row in rows]


def together(scoring: Scoring, *requests: Any) -> list[Any]:
    """Send one request, and the others while it is scored; return each one's answer or error."""
    lane = Joining(scoring)
    scoring.may_answer.clear()

    async def run() -> list[Any]:
        tasks = [asyncio.create_task(lane.predict(requests[0]))]
        while not scoring.calls:
            await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(lane.predict(each)) for each in requests[1:]]
        await asyncio.sleep(0)
        scoring.may_answer.set()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    return asyncio.run(asyncio.wait_for(run(), 20))


def test_requests_that_wait_are_scored_in_one_call() -> None:
    """Each gets the answers to its own rows, in their order."""
    scoring = Scoring()

    assert [[2], [4, 6], [8], [10, 12, 14]] == together(scoring, [1], [2, 3], [4], [5, 6, 7])
    assert [1, 6] == scoring.calls
    assert threading.main_thread() not in scoring.threads


def test_a_long_batch_goes_part_by_part() -> None:
    """A single row that comes meanwhile waits for one part, not for the batch."""
    scoring = Scoring()
    many = list(range(3 * JOINED_ROWS))

    answers = together(scoring, many, [7])

    assert [[row * 2 for row in many], [14]] == answers
    assert [JOINED_ROWS, 1, JOINED_ROWS, JOINED_ROWS] == scoring.calls


def test_a_row_that_fails_spoils_no_other_request() -> None:
    """The requests of a call that fails are scored again, each alone."""
    answers = together(Scoring(), [1], [2], ["bad"], [3])

    assert [[2], [4], [6]] == [answers[0], answers[1], answers[3]]
    assert isinstance(answers[2], ValueError)


def test_rows_of_clients_that_have_gone_are_not_scored() -> None:
    """A cancelled request takes no room in the next call."""
    scoring = Scoring()
    scoring.may_answer.clear()
    lane = Joining(scoring)

    async def run() -> Any:
        first = asyncio.create_task(lane.predict([1]))  # type: ignore[list-item]
        while not scoring.calls:
            await asyncio.sleep(0.001)
        gone = asyncio.create_task(lane.predict([2]))  # type: ignore[list-item]
        last = asyncio.create_task(lane.predict([3]))  # type: ignore[list-item]
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        scoring.may_answer.set()
        return await first, await last

    assert ([2], [6]) == asyncio.run(asyncio.wait_for(run(), 20))
    assert [1, 1] == scoring.calls


@pytest.mark.parametrize("call", [_openmp_effective_n_threads, lambda: joblib.effective_n_jobs(-1)])
def test_a_pipeline_uses_one_core(call: Callable[[], int]) -> None:
    """Whatever its `n_jobs` is: with OpenMP's default two workers stop each other."""
    lane = Joining(lambda rows: [call() for _ in rows])  # type: ignore[misc]

    assert [1] == asyncio.run(lane.predict([0]))  # type: ignore[list-item]


def at_once(scoring: Scoring, *requests: Any) -> list[Any]:
    """Send requests to a compiled version at one turn of the loop; return each one's answer or error."""
    lane = Direct(scoring)

    async def run() -> list[Any]:
        return await asyncio.gather(*map(lane.predict, requests), return_exceptions=True)

    return asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize(("rows", "inline"), [(INLINE_ROWS, True), (INLINE_ROWS + 1, False)])
def test_a_compiled_version_scores_few_rows_on_the_loop(rows: int, inline: bool) -> None:
    """Many rows go to a thread."""
    scoring = Scoring()
    answer: Awaitable[Any] = Direct(scoring).predict([1] * rows)  # type: ignore[list-item]

    async def run() -> Any:
        return await answer

    assert [2] * rows == asyncio.run(run())
    assert inline is (scoring.threads == [threading.main_thread()])


def test_a_compiled_version_scores_requests_of_one_turn_in_one_call() -> None:
    """Each gets the answers to its own rows; no call has more rows than the loop may score.

    The call is told which rows are of one request.
    """
    scoring = Scoring()
    many = list(range(INLINE_ROWS - 3))

    answers = at_once(scoring, [1], [2, 3], many, [4], [])

    assert [[2], [4, 6], [row * 2 for row in many], [8], []] == answers
    assert [INLINE_ROWS, 1] == scoring.calls
    assert [[1, 2, INLINE_ROWS - 3], [1, 0]] == scoring.sizes


def test_a_row_that_fails_spoils_no_other_request_of_its_turn() -> None:
    """Of a compiled version too; later requests are scored as ever."""
    scoring = Scoring()

    answers = at_once(scoring, [1], ["bad"], [2])

    assert [[2], [4]] == [answers[0], answers[2]]
    assert isinstance(answers[1], ValueError)
    assert [3, 1, 1, 1] == scoring.calls


def test_a_compiled_version_scores_no_row_of_a_client_that_has_gone() -> None:
    """If nobody is left there is no call, and the next request is answered."""
    scoring = Scoring()
    lane = Direct(scoring)

    async def run() -> Any:
        gone = asyncio.create_task(lane.predict([1]))  # type: ignore[list-item]
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        return await lane.predict([2])  # type: ignore[list-item]

    assert [4] == asyncio.run(asyncio.wait_for(run(), 20))
    assert [1] == scoring.calls
