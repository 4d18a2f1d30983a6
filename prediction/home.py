"""One server at a time on one `BENTOML_HOME`: the lock that says so."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from prediction.errors import AlreadyServing, InvalidSettings

LOCK_FILE = "server.lock"


def lock(home: Path) -> IO[str]:
    """Lock a home until the returned file is closed, or the process ends.

    Raises
    ------
    AlreadyServing
        Naming the process that holds it.
    InvalidSettings
        When the home can't be written to.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = (home / LOCK_FILE).open("a+")
    except OSError as error:
        raise InvalidSettings(
            f"BENTOML_HOME: {home} can't be written to by user {os.getuid()}: {error.strerror}"
        ) from error
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
