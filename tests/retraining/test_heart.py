"""The heartbeat of a run: what it writes into the journal, and when it ends the process."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prediction import home
from prediction.journal import runs
from prediction.journal.database import Journal
from prediction.journal.runs import Ending
from prediction.retraining import heart, training
from prediction.retraining.heart import Heart
from tests import databases
from tests.servers import PROJECT
from tests.timing import eventually


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """An empty journal."""
    opened = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    opened.migrate()
    return opened


def test_the_step_and_the_progress_are_written(journal: Journal) -> None:
    """A heartbeat makes a queued run a running one, and writes what was reported last."""
    run, _ = runs.request(journal, "iris", force=True)

    with Heart(journal, run, None, training.ignore) as beating:
        beating.report("fit on 114 rows", 0.25)
        eventually(lambda: runs.get(journal, "iris", run.run_id).step == "fit on 114 rows")

    found = runs.get(journal, "iris", run.run_id)
    assert ("running", 0.25) == (found.status, found.progress)


def test_the_thread_ends_with_its_block(journal: Journal) -> None:
    """No later heartbeat changes the run, so that its end is written once."""
    run, _ = runs.request(journal, "iris", force=True)
    before = threading.active_count()

    with Heart(journal, run, None, training.ignore):
        eventually(lambda: runs.get(journal, "iris", run.run_id).status == "running")

    assert before == threading.active_count()


def test_a_journal_that_does_not_answer_is_tried_again(journal: Journal, tmp_path: Path) -> None:
    """A run survives a journal that is locked for a while."""
    run, _ = runs.request(journal, "iris", force=True)
    with Heart(journal, run, None, training.ignore) as beating:
        eventually(lambda: runs.get(journal, "iris", run.run_id).status == "running")
        with databases.locked(f"sqlite:///{tmp_path / 'journal.db'}"):
            beating.report("fit", 0.5)
        eventually(lambda: runs.get(journal, "iris", run.run_id).step == "fit")


ENDLESS = """
import sys, time
from pathlib import Path
from prediction.journal import runs
from prediction.journal.database import Journal
from prediction.retraining.heart import Heart

journal = Journal(sys.argv[1])
run, _ = runs.request(journal, "iris", True)
lock = Path(sys.argv[2]) if len(sys.argv) > 2 else None
print(run.run_id, flush=True)  # before the heart's thread, which may print at once
with Heart(journal, run, lock, lambda reason: print(reason, flush=True)):
    time.sleep(300)
"""


@contextmanager
def endless(journal: Journal, tmp_path: Path, *lock: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a run that does not end by itself; yield its process and its id."""
    command = [sys.executable, "-c", ENDLESS, f"sqlite:///{tmp_path / 'journal.db'}", *map(str, lock)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        try:
            eventually(lambda: runs.get(journal, "iris", run_id).status != "queued")
            yield process, run_id
        finally:
            process.kill()


def test_a_cancelled_run_ends_its_process(journal: Journal, tmp_path: Path) -> None:
    """The main thread can't prevent it; the reason is given first."""
    with endless(journal, tmp_path) as (process, run_id):
        runs.cancel(journal, "iris", run_id)

        assert 1 == process.wait(30)
        assert process.stdout is not None
        assert "cancelled on request\n" == process.stdout.read()
    found = runs.get(journal, "iris", run_id)
    assert ("cancelled", "cancelled on request") == (found.status, found.step)


def test_a_run_ends_with_its_server(journal: Journal, tmp_path: Path) -> None:
    """The run goes on while the lock of the server is held, and ends when it is free."""
    server = home.lock(tmp_path)
    with endless(journal, tmp_path, tmp_path / home.LOCK_FILE) as (process, run_id):
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3 * heart.BEAT_SECONDS)
        server.close()

        assert 1 == process.wait(30)
    found = runs.get(journal, "iris", run_id)
    assert ("interrupted", "the server ended") == (found.status, found.step)


def test_a_run_without_a_lock_file_ends(journal: Journal, tmp_path: Path) -> None:
    """A home without the file has no server."""
    with endless(journal, tmp_path, tmp_path / "nothing.lock") as (process, run_id):
        assert 1 == process.wait(30)
    assert "interrupted" == runs.get(journal, "iris", run_id).status


def test_a_run_that_others_have_marked_as_dead_ends_its_process(journal: Journal, tmp_path: Path) -> None:
    """It gives no reason, because its end is already in the journal."""
    with endless(journal, tmp_path) as (process, run_id):
        runs.finish(journal, run_id, Ending("interrupted", "silent for too long"))

        assert 1 == process.wait(30)
        assert process.stdout is not None
        assert "" == process.stdout.read()
    assert "silent for too long" == runs.get(journal, "iris", run_id).step
