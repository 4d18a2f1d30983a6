"""Counts by hour and minute: exact at any time, also after late rows; one worker at a time updates them."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from functools import partial
from itertools import repeat

import pytest
import sqlalchemy as sa

from models_store.errors import Error
from prediction.journal import feedback, migrations, retention, rollups, tables
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.journal.rollups import take_back
from prediction.times import DAY_US, HOUR_US, MINUTE_US, now_us
from tests import databases
from tests.databases import Postgres, insist, prediction, query, record

journal_url = databases.journal_url
journal = databases.journal
postgres = databases.postgres

CLASSES = ("setosa", "versicolor", "virginica")
MODELS = ("iris", "penguins")
Key = tuple[str, int, str, str, str]


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
    for model in MODELS:
        for answer in feedback.give(journal, model, [Label(i, rng.choice(CLASSES), True) for i in ids]):
            assert not isinstance(answer, Error) or "no prediction of" in str(answer)


def truth(journal: Journal, model: str, since_us: int, bucket_us: int) -> Counter[Key]:
    """Count row by row, in Python."""
    p, f = tables.predictions, tables.feedback
    rows = (
        sa.select(p.c.at_us, p.c.version, p.c.predicted_class, f.c.label)
        .outerjoin(f, f.c.prediction_id == p.c.prediction_id)
        .where(p.c.model == model, p.c.at_us >= since_us)
    )
    with journal.read() as connection:
        return Counter(
            (model, row.at_us // bucket_us * bucket_us, row.version, row.predicted_class, row.label or "")
            for row in connection.execute(rows)
        )


def counted(journal: Journal, model: str, since_us: int, bucket_us: int) -> Counter[Key]:
    """Count as the product does."""
    found = rollups.counts(journal, model, since_us, now_us() + 1, bucket_us)
    assert len(found) == len({count[:5] for count in found})
    return Counter({count[:5]: count.rows for count in found})


def assert_exact(journal: Journal) -> None:
    """Hold the counts against the rows: by minute, by hour and by several hours."""
    for model in MODELS:
        for bucket_us in (MINUTE_US, 5 * MINUTE_US, HOUR_US, 8 * HOUR_US):
            hours = 6 if bucket_us < HOUR_US else 100
            since_us = (now_us() - hours * HOUR_US) // bucket_us * bucket_us
            expected = truth(journal, model, since_us, bucket_us)
            assert expected == counted(journal, model, since_us, bucket_us)
            assert expected.total() > 20


def roll_up(journal: Journal) -> None:
    """Take a turn at once, whoever has had one."""
    with journal.write() as connection:
        connection.execute(tables.rollup_state.update().values(turn_us=0))
    rollups.roll_up(journal)


def known_seq(journal_url: str) -> int:
    """Return the number of the last prediction that the counts hold."""
    return int(query(journal_url, "SELECT prediction_seq FROM rollup_state")[0][0])


def test_counts_are_exact_at_any_time(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after each of many turns, with late labels and corrections."""
    monkeypatch.setattr(rollups, "STEP_ROWS", 70)
    monkeypatch.setattr(rollups, "PART_ROWS", 30)
    rng, ids = random.Random(1), list[str]()
    for turn in range(6):
        ids += fill(journal, 1_000 * turn, 150, hours=(3, 90)[turn % 2], rng=rng)
        give(journal, rng.sample(ids, 60), rng)
        assert_exact(journal)
        roll_up(journal)
        assert_exact(journal)
        give(journal, [*rng.sample(ids, 60), ids[-1]], rng)
        assert_exact(journal)


def test_the_newest_label_is_corrected_in_the_counts_too(journal: Journal) -> None:
    """Of three counted labels the last one is corrected: the old label is counted no longer."""
    ids = record(journal, [prediction(number) for number in range(3)])
    feedback.give(journal, "iris", [Label(each, "setosa") for each in ids])
    roll_up(journal)
    for label in ("virginica", "versicolor", "virginica"):
        feedback.give(journal, "iris", [Label(ids[2], label, correct=True)])
        roll_up(journal)
        by_label = Counter({key[-1]: rows for key, rows in counted(journal, "iris", 0, HOUR_US).items()})
        assert {"setosa": 2, label: 1} == by_label


