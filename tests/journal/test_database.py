"""The journal's database, on SQLite and PostgreSQL: URLs, locks, syncs, restarts, query plans."""

from __future__ import annotations

import itertools
import logging
import re
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DataError

from prediction.errors import InvalidSettings, JournalBusy, JournalUnavailable
from prediction.journal import (
    database,
    feedback,
    ledger,
    predictions,
    retention,
    rollups,
    samples,
    workers,
)
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.journal.ledger import NewChampion
from prediction.journal.tables import tables
from tests import databases
from tests.databases import Postgres, prediction, record
from tests.journal.test_unusable import connect

journal_url = databases.journal_url
journal = databases.journal
postgres = databases.postgres


@pytest.fixture
def sqlite_journal(tmp_path: Path) -> Iterator[Journal]:
    """A migrated journal on SQLite."""
    with databases.opened(f"sqlite:///{tmp_path / 'journal.db'}") as opened:
        yield opened


# --------------------------------------------------------------------------------------- the URL


@pytest.mark.parametrize(
    "url",
    [
        "",
        "journal.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://user:hunter2@host/journal",
        "postgresql://user:hunter2@host:port/journal",
    ],
)
def test_a_url_of_another_database_is_refused(url: str) -> None:
    """The error shows both kinds of URL, and no password."""
    with pytest.raises(InvalidSettings) as caught:
        Journal(url)

    sentence = str(caught.value)
    assert sentence.startswith("PREDICTION_DATABASE_URL: give sqlite:////path/to/file.db or postgresql")
    assert "hunter2" not in told(caught.value)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("postgresql://user:hun@ter2@host/journal", "an @ in the user or the password as %40"),
        ("postgresql://user:hun@ter2/3@host/journal", "an @ in the user or the password as %40"),
        ("postgresql://user:ter2@/journal?host=one,other&port=5432", "several hosts as host=name:port"),
    ],
)
def test_a_url_of_postgresql_that_can_t_be_read_is_refused(url: str, remedy: str) -> None:
    """Half of a password would be the name of a host, which messages show."""
    with pytest.raises(InvalidSettings, match="PREDICTION_DATABASE_URL: ") as caught:
        Journal(url)

    assert remedy in str(caught.value)
    assert "ter2" not in told(caught.value)


def told(error: BaseException) -> str:
    """Return all that a traceback of an error would show."""
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgresql+asyncpg"])
def test_a_password_is_in_no_message(scheme: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the error nor the log of an unreachable PostgreSQL shows it."""
    caplog.set_level(logging.DEBUG)
    unreachable = Journal(f"{scheme}://user:hunter2@/journal?host={tmp_path}")

    with pytest.raises(JournalUnavailable) as caught:
        ledger.champions(unreachable)

    assert database.NO_ANSWER == str(caught.value)
    assert "hunter2" not in told(caught.value) + caplog.text


# ------------------------------------------------------------------------------ locks and syncs


def test_only_durable_transactions_are_synced_on_sqlite(sqlite_journal: Journal) -> None:
    """A durable commit syncs the log (2, FULL); another one leaves that to the system (1, NORMAL)."""
    for durable, expected in [(True, 2), (False, 1), (True, 2)]:
        with sqlite_journal.write(durable=durable) as connection:
            assert expected == connection.exec_driver_sql("PRAGMA synchronous").scalar()


@pytest.mark.parametrize(("durable", "expected"), [(False, 1), (True, 2)])
def test_predictions_are_synced_if_the_setting_says_so(
    sqlite_journal: Journal, durable: bool, expected: int
) -> None:
    """The connection that records predictions follows the setting, whatever other transactions do."""
    opened = Journal(f"sqlite:///{sqlite_journal.file}", durable_predictions=durable)
    connection = opened.connect_inserter()
    with opened.write(durable=not durable):
        pass
    for _ in range(2):
        assert (expected,) == connection.cursor().execute("PRAGMA synchronous").fetchone()
        connection.commit()
    connection.invalidate()


def test_feedback_and_the_ledger_are_synced(sqlite_journal: Journal) -> None:
    """Labels and promotions survive a loss of power; a worker's report need not."""
    synced: list[Any] = []

    def look(connection: sa.Connection) -> None:
        synced.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())

    (prediction_id,) = record(sqlite_journal, [prediction(1)])
    sa.event.listen(sa.Engine, "commit", look)
    try:
        feedback.give(sqlite_journal, "iris", [Label(prediction_id, "setosa")])
        workers.report(sqlite_journal, "host", 1, {"iris": ("v1", 1)})
        ledger.promote(sqlite_journal, NewChampion("iris", "v1", "d" * 64, by="test", reason="because"))
    finally:
        sa.event.remove(sa.Engine, "commit", look)

    assert [2, 1, 2] == synced


