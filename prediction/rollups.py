"""Predictions counted by hour, version, class and label, so that a window need not read them all.

The counts follow the journal at some distance. What they lack, the last half minute and the hours
into which labels have come since, is counted in the journal itself, so a sum is exact at any time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from prediction.journal import Journal, now_us
from prediction.tables import feedback, predictions, rollup_state, rollups

HOUR_US = 3_600_000_000
SETTLE_US = 30_000_000
"""A prediction is in the journal so long after its time, at the latest."""

TURN_US = 8_000_000
"""How often the counts are brought up to date, by whichever worker comes first."""

TURN_SECONDS = 1.0
"""A turn ends after that, and the next goes on: the thread that counts has other work too."""

STEP_ROWS = 100_000
STEP_LABELS = 2_000
MAX_HOURS = 100
"""Hours that one question counts anew, the newest of those that labels came into."""


class Count(NamedTuple):
    """So many predictions of a version said a class, in the bucket of time that begins at `at_us`.

    `label` is what was true, or empty where nobody has said it yet.
    """

    at_us: int
    version: str
    predicted_class: str
    label: str
    rows: int


class _State(NamedTuple):
    until_us: int
    feedback_seq: int


def roll_up(journal: Journal, models: Iterable[str], kept_us: int) -> None:
    """Bring the counts up to date, unless another worker has just done so.

    Parameters
    ----------
    kept_us
        How long predictions are kept. Hours from before are not counted again when a label comes:
        some of their predictions are gone.
    """
    for model in models:
        if not _take_turn(journal, model):
            continue
        until = time.monotonic() + TURN_SECONDS
        while _step(journal, model, now_us() - kept_us):
            if time.monotonic() > until:
                _give_turn(journal, model)
                break


def counts(journal: Journal, model: str, since_us: int, until_us: int, bucket_us: int) -> list[Count]:
    """Count a model's predictions from `since_us`, a multiple of `bucket_us`, to before `until_us`."""
    whole_hours = bucket_us % HOUR_US == 0
    with journal.database.snapshot() as connection:
        state = _state(connection, model) if whole_hours else _State(0, 0)
        raw_since = max(since_us, state.until_us)
        found = _aggregate(connection, model, raw_since, until_us, bucket_us)
        if whole_hours:
            labels = _labels_since(connection, model, state.feedback_seq)
            changed = _hours(labels, since_us, min(until_us, state.until_us))[-MAX_HOURS:]
            for hour_us in changed:
                end_us = min(hour_us + HOUR_US, state.until_us)
                found += _aggregate(connection, model, hour_us, end_us, bucket_us)
            found += _sum(connection, model, since_us, until_us, bucket_us, changed)
    return found


