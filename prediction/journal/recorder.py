"""Records predictions before they are answered: in chunks, each of them one commit.

One rule for requests and files: a list of predictions is recorded whole or not at all. When a chunk
fails, the chunks of the same list that were committed before it are deleted.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from threading import Condition, Thread
from typing import NamedTuple

from prediction import errors, metrics
from prediction.errors import JournalBusy, JournalFault, JournalUnavailable
from prediction.journal.database import NO_ANSWER, Journal
from prediction.journal.predictions import CHUNK_ROWS, Inserter, Prediction
from prediction.journal.retention import Deletions

RETRY_SECONDS = 0.003
"""Pause before the next attempt when the journal is locked."""

PATIENCE_SECONDS = 0.8
"""Timeout of a request that waits for a locked journal; then it is answered 503."""

CLOSE_SECONDS = 1.0
"""Timeout for deletions that are not finished when a recorder is closed."""

_log = logging.getLogger("bentoml.prediction")


class Recorder(ABC):
    """Records the predictions of requests from one event loop; not for threads."""

    def __init__(self, journal: Journal) -> None:
        self._inserter = Inserter(journal)
        self._deletions = Deletions(journal)

    async def record(self, predictions: Sequence[Prediction]) -> None:
        """Return once all predictions are committed. Other requests are recorded between two chunks.

        Raises
        ------
        JournalUnavailable
            When the journal does not answer, or stays locked for `PATIENCE_SECONDS`.
        """
        if 0 < len(predictions) <= CHUNK_ROWS:  # nearly every request: nothing to take back if it fails
            await self._commit(predictions)
            return
        committed = 0
        try:
            for chunk in chunks(predictions):
                await self._commit(chunk)
                committed += len(chunk)
        except BaseException:  # a cancelled request too has no answer
            self._deletions.add(predictions[:committed])
            raise

    def close(self) -> None:
        """Close the journal's connections. Everything that was awaited is committed by then."""
        self._deletions.wait(CLOSE_SECONDS)

    @abstractmethod
    async def _commit(self, chunk: Sequence[Prediction]) -> None:
        """Commit a chunk, all of it or nothing; after an error or a cancellation none of it stays."""


def make(journal: Journal) -> Recorder:
    """Make the recorder that suits the journal's database."""
    return LoopRecorder(journal) if journal.is_sqlite else ThreadRecorder(journal)


class LoopChunk(NamedTuple):
    """Rows that wait for a commit on the event loop.

    `done` is the future that the request awaits; `since` is the loop's time at which it began to wait.
    """

    rows: Sequence[Prediction]
    done: asyncio.Future[None]
    since: float


class LoopRecorder(Recorder):
    """Commits on the event loop, for SQLite.

    A commit takes less time than handing its rows to a thread. Requests that arrive in consecutive turns
    of the event loop share one commit, at the first turn in which no other request arrives.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self._waiting: deque[LoopChunk] = deque()
        self._scheduled = False
        self._seen = 0

    def close(self) -> None:
        """Close the journal's connections."""
        self._inserter.close()
        super().close()

    async def _commit(self, chunk: Sequence[Prediction]) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append(LoopChunk(chunk, done, loop.time()))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._flush)
        try:
            await done
        except asyncio.CancelledError:
            if not done.cancelled() and done.exception() is None:  # committed before it was cancelled
                self._deletions.add(chunk)
            raise

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        if self._seen < len(self._waiting) < CHUNK_ROWS:  # more have arrived: wait one turn for others
            self._seen = len(self._waiting)
            loop.call_soon(self._flush)
            return
        self._seen = 0
        group = self._next_group()
        try:
            self._inserter.insert([prediction for chunk in group for prediction in chunk.rows])
        except JournalBusy as error:
            metrics.JOURNAL_RETRIES.inc()
            self._put_back(group, error)
            loop.call_later(RETRY_SECONDS, self._flush)
            return
        except JournalUnavailable as error:
            if not isinstance(error, JournalFault):  # then the file may come back, and is kept open
                self._inserter.close()
            for chunk in group:
                self._fail(chunk, error)
        except Exception as error:  # the database refuses a row: the other requests must not fail
            if len(group) == 1:
                self._fail(group[0], error)
            else:
                self._flush_one_by_one(group)
        else:
            for chunk in group:
                self._succeed(chunk)
        if self._waiting:
            loop.call_soon(self._flush)
        else:
            self._scheduled = False

    def _flush_one_by_one(self, group: list[LoopChunk]) -> None:
        for chunk in group:
            try:
                self._inserter.insert(chunk.rows)
            except JournalBusy as error:
                self._put_back([chunk], error)
            except Exception as error:
                self._fail(chunk, error)
            else:
                self._succeed(chunk)

    def _next_group(self) -> list[LoopChunk]:
        """Take the chunks of the next commit: together at most `CHUNK_ROWS` rows."""
        group: list[LoopChunk] = []
        rows = 0
        while self._waiting and rows + len(self._waiting[0].rows) <= CHUNK_ROWS:
            chunk = self._waiting.popleft()
            if not chunk.done.cancelled():
                group.append(chunk)
                rows += len(chunk.rows)
        return group

    def _put_back(self, group: list[LoopChunk], error: JournalBusy) -> None:
        """Let chunks wait for the next attempt; those that have waited too long fail."""
        oldest = asyncio.get_running_loop().time() - PATIENCE_SECONDS
        for chunk in reversed(group):
            if chunk.since < oldest:
                self._fail(chunk, error)
            else:
                self._waiting.appendleft(chunk)

    def _succeed(self, chunk: LoopChunk) -> None:
        if not chunk.done.done():
            chunk.done.set_result(None)

    def _fail(self, chunk: LoopChunk, error: Exception) -> None:
        _count_failure(chunk.rows, error)
        if isinstance(error, JournalFault) and error.committed:
            self._deletions.add(chunk.rows)
        if not chunk.done.done():
            chunk.done.set_exception(error)