def test_postgresql_syncs_every_commit(postgres: Postgres) -> None:
    """No connection turns PostgreSQL's own durability off."""
    with postgres.database() as url, databases.opened(url) as journal, journal.write() as one:
        assert "on" == one.exec_driver_sql("SHOW synchronous_commit").scalar()


def test_a_lock_is_an_error_after_about_a_second(journal: Journal, journal_url: str) -> None:
    """While another process holds the tables, a write fails; its error says to try again."""
    (prediction_id,) = record(journal, [prediction(1)])
    label = Label(prediction_id, "setosa")
    with databases.locked(journal_url):
        started = time.monotonic()
        with pytest.raises(JournalBusy, match="try again"):
            feedback.give(journal, "iris", [label])
        assert 0.5 < time.monotonic() - started < 3

    assert ["recorded"] == feedback.give(journal, "iris", [label])


def test_no_write_fails_at_a_short_lock(journal: Journal, journal_url: str) -> None:
    """A write behind a lock of a quarter of a second is done when it ends."""
    locked = threading.Event()

    def hold() -> None:
        with databases.locked(journal_url):
            locked.set()
            time.sleep(0.25)

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait()
    assert (
        ledger.promote(journal, NewChampion("iris", "v1", "d" * 64, by="test", reason="because"))
        is not None
    )
    holder.join()


def test_an_outdated_snapshot_is_a_lock_too(sqlite_journal: Journal) -> None:
    """The upper bytes of SQLite's code are the reason; whatever the reason, a retry may help."""
    database = sqlite_journal
    with closing(sqlite3.connect(database.file, isolation_level=None)) as raw:
        raw.execute("BEGIN")
        raw.execute("SELECT count(*) FROM predictions").fetchone()
        record(sqlite_journal, [prediction(1)])
        with pytest.raises(JournalBusy, match="locked") as caught, database.translated_raw():
            raw.execute("DELETE FROM predictions")

    assert sqlite3.SQLITE_BUSY_SNAPSHOT == getattr(caught.value.__cause__, "sqlite_errorcode", None)


def test_a_lock_s_timeout_ends_with_the_deadline(journal: Journal, journal_url: str) -> None:
    """A request that has waited already waits for a lock only the rest of its time."""
    (prediction_id,) = record(journal, [prediction(1)])
    with databases.locked(journal_url), database.deadline(time.monotonic() + database.WORK_SECONDS):
        started = time.monotonic()
        with pytest.raises(JournalBusy):
            feedback.give(journal, "iris", [Label(prediction_id, "setosa")])
        waited = time.monotonic() - started
    if journal.is_sqlite:  # elsewhere it is the server that waits
        assert waited < database.LOCK_PATIENCE_MS / 1000


def test_nothing_is_committed_after_the_deadline(journal: Journal) -> None:
    """A transaction that is not finished when its request gets the error is rolled back."""

    def promote_slowly() -> None:
        with database.deadline(time.monotonic() + 0.3), journal.write() as connection:
            ledger.append(connection, NewChampion("iris", "v1", "d" * 64, by="test", reason="because"))
            time.sleep(0.35)

    with pytest.raises(JournalUnavailable):
        promote_slowly()

    assert {} == ledger.champions(journal)


def test_recording_needs_no_connection_of_the_pool(journal: Journal) -> None:
    """With every connection lent, a reader fails within about a second, and predictions are recorded."""
    with ExitStack() as stack:
        for _ in range(database.MOST_CONNECTIONS):
            stack.enter_context(journal.read())
        started = time.monotonic()
        with pytest.raises(JournalUnavailable):
            stack.enter_context(journal.read())
        assert time.monotonic() - started < 3
        (prediction_id,) = record(journal, [prediction(1)])

    assert prediction_id == predictions.find(journal, prediction_id).prediction_id


