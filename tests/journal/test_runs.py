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
    """Make a run look as if its process had died long ago."""
    with journal.write() as connection:
        connection.execute(tables.runs.update().where(tables.runs.c.run_id == run.run_id).values(beat_us=0))


def test_one_run_at_a_time(journal: Journal) -> None:
    """While a run is active, asking again answers that one."""
    first, is_new = runs.request(journal, "iris", force=False)
    again, is_new_again = runs.request(journal, "iris", force=True)
    other, _ = runs.request(journal, "penguins", force=False)

    assert (is_new, is_new_again) == (True, False)
    assert first == again
    assert other.run_id != first.run_id
    assert first.status == "queued"


def test_requests_at_once_make_one_run(journal: Journal) -> None:
    """Sixteen threads that ask at once get one run, and one of them starts it."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: runs.request(journal, "iris", False), range(16)))

    assert len({run.run_id for run, _ in answers}) == 1
    assert sum(is_new for _, is_new in answers) == 1


def test_a_run_beats_and_tells_where_it_is(journal: Journal) -> None:
    """The row says step and progress."""
    run, _ = runs.request(journal, "iris", False)

    assert runs.beat(journal, run.run_id, "fit on 10 rows", 0.5)

    found = runs.get(journal, "iris", run.run_id)
    assert (found.status, found.step, found.progress) == ("running", "fit on 10 rows", 0.5)


def test_a_running_run_is_told_to_stop(journal: Journal) -> None:
    """Cancelling is a mark that the next beat reads."""
    run, _ = runs.request(journal, "iris", False)
    runs.beat(journal, run.run_id, "fit", 0.5)

    assert runs.cancel(journal, "iris", run.run_id).status == "running"
    assert not runs.beat(journal, run.run_id, "fit", 0.6)


def test_a_queued_run_is_cancelled_at_once(journal: Journal) -> None:
    """A run that has no process yet needs nobody to obey."""
    run, _ = runs.request(journal, "iris", False)

    assert runs.cancel(journal, "iris", run.run_id).status == "cancelled"
    assert not runs.beat(journal, run.run_id, "fit", 0.1)
    with pytest.raises(RunEnded):
        runs.cancel(journal, "iris", run.run_id)


def test_a_silent_run_is_interrupted_and_the_next_one_starts(journal: Journal) -> None:
    """Whoever looks notices a dead process."""
    run, _ = runs.request(journal, "iris", False)
    silence(journal, run)

    following, is_new = runs.request(journal, "iris", False)

    assert runs.get(journal, "iris", run.run_id).status == "interrupted"
    assert is_new
    assert following.run_id != run.run_id
    assert not runs.beat(journal, run.run_id, "still here", 0.9)


def test_a_silent_run_tells_at_which_step_it_died(journal: Journal) -> None:
    """What it did last may be why: the step stays."""
    run, _ = runs.request(journal, "iris", False)
    runs.beat(journal, run.run_id, "fit on 114 rows", 0.5)
    silence(journal, run)

    runs.interrupt_silent(journal)

    assert "fit on 114 rows: its process died" == runs.get(journal, "iris", run.run_id).step


def test_promotion_ends_run_and_changes_champion_together(journal: Journal) -> None:
    """The ledger tells the verdict's sentence."""
    run, _ = runs.request(journal, "iris", False)

    assert "promoted" == promote(journal, run, "v2", 0)

    ended = runs.get(journal, "iris", run.run_id)
    champion = ledger.champions(journal)["iris"]
    assert (ended.status, ended.candidate, ended.verdict) == ("promoted", "v2", VERDICT)
    assert (champion.to_version, champion.by, champion.reason) == ("v2", "retrain", "promoted: better")


@pytest.mark.parametrize("how", ["cancelled", "interrupted"])
def test_a_run_that_is_over_promotes_nothing(journal: Journal, how: str) -> None:
    """A candidate that comes too late does not become champion."""
    run, _ = runs.request(journal, "iris", False)
    runs.beat(journal, run.run_id, "fit", 0.5)
    if how == "cancelled":
        runs.cancel(journal, "iris", run.run_id)
    else:
        silence(journal, run)
        runs.interrupt_silent(journal)

    assert "cancelled" == promote(journal, run, "v2", 0)
    assert ledger.champions(journal) == {}


def test_a_candidate_takes_the_place_of_the_champion_it_was_compared_with_only(journal: Journal) -> None:
    """Where somebody has promoted or rolled back meanwhile, that stands, and the run goes on to its end."""
    for version in ("v1", "v2"):
        ledger.promote(journal, NewChampion("iris", version, "d" * 64, by="test", reason="because"))
    run, _ = runs.request(journal, "iris", False)

    assert "overtaken" == promote(journal, run, "v3", 1)
    assert "v2" == ledger.champions(journal)["iris"].to_version
    assert "queued" == runs.get(journal, "iris", run.run_id).status
    assert "promoted" == promote(journal, run, "v3", 2)


def test_runs_are_listed_newest_first(journal: Journal) -> None:
    """A run's id is the cursor."""
    made = []
    for _ in range(5):
        run, _ = runs.request(journal, "iris", False)
        runs.finish(journal, run.run_id, Ending("rejected", "done"))
        made.append(run.run_id)

    newest = [run.run_id for run in runs.latest(journal, "iris", 2)]
    older = [run.run_id for run in runs.latest(journal, "iris", 10, before=newest[-1])]

    assert made[::-1] == newest + older


@pytest.mark.parametrize("run_id", ["", "x", "\x00", "01900000-0000-7000-8000-000000000000"])
def test_an_unknown_run_is_told(journal: Journal, run_id: str) -> None:
    """Whatever the text, it is no run."""
    with pytest.raises(UnknownRun):
        runs.get(journal, "iris", run_id)


def test_active_runs_are_found_by_an_index(journal: Journal) -> None:
    """The database itself keeps a second active run out."""
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
def test_a_process_may_take_longer_to_begin_than_to_beat(
    journal: Journal, status: str, patience_us: int
) -> None:
    """A new process has much to import; once it runs it is expected every second."""
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
