"""Tasks given to an executor: few at a time, again after a death, and none after an error of all."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models_store.errors import InvalidInput
from prediction.batch.bulk import running
from tests.servers import run


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


INTERRUPTED = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from prediction.batch.bulk import running

def interrupt_at(moment):
    lines = {}
    def trace(frame, event, _):
        nonlocal moment
        if not frame.f_code.co_filename.endswith(("concurrent/futures/_base.py", "bulk/running.py")):
            return None
        # Python goes back to a line with `with` to unlock, where a signal does not interrupt it
        moment -= event == "line" and frame.f_lineno > lines.get(frame, 0)
        lines[frame] = frame.f_lineno
        if moment == 0:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace
    return trace

moment, is_whole = 0, False
while not is_whole:
    moment += 1
    executor = ThreadPoolExecutor(2)
    sys.settrace(interrupt_at(moment))
    try:
        is_whole = len(list(running.run(str, range(6), executor, 4, None))) == 6
    except KeyboardInterrupt:
        pass
    sys.settrace(None)
    ending = threading.Thread(target=executor.shutdown, daemon=True)
    ending.start()
    ending.join(5)
    assert not ending.is_alive(), f"a thread hangs after an interruption at line {moment}"
print(moment, flush=True)
"""


def test_ctrl_c_at_any_moment_leaves_no_future_locked(tmp_path: Path) -> None:
    """The threads of the executor end, at whichever line of the run the main thread is interrupted."""
    done = run("python", "-c", INTERRUPTED, home=tmp_path)

    assert 0 == done.returncode, done.stderr[-500:]
    assert int(done.stdout) > 50