def test_a_refused_value_is_not_a_failure_of_the_journal(postgres: Postgres) -> None:
    """PostgreSQL stores no NUL; the error is not the one for a database that does not answer."""
    with postgres.database() as url, databases.opened(url) as journal, pytest.raises(DataError):
        ledger.promote(journal, NewChampion("iris", "v1", "d" * 64, by="test", reason="a\0b"))


def test_no_value_of_a_statement_is_in_an_error(journal: Journal) -> None:
    """The log of a failed statement does not show values of a client."""
    with pytest.raises(JournalUnavailable) as caught, journal.write() as connection:
        connection.execute(sa.text("INSERT INTO nowhere VALUES (:label)"), {"label": "secret-label"})

    assert "nowhere" in str(caught.value.__cause__)
    assert "secret-label" not in str(caught.value.__cause__)


def test_connections_have_keepalives(postgres: Postgres) -> None:
    """A connection to a host that has crashed is closed within seconds."""
    wanted = {"keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3"}
    with postgres.database() as url, databases.opened(url) as journal, journal.read() as lent:
        driver: Any = lent.connection.driver_connection
        assert wanted.items() <= driver.info.get_parameters().items()


def test_no_call_fails_after_a_restart_of_postgresql(postgres: Postgres) -> None:
    """Connections that a restart has broken are replaced before they are used."""
    with postgres.database() as url, databases.opened(url) as journal:
        (prediction_id,) = record(journal, [prediction(1)])
        postgres.restart()
        assert prediction_id == predictions.find(journal, prediction_id).prediction_id
        postgres.restart()
        assert ["recorded"] == feedback.give(journal, "iris", [Label(prediction_id, "setosa")])


def test_a_stopped_postgresql_is_an_error_at_once(postgres: Postgres) -> None:
    """While it is down each call fails soon; afterwards it works."""
    with postgres.database() as url, databases.opened(url) as journal:
        with postgres.stopped():
            for use in (ledger.champions, Journal.migrate, connect):
                started = time.monotonic()
                with pytest.raises(JournalUnavailable):
                    use(journal)
                assert time.monotonic() - started < 3
        assert {} == ledger.champions(journal)


# ------------------------------------------------------------------------------------ query plans

ROWS = 100_000
FILL = """
INSERT INTO predictions
    (prediction_id, at_us, model, version, features, predicted_class, probabilities, warnings)
WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {rows})
SELECT '01a20576-e6f4-7194-8645-' || (100000000000 + i), {now} - ({rows} - i) * CAST(10000000 AS BIGINT),
    CASE WHEN i % 2 = 0 THEN 'iris' ELSE 'penguins' END, 'v', '{{}}', 'setosa', '{{"setosa"\\:1}}', '[]'
FROM numbers
"""
LABEL = """
INSERT INTO feedback (prediction_id, model, label, at_us)
SELECT prediction_id, model, 'setosa', at_us FROM predictions WHERE seq % 5 = 0 ORDER BY seq
"""
ID = "01a20576-e6f4-7194-8645-100000000100"


