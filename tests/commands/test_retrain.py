"""`loop retrain`: the verdict that it prints."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from models_store import store
from prediction.journal import ledger, runs
from prediction.journal.database import Journal
from tests.command_line import command


@pytest.fixture
def journal(home: Path) -> Journal:
    """The journal of a trained home."""
    with closing(Journal(f"sqlite:///{home / 'journal.db'}")) as journal:
        return journal


def test_the_verdict_names_the_new_version(home: Path, journal: Journal) -> None:
    """A forced retraining without labels is as good as the champion, and takes its place."""
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
