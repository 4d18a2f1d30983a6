"""Counts of predictions by hour, version, class and label, so that monitoring need not read every row.

A label is counted in the transaction that records it: plus one for the new label, minus one for the old
label or for "no label". New predictions are not counted when they are recorded, but some seconds later,
in the order of `seq`; a query adds those that are not counted yet. All changes are differences, so their
order does not matter, and every query is exact.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa

from prediction.journal import threads
from prediction.journal.database import Journal
from prediction.journal.tables import predictions, rollup_minutes, rollup_state, rollups, sum_minutes, sums
from prediction.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, now_us

MINUTES_KEPT_US = DAY_US
"""Counts by minute are kept for a day. The longest window that needs them is four hours."""

TURN_US = 8 * SECOND_US
"""Interval between two turns: one worker, whichever is first, counts the new predictions."""

TURN_SECONDS = 3.0
"""A turn ends after this time, because a worker that stops waits for it. The next turn continues."""

STEP_ROWS, STEP_COUNTS = 20_000, 500
"""Predictions of one transaction of a turn, and about how many counts it writes at most."""

PART_ROWS = 1_000
"""Predictions of one query of a turn: about 1 ms, for which a request may have to wait. The thread has a
low priority, but one that has slept is given a processor for some milliseconds at once."""

RESTS, MANY_ROWS, RESTS_OF_MANY = 40, 2_000_000, 3
"""Beside requests, a turn rests so many times as long as it works. If more predictions than `MANY_ROWS` are
not counted it rests less: each question reads all of them."""

READER = ThreadPoolExecutor(1, "counting", initializer=threads.lower_priority)
"""Reads the predictions to be counted. Their counts are written by the caller: a thread of a low priority
might hold the lock of the database for long."""

INSERTING = sa.text(
    "SELECT virtualtransaction FROM pg_locks WHERE relation = 'predictions'::regclass"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND mode = 'RowExclusiveLock' AND granted"
)


class Count(NamedTuple):
    """The number of predictions with these properties, in the bucket of time that begins at `at_us`.

    `label` is the true label, or empty for predictions without one.
    """

    model: str
    at_us: int
    version: str
    predicted_class: str
    label: str
    rows: int


class Total(NamedTuple):
    """A sum over labelled predictions in the bucket of time that begins at `at_us`; `name` says of what."""

    model: str
    at_us: int
    version: str
    name: str
    total: int


def add(journal: Journal, connection: sa.Connection, changes: Iterable[Count]) -> None:
    """Add differences to the counts, in a transaction that has called `order`.

    A stored count may be negative for some seconds: a label can be counted before its prediction.
    """
    recent_us = _recent_us()
    changes = list(changes)
    recent = [change for change in changes if change.at_us >= recent_us]
    journal.add(connection, rollups, _as_rows("hour_us", _sum(changes, HOUR_US)))
    journal.add(connection, rollup_minutes, _as_rows("minute_us", _sum(recent, MINUTE_US)))


def add_totals(journal: Journal, connection: sa.Connection, changes: Iterable[Total]) -> None:
    """Add differences to the sums, in a transaction that has called `order`."""
    recent_us = _recent_us()
    changes = list(changes)
    recent = [change for change in changes if change.at_us >= recent_us]
    journal.add(connection, sums, _as_rows("hour_us", _sum_totals(changes, HOUR_US)))
    journal.add(connection, sum_minutes, _as_rows("minute_us", _sum_totals(recent, MINUTE_US)))


def counts(journal: Journal, model: str, since_us: int, until_us: int, bucket_us: int) -> list[Count]:
    """Count a model's predictions from `since_us`, a multiple of `bucket_us`, to the bucket of `until_us`.

    Parameters
    ----------
    bucket_us
        Whole hours; or whole minutes, if `since_us` is less than a day ago.
    """
    return figures(journal, model, since_us, until_us, bucket_us)[0]


def figures(
    journal: Journal, model: str, since_us: int, until_us: int, bucket_us: int
) -> tuple[list[Count], list[Total]]:
    """Return the counts, as `counts` does, and the sums of the same moment."""
    by_minute = bool(bucket_us % HOUR_US)
    table, other = (rollup_minutes, sum_minutes) if by_minute else (rollups, sums)
    with journal.snapshot() as connection:
        found = [Count(*row) for row in connection.execute(_stored(table, model, since_us, until_us))]
        totals = [Total(*row) for row in connection.execute(_stored(other, model, since_us, until_us))]
        missing = _aggregate(connection, predictions.c.seq > _known_seq(connection))
    found += (item for item in missing if item.model == model and since_us <= item.at_us < until_us)
    return list(_sum(found, bucket_us)), list(_sum_totals(totals, bucket_us))


def by_hour(
    journal: Journal, model: str, version: str, names: Collection[str], *, hours: int
) -> list[Total]:
    """Return the sums of these names of the last `hours` hours that have one, by time."""
    mine = (sums.c.model == model, sums.c.version == version, sums.c.name.in_(names))
    last = sa.select(sums.c.hour_us).where(*mine).distinct().order_by(sums.c.hour_us.desc()).limit(hours)
    query = sa.select(sums).where(*mine, sums.c.hour_us.in_(last)).order_by(sums.c.hour_us, sums.c.name)
    with journal.read() as connection:
        return [Total(*row) for row in connection.execute(query)]


def _stored(table: sa.Table, model: str, since_us: int, until_us: int) -> sa.Select[Any]:
    """Select what a table has of a time; its second column is the time."""
    at = list(table.c)[1]
    return sa.select(*table.c).where(table.c.model == model, at >= since_us, at < until_us)


def roll_up(journal: Journal) -> None:
    """Count the predictions since the last turn, unless another worker has done so in the last seconds."""
    turn_us = _take_turn(journal)
    last_seq = _last_seq(journal) if turn_us else None
    until = time.monotonic() + TURN_SECONDS
    while turn_us and last_seq is not None and _step(journal, turn_us, last_seq):
        if time.monotonic() > until:
            _give_turn(journal)
            break


def take_back(journal: Journal, prediction_ids: Collection[str | None]) -> None:
    """Delete predictions whose clients got an error, and subtract them from the counts."""
    unwanted = predictions.c.prediction_id.in_(prediction_ids)
    with journal.write() as connection:
        # A worker may have read these rows and not counted them yet: this ends its turn.
        connection.execute(rollup_state.update().values(turn_us=0))
        journal.order(connection)
        known_seq = _known_seq(connection)
        counted = _aggregate(connection, unwanted & (predictions.c.seq <= known_seq))
        connection.execute(predictions.delete().where(unwanted))
        add(journal, connection, (item._replace(rows=-item.rows) for item in counted))
        last_seq = connection.scalar(sa.select(sa.func.max(predictions.c.seq))) or 0
        # SQLite gives new rows the numbers after the last one that is left.
        connection.execute(rollup_state.update().values(prediction_seq=min(known_seq, last_seq)))


def _take_turn(journal: Journal) -> int | None:
    """Begin a turn and return its time; None if another worker began one less than `TURN_US` ago.

    Old counts and sums by minute are deleted. A turn far in the future is of a clock that was set back: it
    is over.
    """
    now = now_us()
    is_over = ~rollup_state.c.turn_us.between(now - TURN_US, now + MINUTE_US)
    too_old_us = now - MINUTES_KEPT_US - MINUTE_US
    with journal.read() as connection:  # mostly it is not, and then nobody need wait for a lock
        if connection.scalar(sa.select(is_over)) is False:
            return None
    with journal.write() as connection:
        if not connection.execute(rollup_state.update().where(is_over).values(turn_us=now)).rowcount:
            return None
        journal.order(connection)
        for table in (rollup_minutes, sum_minutes):
            connection.execute(table.delete().where(table.c.minute_us < too_old_us))
        return now


def _give_turn(journal: Journal) -> None:
    """Let the next worker begin a turn at once."""
    with journal.write() as connection:
        connection.execute(rollup_state.update().values(turn_us=0))


def _last_seq(journal: Journal) -> int | None:
    """Return the newest prediction's `seq`, once no smaller one can appear; None after a timeout.

    PostgreSQL numbers a row when it is inserted, and shows it when it is committed. A transaction that has
    inserted a smaller number and has not committed yet holds a lock. SQLite has one writer at a time.
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
    """Count the next predictions up to `last_seq`; return whether there are more.

    They are read without a lock, and added only if the turn has not ended and nobody else has counted
    them meanwhile. If `last_seq` is less than the last counted number, the newest predictions were
    deleted, and SQLite will use their numbers again.
    """
    known_seq, until_seq, new = READER.submit(_read_step, journal, last_seq).result()
    unchanged = rollup_state.update().where(
        rollup_state.c.prediction_seq == known_seq, rollup_state.c.turn_us == turn_us
    )
    with _rested(last_seq - until_seq, is_writer=True), journal.write() as connection:
        if not connection.execute(unchanged.values(prediction_seq=until_seq)).rowcount:
            return False
        journal.order(connection)
        add(journal, connection, new)
    return until_seq < last_seq


