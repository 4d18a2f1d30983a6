"""Backup of a SQLite journal into a file, while it is in use, and restore."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from models_store.errors import InvalidInput
from prediction.home import LOG_SUFFIXES, hide
from prediction.journal.database import Journal


def backup(database: Journal, target: Path) -> None:
    """Copy a SQLite journal into a file, whole or not at all; others may write to it meanwhile.

    Raises
    ------
    InvalidInput
        When the file can't be written, or the journal is on PostgreSQL, which has its own tools.
    """
    _check(database, target, "pg_dump")
    if target.is_dir():
        raise InvalidInput(f"{target} can't be written: it is a folder")
    with _draft(target) as draft:
        hide(draft)
        try:
            with database.read() as connection, closing(sqlite3.connect(draft)) as copy:
                raw: Any = connection.connection.driver_connection
                raw.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            draft.replace(target)
        except (OSError, sqlite3.Error) as error:
            raise InvalidInput(f"{target} can't be written: {error}") from error


def restore(database: Journal, source: Path) -> None:
    """Replace a SQLite journal that nobody uses by a backup, and migrate it to this release.

    After an error the old journal is as it was.

    Raises
    ------
    InvalidInput
        When the file is damaged or not a journal; when it has a log beside it, because it was copied
        while in use; or when another process has the old journal open.
    JournalTooNew
        When a newer release wrote the backup.
    """
    _check(database, source, "pg_restore")
    if not database.file.parent.is_dir():
        raise InvalidInput(f"{database.file.parent} is not a folder: make it first")
    if not source.is_file():
        raise InvalidInput(f"there is no file {source}")
    log = Path(f"{source}-wal")
    if log.exists() and log.stat().st_size:
        raise InvalidInput(
            f"{source} is not a backup: it was copied from a journal in use, and a part is in {log.name}."
            " Make one with `loop backup`"
        )
    with _draft(database.file) as draft:
        hide(draft)
        try:
            shutil.copyfile(source, draft)
            _check_backup(draft, source)
        except (OSError, sqlite3.Error) as error:
            raise InvalidInput(f"{source} is not a backup of a journal: {error}") from error
        incoming = Journal(f"sqlite:///{draft}")
        try:
            incoming.migrate()
        finally:
            incoming.close()
        database.close()
        _demand_unused(database.file)
        for suffix in LOG_SUFFIXES:  # they exist only if the old journal is damaged
            Path(f"{database.file}{suffix}").unlink(missing_ok=True)
        draft.replace(database.file)


def _demand_unused(file: Path) -> None:
    """Move the log's content into the journal's file; this fails while another process has it open."""
    with closing(sqlite3.connect(file, timeout=0)) as journal:
        try:
            (mode,) = journal.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.OperationalError:
            mode = "in use"
        except sqlite3.DatabaseError:  # it is damaged: there is nothing to protect
            return
    if mode != "delete":
        raise InvalidInput(f"{file} is open in another process: stop that process, then restore again")


def _check(database: Journal, path: Path, tool: str) -> None:
    if not database.is_sqlite:
        raise InvalidInput(f"the journal is on PostgreSQL: use {tool}")
    if path.resolve() == database.file.resolve():
        raise InvalidInput(f"{path} is the journal itself: name another file")


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """Lend a temporary path beside a file. If a file is there at the end, it is deleted."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
    finally:
        for suffix in ("", *LOG_SUFFIXES):
            with suppress(OSError):
                Path(f"{draft}{suffix}").unlink()


def _check_backup(path: Path, source: Path) -> None:
    with closing(sqlite3.connect(path)) as copy:
        (state,) = copy.execute("PRAGMA integrity_check").fetchone()
        copy.execute("SELECT version_num FROM alembic_version").fetchone()
    if state != "ok":
        raise InvalidInput(f"{source} is damaged: {state}")
