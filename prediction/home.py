"""The folder `BENTOML_HOME`: made if it is missing, and locked so that one server uses it at a time.

The workers of a server hold its lock too. This module also owns the rights of the journal's files.
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
        When another server holds the lock, or workers that it left; the message names the processes.
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
        owners = file.read().split() or ["unknown"]
        file.close()
        raise AlreadyServing(_complaint(home, owners)) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def share(lock: IO[str]) -> None:
    """Let the workers that this process starts hold its lock, each as long as it lives.

    They inherit the open file, so no moment is without a holder. Other processes that Python starts
    inherit nothing.
    """
    os.set_inheritable(lock.fileno(), True)


def sign(home: Path) -> None:
    """Add this worker's id to the lock file: a start that is refused names it."""
    with suppress(OSError), (home / LOCK_FILE).open("a", encoding="utf-8") as file:
        file.write(f"\n{os.getpid()}")


def _complaint(home: Path, owners: list[str]) -> str:
    """Say who holds the lock: the first owner is the server, the others are its workers."""
    server, *workers = owners
    left = [worker for worker in workers if _lives(worker)]
    if _lives(server) or not left:
        return f"process {server} serves {home}: stop it, or set BENTOML_HOME to another folder"
    return (
        f"the server of {home} has ended (process {server}), but its workers have not (processes"
        f" {', '.join(left)}): end them by kill -9 {' '.join(left)}, or set BENTOML_HOME to another folder"
    )


def _lives(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except PermissionError:  # it is another user's
        return True
    except (OSError, ValueError):
        return False
    return True


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
