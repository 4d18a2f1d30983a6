"""The process of a retraining: its start, its priority, and its end by a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models_store import store
from models_store.spec import Spec
from prediction import home as homes
from prediction.journal import runs
from prediction.journal.database import Journal
from prediction.retraining import process
from tests import databases, labels
from tests.servers import PROJECT, run
from tests.timing import eventually

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
    """A run has a low priority, also on kernels that schedule sessions against each other.

    In the foreground the session belongs to the operator's terminal, and its niceness stays.
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


def test_a_run_ends_by_a_signal_even_if_its_journal_is_locked(tmp_path: Path) -> None:
    """The main thread can't prevent it by catching exceptions."""
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    running = subprocess.Popen(
        [sys.executable, "-c", TOLD_TO_STOP, url], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    with running:
        assert running.stdout is not None
        assert "ready\n" == running.stdout.readline()
        with databases.locked(url):
            running.send_signal(signal.SIGTERM)
            assert 128 + signal.SIGTERM == running.wait(30)


MODULE = "prediction.retraining.process"


def test_a_spawned_run_is_executed_to_its_end(
    home: Path, specs: dict[str, Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no more than the environment of the server, the model and the id of the run."""
    journal = labels.give(home, specs["iris"], 120)
    asked, _ = runs.request(journal, "iris", force=True)
    monkeypatch.setenv("BENTOML_HOME", str(home))
    with homes.lock(home):
        process.spawn(asked)
        eventually(lambda: not runs.get(journal, "iris", asked.run_id).is_active, 200)

    ended = runs.get(journal, "iris", asked.run_id)
    assert "promoted" == ended.status, ended
    assert ended.candidate == store.newest(home, "iris").version


def test_a_run_of_a_server_ends_without_one(home: Path) -> None:
    """The process watches the lock of its home's server."""
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    asked, _ = runs.request(journal, "penguins", force=True)

    done = run("python", "-m", MODULE, "penguins", asked.run_id, home=home)

    assert 1 == done.returncode
    ended = runs.get(journal, "penguins", asked.run_id)
    assert ("interrupted", "the server ended") == (ended.status, ended.step)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("iris", "01900000-0000-7000-8000-000000000000"), "no run of iris has that id"),
        (("tulip", "01900000-0000-7000-8000-000000000000"), "there is no model 'tulip'"),
    ],
    ids=["run", "model"],
)
def test_an_unknown_run_or_model_is_one_sentence(
    home: Path, arguments: tuple[str, str], words: str
) -> None:
    """The process ends at once, with exit code 1 and no traceback."""
    done = run("python", "-m", MODULE, *arguments, home=home)

    assert 1 == done.returncode
    assert done.stderr.startswith(f"retraining of {arguments[0]}: {words}")
    assert "Traceback" not in done.stderr


def test_a_run_of_a_broken_spec_fails_with_the_reason(home: Path, tmp_path: Path) -> None:
    """The file broke after the server had started: the run ends at once, and says why."""
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "iris.py").write_text("\nSPEC = 1 / 0")
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    asked, _ = runs.request(journal, "iris", force=True)

    done = run("python", "-m", MODULE, "iris", asked.run_id, home=home, catalog=folder)

    ended = runs.get(journal, "iris", asked.run_id)
    assert (1, "failed") == (done.returncode, ended.status)
    assert f"{folder / 'iris.py'}, line 2: ZeroDivisionError: division by zero: correct" in ended.step
    assert "Traceback" not in done.stderr
