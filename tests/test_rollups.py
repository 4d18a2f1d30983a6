"""Counts by hour: exact at any time, whatever comes late, and brought up to date by one worker."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import sqlalchemy as sa

from models_store.errors import Error
from prediction import feedback, rollups, tables
from prediction.feedback import Label
from prediction.journal import Journal, now_us
from prediction.rollups import HOUR_US, SETTLE_US
from tests import databases
from tests.databases import prediction, record

journal_url = databases.journal_url
journal = databases.journal

CLASSES = ("setosa", "versicolor", "virginica")
Key = tuple[int, str, str, str]
KEPT_US = 30 * 24 * HOUR_US


def fill(journal: Journal, first: int, n: int, hours: float, rng: random.Random) -> list[str]:
    """Record predictions of two versions and two models, spread over the last hours."""
    now = now_us()
    return record(
        journal,
        [
            prediction(
                number,
                at_us=now - rng.randrange(round(hours * HOUR_US)),
                version=rng.choice(["old", "new"]),
                model=rng.choice(["iris", "iris", "penguins"]),
                predicted_class=rng.choice(CLASSES),
            )
            for number in range(first, first + n)
        ],
    )


def give(journal: Journal, ids: list[str], rng: random.Random) -> None:
    """Label some predictions, and correct what has a label."""
    for model in ("iris", "penguins"):
        for answer in feedback.give(journal, model, [Label(i, rng.choice(CLASSES), True) for i in ids]):
            assert not isinstance(answer, Error) or "no prediction of" in str(answer)


def truth(journal: Journal, model: str, since_us: int, bucket_us: int) -> Counter[Key]:
    """Count row by row, in Python."""
    p, f = tables.predictions, tables.feedback
    query = (
        sa.select(p.c.at_us, p.c.version, p.c.predicted_class, f.c.label)
        .outerjoin(f, f.c.prediction_id == p.c.prediction_id)
        .where(p.c.model == model, p.c.at_us >= since_us)
    )
    with journal.database.read() as connection:
        return Counter(
            (row.at_us // bucket_us * bucket_us, row.version, row.predicted_class, row.label or "")
            for row in connection.execute(query)
        )


def counted(journal: Journal, model: str, since_us: int, bucket_us: int) -> Counter[Key]:
    """Count as the product does."""
    found: Counter[Key] = Counter()
    for count in rollups.counts(journal, model, since_us, now_us() + 1, bucket_us):
        found[count[:4]] += count.rows
    return found


def free_the_turn(journal: Journal) -> None:
    """Let the next worker take its turn at once."""
    with journal.database.write() as connection:
        connection.execute(tables.rollup_state.update().values(turn_us=0))


def test_counts_are_exact_at_any_time(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after each of many turns, with labels that come late and are corrected."""
    monkeypatch.setattr(rollups, "STEP_ROWS", 70)
    monkeypatch.setattr(rollups, "STEP_LABELS", 40)
    rng, ids = random.Random(1), list[str]()
    for turn in range(6):
        ids += fill(journal, 1_000 * turn, 100, hours=7 if turn == 0 else 0.005, rng=rng)
        give(journal, rng.sample(ids, 60), rng)
        for model in ("iris", "penguins"):
            for bucket_us in (HOUR_US, 4 * HOUR_US, 60_000_000):
                since_us = (now_us() - 6 * HOUR_US) // bucket_us * bucket_us
                expected = truth(journal, model, since_us, bucket_us)
                assert expected == counted(journal, model, since_us, bucket_us)
                assert expected.total() > 20
        free_the_turn(journal)
        rollups.roll_up(journal, ["iris", "penguins"], KEPT_US)


def test_what_is_settled_is_counted_from_the_rollups(journal: Journal) -> None:
    """After a turn the journal itself is asked for the last half minute only."""
    ids = fill(journal, 0, 300, hours=5, rng=random.Random(2))
    give(journal, ids[:50], random.Random(2))
    rollups.roll_up(journal, ["iris", "penguins"], KEPT_US)
    with journal.database.write() as connection:
        total = connection.scalar(sa.select(sa.func.sum(tables.rollups.c.rows)))
        connection.execute(
            tables.predictions.delete().where(tables.predictions.c.at_us < now_us() - 2 * SETTLE_US)
        )

    assert 295 <= int(total or 0) <= 300
    found = sum(counted(journal, model, 0, HOUR_US).total() for model in ("iris", "penguins"))
    assert 295 <= found <= 300


def test_one_worker_takes_the_turn(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes a moment later leaves the counts as they are; what it would have counted comes next."""
    monkeypatch.setattr(rollups, "SETTLE_US", 0)
    rollups.roll_up(journal, ["iris"], KEPT_US)
    record(journal, [prediction(1)])

    rollups.roll_up(journal, ["iris"], KEPT_US)
    with journal.database.read() as connection:
        assert 0 == connection.scalar(sa.select(sa.func.count()).select_from(tables.rollups))
    free_the_turn(journal)
    rollups.roll_up(journal, ["iris"], KEPT_US)
    with journal.database.read() as connection:
        assert 1 == connection.scalar(sa.select(sa.func.count()).select_from(tables.rollups))


def test_a_long_turn_is_cut_and_goes_on(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that counts has other work: what is left is the next turn's, at once."""
    monkeypatch.setattr(rollups, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(rollups, "STEP_ROWS", 100)
    fill(journal, 0, 500, hours=5, rng=random.Random(4))
    turns = 0
    with journal.database.read() as connection:
        rows = connection.scalar(sa.select(sa.func.count()).select_from(tables.predictions)) or 0
    total = 0
    while total < 0.98 * rows:
        rollups.roll_up(journal, ["iris", "penguins"], KEPT_US)
        turns += 1
        with journal.database.read() as connection:
            total = int(connection.scalar(sa.select(sa.func.sum(tables.rollups.c.rows))) or 0)
        assert turns < 20

    assert turns >= 3


COUNT = """
from prediction.journal import Journal
from prediction import rollups
journal = Journal(sys.argv[1])
wait()
for _ in range(20):
    rollups._step(journal, "iris", 0)
journal.close()
"""


def test_workers_that_count_at_once_count_once(journal: Journal, journal_url: str) -> None:
    """Even without turns nothing is added twice: who is overtaken gives up what it has read."""
    ids = fill(journal, 0, 400, hours=5, rng=random.Random(3))
    give(journal, ids[:80], random.Random(3))
    rollups._take_turn(journal, "iris")
    databases.run_at_once(COUNT, [[journal_url]] * 3)

    since_us = (now_us() - 6 * HOUR_US) // HOUR_US * HOUR_US
    assert truth(journal, "iris", since_us, HOUR_US) == counted(journal, "iris", since_us, HOUR_US)


def test_an_old_hour_is_not_counted_again(journal: Journal) -> None:
    """Where predictions have been deleted already, a late correction does not shrink their count."""
    at_us = now_us() - 3 * HOUR_US
    ids = record(journal, [prediction(number, at_us=at_us) for number in range(10)])
    rollups.roll_up(journal, ["iris"], KEPT_US)
    with journal.database.write() as connection:
        gone = tables.predictions.c.prediction_id.in_(ids[1:])
        connection.execute(tables.predictions.delete().where(gone))
    feedback.give(journal, "iris", [Label(ids[0], "setosa")])
    free_the_turn(journal)
    rollups.roll_up(journal, ["iris"], kept_us=HOUR_US)

    assert 10 == counted(journal, "iris", 0, HOUR_US).total()
