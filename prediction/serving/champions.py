"""Promotes a version and rolls back, only to complete versions that other hosts can fetch too.

`journal.ledger` owns the ledger.
"""

from __future__ import annotations

import logging
from pathlib import Path

from models_store import staging, store
from models_store.errors import DamagedVersion, NothingTrained, UnknownVersion, none_trained
from prediction.artifacts.exchange import Exchange
from prediction.errors import ArtifactsUnavailable, NoRoom
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import Entry, NewChampion

LATEST = "latest"
"""Names the newest version, as in BentoML."""

NAMED = 3
"""How many versions an error names when a version is unknown."""


_log = logging.getLogger("bentoml.prediction")


def promote(
    journal: Journal,
    home: Path,
    model: str,
    version: str,
    *,
    by: str,
    reason: str,
    exchange: Exchange | None = None,
) -> Entry:
    """Make a version the champion; it is published first.

    Raises
    ------
    UnknownVersion, DamagedVersion, AlreadyChampion
        In these cases nothing is changed.
    ArtifactsUnavailable, NoRoom
        When it can't be fetched or published. Nothing is changed.
    """
    exchange = exchange or Exchange(home)
    exchange.publish(obtain(journal, exchange, model, version))  # without the lock: it may take a while
    with staging.locked(home):  # otherwise it could be pruned after the check
        found = find(home, model, version)
        store.verify(found, found.digest)
        return ledger.promote(journal, as_champion(found, by, reason))


def obtain(journal: Journal, exchange: Exchange, model: str, version: str) -> store.Version:
    """Get a version as `find` does, or fetch it if the ledger has its digest.

    Raises
    ------
    UnknownVersion, DamagedVersion, ArtifactsUnavailable, NoRoom
    """
    try:
        return find(exchange.home, model, version)
    except UnknownVersion as error:
        name = version.removeprefix(f"{model}:")
        entry = ledger.entry_of(journal, model, name) if exchange.is_shared else None
        if entry is None:
            if exchange.is_shared and name != LATEST:
                words = "the ledger has no digest to fetch it by: promote it on the host that trained it"
                raise UnknownVersion(f"{error}; {words}") from error
            raise
        return exchange.obtain(model, name, entry.digest)


def as_champion(version: store.Version, by: str, reason: str) -> NewChampion:
    """Return the facts that the ledger keeps of the promotion of a version."""
    return NewChampion(version.model, version.version, version.digest, by, reason, version.data_digest)


def find(home: Path, model: str, version: str) -> store.Version:
    """Get a version by its name, by `latest`, or by a tag such as `iris:latest`.

    Raises
    ------
    UnknownVersion, DamagedVersion
        When the store has no such version that can be read; some names that it has are in the message.
    """
    name = version.removeprefix(f"{model}:")
    try:
        return store.newest(home, model) if name == LATEST else store.get(home, model, name)
    except NothingTrained as error:
        raise UnknownVersion(str(error)) from error
    except UnknownVersion as error:
        newest = [item.version for item in store.versions(home, model)[:NAMED]]
        known = f"the newest versions are {', '.join(newest)}" if newest else str(none_trained(model))
        raise UnknownVersion(f"{error}: {known}") from error


def roll_back(
    journal: Journal, home: Path, model: str, *, by: str, reason: str, exchange: Exchange | None = None
) -> Entry:
    """Go back to the champion before; it is fetched if this home lacks it.

    Raises
    ------
    NothingToRollBack, UnknownVersion, DamagedVersion, ArtifactsUnavailable, NoRoom
        In these cases nothing is changed.
    """
    exchange = exchange or Exchange(home)
    while True:
        before = ledger.champion_before(journal, model)
        share(exchange, _get_before(exchange, before))
        with staging.locked(home):
            store.verify(store.get(home, model, before.to_version), before.digest)
            entry = ledger.roll_back(journal, before, by, reason)
        if entry is not None:
            return entry


def _get_before(exchange: Exchange, before: Entry) -> store.Version:
    try:
        return exchange.obtain(before.model, before.to_version, before.digest)
    except UnknownVersion as error:
        raise UnknownVersion(f"{error}: promote another version instead") from error


def share(exchange: Exchange, version: store.Version) -> None:
    """Publish a version that the ledger names already; if that fails, log it.

    It is missing there only if it was promoted before the setting was made, or if somebody deleted it.
    """
    try:
        if exchange.publish(version):
            _log.info("%s is in the store of artefacts now", version.tag)
    except (ArtifactsUnavailable, DamagedVersion, NoRoom) as error:
        _log.warning("%s", error)