def _sum(
    connection: sa.Connection,
    model: str,
    since_us: int,
    until_us: int,
    bucket_us: int,
    but_for: list[int],
) -> list[Count]:
    at = (rollups.c.hour_us // bucket_us * bucket_us).label("at_us")
    keys = (at, rollups.c.version, rollups.c.predicted_class, rollups.c.label)
    query = sa.select(*keys, sa.func.sum(rollups.c.rows)).where(
        rollups.c.model == model,
        rollups.c.hour_us >= since_us,
        rollups.c.hour_us < until_us,
        rollups.c.hour_us.not_in(but_for),
    )
    grouped = query.group_by(sa.text("1"), sa.text("2"), sa.text("3"), sa.text("4"))
    return [_count(row) for row in connection.execute(grouped)]


def _hours(labels: Iterable[Any], since_us: int, until_us: int) -> list[int]:
    """Return the hours of the predictions that got these labels, within a span."""
    times = (row.at_us for row in labels if since_us <= row.at_us < until_us)
    return sorted({at_us // HOUR_US * HOUR_US for at_us in times})


def _take_turn(journal: Journal, model: str) -> bool:
    """Return whether it is time, and nobody else has taken the turn."""
    now = now_us()
    mine = rollup_state.update().where(
        rollup_state.c.model == model, rollup_state.c.turn_us < now - TURN_US
    )
    first = {"model": model, "until_us": 0, "feedback_seq": 0, "turn_us": now}
    try:
        with journal.database.write() as connection:
            if connection.execute(mine.values(turn_us=now)).rowcount:
                return True
            if connection.scalar(sa.select(rollup_state.c.model).where(rollup_state.c.model == model)):
                return False
            connection.execute(rollup_state.insert(), [first])
            return True
    except IntegrityError:  # another host was first
        return False


def _give_turn(journal: Journal, model: str) -> None:
    """Let whoever comes next go on at once."""
    with journal.database.write() as connection:
        connection.execute(rollup_state.update().where(rollup_state.c.model == model).values(turn_us=0))


def _step(journal: Journal, model: str, kept_since_us: int) -> bool:
    """Count what is new since the last step; return whether there is more.

    All is read from one snapshot, and written only if nobody else has come further meanwhile. Hours
    that a label fell into are counted anew, as a whole: so a correction needs no case of its own.
    """
    settled_us = now_us() - SETTLE_US
    with journal.database.snapshot() as connection:
        old = _state(connection, model)
        until_us = max(old.until_us, min(settled_us, _end_of_step(connection, model, old.until_us)))
        labels = _labels_since(connection, model, old.feedback_seq)
        again = _hours(labels, kept_since_us, until_us)
        new = [
            count
            for count in _aggregate(connection, model, old.until_us, until_us, HOUR_US)
            if count.at_us not in again
        ]
        for hour_us in again:
            new += _aggregate(connection, model, hour_us, min(hour_us + HOUR_US, until_us), HOUR_US)
    seq = labels[-1].seq if labels else old.feedback_seq
    unchanged = rollup_state.update().where(
        rollup_state.c.model == model,
        rollup_state.c.until_us == old.until_us,
        rollup_state.c.feedback_seq == old.feedback_seq,
    )
    recounted = rollups.delete().where(rollups.c.model == model, rollups.c.hour_us.in_(again))
    with journal.database.write() as connection:
        if not connection.execute(unchanged.values(until_us=until_us, feedback_seq=seq)).rowcount:
            return False
        connection.execute(recounted)
        journal.database.add(connection, rollups, [_row(model, count) for count in new])
    return until_us < settled_us or len(labels) == STEP_LABELS


def _state(connection: sa.Connection, model: str) -> _State:
    query = sa.select(rollup_state.c.until_us, rollup_state.c.feedback_seq)
    row = connection.execute(query.where(rollup_state.c.model == model)).one_or_none()
    return _State(*row) if row else _State(0, 0)


def _end_of_step(connection: sa.Connection, model: str, since_us: int) -> int:
    """Return the time before which there are so many new rows that one step should not take more."""
    times = sa.select(predictions.c.at_us).where(predictions.c.model == model)
    later = times.where(predictions.c.at_us >= since_us).order_by(predictions.c.at_us)
    at_us = connection.scalar(later.limit(1).offset(STEP_ROWS))
    return now_us() if at_us is None else int(at_us) + 1


def _labels_since(connection: sa.Connection, model: str, seq: int) -> list[Any]:
    """Return the time of the predictions that got labels, in the labels' order."""
    query = (
        sa.select(feedback.c.seq, predictions.c.at_us)
        .join(predictions, predictions.c.prediction_id == feedback.c.prediction_id)
        .where(feedback.c.model == model, feedback.c.seq > seq)
    )
    return list(connection.execute(query.order_by(feedback.c.seq).limit(STEP_LABELS)))


def _aggregate(
    connection: sa.Connection, model: str, since_us: int, until_us: int, bucket_us: int
) -> list[Count]:
    at = (predictions.c.at_us // bucket_us * bucket_us).label("at_us")
    label = sa.func.coalesce(feedback.c.label, sa.literal_column("''")).label("label")
    keys = (at, predictions.c.version, predictions.c.predicted_class, label)
    query = (
        sa.select(*keys, sa.func.count())
        .outerjoin(feedback, feedback.c.prediction_id == predictions.c.prediction_id)
        .where(
            predictions.c.model == model, predictions.c.at_us >= since_us, predictions.c.at_us < until_us
        )
        .group_by(sa.text("1"), sa.text("2"), sa.text("3"), sa.text("4"))
    )
    return [_count(row) for row in connection.execute(query)]


def _count(row: Any) -> Count:
    at_us, version, predicted_class, label, rows = row
    return Count(int(at_us), version, predicted_class, label, int(rows))


def _row(model: str, count: Count) -> dict[str, Any]:
    values = count._asdict()
    return {"model": model, "hour_us": values.pop("at_us"), **values}