def _read_step(journal: Journal, last_seq: int) -> tuple[int, int, list[Count]]:
    """Return the last counted number, the last one of the next step, and the counts between them."""
    with journal.read() as connection:
        known_seq = _known_seq(connection)
    end_seq = min(last_seq, known_seq + STEP_ROWS)
    until_seq, found = min(known_seq, end_seq), list[Count]()
    while until_seq < end_seq and len(found) < STEP_COUNTS:
        first_seq, until_seq = until_seq + 1, min(until_seq + PART_ROWS, end_seq)
        with _rested(last_seq - until_seq), journal.read() as connection:
            found += _aggregate(connection, predictions.c.seq.between(first_seq, until_seq))
    return known_seq, until_seq, found


@contextmanager
def _rested(left_rows: int, is_writer: bool = False) -> Iterator[None]:
    """Rest after a transaction of a turn. How long a writer has waited is not asked: it was for a lock."""
    began, used = time.monotonic(), time.thread_time()
    yield
    used = time.thread_time() - used
    waited = 0.0 if is_writer else time.monotonic() - began - used
    time.sleep(rest_seconds(used, waited, busy_share(used), left_rows))


def rest_seconds(used: float, waited: float, busy: float, left_rows: int) -> float:
    """Return how long a turn rests after a transaction.

    Parameters
    ----------
    used, waited
        Seconds that it used of a processor, and that it waited for one: where it had to wait,
        requests have to wait for it too.
    busy
        Part of a processor that this process uses for other work.
    left_rows
        How many predictions are not counted yet.
    """
    return (RESTS_OF_MANY if left_rows > MANY_ROWS else RESTS) * min(used, max(waited, used * busy))


