"""What each worker serves: it reports every few seconds; a worker without recent reports is ignored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from prediction.journal.database import Journal
from prediction.journal.tables import workers
from prediction.times import DAY_US, SECOND_US, now_us

SILENCE_US = 15 * SECOND_US
"""A worker without a report for this long counts as dead."""

FORGOTTEN_US = DAY_US
"""Older reports are deleted."""


class Report(NamedTuple):
    """The version of a model that one worker of one host serves, since when, and the time of the report.

    The version is empty if the worker can't serve the model.
    """

    host: str
    worker: int
    model: str
    version: str
    since_us: int
    seen_us: int


def report(journal: Journal, host: str, worker: int, serving: dict[str, tuple[str, int]]) -> None:
    """Replace a worker's report: for each model the version that it serves, and since when (us).

    Reports older than `FORGOTTEN_US` are deleted.
    """
    mine = (workers.c.host == host) & (workers.c.worker == worker)
    forgotten = workers.c.seen_us < now_us() - FORGOTTEN_US
    rows = [
        Report(host, worker, model, version, since_us, now_us())._asdict()
        for model, (version, since_us) in serving.items()
    ]
    with journal.write() as connection:
        connection.execute(workers.delete().where(mine | forgotten))
        if rows:
            connection.execute(workers.insert(), rows)


def alive(journal: Journal, model: str) -> list[Report]:
    """Return the reports on a model of all workers that are alive."""
    return reported_since(journal, model, now_us() - SILENCE_US)


def reported_since(journal: Journal, model: str, since_us: int) -> list[Report]:
    """Return the reports on a model at or after a time."""
    query = sa.select(workers).where(workers.c.model == model, workers.c.seen_us >= since_us)
    with journal.read() as connection:
        rows = connection.execute(query.order_by(workers.c.host, workers.c.worker))
        return [Report(*row) for row in rows]


def unaware(journal: Journal, model: str) -> list[str]:
    """Return the hosts with a living worker that does not know a model: it was added after their start."""
    query = sa.select(workers.c.host, workers.c.worker, workers.c.model)
    with journal.read() as connection:
        found = list(connection.execute(query.where(workers.c.seen_us >= now_us() - SILENCE_US)))
    aware = {(host, worker) for host, worker, known in found if known == model}
    return sorted({host for host, worker, _ in found if (host, worker) not in aware})


def disagreeing(reports: Sequence[Report], champion: str | None) -> list[Report]:
    """Return the reports of workers that do not serve the champion."""
    return [report for report in reports if report.version != champion]


def agree(reports: Sequence[Report], champion: str | None) -> bool:
    """Return True if at least one worker reports and all of them serve the champion."""
    return bool(reports) and not disagreeing(reports, champion)
