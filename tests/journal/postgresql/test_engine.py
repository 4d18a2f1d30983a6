"""Connections to PostgreSQL: timeouts by transaction, and the whole journal through PgBouncer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress

import pytest
import sqlalchemy as sa

from prediction.errors import JournalBusy, JournalUnavailable, UnknownPrediction
from prediction.journal import feedback, ledger, predictions, retention, rollups, runs, workers
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.journal.ledger import NewChampion
from prediction.journal.postgresql.engine import SILENT_SECONDS
from prediction.journal.predictions import Inserter
from prediction.times import HOUR_US, now_us
from tests import databases, poolers
from tests.databases import locked, prediction, query, record
from tests.poolers import POOL_SIZE
from tests.timing import eventually

LIMITS = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
CALLS = 20


@pytest.fixture(scope="module")
def direct_url() -> Iterator[str]:
    """An empty database."""
    with databases.start_postgres().database() as url:
        yield url


@pytest.fixture(scope="module")
def pooled(direct_url: str) -> Iterator[Journal]:
    """A journal behind PgBouncer, migrated through it."""
    if poolers.PGBOUNCER is None:
        pytest.skip("needs pgbouncer")
    with poolers.pgbouncer(direct_url) as url, databases.opened(url) as journal:
        yield journal


@pytest.fixture(scope="module", params=["direct", "pooled"])
def journal(request: pytest.FixtureRequest, direct_url: str) -> Iterator[Journal]:
    """A journal that goes to PostgreSQL, and one that goes by PgBouncer."""
    if request.param == "pooled":
        yield request.getfixturevalue("pooled")
    else:
        with databases.opened(direct_url) as opened:
            yield opened


def promote(journal: Journal, model: str, version: str) -> None:
    """Make a version the champion."""
    ledger.promote(journal, NewChampion(model, version, "d" * 64, by="test", reason="because"))


def test_each_transaction_has_our_timeouts(journal: Journal) -> None:
    """Readers, snapshots and writers; a session on which nothing runs has none of them."""
    for lend in (journal.read, journal.snapshot, journal.write):
        with lend() as connection:
            assert ("800ms", "10s") == tuple(connection.exec_driver_sql(LIMITS).one())
    with journal.read() as connection:
        raw = connection.connection.driver_connection
        connection.rollback()
        assert raw is not None
        assert ("0", "0") == raw.execute(LIMITS).fetchone()


def test_a_host_that_falls_silent_keeps_no_lock(journal: Journal) -> None:
    """As one without power in the middle of a label: others wait for some seconds, and it commits nothing.

    A snapshot locks nothing, and may be read slowly.
    """
    (prediction_id,) = record(journal, [prediction(now_us() % 10**12)])

    def is_labelled() -> bool:
        with suppress(JournalBusy):
            return ["recorded"] == feedback.give(journal, "iris", [Label(prediction_id, "setosa")])
        return False

    def fall_silent() -> None:
        with journal.write() as silent:
            journal.order(silent)
            rows = [{"position": each, "model": "silent"} for each in range(2)]
            silent.execute(
                sa.text("DELETE FROM ledger WHERE (position, model) = (:position, :model)"), rows
            )
            assert not is_labelled()
            eventually(is_labelled, 3 * SILENT_SECONDS)

    count = "SELECT count(*) FROM feedback"
    with journal.snapshot() as slow:
        before = slow.exec_driver_sql(count).scalar_one()
        with pytest.raises(JournalUnavailable):
            fall_silent()
        assert before == slow.exec_driver_sql(count).scalar_one()


def test_a_snapshot_sees_one_state_and_writes_nothing(journal: Journal) -> None:
    """Rows that are committed meanwhile are not in it."""
    count = "SELECT count(*) FROM predictions"
    with journal.snapshot() as connection:
        before = connection.exec_driver_sql(count).scalar_one()
        record(journal, [prediction(0, prediction_id=f"snapshot-{now_us()}")])
        assert before == connection.exec_driver_sql(count).scalar_one()
        with pytest.raises(sa.exc.InternalError, match="read-only"):
            connection.exec_driver_sql("DELETE FROM predictions")
    with journal.snapshot() as connection:
        assert before + 1 == connection.exec_driver_sql(count).scalar_one()


@pytest.mark.skipif(poolers.PGBOUNCER is None, reason="needs pgbouncer")
def test_a_new_journal_is_migrated_once_through_pgbouncer() -> None:
    """Hosts that start at once take turns there too, and nothing is left locked."""
    with (
        databases.start_postgres().database() as direct,
        poolers.pgbouncer(direct) as url,
        ExitStack() as stack,
    ):
        journals = [stack.enter_context(closing(Journal(url))) for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(Journal.migrate, journals))

        assert [(1,)] == query(direct, "SELECT count(*) FROM alembic_version")
        assert [(0,)] == query(direct, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


def test_threads_share_few_sessions(pooled: Journal, direct_url: str) -> None:
    """Predictions, labels and reads of many threads work, more often than psycopg would prepare them."""

    def use(number: int) -> None:
        ids = record(pooled, [prediction(number * 1_000 + each, model="shared") for each in range(3)])
        ids += record(pooled, [prediction(number * 1_000 + 999, model="shared")])
        for prediction_id in ids:
            assert ["recorded"] == feedback.give(pooled, "shared", [Label(prediction_id, "setosa")])
            assert prediction_id == predictions.find(pooled, prediction_id).prediction_id

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(CALLS)))
        sessions = query(
            direct_url,
            "SELECT count(*) FROM pg_stat_activity WHERE client_addr IS NULL AND"
            " datname = current_database() AND backend_type = 'client backend'",
        )
    rollups.roll_up(pooled)

    hour = now_us() // HOUR_US * HOUR_US
    counted = rollups.counts(pooled, "shared", hour - HOUR_US, hour + HOUR_US, HOUR_US)
    assert 4 * CALLS == sum(item.rows for item in counted if item.label)
    assert sessions[0][0] <= POOL_SIZE + 1  # and the one that asks


def test_the_ledger_runs_and_reports_work(pooled: Journal) -> None:
    """Promotion, rollback, what workers serve, and deletions."""
    promote(pooled, "iris", "v1")
    promote(pooled, "iris", "v2")
    workers.report(pooled, "host", 1, {"iris": ("v2", 1)})
    (prediction_id,) = record(pooled, [prediction(77, model="old", at_us=1)])
    record(pooled, [prediction(78, model="old", at_us=now_us())])

    assert "v2" == ledger.champions(pooled)["iris"].to_version
    assert ["v2"] == [report.version for report in workers.alive(pooled, "iris")]
    assert 1 == sum(retention.prune(pooled, days=1))
    with pytest.raises(UnknownPrediction):
        predictions.find(pooled, prediction_id)


def test_one_retraining_at_a_time(pooled: Journal) -> None:
    """Of many requests at once one makes a run, and the others get the same run."""
    with ThreadPoolExecutor(6) as pool:
        asked = list(pool.map(lambda _: runs.request(pooled, "iris", force=False), range(6)))

    assert 1 == sum(is_new for _, is_new in asked)
    assert 1 == len({run.run_id for run, _ in asked})


def test_a_lock_is_an_error_behind_pgbouncer_too(pooled: Journal, direct_url: str) -> None:
    """A prediction and a label fail after about a second; later they work."""
    (prediction_id,) = record(pooled, [prediction(5, model="locked")])
    with locked(direct_url):
        for write in (
            lambda: record(pooled, [prediction(6, model="locked")]),
            lambda: feedback.give(pooled, "locked", [Label(prediction_id, "setosa")]),
        ):
            started = time.monotonic()
            with pytest.raises(JournalBusy, match="try again"):
                write()
            assert time.monotonic() - started > 0.7

    assert ["recorded"] == feedback.give(pooled, "locked", [Label(prediction_id, "setosa")])


def test_work_goes_on_after_a_restart_behind_pgbouncer(pooled: Journal) -> None:
    """PgBouncer connects again, and so do we, without a restart of either."""
    rows = [prediction(7, model="restarted")]
    inserter = Inserter(pooled)

    def goes_on() -> bool:
        with suppress(JournalUnavailable):
            inserter.insert(rows, again=True)
            return "restarted" == predictions.find(pooled, str(rows[0].prediction_id)).model
        inserter.close()
        return False

    with closing(inserter):
        assert goes_on()
        databases.start_postgres().restart()
        eventually(goes_on, 30)
