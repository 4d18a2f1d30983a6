"""The process of one retraining: this module started as a script, with the arguments MODEL RUN_ID.

A server starts one for each run. It has a low priority, so that serving goes first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from models_store import catalog
from models_store.errors import Error
from models_store.spec import Spec
from prediction import errors, home, settings
from prediction.journal import runs
from prediction.journal.database import Journal
from prediction.journal.runs import Ending, Retraining
from prediction.processes import openmp
from prediction.retraining import steps, training
from prediction.telemetry import logs

PROJECT = Path(__file__).parents[2]
NOT_INHERITED = (
    "PREDICTION_ADMIN_TOKEN",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "PROMETHEUS_MULTIPROC_DIR",
)
"""A run does not need the secrets, and its metrics must not be counted as the server's."""

NICENESS = 10
AUTOGROUP = Path("/proc/self/autogroup")
"""Linux schedules sessions against each other first, and niceness only counts within one. This file
sets the niceness of the process's session."""


def spawn(run: Retraining) -> None:
    """Start a run's process in a session of its own, so that it survives the worker that started it."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    kept |= {catalog.VARIABLE: str(catalog.FOLDER)}  # the working folder is another one
    openmp.wait_asleep(kept)
    process = subprocess.Popen(  # noqa: S603 -- this module, with a model's name and our own id
        [sys.executable, "-m", __name__, run.model, run.run_id],
        cwd=PROJECT,
        env=kept,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    threading.Thread(target=process.wait, daemon=True).start()  # otherwise it would stay a zombie


def take_process(journal: Journal, run: Retraining, leave: Callable[[str], None] = training.ignore) -> None:
    """Make this process the process of a run: lower its priority; end the run on SIGTERM and SIGINT.

    Parameters
    ----------
    leave
        Called with the reason before the process ends.
    """

    def stop(number: int, _: object) -> None:
        try:
            runs.finish(journal, run.run_id, Ending("interrupted", "its process was stopped"))
            leave("interrupted")
        finally:  # also if the journal fails: a run without heartbeats is marked as interrupted
            os._exit(128 + number)

    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():  # a session of its own, and not that of an operator's terminal
        with suppress(OSError):  # a kernel without autogroups
            AUTOGROUP.write_text(str(NICENESS), encoding="utf-8")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def main(arguments: list[str]) -> int:
    """Execute the run that a server asked for, and return the exit code."""
    model, run_id = arguments
    if logs.wants_json():
        logs.write_json()
    try:
        configured = settings.load()
        catalog.demand(model)
        with closing(Journal(configured.journal_url)) as journal:
            run = runs.get(journal, model, run_id)
            spec = _select(journal, run)
            take_process(journal, run)
            plan = steps.Plan.of(spec, configured, journal)
            steps.execute(plan, run, server_lock=configured.home / home.LOCK_FILE)
    except (Error, OSError) as error:
        logs.fail(f"retraining of {model}: {errors.in_full(error)}")
        return 1
    return 0


def _select(journal: Journal, run: Retraining) -> Spec:
    """Return the spec of a run. If its file is broken by now, the run ends with the reason."""
    try:
        (spec,) = catalog.select([run.model])
    except Error as error:
        runs.finish(journal, run.run_id, Ending("failed", str(error)))
        raise
    return spec


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
