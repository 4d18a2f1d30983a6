"""Retrainings as rows: one at a time, beating, cancelled, interrupted, promoted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from prediction.errors import RunEnded, UnknownRun
from prediction.journal import ledger, runs, tables
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from prediction.journal.runs import QUEUED_US, SILENCE_US, Ending, Retraining
from prediction.times import now_us
from tests.databases import journal_url as journal_url

VERDICT: dict[str, Any] = {"promote": True, "sentence": "promoted: better", "rules": []}


def promote(journal: Journal, run: Retraining, version: str, judged_against: int) -> str:
    """Promote a candidate of a run."""
    new = NewChampion("iris", version, "d" * 64, "retrain", "promoted: better")
    ending = Ending("promoted", "done", version, {"training": 10}, VERDICT)
    return runs.promote(journal, run, new, judged_against, ending)


@pytest.fixture
def journal(journal_url: str) -> Iterator[Journal]:
    """An empty journal on each database."""
    journal = Journal(journal_url)
    journal.migrate()
    yield journal
    journal.close()


def silence(journal: Journal, run: Retraining) -> None:
    """Make a run's last heartbeat old, as if its process had died."""
    with journal.write() as connection:
        connection.execute(tables.runs.update().where(tables.runs.c.run_id == run.run_id).values(beat_us=0))


def test_one_run_at_a_time(journal: Journal) -> None:
    """While a run is active, a second request returns that run."""
    first, is_new = runs.request(journal, "iris", force=False)
    again, is_new_again = runs.request(journal, "iris", force=True)
    other, _ = runs.request(journal, "penguins", force=False)

    assert (is_new, is_new_again) == (True, False)
    assert first == again
    assert other.run_id != first.run_id
    assert first.status == "queued"


def test_requests_at_once_make_one_run(journal: Journal) -> None:
    """Sixteen simultaneous requests get one run, and it is new for one of them."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: runs.request(journal, "iris", False), range(16)))

    assert len({run.run_id for run, _ in answers}) == 1
    assert sum(is_new for _, is_new in answers) == 1


def test_a_heartbeat_records_step_and_progress(journal: Journal) -> None:
    """They are columns of the run's row."""
    run, _ = runs.request(journal, "iris", False)

    assert runs.beat(journal, run.run_id, "fit on 10 rows", 0.5)

    found = runs.get(journal, "iris", run.run_id)
    assert (found.status, found.step, found.progress) == ("running", "fit on 10 rows", 0.5)


def test_the_next_heartbeat_of_a_cancelled_run_says_so(journal: Journal) -> None:
    """To cancel is to set a mark, which the heartbeat reads."""
    run, _ = runs.request(journal, "iris", False)
    runs.beat(journal, run.run_id, "fit", 0.5)

    assert runs.cancel(journal, "iris", run.run_id).status == "running"
    assert not runs.beat(journal, run.run_id, "fit", 0.6)


def test_a_queued_run_is_cancelled_at_once(journal: Journal) -> None:
    """It has no process yet that could end it."""
    run, _ = runs.request(journal, "iris", False)

    assert runs.cancel(journal, "iris", run.run_id).status == "cancelled"
    assert not runs.beat(journal, run.run_id, "fit", 0.1)
    with pytest.raises(RunEnded):
        runs.cancel(journal, "iris", run.run_id)


def test_a_silent_run_is_interrupted_and_the_next_one_starts(journal: Journal) -> None:
    """The next request finds the dead process."""
    run, _ = runs.request(journal, "iris", False)
    silence(journal, run)

    following, is_new = runs.request(journal, "iris", False)

    assert runs.get(journal, "iris", run.run_id).status == "interrupted"
    assert is_new
    assert following.run_id != run.run_id
    assert not runs.beat(journal, run.run_id, "still here", 0.9)


def test_an_interrupted_run_keeps_its_last_step(journal: Journal) -> None:
    """The step may be the reason for the end."""
    run, _ = runs.request(journal, "iris", False)
    runs.beat(journal, run.run_id, "fit on 114 rows", 0.5)
    silence(journal, run)

    runs.interrupt_silent(journal)

    assert "fit on 114 rows: its process died" == runs.get(journal, "iris", run.run_id).step