class ThreadChunk(NamedTuple):
    """Rows that wait for a commit in the thread; `done` is the future that the request awaits."""

    rows: Sequence[Prediction]
    done: Future[None]


class ThreadRecorder(Recorder):
    """Commits in a thread, for PostgreSQL: an event loop must not wait for a network.

    One commit takes all short chunks that wait, up to `CHUNK_ROWS` rows, and one full chunk. So single
    rows do not wait for many batches, and batches do not wait for many single rows.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self._arrived = Condition()
        self._short: deque[ThreadChunk] = deque()
        self._full: deque[ThreadChunk] = deque()
        self._closing = False
        self._thread: Thread | None = None

    def close(self) -> None:
        """End the thread, and close the journal's connections."""
        if self._thread is not None:
            with self._arrived:
                self._closing = True
                self._arrived.notify()
            self._thread.join(timeout=5)
            self._thread = None
        super().close()

    async def _commit(self, chunk: Sequence[Prediction]) -> None:
        if self._thread is None:
            self._closing = False
            self._thread = Thread(target=self._work, daemon=True)
            self._thread.start()
        done: Future[None] = Future()
        with self._arrived:
            (self._short if len(chunk) < CHUNK_ROWS else self._full).append(ThreadChunk(chunk, done))
            self._arrived.notify()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.wrap_future(done)
        except (TimeoutError, asyncio.CancelledError) as stopped:
            if not done.cancel() and done.exception() is None:  # committed at the same moment
                self._deletions.add(chunk)
            if isinstance(stopped, asyncio.CancelledError):
                raise
            error = JournalUnavailable(NO_ANSWER)
            _count_failure(chunk, error)
            raise error from None

    def _work(self) -> None:
        while group := self._next_group():
            self._commit_group(group)
        self._inserter.close()

    def _next_group(self) -> list[ThreadChunk]:
        """Wait for chunks, and take those of the next commit; none when the recorder is closed."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._short or self._full or self._closing)
            group: list[ThreadChunk] = []
            rows = 0
            while self._short and rows < CHUNK_ROWS:
                group.append(self._short.popleft())
                rows += len(group[-1].rows)
            if self._full:
                group.append(self._full.popleft())
            return group

    def _commit_group(self, group: list[ThreadChunk]) -> None:
        wanted = [chunk for chunk in group if not chunk.done.cancelled()]  # the others have timed out
        try:
            self._inserter.insert_or_reconnect([row for chunk in wanted for row in chunk.rows])
        except Exception as error:
            if len(wanted) > 1 and not isinstance(error, JournalUnavailable):
                for chunk in wanted:  # the database refuses a row: the other requests must not fail
                    self._commit_group([chunk])
                return
            for chunk in wanted:
                if _resolve(chunk.done, error):
                    _count_failure(chunk.rows, error)
        else:
            self._deletions.add([row for chunk in wanted if not _resolve(chunk.done) for row in chunk.rows])


def chunks(predictions: Sequence[Prediction]) -> Iterator[Sequence[Prediction]]:
    """Cut a list into the chunks of its commits."""
    for start in range(0, len(predictions), CHUNK_ROWS):
        yield predictions[start : start + CHUNK_ROWS]


def _resolve(done: Future[None], error: Exception | None = None) -> bool:
    """Set the result of a commit; return False when its request has timed out or was cancelled."""
    if not done.set_running_or_notify_cancel():
        return False
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
    return True


def _count_failure(predictions: Sequence[Prediction], error: Exception) -> None:
    metrics.JOURNAL_FAILURES.inc()
    if isinstance(error, JournalFault):  # it has its own line in the log
        return
    _log.error("%d predictions could not be recorded: %s", len(predictions), errors.cause(error))
