"""Records the predictions of files and frames before they are written, by the rules of requests.

Servers that use the journal are not delayed: between two blocks of rows there is time for theirs.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from prediction.errors import JournalBusy, JournalFault, JournalUnavailable
from prediction.journal import recorder
from prediction.journal.database import Journal
from prediction.journal.predictions import CHUNK_ROWS, Inserter, Prediction
from prediction.journal.recorder import CLOSE_SECONDS, RETRY_SECONDS
from prediction.journal.retention import Deletions

FILE_PATIENCE_SECONDS = 30.0
"""Timeout of a chunk that waits for a locked journal: no client waits for it."""


REST_SECONDS, REST_TIMES = 2 * RETRY_SECONDS, 3.0
"""The rest after a block: so many times as long as the block took, and at least so long that a server that
met the block finds the journal free at its next attempt."""

TURN_FILE = "recording.lock"
"""Beside a SQLite journal: the process that records a block, or rests after one, holds its lock."""


class FileRecorder:
    """Records the predictions of a file or frame, where blocking is allowed.

    Parameters
    ----------
    again
        Whether rows may be recorded already, by a run that was cut. Then they are left as they are, and
        what was committed stays after an error.
    """

    def __init__(self, journal: Journal, again: bool = False) -> None:
        self._inserter = Inserter(journal)
        self._deletions = Deletions(journal)
        self._again = again
        self._turns = _Turns(journal)
        self._recorded = 0

    def record(self, predictions: Sequence[Prediction]) -> None:
        """Return once all predictions are committed.

        Raises
        ------
        JournalUnavailable
            When the journal does not answer, or stays locked for `FILE_PATIENCE_SECONDS`. What was
            committed is deleted by then, unless the journal stays locked for as long again. Rows of
            earlier calls stay, and the message says how many.
        """
        committed = 0
        try:
            for chunk in recorder.chunks(predictions):
                with self._turns.take():
                    seconds = self._commit(chunk)
                    committed += len(chunk)
                    time.sleep(max(REST_SECONDS, REST_TIMES * seconds))
        except BaseException as error:
            if isinstance(error, JournalFault) and error.committed:
                committed += CHUNK_ROWS
            if self._again:
                raise
            self._deletions.add(predictions[:committed])
            self._deletions.wait(FILE_PATIENCE_SECONDS)
            if isinstance(error, JournalUnavailable) and self._recorded:
                raise type(error)(f"{error}; {self._kept()}") from (error.__cause__ or error)
            raise
        self._recorded += committed

    def _kept(self) -> str:
        return f"{self._recorded:,} rows of the file stay recorded, and scoring it again records them again"

    def _commit(self, chunk: Sequence[Prediction]) -> float:
        """Commit a block, and return how long that took, without the wait for a lock."""
        deadline = time.monotonic() + FILE_PATIENCE_SECONDS
        while True:
            began = time.monotonic()
            try:
                self._inserter.insert_or_reconnect(chunk, self._again)
            except JournalBusy:
                if time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_SECONDS)
            else:
                return time.monotonic() - began

    def close(self) -> None:
        """Close the journal's connections."""
        self._turns.close()
        self._inserter.close()
        self._deletions.wait(CLOSE_SECONDS)


class _Turns:
    """Lets all processes that record files share one turn on SQLite, where one writer excludes the others.

    On PostgreSQL they record side by side, each with its rests.
    """

    def __init__(self, journal: Journal) -> None:
        self._lock = (journal.file.parent / TURN_FILE).open("w") if journal.is_sqlite else None

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for the turn, which is for a block and the rest after it.

        A process that was stopped in its turn does not stop the others for ever: the journal's own lock
        is what keeps the rows safe.
        """
        self._acquire()
        try:
            yield
        finally:
            if self._lock is not None:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _acquire(self) -> None:
        deadline = time.monotonic() + FILE_PATIENCE_SECONDS
        while self._lock is not None and time.monotonic() < deadline:
            with suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(RETRY_SECONDS)

    def close(self) -> None:
        """Close the file of the lock."""
        if self._lock is not None:
            self._lock.close()
