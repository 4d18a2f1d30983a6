"""Tasks given to an executor: few at a time, again after a death, and none after an error of all."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from models_store.errors import InvalidInput
from prediction.batch.bulk import running


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    """Two threads."""
    with ThreadPoolExecutor(2) as found:
        yield found


def failed(task: int, reason: str) -> str:
    """Make the result of a task that has failed."""
    return f"{task} failed: {reason}"


def test_few_tasks_are_given_at_a_time(executor: ThreadPoolExecutor) -> None:
    """Of a million units only those that the executor can do next are read."""
    read = 0
    most = 0

    def tasks() -> Iterator[int]:
        nonlocal read
        for number in range(200):
            read += 1
            yield number

    for done, _ in enumerate(running.run(str, tasks(), executor, 3, failed), start=1):
        most = max(most, read - done)

    assert 200 == read
    assert most <= 3


def test_a_task_that_fails_is_given_again(executor: ThreadPoolExecutor) -> None:
    """Three times; then it is told, and the others go on."""
    tries: Counter[int] = Counter()

    def call(task: int) -> str:
        tries[task] += 1
        if task == 3 or (task == 5 and tries[task] < 3):
            raise MemoryError("no room")
        return str(task)

    found = set(running.run(call, range(10), executor, 4, failed))

    assert {str(task) for task in range(10) if task != 3} | {"3 failed: no room"} == found
    assert (3, 3, 1) == (tries[3], tries[5], tries[4])


def test_an_error_of_all_tasks_ends_the_run(executor: ThreadPoolExecutor) -> None:
    """What is not begun is not begun any more."""
    begun = threading.Semaphore(0)
    called: list[int] = []

    def call(task: int) -> str:
        called.append(task)
        if task == 0:
            raise InvalidInput("the disk is full")
        begun.acquire(timeout=10)
        return str(task)

    with pytest.raises(InvalidInput, match="the disk is full"):
        list(running.run(call, range(100), executor, 8, failed))
    begun.release(100)
    executor.shutdown()
    assert len(called) <= 8


def test_a_broken_executor_is_one_sentence() -> None:
    """As those of `concurrent.futures` are after the death of a worker."""

    def fail() -> None:
        raise OSError("no memory for it")

    words = r"^the executor can't be used any more: .*initializer"
    with ThreadPoolExecutor(1, initializer=fail) as executor, pytest.raises(InvalidInput, match=words):
        list(running.run(str, range(3), executor, 2, failed))
