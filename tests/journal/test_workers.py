"""Reports of workers: what each one serves, and whether all agree."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from prediction.journal import tables, workers
from prediction.journal.database import Journal
from prediction.times import now_us


def test_a_worker_s_report_replaces_its_last_one(opened: Journal) -> None:
    """The last report of a worker counts; the reports of others stay."""
    workers.report(opened, "host", 1, {"iris": ("a", 10), "penguins": ("z", 10)})
    workers.report(opened, "host", 2, {"iris": ("a", 11)})
    workers.report(opened, "host", 1, {"iris": ("b", 20)})

    assert [(1, "b", 20), (2, "a", 11)] == serving(opened, "iris")
    assert [] == serving(opened, "penguins")


def serving(opened: Journal, model: str, seen_since_us: int = 0) -> list[tuple[int, str, int]]:
    """Return worker, version and since of every worker that serves a model."""
    found = workers.reported_since(opened, model, seen_since_us)
    return [(row.worker, row.version, row.since_us) for row in found]


def test_a_worker_with_an_empty_report_is_not_listed(opened: Journal) -> None:
    """A worker reports that it serves no model when it ends."""
    workers.report(opened, "host", 1, {"iris": ("a", 10)})
    workers.report(opened, "host", 1, {})

    assert [] == serving(opened, "iris")


def test_workers_of_the_same_number_on_two_hosts_are_two(opened: Journal) -> None:
    """Process ids repeat across hosts, so a worker is its host and its number."""
    workers.report(opened, "left", 1, {"iris": ("a", 10)})
    workers.report(opened, "right", 1, {"iris": ("b", 10)})

    assert ["left", "right"] == [row.host for row in workers.reported_since(opened, "iris", 0)]


def test_old_reports_can_be_left_out(opened: Journal) -> None:
    """A worker that was killed leaves its report, so readers ask for recent ones."""
    workers.report(opened, "host", 1, {"iris": ("a", 10)})
    now = now_us()

    assert [(1, "a", 10)] == serving(opened, "iris", now - 60_000_000)
    assert [] == serving(opened, "iris", now + 1)


def test_a_server_that_does_not_know_a_model_is_found(opened: Journal) -> None:
    """By its living workers: each reports on all models that it knows, even if it can't serve them."""
    assert [] == workers.unaware(opened, "iris")
    workers.report(opened, "left", 1, {"iris": ("", 10), "penguins": ("z", 10)})
    workers.report(opened, "right", 1, {"iris": ("a", 10)})
    workers.report(opened, "right", 2, {"iris": ("a", 10), "penguins": ("z", 10)})

    assert [] == workers.unaware(opened, "iris")
    assert ["right"] == workers.unaware(opened, "penguins")
    assert ["left", "right"] == workers.unaware(opened, "planes")
    workers.report(opened, "right", 1, {})
    assert [] == workers.unaware(opened, "penguins")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> int:
    """The present time, which stands still."""
    now = now_us()
    monkeypatch.setattr(workers, "now_us", lambda: now)
    return now


def age(opened: Journal, worker: int, seen_us: int) -> None:
    """Set the time of a worker's report."""
    mine = tables.workers.c.worker == worker
    with opened.write() as connection:
        connection.execute(sa.update(tables.workers).where(mine).values(seen_us=seen_us))


def test_reports_of_dead_workers_are_deleted_after_a_day(opened: Journal, now: int) -> None:
    """The next report of any worker deletes those older than `FORGOTTEN_US`, to the microsecond."""
    for worker, seen_us in ((1, now - workers.FORGOTTEN_US - 1), (2, now - workers.FORGOTTEN_US)):
        workers.report(opened, "host", worker, {"iris": ("a", 10)})
        age(opened, worker, seen_us)

    workers.report(opened, "host", 3, {"iris": ("b", 10)})

    assert [(2, "a", 10), (3, "b", 10)] == serving(opened, "iris", 0)


def test_a_worker_is_alive_until_its_report_is_too_old(opened: Journal, now: int) -> None:
    """A report of `SILENCE_US` ago is recent enough; one microsecond more is too old."""
    for worker, seen_us in ((1, now - workers.SILENCE_US - 1), (2, now - workers.SILENCE_US)):
        workers.report(opened, "host", worker, {"iris": ("a", 10)})
        age(opened, worker, seen_us)

    assert [2] == [report.worker for report in workers.alive(opened, "iris")]


def test_workers_agree_when_each_serves_the_champion(opened: Journal) -> None:
    """No worker, one that serves another version, and one that serves none do not agree."""
    assert not workers.agree([], "a")

    workers.report(opened, "host", 1, {"iris": ("a", 10)})
    one = workers.reported_since(opened, "iris", 0)
    workers.report(opened, "host", 2, {"iris": ("", 10)})
    two = workers.reported_since(opened, "iris", 0)

    assert workers.agree(one, "a")
    assert not workers.agree(one, "b")
    assert not workers.agree(one, None)
    assert not workers.agree(two, "a")
