"""Counts of refused requests by hour, reason and feature. Workers count them, the journal adds them up."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from prediction import metrics
from prediction.journal.database import Journal
from prediction.journal.tables import refusals
from prediction.times import HOUR_US, now_us


class Refused(NamedTuple):
    """The number of requests, or of values of a feature, that were refused for a reason."""

    model: str
    reason: str
    feature: str
    requests: int


class Reporter:
    """Adds the counts of this process since the last report to the journal.

    When the process is killed, the refusals of its last seconds are lost.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._reported: dict[tuple[str, str, str], int] = {}

    def report(self) -> None:
        """Add the new counts."""
        counted = _counted()
        new = {key: value - self._reported.get(key, 0) for key, value in counted.items()}
        rows = [
            {"model": model, "hour_us": begin(now_us()), "reason": reason}
            | {"feature": feature, "requests": value}
            for (model, reason, feature), value in sorted(new.items())
            if value > 0
        ]
        if rows:
            with self._journal.write() as connection:
                self._journal.add(connection, refusals, rows)
        self._reported = counted


def begin(since_us: int) -> int:
    """Return the start of the hour of a time: refusals are counted by whole hours."""
    return since_us // HOUR_US * HOUR_US


def find(journal: Journal, model: str, since_us: int) -> list[Refused]:
    """Return a model's refusals since the start of the hour of a time, the most frequent first."""
    total = sa.func.sum(refusals.c.requests)
    keys = (refusals.c.model, refusals.c.reason, refusals.c.feature)
    query = sa.select(*keys, total).where(refusals.c.model == model, refusals.c.hour_us >= begin(since_us))
    with journal.read() as connection:
        rows = connection.execute(query.group_by(*keys).order_by(total.desc(), *keys))
        return [Refused(name, reason, feature, int(n)) for name, reason, feature, n in rows]


def _counted() -> dict[tuple[str, str, str], int]:
    """Return this process's own counts by model, reason and feature."""
    found: dict[tuple[str, str, str], int] = {}
    for counter in (metrics.REFUSED, metrics.INVALID_FIELDS):
        for family in counter.collect():
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    labels = sample.labels
                    key = (labels["model"], labels.get("reason", "invalid"), labels.get("feature", ""))
                    found[key] = int(sample.value)
    return found
