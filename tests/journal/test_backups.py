"""A copy of the journal, made while it is in use, and put back; SQLite only."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from models_store.errors import InvalidInput
from prediction.errors import JournalTooNew
from prediction.journal import backups, ledger, migrations, predictions
from prediction.journal.database import Journal
from tests import databases
from tests.databases import Postgres, prediction, query, record

postgres = databases.postgres


@pytest.fixture
def sqlite_journal(tmp_path: Path) -> Iterator[Journal]:
    """A migrated journal on SQLite."""
    with databases.opened(f"sqlite:///{tmp_path / 'journal.db'}") as opened:
        yield opened


def test_a_backup_is_whole_while_others_write(sqlite_journal: Journal, tmp_path: Path) -> None:
    """A backup made under load has all commits up to one moment; nobody waits long."""
    record(sqlite_journal, [prediction(number) for number in range(5_000)])
    longest, stop = [0.0], threading.Event()

    def write_on() -> None:
        number = 5_000
        while not stop.is_set():
            started = time.monotonic()
            record(sqlite_journal, [prediction(number)])
            longest[0] = max(longest[0], time.monotonic() - started)
            number += 1

    thread = threading.Thread(target=write_on)
    thread.start()
    copies = [tmp_path / f"copy{number}.db" for number in range(3)]
    for copy in copies:
        backups.backup(sqlite_journal, copy)
    stop.set()
    thread.join()

    for copy in copies:
        numbers = query(f"sqlite:///{copy}", "SELECT seq FROM predictions ORDER BY seq")
        assert [(number,) for number in range(1, len(numbers) + 1)] == numbers
        assert len(numbers) >= 5_000
        assert [("ok",)] == query(f"sqlite:///{copy}", "PRAGMA integrity_check")
    assert longest[0] < 2
    assert {"journal.db", "copy0.db", "copy1.db", "copy2.db"} == visible(tmp_path)


def visible(folder: Path) -> set[str]:
    """Return the names in a folder, but for the log and the shared memory of the open journal."""
    return {path.name for path in folder.iterdir()} - {"journal.db-wal", "journal.db-shm"}


def test_a_backup_is_one_file(sqlite_journal: Journal, tmp_path: Path) -> None:
    """A backup may be copied anywhere and read there: it needs no log beside it."""
    (prediction_id,) = record(sqlite_journal, [prediction(1)])
    (tmp_path / "elsewhere").mkdir()
    backups.backup(sqlite_journal, tmp_path / "elsewhere" / "copy.db")

    read_only = f"sqlite:///file:{tmp_path / 'elsewhere' / 'copy.db'}?mode=ro&uri=true"
    assert [(prediction_id,)] == query(read_only, "SELECT prediction_id FROM predictions")
    assert {"copy.db"} == visible(tmp_path / "elsewhere")


@pytest.mark.parametrize("target", ["missing/copy.db", "folder", "folder/."])
def test_a_backup_that_can_t_be_written_is_an_error(
    sqlite_journal: Journal, tmp_path: Path, target: str
) -> None:
    """If the folder is missing, or the name is a folder's, the error says so, and no file is left."""
    (tmp_path / "folder").mkdir()

    with pytest.raises(InvalidInput, match=f"{tmp_path / target} can't be written: "):
        backups.backup(sqlite_journal, tmp_path / target)

    assert {"journal.db", "folder"} == visible(tmp_path)


def test_a_restored_journal_is_the_backup(sqlite_journal: Journal, tmp_path: Path) -> None:
    """Later rows are gone, earlier rows are there, and the journal can be used."""
    (kept,) = record(sqlite_journal, [prediction(1)])
    backups.backup(sqlite_journal, tmp_path / "copy.db")
    record(sqlite_journal, [prediction(2)])

    backups.restore(sqlite_journal, tmp_path / "copy.db")

    ids = "SELECT prediction_id FROM predictions ORDER BY seq"
    assert [(kept,)] == query(f"sqlite:///{tmp_path / 'journal.db'}", ids)
    record(sqlite_journal, [prediction(3)])
    assert kept == predictions.find(sqlite_journal, kept).prediction_id
    assert {"journal.db", "journal.db.before-restore", "copy.db"} == visible(tmp_path)


def test_a_damaged_journal_is_kept_with_its_log(sqlite_journal: Journal, tmp_path: Path) -> None:
    """What can still be read of a damaged journal and its log is not thrown away."""
    backups.backup(sqlite_journal, tmp_path / "copy.db")
    sqlite_journal.close()
    path = tmp_path / "journal.db"
    for damaged in (b"", b"damaged" * 10_000):
        path.write_bytes(damaged)
        log = tmp_path / "journal.db-wal"
        log.write_bytes(b"rows")
        kept = backups.restore(sqlite_journal, tmp_path / "copy.db")
        assert kept is not None
        assert (damaged, b"rows") == (kept.read_bytes(), Path(f"{kept}-wal").read_bytes())
        assert not log.exists()
        assert [("ok",)] == query(f"sqlite:///{path}", "PRAGMA integrity_check")


def test_a_restore_without_a_journal_keeps_nothing(sqlite_journal: Journal, tmp_path: Path) -> None:
    """Where the journal is missing, there is nothing to keep."""
    backups.backup(sqlite_journal, tmp_path / "copy.db")
    (tmp_path / "new").mkdir()

    assert backups.restore(Journal(f"sqlite:///{tmp_path}/new/journal.db"), tmp_path / "copy.db") is None
    assert {"journal.db"} == visible(tmp_path / "new")