def busy_share(seconds: float) -> float:
    """Sleep so long, and return which part of a processor this process has used meanwhile."""
    began, used = time.monotonic(), time.process_time()
    time.sleep(seconds)
    return (time.process_time() - used) / (time.monotonic() - began)


def _known_seq(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(rollup_state.c.prediction_seq)).scalar_one())


def _aggregate(connection: sa.Connection, wanted: sa.ColumnElement[bool]) -> list[Count]:
    """Count predictions of all models as if none had a label: by minute, and by hour if older than a day.

    The query is by `seq` alone: with a model or a time in it, a database without statistics may use
    their index, and read all rows that are counted already.
    """
    at_us = predictions.c.at_us
    hour = at_us // HOUR_US * (HOUR_US // MINUTE_US)
    minute = sa.case((at_us >= _recent_us(), at_us // MINUTE_US), else_=hour).label("minute")
    keys = (predictions.c.model, minute, predictions.c.version, predictions.c.predicted_class)
    query = sa.select(*keys, sa.func.count().label("rows")).where(wanted)
    # The minute by its name: PostgreSQL takes an expression with parameters for another one.
    grouped = query.group_by(predictions.c.model, sa.text("minute"), *keys[2:])
    return [
        Count(row.model, row.minute * MINUTE_US, row.version, row.predicted_class, "", row.rows)
        for row in connection.execute(grouped)
    ]


def _recent_us() -> int:
    """Return the time since which predictions are counted by minute too."""
    return now_us() - MINUTES_KEPT_US


def _sum(found: Iterable[Count], bucket_us: int) -> Iterator[Count]:
    added: Counter[tuple[Any, ...]] = Counter()
    for item in found:
        at_us = item.at_us // bucket_us * bucket_us
        added[item.model, at_us, item.version, item.predicted_class, item.label] += item.rows
    return (Count._make((*key, rows)) for key, rows in added.items() if rows)


def _sum_totals(found: Iterable[Total], bucket_us: int) -> Iterator[Total]:
    added: Counter[tuple[Any, ...]] = Counter()
    for item in found:
        at_us = item.at_us // bucket_us * bucket_us
        added[item.model, at_us, item.version, item.name] += item.total
    return (Total._make((*key, total)) for key, total in added.items() if total)


def _as_rows(time_column: str, found: Iterable[Count | Total]) -> list[dict[str, Any]]:
    """Make rows of a table whose time is in the column of that name."""
    rows = []
    for item in found:
        row = item._asdict()
        rows.append({time_column: row.pop("at_us")} | row)
    return rows