def test_promotion_ends_run_and_changes_champion_together(journal: Journal) -> None:
    """The ledger's reason is the verdict's sentence."""
    run, _ = runs.request(journal, "iris", False)

    assert "promoted" == promote(journal, run, "v2", 0)

    ended = runs.get(journal, "iris", run.run_id)
    champion = ledger.champions(journal)["iris"]
    assert (ended.status, ended.candidate, ended.verdict) == ("promoted", "v2", VERDICT)
    assert (champion.to_version, champion.by, champion.reason) == ("v2", "retrain", "promoted: better")


@pytest.mark.parametrize("how", ["cancelled", "interrupted"])
def test_a_run_that_has_ended_promotes_nothing(journal: Journal, how: str) -> None:
    """Its candidate does not become champion."""
    run, _ = runs.request(journal, "iris", False)
    runs.beat(journal, run.run_id, "fit", 0.5)
    if how == "cancelled":
        runs.cancel(journal, "iris", run.run_id)
    else:
        silence(journal, run)
        runs.interrupt_silent(journal)

    assert "cancelled" == promote(journal, run, "v2", 0)
    assert ledger.champions(journal) == {}


def test_a_candidate_replaces_only_the_champion_it_was_compared_with(journal: Journal) -> None:
    """A promotion or rollback of somebody else meanwhile stays, and the run is still active."""
    for version in ("v1", "v2"):
        ledger.promote(journal, NewChampion("iris", version, "d" * 64, by="test", reason="because"))
    run, _ = runs.request(journal, "iris", False)

    assert "overtaken" == promote(journal, run, "v3", 1)
    assert "v2" == ledger.champions(journal)["iris"].to_version
    assert "queued" == runs.get(journal, "iris", run.run_id).status
    assert "promoted" == promote(journal, run, "v3", 2)


def test_runs_are_listed_newest_first(journal: Journal) -> None:
    """Pages continue before a run's id."""
    made = []
    for _ in range(5):
        run, _ = runs.request(journal, "iris", False)
        runs.finish(journal, run.run_id, Ending("rejected", "done"))
        made.append(run.run_id)

    newest = [run.run_id for run in runs.latest(journal, "iris", 2)]
    older = [run.run_id for run in runs.latest(journal, "iris", 10, before=newest[-1])]

    assert made[::-1] == newest + older


@pytest.mark.parametrize("run_id", ["", "x", "\x00", "01900000-0000-7000-8000-000000000000"])
def test_an_unknown_run_is_an_error(journal: Journal, run_id: str) -> None:
    """Any other text in the place of an id is the same error."""
    with pytest.raises(UnknownRun):
        runs.get(journal, "iris", run_id)


def test_active_runs_are_found_by_an_index(journal: Journal) -> None:
    """The same index keeps a second active run out."""
    run, _ = runs.request(journal, "iris", False)
    row = {
        "run_id": "01900000-0000-7000-8000-000000000000",
        "model": "iris",
        "status": "running",
        "step": "",
        "progress": 0.0,
        "force": False,
        "cancel": False,
        "requested_us": 0,
        "beat_us": run.beat_us,
    }
    with pytest.raises(sa.exc.IntegrityError), journal.write() as connection:
        connection.execute(tables.runs.insert(), [row])


@pytest.mark.parametrize(("status", "patience_us"), [("queued", QUEUED_US), ("running", SILENCE_US)])
def test_the_first_heartbeat_may_take_longer_than_the_next(
    journal: Journal, status: str, patience_us: int
) -> None:
    """A new process has much to import; a running one sends a heartbeat every second."""
    run, _ = runs.request(journal, "iris", False)
    if status == "running":
        runs.beat(journal, run.run_id, "fit", 0.5)
    found = []
    for silent_us in (patience_us - 1_000_000, patience_us + 1_000_000):
        with journal.write() as connection:
            connection.execute(tables.runs.update().values(beat_us=now_us() - silent_us))
        runs.interrupt_silent(journal)
        found.append(runs.get(journal, "iris", run.run_id).status)

    assert [status, "interrupted"] == found
