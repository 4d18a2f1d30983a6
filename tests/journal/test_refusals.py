"""What was refused, by hour, reason and field, added up from what each worker counts."""

from __future__ import annotations

from prediction import metrics
from prediction.journal import refusals
from prediction.journal.database import Journal
from prediction.journal.refusals import Reporter
from prediction.journal.tables import refusals as table
from prediction.times import HOUR_US, now_us
from tests import databases

journal_url = databases.journal_url
journal = databases.journal


def test_new_counts_are_added(journal: Journal, journal_url: str) -> None:
    """The counts of two workers are added up; a report without new counts writes nothing."""
    tea = f"tea of {journal_url[:6]}"  # metrics are the process's, and outlive a test
    reporter = Reporter(journal)
    metrics.REFUSED.labels(tea, "invalid").inc(3)
    metrics.REFUSED.labels(tea, "busy").inc()
    metrics.INVALID_FIELDS.labels(tea, "volume_ml").inc(2)
    reporter.report()
    reporter.report()
    metrics.REFUSED.labels(tea, "invalid").inc(4)
    reporter.report()

    assert [("invalid", "", 7), ("invalid", "volume_ml", 2), ("busy", "", 1)] == [
        item[1:] for item in refusals.find(journal, tea, now_us() - HOUR_US)
    ]
    Reporter(journal).report()
    assert [14, 4, 2] == [item.requests for item in refusals.find(journal, tea, 0)]


def test_a_window_leaves_out_older_hours(journal: Journal) -> None:
    """And refusals of other models."""
    hour_us = now_us() // HOUR_US * HOUR_US
    rows = [
        {
            "model": model,
            "hour_us": hour_us - hours * HOUR_US,
            "reason": "busy",
            "feature": "",
            "requests": 1,
        }
        for model in ("iris", "penguins")
        for hours in range(5)
    ]
    with journal.write() as connection:
        connection.execute(table.insert(), rows)

    assert [("iris", "busy", "", 3)] == refusals.find(journal, "iris", hour_us - 2 * HOUR_US + 1)
