"""Migrations, on SQLite and PostgreSQL: they make the tables that the code expects, once."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from prediction.errors import JournalBusy, JournalTooNew
from prediction.journal import ledger, migrations, predictions
from prediction.journal.database import LOCK_PATIENCE_MS, Journal
from prediction.journal.tables import tables
from tests import databases
from tests.databases import query
from tests.journal.test_ledger import promote
from tests.timing import eventually

journal_url = databases.journal_url
journal = databases.journal
postgres = databases.postgres

MIGRATE = """
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
journal = Journal(sys.argv[1])
wait()
journal.migrate()
ledger.promote_first(journal, NewChampion("iris", sys.argv[2], "d" * 64, by="test", reason="first start"))
journal.close()
"""


def test_migrations_make_the_tables_that_the_code_expects(journal: Journal, journal_url: str) -> None:
    """All migrations together make exactly the declared tables, columns and indexes."""
    with databases.connected(journal_url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, tables)
        current = context.get_current_revision()

    assert [] == differences
    assert migrations.HEAD == current


def test_head_is_the_only_newest_migration() -> None:
    """A journal at `HEAD` is not migrated, and no two migrations follow the same one."""
    assert [migrations.HEAD] == ScriptDirectory(str(migrations.FOLDER)).get_heads()


def test_migrating_twice_changes_nothing(opened: Journal, path: Path) -> None:
    """An up-to-date journal keeps every statement and row as it is."""
    promote(opened, "a")
    before = dump(path)

    opened.migrate()

    assert before == dump(path)


def dump(path: Path) -> list[str]:
    """Return the whole database as statements."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_processes_may_migrate_a_new_journal_at_once(journal_url: str) -> None:
    """Several hosts that start on an empty database all find it migrated, and one of them promotes."""
    databases.run_at_once(MIGRATE, [[journal_url, f"v{number}"] for number in range(3)])

    with databases.opened(journal_url) as journal:
        assert 1 == len(ledger.entries(journal, "iris", limit=10))


def test_a_start_waits_while_another_process_creates_the_file(tmp_path: Path) -> None:
    """A new SQLite file under an exclusive lock refuses even connections: the start tries again."""
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("CREATE TABLE first (number)")
        timer = threading.Timer(2 * LOCK_PATIENCE_MS / 1000, other.execute, ["COMMIT"])
        timer.start()
        with databases.opened(f"sqlite:///{path}") as journal:
            timer.join()
            assert {} == ledger.champions(journal)


def migrate_later(url: str, min_reader: int | None) -> None:
    """Leave a journal as a newer release would, which asks for readers of that migration."""
    with databases.connected(url) as connection:
        connection.exec_driver_sql("ALTER TABLE predictions ADD COLUMN colour TEXT")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        if min_reader is None:
            connection.exec_driver_sql("DELETE FROM journal_format")
        else:
            connection.exec_driver_sql(f"UPDATE journal_format SET min_reader = {min_reader}")


def test_a_journal_of_a_newer_release_is_used_where_it_can_be(journal: Journal, journal_url: str) -> None:
    """A newer release that asks for no newer reader shares the journal, and nothing of it is changed."""
    migrate_later(journal_url, int(migrations.HEAD))

    with databases.opened(journal_url) as other:
        (recorded,) = databases.record(other, [databases.prediction(1)])
        found = predictions.find(other, recorded)

    assert recorded == found.prediction_id
    assert [("9999",)] == query(journal_url, "SELECT version_num FROM alembic_version")
    assert [(None,)] == query(journal_url, "SELECT colour FROM predictions")


@pytest.mark.parametrize("min_reader", [int(migrations.HEAD) + 1, None])
def test_a_journal_that_asks_for_a_newer_reader_is_refused_and_not_changed(
    journal: Journal, journal_url: str, min_reader: int | None
) -> None:
    """The error says what to do, and which migrations the two know."""
    migrate_later(journal_url, min_reader)

    with pytest.raises(JournalTooNew, match="newer release: install that one") as caught:
        journal.migrate()

    assert "PREDICTION_DATABASE_URL" in str(caught.value)
    assert f"at migration 9999, this release knows those up to {migrations.HEAD}" in str(caught.value)
    assert [("9999",)] == query(journal_url, "SELECT version_num FROM alembic_version")