@pytest.fixture(scope="module", params=["sqlite", "sqlite analysed", "postgresql analysed"])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    """A journal of 100,000 predictions, the oldest 12 days old, and a label for each fifth."""
    kind, _, analysed = request.param.partition(" ")
    folder = tmp_path_factory.mktemp("large")
    with databases.empty_database(kind, folder) as url, databases.opened(url) as journal:
        with databases.connected(url) as connection:
            connection.execute(sa.text(FILL.format(rows=ROWS, now=time.time_ns() // 1000)))
            connection.execute(sa.text(LABEL))
        while number(journal, "SELECT prediction_seq FROM rollup_state") < ROWS:
            rollups.roll_up(journal)
        if analysed:
            with databases.connected(url) as connection:
                connection.exec_driver_sql("ANALYZE")
        yield journal


def number(journal: Journal, query: str) -> int:
    """Return the one number that a query gives."""
    with journal.read() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())


def window(journal: Journal) -> None:
    """Read the last hour of a model, as monitoring does."""
    predictions = tables.tables["predictions"].c
    since_us = time.time_ns() // 1000 - 3_600_000_000
    wanted = sa.select(predictions.version, predictions.features).where(
        predictions.model == "iris", predictions.at_us >= since_us
    )
    with journal.read() as connection:
        assert 100 < len(list(connection.execute(wanted.order_by(predictions.at_us)))) < 200


def read_outcomes_on(journal: Journal) -> None:
    """Read labels in three chunks."""
    chunks = feedback.outcomes(journal, "iris", chunk_rows=100)
    assert [100, 100, 100] == [len(next(chunks)) for _ in range(3)]


def count(hours: int, bucket_us: int) -> Callable[[Journal], Any]:
    """Return what counts a window of so many hours, of which a few predictions are not counted yet."""

    def ask(journal: Journal) -> None:
        now = time.time_ns() // 1000
        since_us = (now - hours * 3_600_000_000) // bucket_us * bucket_us
        assert (
            300 * hours
            > sum(item.rows for item in rollups.counts(journal, "iris", since_us, now, bucket_us))
            > 100 * hours
        )

    return ask


NUMBERS = itertools.count()


def take_a_turn(journal: Journal) -> None:
    """Count what has come since."""
    with journal.write() as connection:
        connection.execute(tables.tables["rollup_state"].update().values(turn_us=0))
    record(journal, [prediction(next(NUMBERS), model="scones")])
    rollups.roll_up(journal)


def draw(hours: int) -> Callable[[Journal], Any]:
    """Return what draws 300 rows from the predictions of so many hours."""

    def ask(journal: Journal) -> None:
        now = time.time_ns() // 1000
        since_us = now - hours * 3_600_000_000
        assert 300 == len(samples.draw(journal, "iris", since_us, now, rows=180 * hours, limit=300))

    return ask


USES: dict[str, Callable[[Journal], Any]] = {
    "a window of time": window,
    "a prediction by its id": lambda journal: predictions.find(journal, ID),
    "outcomes in order": read_outcomes_on,
    "labels given": lambda journal: feedback.give(journal, "iris", [Label(ID, "setosa")]),
    "waiting for labels": lambda journal: feedback.waiting_since_us(journal, "penguins"),
    "a label by its id": lambda journal: feedback.find(journal, ID),
    "the newest predictions": lambda journal: feedback.latest(journal, "iris", 50),
    "the ones before": lambda journal: feedback.latest(journal, "iris", 50, before=ID),
    "counts by minute": count(4, 300_000_000),
    "counts by hour": count(24, 3_600_000_000),
    "a turn of the counts": take_a_turn,
    "a sample of a few": draw(2),
    "a sample of many": draw(240),
    "pruning": lambda journal: next(retention.prune(journal, days=10)),
}
LARGE = "predictions|feedback|rollups|rollup_minutes"
WALKS = {"sqlite": rf"SCAN ({LARGE})\b", "postgresql": r"Seq Scan on (predictions|feedback)\b"}
"""PostgreSQL does walk through a small table, as those of the counts are."""


@pytest.mark.parametrize("use", USES)
def test_no_query_scans_a_large_table(large: Journal, use: str) -> None:
    """Each query of a large journal uses an index."""
    plans = explained(large, USES[use])
    walk = WALKS["sqlite" if large.is_sqlite else "postgresql"]

    assert plans
    assert [] == [plan for plan in plans if re.search(walk, plan)]


@pytest.mark.parametrize("use", ["counts by minute", "counts by hour", "a turn of the counts"])
def test_rows_to_count_are_found_by_their_number(large: Journal, use: str) -> None:
    """Not by model and time, where all rows that are counted already would be read."""
    plans = [plan for plan in explained(large, USES[use]) if re.search(r"count\(", plan)]
    by_number = r"SEARCH predictions USING INTEGER PRIMARY KEY|Index Scan using predictions_pkey"

    assert 1 == len(plans)
    assert re.search(by_number, plans[0]), plans[0]


def explained(journal: Journal, use: Callable[[Journal], Any]) -> list[str]:
    """Return the plans of all statements that a use of the journal runs."""
    statements: list[tuple[str, Any]] = []

    def note(*event: Any) -> None:
        statements.append((event[2], event[3][0] if event[5] else event[3]))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        use(journal)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN" if journal.is_sqlite else "EXPLAIN"
    plans = []
    with journal.read() as connection:
        for statement, parameters in statements:
            if re.match("SELECT|DELETE|WITH", statement):
                rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
                plans.append("\n".join([statement, *(str(row[-1]) for row in rows)]))
    return plans