def test_a_large_batch_of_labels_counts_at_once(journal: Journal) -> None:
    """Ten thousand labels over three days, before and after a turn, and all of them corrected."""
    rng = random.Random(5)
    ids = fill(journal, 0, 10_000, hours=72, rng=rng)
    for _ in range(2):
        roll_up(journal)
        give(journal, ids, rng)
        assert_exact(journal)
    assert {*CLASSES} == {key[-1] for key in counted(journal, "iris", 0, HOUR_US)}


def test_a_prediction_that_comes_late_is_counted(journal: Journal) -> None:
    """A prediction counts although its time is before the last turn: a slow batch, or a slow clock."""
    fill(journal, 0, 200, hours=9, rng=random.Random(6))
    roll_up(journal)
    fill(journal, 1_000, 200, hours=9, rng=random.Random(7))
    roll_up(journal)
    assert_exact(journal)


def test_a_prediction_that_is_committed_late_is_counted(postgres: Postgres) -> None:
    """PostgreSQL numbers it before another prediction that is committed first."""
    values = dict.fromkeys(("features", "probabilities", "warnings"), "{}")
    with postgres.database() as url, databases.opened(url) as journal:
        with databases.connected(url) as other:
            other.execute(tables.predictions.insert(), [prediction(1)._asdict() | values])
            record(journal, [prediction(2)])
            turn = threading.Thread(target=roll_up, args=[journal])
            turn.start()
            time.sleep(0.3)
            assert 0 == known_seq(url)
            assert 1 == counted(journal, "iris", 0, HOUR_US).total()
        turn.join()

        assert 2 == known_seq(url)
        assert 2 == counted(journal, "iris", 0, HOUR_US).total()


def test_a_turn_waits_only_so_long_for_a_transaction(postgres: Postgres) -> None:
    """While a transaction does not end, nothing is counted, and queries are still exact."""
    with postgres.database() as url, databases.opened(url) as journal:
        record(journal, [prediction(1)])
        with databases.connected(url) as other:
            other.exec_driver_sql("DELETE FROM predictions WHERE seq < 0")
            started = time.monotonic()
            roll_up(journal)
            assert time.monotonic() - started < 10
            assert 0 == known_seq(url)
            assert 1 == counted(journal, "iris", 0, HOUR_US).total()
        roll_up(journal)

        assert 1 == known_seq(url)


def test_predictions_with_used_numbers_are_counted(journal: Journal) -> None:
    """SQLite uses numbers again when the newest predictions were deleted."""
    record(journal, [prediction(number) for number in range(5)])
    roll_up(journal)
    with journal.write() as connection:
        connection.execute(tables.predictions.delete())
    roll_up(journal)
    record(journal, [prediction(number) for number in range(10, 13)])
    assert 8 == counted(journal, "iris", 0, HOUR_US).total()
    roll_up(journal)
    assert 8 == counted(journal, "iris", 0, HOUR_US).total()


def test_deleted_predictions_are_counted_no_longer(journal: Journal) -> None:
    """Counted ones and others; new predictions with the same numbers are counted."""
    record(journal, [prediction(number) for number in range(5)])
    roll_up(journal)
    late = record(journal, [prediction(5)])
    gone = [str(prediction(number).prediction_id) for number in (0, 3, 4)]

    take_back(journal, [*gone, *late])
    assert 2 == counted(journal, "iris", 0, HOUR_US).total()
    record(journal, [prediction(number) for number in (6, 7)])
    for _ in range(2):
        assert 4 == counted(journal, "iris", 0, HOUR_US).total()
        roll_up(journal)


def test_a_turn_ends_when_predictions_are_taken_back(journal: Journal) -> None:
    """The turn may have read them, so it adds nothing; the next turn counts what is left."""
    ids = record(journal, [prediction(number) for number in range(5)])
    turn_us = rollups._take_turn(journal)
    assert turn_us is not None
    take_back(journal, ids[:2])

    assert not rollups._step(journal, turn_us, last_seq=5)
    assert 0 == rollup_rows(journal)
    roll_up(journal)
    assert 3 == rollup_rows(journal)


