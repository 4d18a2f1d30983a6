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
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

from prediction import errors, metrics, rollups
from prediction.database import NO_ANSWER
from prediction.errors import JournalBusy, JournalUnavailable
from prediction.journal import Journal, Prediction, Writer

CHUNK_ROWS = 250
"""Rows of one commit: about 5 ms in which the loop does nothing else."""

RETRY_SECONDS = 0.003
DELETE_SECONDS = 0.5
"""Between attempts to delete what should not be in the journal."""

PATIENCE_SECONDS = 0.8
"""How long a request waits for a locked journal before it is answered 503."""

_log = logging.getLogger("bentoml.prediction")

Entry = tuple[Sequence[Prediction], "asyncio.Future[None]", float]


class Recorder(Protocol):
    """Records predictions from one event loop; not for threads."""

    async def record(self, predictions: Sequence[Prediction]) -> None:
        """Return once all predictions are committed; a long list may be committed in chunks.

        What is not committed whole is deleted again, as soon as the journal allows.

        Raises
        ------
        JournalUnavailable
            When the journal does not answer, or stays locked for `PATIENCE_SECONDS`.
        """

    def close(self) -> None:
        """Give the journal's connection back. Whatever was awaited is committed by then."""


def make(journal: Journal) -> Recorder:
    """Make the recorder that suits the journal's database."""
    return LoopRecorder(journal) if journal.database.is_sqlite else ThreadRecorder(journal)


