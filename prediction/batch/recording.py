"""Records the predictions of files and frames before they are written, by the rules of requests."""

from __future__ import annotations

import time
from collections.abc import Sequence

from prediction.errors import JournalBusy, JournalFault, JournalUnavailable
from prediction.journal import recorder
from prediction.journal.database import Journal
from prediction.journal.predictions import CHUNK_ROWS, Inserter, Prediction
from prediction.journal.recorder import CLOSE_SECONDS, RETRY_SECONDS
from prediction.journal.retention import Deletions

FILE_PATIENCE_SECONDS = 30.0
"""Timeout of a chunk that waits for a locked journal: no client waits for it."""


class FileRecorder:
    """Records the predictions of a file or frame, where blocking is allowed."""

    def __init__(self, journal: Journal) -> None:
        self._inserter = Inserter(journal)
        self._deletions = Deletions(journal)
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
                self._commit(chunk)
                committed += len(chunk)
        except BaseException as error:
            if isinstance(error, JournalFault) and error.committed:
                committed += CHUNK_ROWS
            self._deletions.add(predictions[:committed])
            self._deletions.wait(FILE_PATIENCE_SECONDS)
            if isinstance(error, JournalUnavailable) and self._recorded:
                raise type(error)(f"{error}; {self._kept()}") from (error.__cause__ or error)
            raise
        self._recorded += committed

    def _kept(self) -> str:
        return f"{self._recorded:,} rows of the file stay recorded, and scoring it again records them again"

    def _commit(self, chunk: Sequence[Prediction]) -> None:
        deadline = time.monotonic() + FILE_PATIENCE_SECONDS
        while True:
            try:
                self._inserter.insert_or_reconnect(chunk)
            except JournalBusy:
                if time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_SECONDS)
            else:
                return

    def close(self) -> None:
        """Close the journal's connections."""
        self._inserter.close()
        self._deletions.wait(CLOSE_SECONDS)
