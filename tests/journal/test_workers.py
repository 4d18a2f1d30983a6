"""Reports of workers: what each one serves, and whether all agree."""

from __future__ import annotations

import sqlalchemy as sa

from prediction.journal import tables, workers
from prediction.journal.database import Journal
from prediction.times import now_us


def test_a_worker_s_report_replaces_its_last_one(opened: Journal) -> None:
    """What a worker serves is what it said last; others' reports stay."""
    workers.report(opened, "host", 1, {"iris": ("a", 10), "penguins": ("z", 10)})
    workers.report(opened, "host", 2, {"iris": ("a", 11)})
    workers.report(opened, "host", 1, {"iris": ("b", 20)})

    assert [(1, "b", 20), (2, "a", 11)] == serving(opened, "iris")
    assert [] == serving(opened, "penguins")


def serving(opened: Journal, model: str, seen_since_us: int = 0) -> list[tuple[int, str, int]]:
    """Return worker, version and since of every worker that serves a model."""
    found = workers.reported_since(opened, model, seen_since_us)
    return [(row.worker, row.version, row.since_us) for row in found]


def test_a_worker_signs_off_with_an_empty_report(opened: Journal) -> None:
    """A worker that serves nothing is not listed."""
    workers.report(opened, "host", 1, {"iris": ("a", 10)})
    workers.report(opened, "host", 1, {})

    assert [] == serving(opened, "iris")


def test_workers_of_the_same_number_on_two_hosts_are_two(opened: Journal) -> None:
    """Process ids repeat across hosts, so a worker is its host and its number."""
    workers.report(opened, "left", 1, {"iris": ("a", 10)})
    workers.report(opened, "right", 1, {"iris": ("b", 10)})

    assert ["left", "right"] == [row.host for row in workers.reported_since(opened, "iris", 0)]


def test_a_silent_worker_is_passed_over(opened: Journal) -> None:
    """A worker that was killed signs nothing off, so only recent reports count."""
    workers.report(opened, "host", 1, {"iris": ("a", 10)})
    now = now_us()

    assert [(1, "a", 10)] == serving(opened, "iris", now - 60_000_000)
    assert [] == serving(opened, "iris", now + 1)


def test_a_worker_that_is_long_dead_is_forgotten(opened: Journal) -> None:
    """What it served holds no version back for ever; who reports next removes it."""
    workers.report(opened, "host", 1, {"iris": ("a", 10)})
    with opened.write() as connection:
        connection.execute(sa.update(tables.workers).values(seen_us=now_us() - workers.FORGOTTEN_US - 1))

    workers.report(opened, "host", 2, {"iris": ("b", 10)})

    assert [(2, "b", 10)] == serving(opened, "iris", 0)


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