def rollup_rows(journal: Journal) -> int:
    """Return how many predictions the hours count."""
    with journal.read() as connection:
        return connection.scalar(sa.select(sa.func.sum(tables.rollups.c.rows))) or 0


def test_predictions_are_taken_back_and_counted_at_once(journal: Journal) -> None:
    """Whichever of three threads is first, in the end the predictions that are left are counted."""
    stop, kept = threading.Event(), list[str]()

    def count_on() -> None:
        while not stop.is_set():
            insist(lambda: roll_up(journal))

    def come_and_go(first: int) -> None:
        for number in range(first, first + 200, 10):
            made = [prediction(each) for each in range(number, number + 10)]
            ids = insist(partial(record, journal, made))
            insist(partial(take_back, journal, ids[3:]))
            kept.extend(ids[:3])

    counting = threading.Thread(target=count_on)
    coming = [threading.Thread(target=come_and_go, args=[first]) for first in (0, 1_000)]
    for thread in (counting, *coming):
        thread.start()
    for thread in coming:
        thread.join()
    stop.set()
    counting.join()

    assert 120 == len(kept)
    assert 120 == counted(journal, "iris", 0, HOUR_US).total()
    roll_up(journal)
    assert 120 == rollup_rows(journal)


def test_pruned_predictions_stay_counted(journal: Journal) -> None:
    """Counts are kept longer than predictions, and a late label does not change their sum."""
    at_us = now_us() - 40 * DAY_US
    ids = record(journal, [prediction(number, at_us=at_us) for number in range(10)])
    feedback.give(journal, "iris", [Label(ids[0], "setosa")])
    roll_up(journal)
    assert 8 == sum(retention.prune(journal, days=30))
    feedback.give(journal, "iris", [Label(ids[0], "virginica", correct=True)])
    roll_up(journal)

    labels = {key[-1]: rows for key, rows in counted(journal, "iris", 0, HOUR_US).items()}
    assert {"": 9, "virginica": 1} == labels


def test_a_query_reads_only_rows_that_are_not_counted(journal: Journal) -> None:
    """After a turn, and after a label that follows it, the rows themselves are not needed."""
    ids = fill(journal, 0, 300, hours=4, rng=random.Random(2))
    roll_up(journal)
    give(journal, ids[:50], random.Random(2))
    with journal.write() as connection:
        connection.execute(tables.predictions.delete())

    for bucket_us in (MINUTE_US, HOUR_US):
        assert 300 == sum(counted(journal, model, 0, bucket_us).total() for model in MODELS)


def test_old_minutes_are_deleted(journal: Journal, journal_url: str) -> None:
    """Minutes of the last day stay; labels of older predictions are counted by the hour only."""
    (old, _, new) = record(
        journal,
        [
            prediction(number, at_us=now_us() - hours * HOUR_US)
            for number, hours in [(1, 30), (2, 23), (3, 1)]
        ],
    )
    roll_up(journal)
    assert [(2,)] == query(journal_url, "SELECT sum(rows) FROM rollup_minutes")
    feedback.give(journal, "iris", [Label(old, "setosa"), Label(new, "setosa")])
    with journal.write() as connection:
        day = tables.rollup_minutes.c.minute_us
        connection.execute(tables.rollup_minutes.update().values(minute_us=day - 2 * HOUR_US))
    roll_up(journal)

    labels = query(journal_url, "SELECT label, sum(rows) FROM rollup_minutes GROUP BY 1 ORDER BY 1")
    assert [("", 0), ("setosa", 1)] == labels
    assert 3 == counted(journal, "iris", 0, HOUR_US).total()


@pytest.mark.parametrize(
    ("ago_us", "expected"), [(rollups.TURN_US, 0), (rollups.TURN_US + 1, 1)], ids=["too early", "due"]
)
def test_a_turn_is_due_after_an_interval(
    journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch, ago_us: int, expected: int
) -> None:
    """The next turn may begin when the last one began more than `TURN_US` ago, to the microsecond."""
    now = now_us()
    monkeypatch.setattr(rollups, "now_us", lambda: now)
    record(journal, [prediction(1)])
    with journal.write() as connection:
        connection.execute(tables.rollup_state.update().values(turn_us=now - ago_us))

    rollups.roll_up(journal)

    assert expected == known_seq(journal_url)


