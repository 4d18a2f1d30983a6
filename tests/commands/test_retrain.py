"""The command `retrain`: one retraining in the foreground."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from models_store import store
from models_store.spec import Spec
from prediction.journal import ledger, runs, tables
from prediction.journal.database import Journal
from tests import labels
from tests.servers import PROJECT, environment, run
from tests.timing import eventually


def test_a_retraining_in_the_foreground_promotes(home: Path, specs: dict[str, Spec]) -> None:
    """It prints the verdict, and its version keeps the verdict and the digest of the data."""
    journal = labels.give(home, specs["iris"], rows=120)
    before = ledger.champions(journal)["iris"].to_version

    done = run("python", "-m", "prediction", "retrain", "iris", home=home)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert done.stdout.startswith("promoted: not worse on any rule")
    champion = ledger.champions(journal)["iris"]
    assert (before, "retrain") == (champion.from_version, champion.by)
    version = store.get(home, "iris", champion.to_version)
    assert version.metadata["verdict"]["promote"] is True
    assert version.metadata["rows"]["of_feedback"] > 50
    assert "promoted" == runs.latest(journal, "iris", 1)[0].status


def test_without_a_champion_there_is_nothing_to_retrain(home: Path, specs: dict[str, Spec]) -> None:
    """The run fails with a sentence that says how to train."""
    with Journal(f"sqlite:///{home / 'journal.db'}").write() as connection:
        connection.execute(tables.ledger.delete())

    done = run("python", "-m", "prediction", "retrain", "iris", "--force", home=home)

    assert 1 == done.returncode
    assert "failed: no trained version of iris" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_retraining_that_is_interrupted_restores_the_terminal(
    home: Path, number: signal.Signals, code: int
) -> None:
    """It prints that it was interrupted and shows the cursor again; its run is interrupted."""
    here, there = os.openpty()
    process = subprocess.Popen(
        ["python", "-m", "prediction", "retrain", "penguins", "--force"],
        cwd=PROJECT,
        env=environment(home) | {"TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=there,
    )
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    eventually(lambda: any(each.status == "running" for each in runs.latest(journal, "penguins", 1)))
    process.send_signal(number)

    assert code == process.wait(60)
    os.close(there)
    shown = os.read(here, 100_000).decode()
    os.close(here)
    assert "\x1b[?25l" not in shown.rpartition("\x1b[?25h")[2]
    assert shown.rstrip().endswith("prediction retrain: interrupted")
    assert "interrupted" == runs.latest(journal, "penguins", 1)[0].status
