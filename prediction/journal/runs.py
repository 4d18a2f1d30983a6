"""Retrainings as rows of the journal: each model has at most one active run over all hosts.

The process of a run sends a heartbeat.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
import uuid_utils
from sqlalchemy.exc import IntegrityError

from prediction.errors import RunEnded, UnknownRun
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from prediction.journal.predictions import is_id
from prediction.journal.tables import runs
from prediction.times import SECOND_US, now_us

SILENCE_US = 12 * SECOND_US
"""A run without a heartbeat for this long is interrupted: its process has died."""

QUEUED_US = 25 * SECOND_US
"""The same for a queued run: a new process takes long until its first heartbeat on a busy machine."""

ACTIVE = ("queued", "running")
STATUSES = (*ACTIVE, "promoted", "rejected", "failed", "cancelled", "interrupted")


@dataclass(frozen=True)
class Retraining:
    """One retraining, from request to verdict, with the fields of the table; JSON is parsed."""

    run_id: str
    model: str
    status: str
    step: str
    progress: float
    force: bool
    cancel: bool
    requested_us: int
    beat_us: int
    finished_us: int | None
    candidate: str | None
    rows: dict[str, int] | None
    verdict: dict[str, Any] | None

    @property
    def is_active(self) -> bool:
        """Whether it is queued or running."""
        return self.status in ACTIVE


class Ending(NamedTuple):
    """How a run ends: its status, and its candidate, rows and verdict as far as they exist."""

    status: str
    step: str
    candidate: str | None = None
    rows: dict[str, int] | None = None
    verdict: dict[str, Any] | None = None

    def as_row(self) -> dict[str, Any]:
        """Return the columns of the table; the time of the end is now."""
        row = {
            "status": self.status,
            "step": self.step[:255],
            "finished_us": now_us(),
            "candidate": self.candidate,
            "rows": json.dumps(self.rows) if self.rows else None,
            "verdict": json.dumps(self.verdict) if self.verdict else None,
        }
        return row | ({"progress": 1.0} if self.status in ("promoted", "rejected") else {})


def request(journal: Journal, model: str, force: bool) -> tuple[Retraining, bool]:
    """Queue a run of a model, unless one is active; return it and whether it is new."""
    while True:
        interrupt_silent(journal)
        now, run_id = now_us(), str(uuid_utils.uuid7())
        row = {
            "run_id": run_id,
            "model": model,
            "status": "queued",
            "step": "queued",
            "progress": 0.0,
            "force": force,
            "cancel": False,
            "requested_us": now,
            "beat_us": now,
        }
        try:
            with journal.write(durable=True) as connection:
                connection.execute(runs.insert(), [row])
            return get(journal, model, run_id), True
        except IntegrityError:  # another run is active; if it ends before we read it, we try again
            active = _active(journal, model)
            if active is not None:
                return active, False


def get(journal: Journal, model: str, run_id: str) -> Retraining:
    """Return one run.

    Raises
    ------
    UnknownRun
        When the model has no run of that id.
    """
    row = None
    if is_id(run_id):
        query = sa.select(runs).where(runs.c.run_id == run_id, runs.c.model == model)
        with journal.read() as connection:
            row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownRun(f"no run of {model} has that id")
    return _as_run(row)


def latest(journal: Journal, model: str, limit: int, before: str | None = None) -> list[Retraining]:
    """Return a model's runs, newest first; with `before`, the id of a run, only older ones."""
    query = sa.select(runs).where(runs.c.model == model)
    if before is not None:
        query = query.where(runs.c.run_id < before)
    with journal.read() as connection:
        rows = connection.execute(query.order_by(runs.c.run_id.desc()).limit(limit))
        return [_as_run(row) for row in rows]


def count(journal: Journal, model: str) -> Counter[str]:
    """Count a model's runs by status."""
    query = sa.select(runs.c.status, sa.func.count()).where(runs.c.model == model)
    with journal.read() as connection:
        rows = connection.execute(query.group_by(runs.c.status))
        return Counter({status: int(number) for status, number in rows})


