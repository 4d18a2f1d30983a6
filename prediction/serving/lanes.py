"""Where the rows of requests are scored: on the event loop, or in a thread that joins requests.

A compiled model answers one row in microseconds, a scikit-learn pipeline takes milliseconds for one row and
hardly more for a hundred. Requests that wait at the same time share what is not done for each row.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future, Task
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import Protocol

from models_store.spec import Features
from prediction.journal.predictions import Prediction

INLINE_ROWS = 64
"""Larger batches are scored in a thread: they would block the event loop for too long."""
JOINED_ROWS = 256
"""The most rows that one call of a pipeline gets: single rows wait for a part of a long batch only."""

Rows = Sequence[Features]
Predict = Callable[..., list[Prediction]]
"""Answers rows; that of `Direct` also takes how many rows each request has."""

_log = logging.getLogger("bentoml.prediction")


class Lane(Protocol):
    """Scores the rows of requests for one version."""

    async def predict(self, rows: Rows) -> list[Prediction]:
        """Answer rows in their order."""


class Waiting:
    """Requests that wait to be scored, in the order of their arrival. A call answers several of them.

    Parameters
    ----------
    predict
        Answers the rows of several requests, one after another.
    """

    def __init__(self, predict: Callable[[list[Rows]], list[Prediction]]) -> None:
        self._predict = predict
        self._requests: deque[tuple[Rows, Future[list[Prediction]]]] = deque()

    def __len__(self) -> int:
        return len(self._requests)

    def add(self, rows: Rows) -> Future[list[Prediction]]:
        """Let rows wait; return the future of their answers."""
        promise: Future[list[Prediction]] = asyncio.get_running_loop().create_future()
        self._requests.append((rows, promise))
        return promise

    def take(self, room: int) -> tuple[list[Rows], list[Future[list[Prediction]]]]:
        """Take what one call of so many rows can answer; leave out what nobody waits for any more."""
        parts: list[Rows] = []
        promises: list[Future[list[Prediction]]] = []
        while self._requests and len(self._requests[0][0]) <= room:
            rows, promise = self._requests.popleft()
            if not promise.done():
                room -= len(rows)
                parts.append(rows)
                promises.append(promise)
        return parts, promises

    def score(self, parts: list[Rows]) -> list[list[Prediction] | Exception]:
        """Answer parts in one call. If it fails, ask for each alone: one row may not fail the others."""
        try:
            answers = self._predict(parts)
        except Exception as error:  # it belongs to the request that caused it
            if len(parts) == 1:
                return [error]
            _log.warning("%d requests failed in one call and are scored one by one: %r", len(parts), error)
            return [self.score([rows])[0] for rows in parts]
        ends = accumulate(map(len, parts))
        return [answers[end - len(rows) : end] for rows, end in zip(parts, ends, strict=True)]


def _joined(parts: list[Rows]) -> Rows:
    return [row for rows in parts for row in rows] if len(parts) > 1 else parts[0]


def settle(
    promises: Sequence[Future[list[Prediction]]], answers: Sequence[list[Prediction] | Exception]
) -> None:
    """Give each request that still waits its answer, or its error."""
    for promise, answer in zip(promises, answers, strict=True):
        if promise.done():  # its client has gone
            continue
        if isinstance(answer, Exception):
            promise.set_exception(answer)
        else:
            promise.set_result(answer)


class Direct:
    """Scores few rows on the event loop, and many in a thread.

    Requests that arrive at the same turn of the loop are answered together, and each by a call of the graph
    of its own: else the last bit of an answer would depend on the other requests.
    """

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self._waiting = Waiting(lambda parts: predict(_joined(parts), [len(rows) for rows in parts]))
        self._scheduled = False

    async def predict(self, rows: Rows) -> list[Prediction]:
        """Answer rows in their order."""
        if len(rows) > INLINE_ROWS:
            return await asyncio.to_thread(self._predict, rows)
        promise = self._waiting.add(rows)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._score)
        return await promise

    def _score(self) -> None:
        parts, promises = self._waiting.take(INLINE_ROWS)
        if parts:
            settle(promises, self._waiting.score(parts))
        self._scheduled = len(self._waiting) > 0
        if self._scheduled:  # others have their turn before the next call
            asyncio.get_running_loop().call_soon(self._score)


class Joining:
    """Scores in one thread of its own: the rows of all requests that wait go into one call.

    A batch goes part by part, and other requests have their turn between its parts.
    """

    def __init__(self, predict: Predict) -> None:
        self._thread = ThreadPoolExecutor(1, "scoring", initializer=use_one_core)
        self._waiting = Waiting(lambda parts: predict(_joined(parts)))
        self._work: Task[None] | None = None

    async def predict(self, rows: Rows) -> list[Prediction]:
        """Answer rows in their order."""
        found: list[Prediction] = []
        for start in range(0, len(rows), JOINED_ROWS):
            promise = self._waiting.add(rows[start : start + JOINED_ROWS])
            if self._work is None:
                self._work = asyncio.create_task(self._empty())
            found += await promise
        return found

    async def _empty(self) -> None:
        """Score until nothing waits."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            parts, promises = self._waiting.take(JOINED_ROWS)
            if not parts:
                continue
            answers: list[list[Prediction] | Exception]
            try:
                answers = await loop.run_in_executor(self._thread, self._waiting.score, parts)
            except RuntimeError as error:  # the process ends, and its threads take no more work
                answers = [error] * len(parts)
            settle(promises, answers)
        self._work = None


LANES: dict[str, Callable[[Predict], Lane]] = {"onnx": Direct, "scikit-learn": Joining}
"""By the runtime of a version."""


def use_one_core() -> None:
    """Limit what this thread calls to one core: two workers with OpenMP's default threads stop each other.

    OpenMP and joblib are limited in this thread only, BLAS in the whole process.
    """
    from joblib import parallel_config
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    parallel_config(backend="sequential")
