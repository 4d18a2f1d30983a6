"""Backup of a SQLite journal into a file, while it is in use, and restore."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from models_store.errors import InvalidInput
from prediction.home import LOG_SUFFIXES, hide
from prediction.journal.database import Journal

KEPT_SUFFIX = ".before-restore"
"""Suffix of the file in which a restore keeps the old journal; a number follows if that name is taken."""


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


def restore(database: Journal, source: Path, agree: Callable[[Path], None] = lambda _: None) -> Path | None:
    """Replace a SQLite journal that nobody uses by a backup, and migrate it to this release.

    After an error the old journal is as it was.

    Parameters
    ----------
    agree
        Called with the old journal, if there is one, once the backup is known to be good. May raise.

    Returns
    -------
    Path | None
        Where the old journal is kept; None if there was none.

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
        if database.file.exists():
            agree(database.file)
        database.close()
        with _kept(database.file) as kept:
            draft.replace(database.file)
        Path(f"{database.file}-shm").unlink(missing_ok=True)
        return kept


@contextmanager
def _kept(file: Path) -> Iterator[Path | None]:
    """Give the old journal a second name that is free; without an error it stays.

    Its log gets one too: SQLite deletes that of a damaged journal when it opens it.
    """
    kept = _link(file)
    if kept is None:
        yield None
        return
    log, kept_log = Path(f"{file}-wal"), Path(f"{kept}-wal")
    with suppress(FileNotFoundError):
        os.link(log, kept_log)
    try:
        if _empty_log(file):
            kept_log.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        yield kept
    except BaseException:
        kept_log.unlink(missing_ok=True)
        kept.unlink()
        raise


def _link(file: Path) -> Path | None:
    """Give a file a second name; None if there is no file."""
    numbers = count(2)
    kept = file.with_name(f"{file.name}{KEPT_SUFFIX}")
    while True:
        try:
            os.link(file, kept)
        except FileExistsError:  # that of an earlier restore
            kept = file.with_name(f"{file.name}{KEPT_SUFFIX}-{next(numbers)}")
        except FileNotFoundError:
            return None
        else:
            return kept


def _empty_log(file: Path) -> bool:
    """Move the log's content into the journal's file; return False if the file is damaged.

    Raises
    ------
    InvalidInput
        When another process has it open.
    """
    with closing(sqlite3.connect(file, timeout=0)) as journal:
        try:
            (mode,) = journal.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.OperationalError:
            mode = "in use"
        except sqlite3.DatabaseError:
            return False
    if mode != "delete":
        raise InvalidInput(f"{file} is open in another process: stop that process, then restore again")
    return bool(file.stat().st_size)  # SQLite takes an empty file for an empty journal


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
