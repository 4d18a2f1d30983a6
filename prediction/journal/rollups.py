"""Predictions counted by hour, version, class and label, so that a window need not read them all.

A label counts in the transaction that gives it: one prediction more with it, one less without it or
with the label that it replaces. Predictions are recorded without a thought of counts, which follow
them at some distance by their numbers; a question adds those that are still missing. Both are sums
of differences, so the order in which they come is of no matter and a sum is exact at any time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from prediction.journal.database import Journal
from prediction.journal.tables import predictions, rollup_minutes, rollup_state, rollups
from prediction.times import now_us

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
MINUTES_KEPT_US = 24 * HOUR_US
"""How long counts by minute are kept; the longest window that is cut into minutes is of four hours."""

TURN_US = 8_000_000
"""How often the counts are brought up to date, by whichever worker comes first."""

TURN_SECONDS = 1.0
"""A turn ends after that, and the next goes on: the thread that counts has other work too."""

STEP_ROWS = 50_000

INSERTING = sa.text(
    "SELECT virtualtransaction FROM pg_locks WHERE relation = 'predictions'::regclass"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND mode = 'RowExclusiveLock' AND granted"
)


class Count(NamedTuple):
    """So many predictions of a version said a class, in the bucket of time that begins at `at_us`.

    `label` is what was true, or empty where nobody has said it yet.
    """

    model: str
    at_us: int
    version: str
    predicted_class: str
    label: str
    rows: int


def add(journal: Journal, connection: sa.Connection, changes: Iterable[Count]) -> None:
    """Add differences to the counts, in a transaction that has called `order`; times may be of any bucket.

    That some are negative is no harm: a label may come before its prediction is counted.
    """
    recent_us = now_us() - MINUTES_KEPT_US
    changes = list(changes)
    for table, size_us, since_us in ((rollups, HOUR_US, 0), (rollup_minutes, MINUTE_US, recent_us)):
        sums = _sum((change for change in changes if change.at_us >= since_us), size_us)
        rows = [dict(zip(table.c.keys(), count, strict=True)) for count in sums]
        journal.add(connection, table, rows)


def counts(journal: Journal, model: str, since_us: int, until_us: int, bucket_us: int) -> list[Count]:
    """Count a model's predictions from `since_us`, a multiple of `bucket_us`, to the bucket of `until_us`.

    Parameters
    ----------
    bucket_us
        Whole hours; or whole minutes, if `since_us` is not a day ago.
    """
    table = rollup_minutes if bucket_us % HOUR_US else rollups
    at = table.c[1]
    counted = sa.select(table).where(table.c.model == model, at >= since_us, at < until_us)
    with journal.snapshot() as connection:
        found = [Count(*row) for row in connection.execute(counted)]
        missing = _aggregate(connection, predictions.c.seq > _known_seq(connection))
    found += (item for item in missing if item.model == model and since_us <= item.at_us < until_us)
    return list(_sum(found, bucket_us))


def roll_up(journal: Journal) -> None:
    """Count the predictions that have come since the last turn, unless another worker has just done so."""
    turn_us = _take_turn(journal)
    last_seq = _last_seq(journal) if turn_us else None
    until = time.monotonic() + TURN_SECONDS
    while turn_us and last_seq is not None and _step(journal, turn_us, last_seq):
        if time.monotonic() > until:
            _give_turn(journal)
            break


def take_back(journal: Journal, prediction_ids: Collection[str | None]) -> None:
    """Delete predictions whose clients got no answer, and count them no longer."""
    unwanted = predictions.c.prediction_id.in_(prediction_ids)
    with journal.write() as connection:
        # Whoever counts right now may have read what is deleted here: that turn is over.
        connection.execute(rollup_state.update().values(turn_us=0))
        journal.order(connection)
        known_seq = _known_seq(connection)
        counted = _aggregate(connection, unwanted & (predictions.c.seq <= known_seq))
        connection.execute(predictions.delete().where(unwanted))
        add(journal, connection, (item._replace(rows=-item.rows) for item in counted))
        last_seq = connection.scalar(sa.select(sa.func.max(predictions.c.seq))) or 0
        # SQLite will give the numbers after the last one again.
        connection.execute(rollup_state.update().values(prediction_seq=min(known_seq, last_seq)))


def _take_turn(journal: Journal) -> int | None:
    """Return when the turn began, None if somebody else had just taken it; forget old minutes.

    A turn that began long after now is of a clock that was set back since: it holds nobody up.
    """
    now = now_us()
    mine = rollup_state.update().where(~rollup_state.c.turn_us.between(now - TURN_US, now + MINUTE_US))
    old = rollup_minutes.delete().where(rollup_minutes.c.minute_us < now - MINUTES_KEPT_US - MINUTE_US)
    with journal.write() as connection:
        if not connection.execute(mine.values(turn_us=now)).rowcount:
            return None
        journal.order(connection)
        connection.execute(old)
        return now


def _give_turn(journal: Journal) -> None:
    """Let whoever comes next go on at once."""
    with journal.write() as connection:
        connection.execute(rollup_state.update().values(turn_us=0))


def _last_seq(journal: Journal) -> int | None:
    """Return the newest prediction's number, when no smaller one can appear any more; None if it might.

    PostgreSQL numbers a row when it is inserted, and shows it when it is committed. Whoever has a
    smaller number and has not committed yet holds a lock now. SQLite has one writer at a time.
    """
    with journal.read() as connection:
        last_seq = connection.scalar(sa.select(sa.func.max(predictions.c.seq))) or 0
        if journal.is_sqlite:
            return last_seq
        inserting = set(connection.scalars(INSERTING))
        until = time.monotonic() + TURN_SECONDS
        while inserting and time.monotonic() < until:
            time.sleep(0.005)
            inserting &= set(connection.scalars(INSERTING))
    return None if inserting else last_seq


def _step(journal: Journal, turn_us: int, last_seq: int) -> bool:
    """Count some of the predictions up to a number; return whether there are more.

    They are read before anything is locked, and added only if the turn is still this one, and nobody
    has come further meanwhile. Where `last_seq` is less than what is known, somebody has deleted the
    newest predictions, and SQLite will give their numbers again.
    """
    with journal.read() as connection:
        known_seq = _known_seq(connection)
        until_seq = min(last_seq, known_seq + STEP_ROWS)
        new = _aggregate(connection, predictions.c.seq.between(known_seq + 1, until_seq))
    unchanged = rollup_state.update().where(
        rollup_state.c.prediction_seq == known_seq, rollup_state.c.turn_us == turn_us
    )
    with journal.write() as connection:
        if not connection.execute(unchanged.values(prediction_seq=until_seq)).rowcount:
            return False
        journal.order(connection)
        add(journal, connection, new)
    return until_seq < last_seq


def _known_seq(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(rollup_state.c.prediction_seq)).scalar_one())


def _aggregate(connection: sa.Connection, wanted: sa.ColumnElement[bool]) -> list[Count]:
    """Count predictions of all models by minute, as if none had a label.

    Of all models, and by number alone: with a model or a time, a database without statistics may take
    their index, and walk through all that are counted already.
    """
    at = (predictions.c.at_us // MINUTE_US * MINUTE_US).label("at_us")
    keys = (predictions.c.model, at, predictions.c.version, predictions.c.predicted_class)
    query = sa.select(*keys, sa.func.count()).where(wanted)
    grouped = query.group_by(*(sa.text(number) for number in "1234"))
    return [Count._make((*keys, "", rows)) for *keys, rows in connection.execute(grouped)]


def _sum(found: Iterable[Count], bucket_us: int) -> Iterator[Count]:
    sums: Counter[tuple[Any, ...]] = Counter()
    for item in found:
        at_us = item.at_us // bucket_us * bucket_us
        sums[item.model, at_us, item.version, item.predicted_class, item.label] += item.rows
    return (Count._make((*key, rows)) for key, rows in sums.items() if rows)
