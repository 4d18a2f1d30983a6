"""The broken files of the catalog in a server: which ones hold its readiness back.

A release with a broken file must not roll out, so a server that starts with one is never ready. A file that
breaks while a server runs is seen by a restarted worker; the server stays ready, as its other workers are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from models_store.catalog import Broken

VARIABLE = "PREDICTION_BROKEN_AT_START"
"""Set by the parent process for its workers, not by people: the names of files, separated by spaces."""

_log = logging.getLogger("bentoml.prediction")


def remember(broken: Mapping[str, Broken]) -> None:
    """Log each broken file, and note its name for the workers. The parent process calls it once."""
    os.environ[VARIABLE] = " ".join(broken)
    for name, file in broken.items():
        _log_broken(name, file)


def log_new(broken: Mapping[str, Broken]) -> None:
    """Log each file that was not broken when the server started. A worker calls it at its start."""
    at_start = _at_start()
    for name, file in broken.items():
        if at_start is not None and name not in at_start:
            _log_broken(name, file)


def hold(broken: Mapping[str, Broken]) -> str:
    """Say which broken files hold the readiness of this server back; an empty text if none does."""
    at_start = _at_start()
    holding = [file.public for name, file in broken.items() if at_start is None or name in at_start]
    if not holding:
        return ""
    return f"this server started with a broken catalog: {'; '.join(holding)}: correct it and restart"


def _at_start() -> list[str] | None:
    noted = os.environ.get(VARIABLE)
    return None if noted is None else noted.split()


def _log_broken(name: str, file: Broken) -> None:
    _log.error("%s is not served: %s", name, file.reason)
