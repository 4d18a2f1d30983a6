"""The process of a retraining: its priority, and its end when it is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import databases
from tests.servers import PROJECT

PRIORITY = """
import os, sys
from prediction.journal import runs
from prediction.retraining import process
from prediction.journal.database import Journal

journal = Journal(sys.argv[1])
journal.migrate()
run, _ = runs.request(journal, "iris", True)
before = process.AUTOGROUP.read_text().strip()
process.take_process(journal, run)
for told in (os.nice(0), before, process.AUTOGROUP.read_text().strip()):
    print(told)
"""


@pytest.mark.parametrize("own_session", [True, False])
def test_serving_goes_first(own_session: bool, tmp_path: Path) -> None:
    """A run has a low priority, also where the kernel shares out processors by session.

    In the foreground its session is that of the operator's terminal, which is left alone.
    """
    done = subprocess.run(
        [sys.executable, "-c", PRIORITY, f"sqlite:///{tmp_path / 'journal.db'}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        start_new_session=own_session,
        check=True,
    )

    own, before, after = done.stdout.splitlines()
    assert str(min(19, os.nice(0) + 10)) == own
    assert (after == before) is not own_session
    assert after.endswith("nice 10") or not own_session


TOLD_TO_STOP = """
import sys, time
from prediction.journal import runs
from prediction.retraining import process
from prediction.journal.database import Journal

journal = Journal(sys.argv[1])
journal.migrate()
process.take_process(journal, runs.request(journal, "iris", True)[0])
print("ready", flush=True)
while True:
    try:
        time.sleep(60)
    except Exception:
        pass
"""


def test_a_run_that_is_told_to_stop_ends_without_its_journal(tmp_path: Path) -> None:
    """Whatever the main thread makes of errors."""
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    process = subprocess.Popen(
        [sys.executable, "-c", TOLD_TO_STOP, url], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        with databases.locked(url):
            process.send_signal(signal.SIGTERM)
            assert 128 + signal.SIGTERM == process.wait(30)
