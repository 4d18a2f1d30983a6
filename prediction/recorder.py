"""Writes predictions to the journal before they are answered, in groups. Owns the loop's writer.

Every request that is ready at the same turn of the event loop shares one commit, made at the next
turn on the loop itself: handing the rows to a thread would cost more than the commit does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence

from prediction import metrics
from prediction.errors import JournalBusy, JournalUnavailable
from prediction.journal import Journal, Prediction, Writer

CHUNK_ROWS = 250
"""Rows of one commit: about 5 ms in which the loop does nothing else."""

RETRY_SECONDS = 0.003
PATIENCE_SECONDS = 0.8
"""How long a request waits for a locked journal before it is answered 503."""

_log = logging.getLogger("bentoml.prediction")

Entry = tuple[Sequence[Prediction], "asyncio.Future[None]", float]


class Recorder:
    """Records predictions from one event loop; not for threads."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._writer: Writer | None = None
        self._waiting: deque[Entry] = deque()
        self._scheduled = False

    def close(self) -> None:
        """Give the journal's connection back. Whatever was awaited is committed by then."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def record(self, predictions: Sequence[Prediction]) -> None:
        """Return once all predictions are committed; a long list is committed in chunks.

        Raises
        ------
        JournalUnavailable
            When the journal does not answer, or stays locked for `PATIENCE_SECONDS`.
        """
        for start in range(0, len(predictions), CHUNK_ROWS):
            await self._commit(predictions[start : start + CHUNK_ROWS])

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
        else:
            for _, done, _ in group:
                if not done.done():
                    done.set_result(None)
        if self._waiting:
            loop.call_soon(self._flush)
        else:
            self._scheduled = False

    def _next_group(self) -> list[Entry]:
        group: list[Entry] = []
        rows = 0
        while self._waiting and (not group or rows + len(self._waiting[0][0]) <= CHUNK_ROWS):
            entry = self._waiting.popleft()
            group.append(entry)
            rows += len(entry[0])
        return group

    def _insert(self, rows: list[Prediction]) -> None:
        if not rows:
            return
        if self._writer is None:
            self._writer = self._journal.writer()
        started = time.perf_counter()
        self._writer.insert(rows)
        metrics.JOURNAL_COMMIT_SECONDS.observe(time.perf_counter() - started)

    def _put_back(self, group: list[Entry], error: JournalBusy, too_old: float) -> None:
        for entry in reversed(group):
            if entry[2] < too_old:
                self._fail(entry, error)
            elif not entry[1].done():  # a client that left needs no answer
                self._waiting.appendleft(entry)

    def _fail(self, entry: Entry, error: JournalUnavailable) -> None:
        metrics.JOURNAL_FAILURES.inc()
        _log.error("%d predictions could not be recorded: %s", len(entry[0]), error)
        if not entry[1].done():
            entry[1].set_exception(error)
