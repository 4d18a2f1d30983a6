"""Writes predictions to the journal before they are answered, in groups.

On SQLite, requests that come in at consecutive turns of the event loop share one commit, made on the
loop itself at the first turn that brings no more: handing the rows to a thread would cost more than
the commit does.
On PostgreSQL a thread commits, because a loop must not wait for a network.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Sequence
from concurrent.futures import Future
from threading import Condition, Lock, Thread

from prediction import errors, metrics
from prediction.errors import JournalBusy, JournalUnavailable
from prediction.journal import rollups
from prediction.journal.database import NO_ANSWER, Journal
from prediction.journal.predictions import Inserter, Prediction

CHUNK_ROWS = 250
"""Rows of one commit: about 5 ms in which the loop does nothing else, or nobody else's rows are written."""

RETRY_SECONDS = 0.003
DELETE_SECONDS = 0.5
"""Between attempts to delete what should not be in the journal."""

PATIENCE_SECONDS = 0.8
"""How long a request waits for a locked journal before it is answered 503."""

_log = logging.getLogger("bentoml.prediction")


class Recorder(ABC):
    """Records predictions from one event loop; not for threads."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._writer: Inserter | None = None
        self._deletions = _Deletions(journal)

    async def record(self, predictions: Sequence[Prediction]) -> None:
        """Return once all predictions are committed, in chunks between which others have their turn.

        What is not committed whole is deleted again, as soon as the journal allows.

        Raises
        ------
        JournalUnavailable
            When the journal does not answer, or stays locked for `PATIENCE_SECONDS`.
        """
        start = 0
        try:
            for start in range(0, len(predictions), CHUNK_ROWS):
                await self._commit(predictions[start : start + CHUNK_ROWS])
        except Exception:
            self._deletions.add(predictions[:start])
            raise

    def close(self) -> None:
        """Give the journal's connections back. Whatever was awaited is committed by then."""
        self._deletions.finish()

    @abstractmethod
    def _commit(self, chunk: Sequence[Prediction]) -> Awaitable[None]:
        """Commit a chunk: all of it or nothing."""

    def _open(self) -> Inserter:
        if self._writer is None:
            self._writer = Inserter(self._journal)
        return self._writer

    def _disconnect(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def make(journal: Journal) -> Recorder:
    """Make the recorder that suits the journal's database."""
    return LoopRecorder(journal) if journal.is_sqlite else ThreadRecorder(journal)


LoopEntry = tuple[Sequence[Prediction], "asyncio.Future[None]", float]
"""What is to be written, who waits for it, and since when by the loop's clock."""


class LoopRecorder(Recorder):
    """Commits on the event loop."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self._waiting: deque[LoopEntry] = deque()
        self._scheduled = False
        self._seen = 0

    def close(self) -> None:
        """Give the journal's connections back."""
        self._disconnect()
        super().close()

    def _commit(self, chunk: Sequence[Prediction]) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((chunk, done, loop.time()))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._flush)
        return done

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        if self._seen < len(self._waiting) < CHUNK_ROWS:  # as long as more come in, wait for them
            self._seen = len(self._waiting)
            loop.call_soon(self._flush)
            return
        self._seen = 0
        group = self._next_group()
        try:
            _insert(self._open(), [prediction for chunk, _, _ in group for prediction in chunk])
        except JournalBusy as error:
            metrics.JOURNAL_RETRIES.inc()
            self._put_back(group, error, loop.time() - PATIENCE_SECONDS)
            loop.call_later(RETRY_SECONDS, self._flush)
            return
        except JournalUnavailable as error:
            self._disconnect()  # the next flush opens a new connection
            for entry in group:
                self._fail(entry, error)
        except Exception as error:  # a row that the database refuses is no other request's fault
            if len(group) == 1:
                self._fail(group[0], error)
            else:
                self._flush_one_by_one(group)
        else:
            for _, done, _ in group:
                if not done.done():
                    done.set_result(None)
        if self._waiting:
            loop.call_soon(self._flush)
        else:
            self._scheduled = False

    def _flush_one_by_one(self, group: list[LoopEntry]) -> None:
        for entry in group:
            try:
                _insert(self._open(), entry[0])
            except JournalBusy as error:
                loop_time = asyncio.get_running_loop().time()
                self._put_back([entry], error, loop_time - PATIENCE_SECONDS)
            except Exception as error:
                self._fail(entry, error)
            else:
                if not entry[1].done():
                    entry[1].set_result(None)

    def _next_group(self) -> list[LoopEntry]:
        group: list[LoopEntry] = []
        rows = 0
        while self._waiting and (not group or rows + len(self._waiting[0][0]) <= CHUNK_ROWS):
            entry = self._waiting.popleft()
            group.append(entry)
            rows += len(entry[0])
        return group

    def _put_back(self, group: list[LoopEntry], error: JournalBusy, too_old: float) -> None:
        for entry in reversed(group):
            if entry[2] < too_old:
                self._fail(entry, error)
            elif not entry[1].done():  # a client that left needs no answer
                self._waiting.appendleft(entry)

    def _fail(self, entry: LoopEntry, error: Exception) -> None:
        _count_failure(entry[0], error)
        if not entry[1].done():
            entry[1].set_exception(error)


