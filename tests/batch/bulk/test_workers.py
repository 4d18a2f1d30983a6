"""Processes that score units: one that dies costs one call, and none outlives its run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import wait

import pytest

from models_store.errors import InvalidInput
from prediction.batch.bulk.workers import Processes, WorkerDied


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Two processes."""
    with Processes(2) as found:
        yield found


def lives(process: int) -> bool:
    """Tell whether a process runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_that_dies_costs_one_call(processes: Processes) -> None:
    """Its neighbour answers, and another one takes its place; in the end none is left."""
    waiting = processes.submit(time.sleep, 0.5)
    with pytest.raises(WorkerDied, match=f"ended with -{signal.SIGKILL:d}"):
        processes.submit(die).result(30)

    assert waiting.result(30) is None
    found = {processes.submit(os.getpid).result(30) for _ in range(4)}
    assert os.getpid() not in found
    processes.shutdown()
    assert not any(map(lives, found))


def test_errors_come_back(processes: Processes) -> None:
    """Ours as they are, others as their text: they may be of a package that only the worker has."""
    with pytest.raises(InvalidInput, match="no number"):
        processes.submit(refuse, "no number").result(30)
    with pytest.raises(RuntimeError, match="ValueError: invalid literal"):
        processes.submit(int, "x").result(30)
    assert 3 == processes.submit(int, "3").result(30)


def die() -> None:
    """End like a process for which there is no memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(reason: str) -> None:
    """Raise an error of ours."""
    raise InvalidInput(reason)


def test_a_run_that_is_stopped_leaves_no_process(processes: Processes) -> None:
    """Calls under way end with `WorkerDied`, and no process is started any more."""
    process = processes.submit(os.getpid).result(30)
    waiting = [processes.submit(time.sleep, 60) for _ in range(4)]

    processes.kill()

    assert not wait(waiting, 30).not_done
    assert {WorkerDied} == {type(each.exception()) for each in waiting}
    assert not lives(process)
