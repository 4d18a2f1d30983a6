"""Which versions a home keeps: old ones are deleted, except those in use."""

from __future__ import annotations

import logging
from pathlib import Path

from models_store import store
from models_store.errors import UnknownVersion
from prediction.journal import ledger, workers
from prediction.journal.database import Journal

_log = logging.getLogger("bentoml.prediction")


def prune(journal: Journal, home: Path, model: str, keep: int) -> list[str]:
    """Delete the versions of a model beyond the `keep` newest; return their names.

    The champion, the champion before it, and every version that a worker serves are kept.
    """

    def in_use() -> set[str]:
        found = {report.version for report in workers.reported_since(journal, model, 0)}
        for entry in ledger.entries(journal, model, limit=1):
            found |= {entry.to_version, entry.from_version or ""}
        return found

    try:
        return store.prune(home, model, keep, in_use)
    except (OSError, UnknownVersion) as error:
        _log.warning("old versions of %s could not be deleted: %s", model, error)
        return []