def test_a_backup_of_an_older_release_is_migrated(sqlite_journal: Journal, tmp_path: Path) -> None:
    """A backup of a release without feedback is migrated when it is restored."""
    old = sa.create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with old.begin() as connection:
        migrations.upgrade(connection, "0001")
    old.dispose()

    backups.restore(sqlite_journal, tmp_path / "old.db")

    assert [] == query(f"sqlite:///{tmp_path / 'journal.db'}", "SELECT * FROM feedback")


def no_backups(folder: Path, journal: Journal) -> dict[str, Path]:
    """Make files that are not a whole backup of a journal of this release."""
    (folder / "letter.db").write_text("this is a letter, and not a database " * 100)
    (folder / "empty.db").write_text("")
    (folder / "folder.db").mkdir()
    with closing(sqlite3.connect(folder / "foreign.db")) as foreign, foreign:
        foreign.execute("CREATE TABLE letters (text TEXT)")
    backups.backup(journal, folder / "whole.db")
    (folder / "half.db").write_bytes((folder / "whole.db").read_bytes()[:40_000])
    (folder / "newer.db").write_bytes((folder / "whole.db").read_bytes())
    with closing(sqlite3.connect(folder / "newer.db")) as newer, newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.execute("UPDATE journal_format SET min_reader = 9999")
    names = ("letter", "empty", "folder", "foreign", "half", "newer", "missing")
    return {name: folder / f"{name}.db" for name in names}


@pytest.mark.parametrize("name", ["letter", "empty", "folder", "foreign", "half", "newer", "missing"])
def test_a_file_that_is_not_a_backup_is_refused(sqlite_journal: Journal, tmp_path: Path, name: str) -> None:
    """The error names a damaged file, a newer one or one of another kind; the journal stays."""
    ids = record(sqlite_journal, [prediction(number) for number in range(500)])
    (tmp_path / "backups").mkdir()
    source = no_backups(tmp_path / "backups", sqlite_journal)[name]

    with pytest.raises((InvalidInput, JournalTooNew)) as caught:
        backups.restore(sqlite_journal, source)

    assert str(source) in str(caught.value) or "newer release" in str(caught.value)
    assert 500 == sum(predictions.find(sqlite_journal, each).prediction_id == each for each in ids)
    assert {"journal.db", "backups"} == visible(tmp_path)


def test_a_copy_with_its_log_is_refused(sqlite_journal: Journal, tmp_path: Path) -> None:
    """The newest rows of a journal that was copied while in use are in the log."""
    copy = tmp_path / "copy.db"
    backups.backup(sqlite_journal, copy)
    Path(f"{copy}-wal").write_bytes(b"rows")

    with pytest.raises(InvalidInput, match=r"from a journal in use, and a part is in copy\.db-wal"):
        backups.restore(sqlite_journal, copy)


def test_a_journal_in_use_is_not_replaced(sqlite_journal: Journal, tmp_path: Path) -> None:
    """Later rows of other processes would be lost, on whatever home they are."""
    backups.backup(sqlite_journal, tmp_path / "copy.db")
    with closing(Journal(f"sqlite:///{tmp_path / 'journal.db'}")) as other:
        (prediction_id,) = record(other, [prediction(1)])
        ledger.champions(other)
        with pytest.raises(InvalidInput, match=r"journal\.db is open in another process: stop"):
            backups.restore(sqlite_journal, tmp_path / "copy.db")
        assert prediction_id == predictions.find(other, prediction_id).prediction_id

    backups.restore(sqlite_journal, tmp_path / "copy.db")
    assert [] == query(f"sqlite:///{tmp_path / 'journal.db'}", "SELECT * FROM predictions")


def test_a_journal_is_not_restored_into_a_missing_folder(sqlite_journal: Journal, tmp_path: Path) -> None:
    """The error names the folder, not the backup."""
    backups.backup(sqlite_journal, tmp_path / "copy.db")
    elsewhere = Journal(f"sqlite:///{tmp_path / 'nowhere' / 'journal.db'}")

    with pytest.raises(InvalidInput, match="nowhere is not a folder: make it first"):
        backups.restore(elsewhere, tmp_path / "copy.db")


def test_a_journal_is_not_restored_from_itself(sqlite_journal: Journal, tmp_path: Path) -> None:
    """The journal's own file is not a backup: the rows in its log would be lost."""
    (prediction_id,) = record(sqlite_journal, [prediction(1)])

    with pytest.raises(InvalidInput, match="is the journal itself"):
        backups.restore(sqlite_journal, tmp_path / "journal.db")

    assert prediction_id == predictions.find(sqlite_journal, prediction_id).prediction_id


def test_postgresql_has_its_own_tools(postgres: Postgres, tmp_path: Path) -> None:
    """On PostgreSQL the errors of backup and restore name the right program."""
    with postgres.database() as url, databases.opened(url) as journal:
        with pytest.raises(InvalidInput, match="the journal is on PostgreSQL: use pg_dump"):
            backups.backup(journal, tmp_path / "copy.db")
        with pytest.raises(InvalidInput, match="the journal is on PostgreSQL: use pg_restore"):
            backups.restore(journal, tmp_path / "copy.db")
    assert set() == visible(tmp_path)
