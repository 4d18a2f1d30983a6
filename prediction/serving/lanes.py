"""Where the rows of requests are scored: on the event loop, or in a thread that joins requests.

A compiled model answers one row in microseconds. A scikit-learn pipeline takes milliseconds for one row,
and hardly more for a hundred.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future, Task
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from models_store.spec import Features
from prediction.journal.predictions import Prediction

INLINE_ROWS = 64
"""Larger batches are scored in a thread: they would block the event loop for too long."""
JOINED_ROWS = 256
"""The most rows that one call of a pipeline gets: single rows wait for a part of a long batch only."""

Rows = Sequence[Features]
Predict = Callable[[Rows], list[Prediction]]

_log = logging.getLogger("bentoml.prediction")


class Lane(Protocol):
    """Scores the rows of requests for one version."""

    async def predict(self, rows: Rows) -> list[Prediction]:
        """Answer rows in their order."""


class Direct:
    """Scores few rows on the event loop, and many in a thread."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict

    async def predict(self, rows: Rows) -> list[Prediction]:
        """Answer rows in their order."""
        if len(rows) <= INLINE_ROWS:
            return self._predict(rows)
        return await asyncio.to_thread(self._predict, rows)


class Joining:
    """Scores in one thread of its own: the rows of all requests that wait go into one call.

    A batch goes part by part, and other requests have their turn between its parts.
    """

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self._thread = ThreadPoolExecutor(1, "scoring", initializer=use_one_core)
        self._waiting: deque[tuple[Rows, Future[list[Prediction]]]] = deque()
        self._work: Task[None] | None = None

    async def predict(self, rows: Rows) -> list[Prediction]:
        """Answer rows in their order."""
        found: list[Prediction] = []
        for start in range(0, len(rows), JOINED_ROWS):
            promise: Future[list[Prediction]] = asyncio.get_running_loop().create_future()
            self._waiting.append((rows[start : start + JOINED_ROWS], promise))
            if self._work is None:
                self._work = asyncio.create_task(self._empty())
            found += await promise
        return found

    async def _empty(self) -> None:
        """Score until nothing waits."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            parts, promises = self._take()
            if not parts:
                continue
            answers: list[list[Prediction] | Exception]
            try:
                answers = await loop.run_in_executor(self._thread, self._score, parts)
            except RuntimeError as error:  # the process ends, and its threads take no more work
                answers = [error] * len(parts)
            for promise, answer in zip(promises, answers, strict=True):
                if promise.done():  # its client has gone
                    continue
                if isinstance(answer, Exception):
                    promise.set_exception(answer)
                else:
                    promise.set_result(answer)
        self._work = None

    def _take(self) -> tuple[list[Rows], list[Future[list[Prediction]]]]:
        """Take what one call can answer; leave out what nobody waits for any more."""
        parts: list[Rows] = []
        promises: list[Future[list[Prediction]]] = []
        room = JOINED_ROWS
        while self._waiting and len(self._waiting[0][0]) <= room:
            rows, promise = self._waiting.popleft()
            if not promise.done():
                room -= len(rows)
                parts.append(rows)
                promises.append(promise)
        return parts, promises

    def _score(self, parts: list[Rows]) -> list[list[Prediction] | Exception]:
        """Answer parts in one call. If it fails, ask for each alone: one row may not fail the others."""
        try:
            answers = iter(self._predict([row for rows in parts for row in rows]))
            return [[next(answers) for _ in rows] for rows in parts]
        except Exception as error:  # it belongs to the request that caused it
            if len(parts) == 1:
                return [error]
            _log.warning("%d requests failed in one call and are scored one by one: %r", len(parts), error)
            return [self._score([rows])[0] for rows in parts]


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
