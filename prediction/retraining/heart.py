"""The heartbeat of a run: a thread that reports it to the journal, and ends the process if it must stop."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from prediction.errors import JournalUnavailable
from prediction.journal import runs
from prediction.journal.database import Journal
from prediction.journal.runs import Ending, Retraining

BEAT_SECONDS = 1.0

_log = logging.getLogger("bentoml.prediction")


class Heart:
    """Reports a run while its block is executed; ends the process if the run was cancelled.

    Parameters
    ----------
    server_lock
        The lock file of the server that asked for the run: if no server holds it, the run ends. None for
        a run of the command line.
    leave
        Called with the reason before the process ends.
    """

    def __init__(
        self, journal: Journal, run: Retraining, server_lock: Path | None, leave: Callable[[str], None]
    ) -> None:
        self._journal, self._run = journal, run
        self._server_lock = server_lock
        self._leave = leave
        self._step, self._progress = "start", 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=5)

    def report(self, step: str, progress: float) -> None:
        """Set the step and the progress, in [0, 1], that the next heartbeat writes."""
        self._step, self._progress = step, progress

    def _beat(self) -> None:
        while not self._stopped.is_set():
            try:
                goes_on = runs.beat(self._journal, self._run.run_id, self._step, self._progress)
                if not goes_on:
                    self._die("cancelled", "cancelled on request")
                elif self._server_lock is not None and _is_free(self._server_lock):
                    self._die("interrupted", "the server ended")
            except JournalUnavailable:
                _log.warning("the run can't reach the journal: trying again")
            self._stopped.wait(BEAT_SECONDS)

    def _die(self, status: str, reason: str) -> None:
        if runs.finish(self._journal, self._run.run_id, Ending(status, reason)):
            self._leave(reason)
            os._exit(1)
        # The run has ended already. Either the main thread ended it just now, or another process
        # marked it as dead: then the main thread does not stop by itself.
        if not self._stopped.wait(2 * BEAT_SECONDS):
            os._exit(1)


def _is_free(lock: Path) -> bool:
    """Return whether no server holds its lock."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