class LoopRecorder:
    """Commits on the event loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._writer: Writer | None = None
        self._waiting: deque[Entry] = deque()
        self._scheduled = False
        self._seen = 0
        self._unwanted: list[str | None] = []
        self._taking_back: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Give the journal's connection back."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def record(self, predictions: Sequence[Prediction]) -> None:
        """Commit predictions, in chunks between which the loop goes on."""
        start = 0
        try:
            for start in range(0, len(predictions), CHUNK_ROWS):
                await self._commit(predictions[start : start + CHUNK_ROWS])
        except Exception:
            if start:
                self._take_back(predictions[:start])
            raise

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
            self._insert([prediction for chunk, _, _ in group for prediction in chunk])
        except JournalBusy as error:
            metrics.JOURNAL_RETRIES.inc()
            self._put_back(group, error, loop.time() - PATIENCE_SECONDS)
            loop.call_later(RETRY_SECONDS, self._flush)
            return
        except JournalUnavailable as error:
            self.close()  # the next flush opens a new connection
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

    def _flush_one_by_one(self, group: list[Entry]) -> None:
        for entry in group:
            try:
                self._insert(list(entry[0]))
            except JournalBusy as error:
                loop_time = asyncio.get_running_loop().time()
                self._put_back([entry], error, loop_time - PATIENCE_SECONDS)
            except Exception as error:
                self._fail(entry, error)
            else:
                if not entry[1].done():
                    entry[1].set_result(None)

    def _take_back(self, committed: Sequence[Prediction]) -> None:
        self._unwanted += [prediction.prediction_id for prediction in committed]
        if self._taking_back is None or self._taking_back.done():
            self._taking_back = asyncio.get_running_loop().create_task(self._delete())

    async def _delete(self) -> None:
        """Delete what is not wanted, chunk by chunk, as soon as the journal allows."""
        is_told = False
        while chunk := self._unwanted[:CHUNK_ROWS]:
            try:
                await asyncio.to_thread(rollups.take_back, self._journal, chunk)
            except Exception as error:  # nobody waits for it: what can't be deleted now may be later
                if not is_told:
                    words = "%d predictions that nobody was given are still in the journal: %s"
                    _log.warning(words, len(self._unwanted), errors.cause(error))
                is_told = True
                await asyncio.sleep(DELETE_SECONDS)
            else:
                del self._unwanted[: len(chunk)]

    def _next_group(self) -> list[Entry]:
        group: list[Entry] = []
        rows = 0
        while self._waiting and (not group or rows + len(self._waiting[0][0]) <= CHUNK_ROWS):
            entry = self._waiting.popleft()
            group.append(entry)
            rows += len(entry[0])
        return group

    def _insert(self, rows: list[Prediction]) -> None:
        _insert(self._open(), rows)

    def _open(self) -> Writer:
        if self._writer is None:
            self._writer = self._journal.writer()
        return self._writer

    def _put_back(self, group: list[Entry], error: JournalBusy, too_old: float) -> None:
        for entry in reversed(group):
            if entry[2] < too_old:
                self._fail(entry, error)
            elif not entry[1].done():  # a client that left needs no answer
                self._waiting.appendleft(entry)

    def _fail(self, entry: Entry, error: Exception) -> None:
        _count_failure(entry[0], error)
        if not entry[1].done():
            entry[1].set_exception(error)


class ThreadRecorder:
    """Commits in a thread, which takes all that waits each time it is free."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._writer: Writer | None = None
        self._waiting: SimpleQueue[tuple[Sequence[Prediction], Future[None]] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def close(self) -> None:
        """End the thread and give the journal's connection back."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(timeout=5)
            self._thread = None

    async def record(self, predictions: Sequence[Prediction]) -> None:
        """Commit predictions."""
        if self._thread is None:
            self._thread = Thread(target=self._work, daemon=True)
            self._thread.start()
        done: Future[None] = Future()
        self._waiting.put((predictions, done))
        try:
            await asyncio.wait_for(asyncio.wrap_future(done), self._patience(len(predictions)))
        except TimeoutError:
            error = JournalUnavailable(NO_ANSWER)
            _count_failure(predictions, error)
            raise error from None

    def _patience(self, rows: int) -> float:
        return PATIENCE_SECONDS + rows * 0.001

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            group, rows = [first], len(first[0])
            while rows < CHUNK_ROWS and not self._waiting.empty():
                entry = self._waiting.get()
                if entry is None:
                    self._waiting.put(None)
                    break
                group.append(entry)
                rows += len(entry[0])
            self._commit(group)
        self._disconnect()

    def _commit(self, group: list[tuple[Sequence[Prediction], Future[None]]]) -> None:
        wanted = [entry for entry in group if not entry[1].cancelled()]  # others were given up
        rows = [prediction for predictions, _ in wanted for prediction in predictions]
        try:
            self._insert(rows)
        except Exception as error:
            if len(wanted) > 1 and not isinstance(error, JournalUnavailable):
                for entry in wanted:  # a row that the database refuses is no other request's fault
                    self._commit([entry])
                return
            for predictions, done in wanted:
                if _tell(done, error):
                    _count_failure(predictions, error)
        else:
            self._take_back([item for items, done in wanted if not _tell(done) for item in items])

    def _take_back(self, late: list[Prediction]) -> None:
        """Delete, if that can be done, what was committed when its request had been given up."""
        if late:
            with suppress(JournalUnavailable):
                rollups.take_back(self._journal, [prediction.prediction_id for prediction in late])

    def _insert(self, rows: list[Prediction]) -> None:
        """Insert rows; a connection that was lost, maybe with the answer to a commit, is replaced once."""
        for is_last in (False, True):
            try:
                if self._writer is None:
                    self._writer = self._journal.writer()
                _insert(self._writer, rows, again=is_last)
                return
            except JournalUnavailable:
                had_one = self._writer is not None
                self._disconnect()
                if is_last or not had_one:
                    raise

    def _disconnect(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _tell(done: Future[None], error: Exception | None = None) -> bool:
    """Tell how a commit ended; return whether anybody still wants to know."""
    if not done.set_running_or_notify_cancel():
        return False
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
    return True


def _insert(writer: Writer, rows: list[Prediction], again: bool = False) -> None:
    if rows:
        started = time.perf_counter()
        writer.insert(rows, again)
        metrics.JOURNAL_COMMIT_SECONDS.observe(time.perf_counter() - started)


def _count_failure(predictions: Sequence[Prediction], error: Exception) -> None:
    metrics.JOURNAL_FAILURES.inc()
    _log.error("%d predictions could not be recorded: %s", len(predictions), errors.cause(error))
