"""Migrations: they make the tables that the code expects, once, whoever starts at once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from prediction.errors import JournalTooNew
from prediction.journal import database, tables
from prediction.journal.database import Journal
from tests.databases import run_at_once
from tests.journal.test_ledger import promote

MIGRATE = """
from prediction.journal.database import Journal
journal = Journal(sys.argv[1])
wait()
journal.migrate()
journal.close()
"""


def test_migrating_twice_changes_nothing(opened: Journal, path: Path) -> None:
    """A journal that is up to date is left as it is, rows included."""
    promote(opened, "a")
    before = dump(path)

    opened.migrate()

    assert before == dump(path)


def dump(path: Path) -> list[str]:
    """Return the whole database as statements."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_migrations_make_the_tables_that_the_code_expects(opened: Journal, url: str) -> None:
    """Every migration together gives exactly the declared tables, columns and indexes."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, tables.tables)
        head = ScriptDirectory(str(database.MIGRATIONS)).get_current_head()
        current = context.get_current_revision()
    engine.dispose()

    assert [] == differences
    assert head == current


def test_migrations_form_one_line() -> None:
    """There is one newest revision, so that two branches can't both be the journal's future."""
    assert 1 == len(ScriptDirectory(str(database.MIGRATIONS)).get_heads())


def test_processes_may_migrate_a_new_journal_at_once(url: str, opened: Journal, tmp_path: Path) -> None:
    """Several processes that meet a journal for the first time all find it migrated."""
    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"

    run_at_once(MIGRATE, [[fresh]] * 4)

    def schema(path: Path) -> set[str]:  # a table that is made anew gets its indexes back in any order
        return {statement for statement in dump(path) if statement.startswith("CREATE")}

    assert schema(tmp_path / "journal.db") == schema(tmp_path / "fresh.db")


def test_a_journal_of_a_newer_release_is_not_touched(opened: Journal, path: Path) -> None:
    """A revision that this release does not know ends with a sentence that says what to do."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = dump(path)

    with pytest.raises(JournalTooNew, match="newer release") as caught:
        opened.migrate()

    assert "PREDICTION_DATABASE_URL" in str(caught.value)
    assert before == dump(path)
