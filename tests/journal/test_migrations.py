"""Migrations, on SQLite and PostgreSQL: they make the tables that the code expects, once."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from prediction.errors import JournalTooNew
from prediction.journal import database, ledger
from prediction.journal.database import LOCK_PATIENCE_MS, Journal
from prediction.journal.tables import tables
from tests import databases
from tests.databases import query
from tests.journal.test_ledger import promote

journal_url = databases.journal_url
journal = databases.journal

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
    assert database.HEAD == current


def test_head_is_the_only_newest_migration() -> None:
    """A journal at `HEAD` is not migrated, and no two migrations follow the same one."""
    assert [database.HEAD] == ScriptDirectory(str(database.MIGRATIONS)).get_heads()


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


def test_a_journal_of_a_newer_release_is_refused_and_not_changed(
    journal: Journal, journal_url: str
) -> None:
    """The error for an unknown revision says what to do."""
    with databases.connected(journal_url) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(JournalTooNew, match="newer release: install that one") as caught:
        journal.migrate()

    assert "PREDICTION_DATABASE_URL" in str(caught.value)
    assert [("9999",)] == query(journal_url, "SELECT version_num FROM alembic_version")