ThreadEntry = tuple[Sequence[Prediction], Future[None]]


class ThreadRecorder(Recorder):
    """Commits in a thread, which takes what waits each time it is free: of whole chunks only one.

    So a single row waits for no crowd of batches, and batches are not held up by single rows.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self._arrived = Condition()
        self._short: deque[ThreadEntry] = deque()
        self._whole: deque[ThreadEntry] = deque()
        self._closing = False
        self._thread: Thread | None = None

    def close(self) -> None:
        """End the thread too."""
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
            (self._short if len(chunk) < CHUNK_ROWS else self._whole).append((chunk, done))
            self._arrived.notify()
        try:
            await asyncio.wait_for(asyncio.wrap_future(done), PATIENCE_SECONDS)
        except TimeoutError:
            error = JournalUnavailable(NO_ANSWER)
            _count_failure(chunk, error)
            raise error from None

    def _work(self) -> None:
        while group := self._next_group():
            self._commit_group(group)
        self._disconnect()

    def _next_group(self) -> list[ThreadEntry]:
        """Wait until there is something to commit, and return it; nothing at the end."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._short or self._whole or self._closing)
            group: list[ThreadEntry] = []
            rows = 0
            while self._short and rows < CHUNK_ROWS:
                group.append(self._short.popleft())
                rows += len(group[-1][0])
            if self._whole:
                group.append(self._whole.popleft())
            return group

    def _commit_group(self, group: list[ThreadEntry]) -> None:
        wanted = [entry for entry in group if not entry[1].cancelled()]  # others were given up
        rows = [prediction for predictions, _ in wanted for prediction in predictions]
        try:
            self._insert(rows)
        except Exception as error:
            if len(wanted) > 1 and not isinstance(error, JournalUnavailable):
                for entry in wanted:  # a row that the database refuses is no other request's fault
                    self._commit_group([entry])
                return
            for predictions, done in wanted:
                if _tell(done, error):
                    _count_failure(predictions, error)
        else:
            self._deletions.add([item for items, done in wanted if not _tell(done) for item in items])

    def _insert(self, rows: list[Prediction]) -> None:
        """Insert rows; a connection that was lost, maybe with the answer to a commit, is replaced once."""
        for is_last in (False, True):
            try:
                _insert(self._open(), rows, again=is_last)
                return
            except JournalUnavailable:
                had_one = self._writer is not None
                self._disconnect()
                if is_last or not had_one:
                    raise


class _Deletions:
    """Deletes what was committed and nobody was given, in a thread, as soon as the journal allows."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = Lock()
        self._unwanted: list[str | None] = []
        self._thread: Thread | None = None

    def add(self, committed: Sequence[Prediction]) -> None:
        """Delete some more; returns at once."""
        if committed:
            with self._lock:
                self._unwanted += [prediction.prediction_id for prediction in committed]
                if self._thread is None:
                    self._thread = Thread(target=self._work, daemon=True)
                    self._thread.start()

    def finish(self) -> None:
        """Wait for what can be deleted soon."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout=2 * DELETE_SECONDS)

    def _work(self) -> None:
        is_told = False
        while chunk := self._next_chunk():
            try:
                rollups.take_back(self._journal, chunk)
            except Exception as error:  # nobody waits for it: what can't be deleted now may be later
                if not is_told:
                    words = "%d predictions that nobody was given are still in the journal: %s"
                    _log.warning(words, len(self._unwanted), errors.cause(error))
                is_told = True
                time.sleep(DELETE_SECONDS)
            else:
                with self._lock:
                    del self._unwanted[: len(chunk)]

    def _next_chunk(self) -> list[str | None]:
        with self._lock:
            if not self._unwanted:
                self._thread = None
            return self._unwanted[:CHUNK_ROWS]


def _tell(done: Future[None], error: Exception | None = None) -> bool:
    """Tell how a commit ended; return whether anybody still wants to know."""
    if not done.set_running_or_notify_cancel():
        return False
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
    return True


def _insert(writer: Inserter, rows: Sequence[Prediction], again: bool = False) -> None:
    if rows:
        started = time.perf_counter()
        writer.insert(rows, again)
        metrics.JOURNAL_COMMIT_SECONDS.observe(time.perf_counter() - started)


def _count_failure(predictions: Sequence[Prediction], error: Exception) -> None:
    metrics.JOURNAL_FAILURES.inc()
    _log.error("%d predictions could not be recorded: %s", len(predictions), errors.cause(error))