def shape(connection: sa.Connection) -> dict[str, tuple[Any, ...]]:
    """Return what earlier releases see of each table: its columns, its key and its unique indexes."""
    seen = sa.inspect(connection)
    return {
        table: (
            {column["name"]: str(column["type"]) for column in seen.get_columns(table)},
            {
                column["name"]
                for column in seen.get_columns(table)
                if not column["nullable"] and column["default"] is None
            },
            seen.get_pk_constraint(table)["constrained_columns"],
            {index["name"] for index in seen.get_indexes(table) if index["unique"]},
        )
        for table in seen.get_table_names()
        if table != "alembic_version"
    }


@pytest.mark.parametrize("before", range(6, int(migrations.HEAD)))
def test_a_migration_only_adds_what_earlier_releases_ignore(journal_url: str, before: int) -> None:
    """Tables and columns stay, new columns may be empty, nothing more is unique."""
    with databases.connected(journal_url) as connection:
        migrations.upgrade(connection, f"{before:04}")
        old = shape(connection)
        migrations.upgrade(connection, f"{before + 1:04}")
        new = shape(connection)
        min_reader = connection.scalar(sa.text("SELECT min_reader FROM journal_format"))

    assert isinstance(min_reader, int)
    if min_reader <= before:
        for table, (columns, demanded, key, unique) in old.items():
            assert columns.items() <= new[table][0].items()
            assert (demanded, key, unique) == new[table][1:]


@contextmanager
def long_read(url: str) -> Iterator[int]:
    """Read predictions in a transaction that stays open, as `pg_dump` does; lend its process."""
    with databases.connected(url) as reader:
        reader.exec_driver_sql("SELECT count(*) FROM predictions")
        yield int(reader.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


@pytest.fixture
def older(postgres: databases.Postgres) -> Iterator[str]:
    """The URL of a journal on PostgreSQL whose next migrations lock the predictions."""
    with postgres.database() as url:
        with databases.connected(url) as connection:
            migrations.upgrade(connection, "0007")
        yield url


def insert_as_before(connection: Any, number: int) -> None:
    """Insert a prediction as the release before does, which knows no quantities."""
    values = databases.prediction(number)[:8]
    names = ", ".join(predictions.Prediction._fields[: len(values)])
    marks = ", ".join(["%s"] * len(values))
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"INSERT INTO predictions ({names}) VALUES ({marks})", values)
    connection.commit()


def test_inserts_go_on_while_a_migration_waits_for_a_long_read(
    older: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It never waits longer for a lock than they do; it says who holds it, and is done after the read."""
    journal = Journal(older)
    inserted = 0
    with ThreadPoolExecutor(1) as pool, closing(journal), closing(journal.connect_inserter()) as connection:
        with long_read(older) as reader:
            migrating = pool.submit(journal.migrate)
            while len(caplog.records) < 5 and not migrating.done():
                insert_as_before(connection, inserted)
                inserted += 1
            assert not migrating.done()
        migrating.result(timeout=60)

    assert f"(PostgreSQL's process {reader} for " in caplog.text
    assert "attempt 5, the next one in 1.6 s" in caplog.text
    assert [(migrations.HEAD,)] == query(older, "SELECT version_num FROM alembic_version")
    assert [(inserted,)] == query(older, "SELECT count(*) FROM predictions")


def test_a_migration_gives_up_after_a_time(older: str) -> None:
    """The error says what happened and what to do; the journal is as it was."""
    with closing(Journal(older)) as journal, long_read(older) as reader:
        time.sleep(1)
        with pytest.raises(JournalBusy, match=f"process {reader} for .*; end them, or start again later"):
            migrations.migrate(journal.read, journal.write, patience_seconds=0.5)

    assert [("0007",)] == query(older, "SELECT version_num FROM alembic_version")


def test_a_start_waits_while_another_host_migrates(older: str, caplog: pytest.LogCaptureFixture) -> None:
    """Hosts take turns, however long one of them needs."""
    with ThreadPoolExecutor(1) as pool, closing(Journal(older)) as journal:
        with databases.connected(older) as other:
            other.exec_driver_sql(f"SELECT pg_advisory_xact_lock({migrations.TURN_LOCK})")
            migrating = pool.submit(journal.migrate)
            eventually(lambda: "another host migrates the journal; attempt 2" in caplog.text)
        migrating.result(timeout=60)

    assert [(migrations.HEAD,)] == query(older, "SELECT version_num FROM alembic_version")
