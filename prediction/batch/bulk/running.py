"""Tasks given to an executor, a few at a time, and their results as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from queue import SimpleQueue
from typing import TypeVar

from models_store.errors import Error, InvalidInput

TRIES = 3
"""How often a task is given to a worker that dies or fails in a way that is not known."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class GivenUp(Exception):
    """A task that the executor itself has tried often enough."""


def run(
    call: Callable[[Task], Result],
    tasks: Iterable[Task],
    executor: Executor,
    outstanding: int,
    failed: Callable[[Task, str], Result],
) -> Iterator[Result]:
    """Call a function for each task, and yield the results in the order in which they are ready.

    Parameters
    ----------
    outstanding
        The most tasks that the executor has at a time.
    failed
        Makes the result of a task that has failed `TRIES` times.

    Raises
    ------
    Error
        The first error of the project that is raised for a task: it concerns all tasks.
    InvalidInput
        When the executor is broken.
    """
    left, again = iter(tasks), deque[tuple[Task, int]]()
    waiting: dict[Future[Result], tuple[Task, int]] = {}
    # `concurrent.futures.wait` locks all futures one after the other. Ctrl+C in the midst would leave them
    # locked, and the executor's threads would wait for them without end.
    ready: SimpleQueue[Future[Result]] = SimpleQueue()
    try:
        while True:
            while len(waiting) < outstanding:
                given = again.popleft() if again else next(((task, 1) for task in left), None)
                if given is None:
                    break
                future = executor.submit(call, given[0])
                waiting[future] = given
                future.add_done_callback(ready.put)
            if not waiting:
                return
            future = ready.get()
            task, tries = waiting.pop(future)
            if future.cancelled():  # by the executor
                raise BrokenExecutor("it has cancelled a unit")
            error = future.exception()
            if error is None:
                yield future.result()
            elif isinstance(error, Error | BrokenExecutor):
                raise error
            elif tries < TRIES and not isinstance(error, GivenUp):
                again.append((task, tries + 1))
            else:
                yield failed(task, str(error) or type(error).__name__)
    except BrokenExecutor as error:
        raise InvalidInput(f"the executor can't be used any more: {error}") from error
    finally:
        for future in waiting:
            future.cancel()
