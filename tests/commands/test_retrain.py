"""`loop retrain`: one retraining in the foreground, and the verdict that it prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from models_store import store
from models_store.spec import Spec
from prediction.journal import ledger, runs, tables
from prediction.journal.database import Journal
from tests import labels
from tests.command_line import command
from tests.servers import PROJECT, environment
from tests.timing import eventually


@pytest.fixture
def journal(home: Path) -> Journal:
    """The journal of a trained home."""
    with closing(Journal(f"sqlite:///{home / 'journal.db'}")) as journal:
        return journal


def test_a_retraining_without_anything_new_is_rejected(home: Path, journal: Journal) -> None:
    """Forced, it fits all the same, and finds that the candidate answers like the champion."""
    done = command(home, "retrain", "iris", "--force")

    assert (1, "") == (done.returncode, done.stderr)
    told = (
        "rejected: nothing new to learn: the candidate answers every row like the champion, from the same"
    )
    assert done.stdout.startswith(told)
    assert 1 == len(store.versions(home, "iris")) == len(ledger.entries(journal, "iris", limit=10))
    assert [] == store.versions(home, "iris-rejected")


def test_the_verdict_names_the_new_version(home: Path, specs: dict[str, Spec], journal: Journal) -> None:
    """A retraining with labels is as good as the champion, and takes its place."""
    labels.give(home, specs["iris"], rows=120).close()
    done = command(home, "retrain", "iris", "--force")

    champion = ledger.champions(journal)["iris"].to_version
    assert 0 == done.returncode, done.stderr
    assert champion == store.newest(home, "iris").version
    assert done.stdout.endswith(f"\niris: {champion} is the champion\n")


def test_the_verdict_as_json(home: Path, journal: Journal) -> None:
    """Is the run, as `GET /{model}/runs/{run_id}` answers it; a rejection says which option helps."""
    done = command(home, "retrain", "iris", "--json")

    run = json.loads(done.stdout)
    assert (1, "rejected", None) == (done.returncode, run["status"], run["candidate"])
    assert "--force" in run["verdict"]["sentence"]
    assert run["run_id"] == runs.latest(journal, "iris", 1)[0].run_id


def test_a_second_retraining_is_refused(home: Path, journal: Journal) -> None:
    """While one is active; the sentence names it and says what helps."""
    active, _ = runs.request(journal, "iris", force=True)

    done = command(home, "retrain", "iris")

    told = f"loop retrain: a retraining of iris is queued already: {active.run_id}: wait for its end, or"
    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(told)


def test_a_retraining_in_the_foreground_promotes(home: Path, specs: dict[str, Spec]) -> None:
    """It prints the verdict, and its version keeps the verdict and the digest of the data."""
    journal = labels.give(home, specs["iris"], rows=120)
    before = ledger.champions(journal)["iris"].to_version

    done = command(home, "retrain", "iris")

    assert 0 == done.returncode, done.stdout + done.stderr
    assert done.stdout.startswith("promoted: not worse on any rule")
    champion = ledger.champions(journal)["iris"]
    assert (before, "retrain") == (champion.from_version, champion.by)
    version = store.get(home, "iris", champion.to_version)
    assert version.metadata["verdict"]["promote"] is True
    assert version.metadata["rows"]["of_feedback"] > 50
    assert "promoted" == runs.latest(journal, "iris", 1)[0].status


def test_without_a_champion_there_is_nothing_to_retrain(home: Path) -> None:
    """The error says how to train."""
    with Journal(f"sqlite:///{home / 'journal.db'}").write() as connection:
        connection.execute(tables.ledger.delete())

    done = command(home, "retrain", "iris", "--force")

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("loop retrain: iris is not trained yet: run `loop train")
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
    assert shown.rstrip().endswith("loop retrain: interrupted")
    assert "interrupted" == runs.latest(journal, "penguins", 1)[0].status