def test_a_turn_that_ends_leaves_the_interval_to_the_next(journal: Journal, journal_url: str) -> None:
    """A turn that has counted everything is not repeated at once."""
    record(journal, [prediction(1)])
    roll_up(journal)

    (turn_us,) = query(journal_url, "SELECT turn_us FROM rollup_state")[0]
    assert now_us() - 60_000_000 < turn_us <= now_us()


def test_minutes_are_kept_for_a_day(
    journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the microsecond when a row is counted; a turn deletes minutes that ended more than a day ago."""
    now = (now_us() // MINUTE_US + 1) * MINUTE_US
    monkeypatch.setattr(rollups, "now_us", lambda: now)
    oldest = now - rollups.MINUTES_KEPT_US
    record(journal, [prediction(1, at_us=oldest - 1), prediction(2, at_us=oldest)])
    roll_up(journal)
    assert [(oldest,)] == query(journal_url, "SELECT minute_us FROM rollup_minutes")

    for passed_us, expected in [(MINUTE_US, [(oldest,)]), (MINUTE_US + 1, [])]:
        monkeypatch.setattr(rollups, "now_us", lambda passed_us=passed_us: now + passed_us)
        roll_up(journal)
        assert expected == query(journal_url, "SELECT minute_us FROM rollup_minutes")


def test_sums_by_minute_are_kept_as_the_counts_are(
    journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn deletes sums whose minute ended more than a day ago."""
    now = (now_us() // MINUTE_US + 1) * MINUTE_US
    oldest = now - rollups.MINUTES_KEPT_US
    with journal.write() as connection:
        row = {"model": "iris", "version": "v", "name": "n", "total": 7, "minute_us": oldest}
        connection.execute(tables.sum_minutes.insert(), row)

    for passed_us, expected in [(MINUTE_US, [(oldest, 7)]), (MINUTE_US + 1, [])]:
        monkeypatch.setattr(rollups, "now_us", lambda passed_us=passed_us: now + passed_us)
        roll_up(journal)
        assert expected == query(journal_url, "SELECT minute_us, total FROM sum_minutes")


def test_one_worker_takes_the_turn(journal: Journal, journal_url: str) -> None:
    """A worker that comes a moment later counts nothing; the next turn counts the new rows."""
    rollups.roll_up(journal)
    record(journal, [prediction(1)])
    rollups.roll_up(journal)
    assert 0 == known_seq(journal_url)
    roll_up(journal)
    assert 1 == known_seq(journal_url)


@pytest.mark.parametrize(("ahead_us", "known"), [(30_000_000, 0), (30 * 24 * HOUR_US, 1)])
def test_a_turn_of_a_clock_that_was_set_back_is_over(
    journal: Journal, journal_url: str, ahead_us: int, known: int
) -> None:
    """A turn far in the future does not stop counting; a turn some seconds ahead, of another host, does."""
    record(journal, [prediction(1)])
    with journal.write() as connection:
        connection.execute(tables.rollup_state.update().values(turn_us=now_us() + ahead_us))

    rollups.roll_up(journal)

    assert known == known_seq(journal_url)


def test_a_turn_counts_in_several_steps(
    journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn goes on to the newest prediction while it has time."""
    monkeypatch.setattr(rollups, "TURN_SECONDS", 60.0)
    monkeypatch.setattr(rollups, "STEP_ROWS", 100)
    fill(journal, 0, 450, hours=5, rng=random.Random(4))

    rollups.roll_up(journal)

    assert 450 == known_seq(journal_url)


def test_a_step_ends_when_it_has_many_counts(
    journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are written under the lock of the database, for which predictions wait."""
    monkeypatch.setattr(rollups, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(rollups, "PART_ROWS", 40)
    monkeypatch.setattr(rollups, "STEP_COUNTS", 50)  # each row is of another minute: about 40 a part
    fill(journal, 0, 200, hours=90, rng=random.Random(4))
    known = []
    for _ in range(3):
        rollups.roll_up(journal)
        known.append(known_seq(journal_url))

    assert [80, 160, 200] == known


def test_predictions_older_than_a_day_are_counted_by_hour(
    journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of an old journal then takes many rows: these are of sixty minutes, and one hour."""
    monkeypatch.setattr(rollups, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(rollups, "PART_ROWS", 10)
    monkeypatch.setattr(rollups, "STEP_COUNTS", 7)  # a part has ten by minute, and one by hour
    hour_us = (now_us() // HOUR_US - 48) * HOUR_US
    record(journal, [prediction(number, at_us=hour_us + number * MINUTE_US) for number in range(60)])

    rollups.roll_up(journal)

    assert 60 == known_seq(journal_url)
    assert [(60,)] == query(journal_url, "SELECT rows FROM rollups")


@pytest.mark.parametrize(
    ("used", "waited", "busy", "left", "expected"),
    [
        pytest.param(0.002, 0.0, 0.0, 1_000_000, 0.0, id="a processor was free"),
        pytest.param(0.002, -0.0001, 0.0, 10, 0.0, id="two clocks differ"),
        pytest.param(0.002, 0.05, 0.0, 1_000_000, 0.08, id="others keep the processor busy"),
        pytest.param(0.002, 0.001, 0.0, 1_000_000, 0.04, id="for a moment"),
        pytest.param(0.002, 0.0, 1.0, 1_000_000, 0.08, id="this process is busy"),
        pytest.param(0.002, 0.0, 0.25, 1_000_000, 0.02, id="a quarter of the time"),
        pytest.param(0.002, 0.0, 1.9, 1_000_000, 0.08, id="on two processors"),
        pytest.param(0.002, 0.05, 1.0, 5_000_000, 0.006, id="very many are left"),
    ],
)
def test_counting_rests_where_requests_need_the_processor(
    used: float, waited: float, busy: float, left: int, expected: float
) -> None:
    """It takes a fortieth of it then; what would make questions slow is counted faster."""
    assert expected == pytest.approx(rollups.rest_seconds(used, waited, busy, left))


def test_the_work_of_other_threads_is_seen() -> None:
    """A thread that has slept need not wait for a processor, so that waiting does not show them."""
    assert rollups.busy_share(0.2) < 0.1

    stop = threading.Event()
    thread = threading.Thread(target=lambda: all(not stop.is_set() for _ in repeat(None)))
    thread.start()
    found = rollups.busy_share(0.5)
    stop.set()
    thread.join()

    assert found > 0.1


def test_a_long_turn_ends_and_the_next_one_continues(
    journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `TURN_SECONDS` a turn ends; the next turn begins at once and counts the rest."""
    monkeypatch.setattr(rollups, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(rollups, "STEP_ROWS", 100)
    fill(journal, 0, 500, hours=5, rng=random.Random(4))
    known = []
    for _ in range(6):
        rollups.roll_up(journal)
        known.append(known_seq(journal_url))

    assert [100, 200, 300, 400, 500, 500] == known


COUNT = """
from prediction.journal.database import Journal
from prediction.journal import rollups
journal = Journal(sys.argv[1])
rollups.STEP_ROWS = 30
wait()
for _ in range(20):
    rollups._step(journal, 0, 400)
journal.close()
"""


def test_workers_that_count_at_once_count_once(journal: Journal, journal_url: str) -> None:
    """Even without turns nothing is added twice: an overtaken worker adds nothing."""
    ids = fill(journal, 0, 400, hours=3, rng=random.Random(3))
    give(journal, ids[:80], random.Random(3))
    databases.run_at_once(COUNT, [[journal_url]] * 3)

    assert 400 == known_seq(journal_url)
    assert_exact(journal)


LABEL = """
from prediction.journal import feedback
from prediction.errors import JournalBusy
from prediction.journal.feedback import Label
from prediction.journal.database import Journal
journal = Journal(sys.argv[1])
wait()
for label in ("setosa", "virginica", "versicolor"):
    for start in range(2, len(sys.argv), 10):
        labels = [Label(each, label, True) for each in sys.argv[start : start + 10]]
        while True:
            try:
                feedback.give(journal, "iris", labels)
                break
            except JournalBusy:
                pass
journal.close()
"""


def test_labels_given_at_once_are_counted_once(journal: Journal, journal_url: str) -> None:
    """Counts are exact after workers have corrected each other while others counted."""
    ids = record(journal, [prediction(number) for number in range(400)])
    counting = threading.Event()

    def count() -> None:
        while not counting.wait(0.01):
            insist(lambda: roll_up(journal))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        databases.run_at_once(LABEL, [[journal_url, *ids], [journal_url, *ids[::-1]]])
    finally:
        counting.set()
        thread.join()

    since_us = (now_us() - HOUR_US) // HOUR_US * HOUR_US
    assert truth(journal, "iris", since_us, HOUR_US) == counted(journal, "iris", since_us, HOUR_US)


def test_an_older_journal_keeps_its_labels_and_is_counted_anew(journal_url: str) -> None:
    """Each label keeps its number and time, corrections stay, and the counts begin with what there is."""
    with databases.connected(journal_url) as connection:
        migrations.upgrade(connection, "0004")
        for statement in OLDER:
            connection.execute(sa.text(statement.format(now=now_us())))
    given = "SELECT seq, prediction_id, model, label, at_us FROM feedback ORDER BY seq"
    changed = "SELECT seq, prediction_id, label, at_us, replaced_us FROM corrections"
    labels, replaced = query(journal_url, given), query(journal_url, changed)
    with databases.opened(journal_url) as journal:
        assert labels == query(journal_url, given)
        assert replaced == query(journal_url, changed)
        assert_exact(journal)
        feedback.give(journal, labels[-1][2], [Label(labels[-1][1], "versicolor", correct=True)])
        roll_up(journal)
        assert_exact(journal)

    newest = query(journal_url, "SELECT seq, label FROM feedback ORDER BY seq DESC LIMIT 1")
    assert [(labels[-1][0] + 1, "versicolor")] == newest


OLDER = (
    """
    INSERT INTO predictions
        (prediction_id, at_us, model, version, features, predicted_class, probabilities, warnings)
    WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < 299)
    SELECT '01a20576-e6f4-7194-8645-' || (100000000000 + i), {now} - i * CAST(500000000 AS BIGINT),
        CASE WHEN i % 2 = 0 THEN 'iris' ELSE 'penguins' END, 'v', '{{}}', 'setosa', '{{}}', '[]'
    FROM numbers
    """,
    """
    INSERT INTO feedback (prediction_id, model, label, at_us)
    SELECT prediction_id, model, 'virginica', at_us + 1 FROM predictions WHERE seq % 3 = 0 ORDER BY seq
    """,
    """
    INSERT INTO corrections (prediction_id, label, at_us, replaced_us)
    SELECT prediction_id, 'setosa', at_us - 1, at_us FROM feedback WHERE seq % 10 = 0
    """,
    "INSERT INTO rollups VALUES ('iris', 0, 'v', 'setosa', '', 7)",
    "INSERT INTO rollup_state VALUES ('iris', 1, 1, 1)",
)


def test_sums_are_differences_by_time(journal: Journal) -> None:
    """They are added up by bucket, version and name; old ones are by hour only, and zeros are left out."""
    now = now_us() // HOUR_US * HOUR_US
    changes = [
        (now, "a", 5),
        (now + 1, "a", -2),
        (now, "b", 3),
        (now + 2, "b", -3),
        (now - 30 * HOUR_US, "a", 9),
    ]
    with journal.write() as connection:
        journal.order(connection)
        rollups.add_totals(
            journal,
            connection,
            [rollups.Total("iris", at_us, "v", name, total) for at_us, name, total in changes],
        )
    since_us = now - 40 * HOUR_US

    assert {(now, "a", 3), (now - 30 * HOUR_US, "a", 9)} == {
        (item.at_us, item.name, item.total)
        for item in rollups.figures(journal, "iris", since_us, now + HOUR_US, HOUR_US)[1]
    }
    by_minute = rollups.figures(journal, "iris", now, now + HOUR_US, MINUTE_US)[1]
    assert [rollups.Total("iris", now, "v", "a", 3)] == by_minute
    assert [] == rollups.figures(journal, "penguins", since_us, now + HOUR_US, HOUR_US)[1]