def cancel(journal: Journal, model: str, run_id: str) -> Retraining:
    """Mark a run to be cancelled. Its process, which may be on another host, reads the mark and ends.

    Raises
    ------
    UnknownRun, RunEnded
        When there is nothing to cancel.
    """
    run = get(journal, model, run_id)
    mine = runs.update().where(runs.c.run_id == run_id)
    queued, running = mine.where(runs.c.status == "queued"), mine.where(runs.c.status == "running")
    ended = {"status": "cancelled", "step": "cancelled on request", "finished_us": now_us()}
    with journal.write(durable=True) as connection:
        marked = connection.execute(queued.values(cancel=True, **ended)).rowcount
        marked += connection.execute(running.values(cancel=True)).rowcount
    if not marked:
        raise RunEnded(f"the run has ended already: it is {get(journal, model, run_id).status}")
    return get(journal, model, run.run_id)


def beat(journal: Journal, run_id: str, step: str, progress: float) -> bool:
    """Record a run's heartbeat, step and progress; return False if the run must end."""
    alive = runs.update().where(runs.c.run_id == run_id, runs.c.status.in_(ACTIVE))
    values = {"status": "running", "step": step, "progress": progress, "beat_us": now_us()}
    with journal.write() as connection:
        if not connection.execute(alive.values(**values)).rowcount:
            return False
        return not connection.scalar(sa.select(runs.c.cancel).where(runs.c.run_id == run_id))


def offer(journal: Journal, run_id: str, candidate: str) -> None:
    """Name the candidate of an active run, so that other hosts can fetch it before it is promoted."""
    mine = runs.update().where(runs.c.run_id == run_id, runs.c.status.in_(ACTIVE))
    with journal.write() as connection:
        connection.execute(mine.values(candidate=candidate))


def candidates(journal: Journal) -> list[tuple[str, str]]:
    """Return the models and versions that active runs are about to promote."""
    query = sa.select(runs.c.model, runs.c.candidate).where(
        runs.c.status.in_(ACTIVE), runs.c.candidate.is_not(None)
    )
    with journal.read() as connection:
        return [(row.model, row.candidate) for row in connection.execute(query)]


def finish(journal: Journal, run_id: str, ending: Ending) -> bool:
    """End a run; return False if it has ended already."""
    mine = runs.update().where(runs.c.run_id == run_id, runs.c.status.in_(ACTIVE))
    with journal.write(durable=True) as connection:
        return bool(connection.execute(mine.values(**ending.as_row())).rowcount)


class _Overtaken(Exception):
    """Rolls a promotion's transaction back."""


def promote(
    journal: Journal, run: Retraining, new: NewChampion, judged_against: int, ending: Ending
) -> Literal["promoted", "cancelled", "overtaken"]:
    """End a run and make its candidate the champion, in one transaction.

    Parameters
    ----------
    judged_against
        The position in the ledger of the champion that the candidate was compared with.

    Returns
    -------
    str
        `promoted`; or, with nothing changed, `cancelled` if the run was cancelled or has ended, and
        `overtaken` if there is a new champion, with which the candidate was not compared.
    """
    mine = runs.update().where(
        runs.c.run_id == run.run_id, runs.c.status.in_(ACTIVE), runs.c.cancel == sa.false()
    )
    while True:
        try:
            with journal.write(durable=True) as connection:
                if not connection.execute(mine.values(**ending.as_row())).rowcount:
                    return "cancelled"
                if ledger.append(connection, new).position != judged_against + 1:
                    raise _Overtaken
                return "promoted"
        except _Overtaken:
            return "overtaken"
        except IntegrityError:  # another host took the position between our read and our write
            continue


def interrupt_silent(journal: Journal) -> None:
    """Mark as interrupted every run whose process has died."""
    queued = (runs.c.status == "queued") & (runs.c.beat_us < now_us() - QUEUED_US)
    silent = queued | (runs.c.status == "running") & (runs.c.beat_us < now_us() - SILENCE_US)
    with journal.read() as connection:
        if not connection.scalar(sa.select(sa.func.count()).where(silent)):
            return
    step = sa.func.substr(runs.c.step, 1, 200) + ": its process died"
    values = {"status": "interrupted", "finished_us": now_us(), "step": step}
    with journal.write(durable=True) as connection:
        connection.execute(runs.update().where(silent).values(**values))


def _active(journal: Journal, model: str) -> Retraining | None:
    query = sa.select(runs).where(runs.c.model == model, runs.c.status.in_(ACTIVE))
    with journal.read() as connection:
        row = connection.execute(query).one_or_none()
    return _as_run(row) if row else None


def _as_run(row: Any) -> Retraining:
    values = dict(row._mapping)
    for name in ("rows", "verdict"):
        values[name] = json.loads(values[name]) if values[name] else None
    return Retraining(**values)
