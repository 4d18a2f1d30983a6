"""The folder `BENTOML_HOME`: made if it is missing, and locked so that one server uses it at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from prediction.errors import AlreadyServing, InvalidSettings

LOCK_FILE = "server.lock"


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
