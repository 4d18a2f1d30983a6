"""Which versions a home and the store of artefacts keep: old ones are deleted, except those in use."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from models_store import store
from models_store.errors import UnknownVersion
from prediction.artifacts.exchange import Artifact, Exchange
from prediction.journal import ledger, workers
from prediction.journal.database import Journal

MOMENT = timedelta(hours=1)
"""Artefacts that are younger are not deleted: a promotion publishes first, and then writes the ledger."""

_log = logging.getLogger("bentoml.prediction")


def prune(journal: Journal, home: Path, model: str, keep: int) -> list[str]:
    """Delete the versions of a model beyond the `keep` newest; return their names.

    The champion, the champion before it, and every version that a worker serves are kept.
    """

    def kept() -> set[str]:
        found = _served(journal, model)
        for entry in ledger.entries(journal, model, limit=1):
            found |= {entry.to_version, entry.from_version or ""}
        return found

    try:
        return store.prune(home, model, keep, kept)
    except (OSError, UnknownVersion) as error:
        _log.warning("old versions of %s could not be deleted: %s", model, error)
        return []


def in_use(journal: Journal, model: str) -> set[str]:
    """Return the champion, all that rollbacks would restore, and what any worker serves."""
    return _served(journal, model) | {entry.to_version for entry in ledger.restorable(journal, model)}


def _served(journal: Journal, model: str) -> set[str]:
    return {report.version for report in workers.reported_since(journal, model, 0)}


def prune_shared(journal: Journal, shared: Exchange, model: str, keep: int) -> list[Artifact]:
    """Delete the artefacts of a model beyond the `keep` newest; return them.

    Those in use are kept, and so are those that were published a moment ago: they may be about to be
    promoted. The ledger is asked again before each is deleted.

    Raises
    ------
    ArtifactsUnavailable
    """
    recent = datetime.now(UTC) - MOMENT
    gone = []
    for artifact in shared.published(model)[keep:]:
        if artifact.published_at < recent and artifact.version not in in_use(journal, model):
            shared.delete(artifact)
            gone.append(artifact)
    return gone
