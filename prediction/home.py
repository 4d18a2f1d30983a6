"""The folder `BENTOML_HOME`: made if it is missing, and locked so that one server uses it at a time.

It also owns the rights of the journal's files.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from prediction.errors import AlreadyServing, InvalidSettings

LOCK_FILE = "server.lock"
LOG_SUFFIXES = ("-wal", "-shm")
"""Suffixes of the files that SQLite keeps beside an open database."""


def make(home: Path) -> None:
    """Make a home, unless it exists.

    Raises
    ------
    InvalidSettings
        When it can't be made.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(home, error) from error


def _unwritable(home: Path, error: OSError) -> InvalidSettings:
    return InvalidSettings(
        f"BENTOML_HOME: {home} can't be written to by user {os.getuid()}: {error.strerror}"
    )


def lock(home: Path) -> IO[str]:
    """Lock a home until the returned file is closed, or the process ends.

    Raises
    ------
    AlreadyServing
        When another process holds the lock; the message names it.
    InvalidSettings
        When the home can't be written to.
    """
    make(home)
    try:
        file = (home / LOCK_FILE).open("a+", encoding="utf-8")
    except OSError as error:
        raise _unwritable(home, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise AlreadyServing(
            f"process {owner} serves {home}: stop it, or set BENTOML_HOME to another folder"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def hide(file: Path) -> None:
    """Make a SQLite file if it is missing, and let nobody but its owner read it and its logs.

    SQLite gives new logs the rights of the database. A group that may write keeps its rights: its members
    share the journal.
    """
    with suppress(OSError):  # the folder is missing or closed to us: SQLite's own error says so
        file.touch(mode=0o600)
    for path in (file, *(Path(f"{file}{suffix}") for suffix in LOG_SUFFIXES)):
        with suppress(OSError):  # there is no such file, or it is another user's
            path.chmod(0o660 if path.stat().st_mode & 0o020 else 0o600)
