"""The process of one retraining: its own, at low priority, so that serving goes first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from models_store import catalog
from prediction.journal import runs
from prediction.journal.database import Journal
from prediction.journal.runs import Ending, Retraining
from prediction.retraining.steps import in_silence

PROJECT = Path(__file__).parents[2]
NOT_INHERITED = ("PREDICTION_ADMIN_TOKEN", "PROMETHEUS_MULTIPROC_DIR")
"""The token is none of its business, and its counts are not the server's."""

NICENESS = 10
AUTOGROUP = Path("/proc/self/autogroup")
"""Linux shares out processors by session first: niceness counts within one, and this is that of its own."""


def spawn(run: Retraining) -> None:
    """Start a run's process: its own session, so that it survives the worker that asked for it."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    kept |= {catalog.VARIABLE: str(catalog.FOLDER)}  # where an installed package lies, there is none
    process = subprocess.Popen(  # noqa: S603 -- our own module, and ids that are ours
        [sys.executable, "-m", "prediction", "retrain", run.model, "--run", run.run_id],
        cwd=PROJECT,
        env=kept,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    threading.Thread(target=process.wait, daemon=True).start()  # or it would stay a zombie


def take_process(journal: Journal, run: Retraining, leave: Callable[[str], None] = in_silence) -> None:
    """Make this process the run's: serving goes first, and told to stop it says so in the journal.

    Parameters
    ----------
    leave
        Told why the process ends at once.
    """

    def stop(number: int, _: object) -> None:
        try:
            runs.finish(journal, run.run_id, Ending("interrupted", "its process was told to stop"))
            leave("interrupted")
        finally:  # also if the journal fails: whoever finds no beat marks the run
            os._exit(128 + number)

    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():  # the group is its own, and nobody's terminal
        with suppress(OSError):  # where the kernel knows no such groups
            AUTOGROUP.write_text(str(NICENESS), encoding="utf-8")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
