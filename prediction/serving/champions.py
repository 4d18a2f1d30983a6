"""Promotes a version and rolls back, only to complete versions. `journal.ledger` owns the ledger."""

from __future__ import annotations

from pathlib import Path

from models_store import staging, store
from models_store.errors import NothingTrained, UnknownVersion, none_trained
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import Entry, NewChampion

LATEST = "latest"
"""Names the newest version, as in BentoML."""

NAMED = 3
"""How many versions an error names when a version is unknown."""


def promote(journal: Journal, home: Path, model: str, version: str, *, by: str, reason: str) -> Entry:
    """Make a version of the store the champion.

    Raises
    ------
    UnknownVersion, DamagedVersion, AlreadyChampion
        In these cases nothing is changed.
    """
    with staging.locked(home):  # otherwise it could be pruned after the check
        found = find(home, model, version)
        store.verify(found, found.digest)
        return ledger.promote(journal, as_champion(found, by, reason))


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


def _get_before(home: Path, model: str, before: Entry) -> store.Version:
    try:
        return store.get(home, model, before.to_version)
    except UnknownVersion as error:
        raise UnknownVersion(f"{error}: promote another version instead") from error


def roll_back(journal: Journal, home: Path, model: str, *, by: str, reason: str) -> Entry:
    """Go back to the champion before.

    Raises
    ------
    NothingToRollBack, UnknownVersion, DamagedVersion
        In these cases nothing is changed.
    """
    with staging.locked(home):
        while True:
            before = ledger.champion_before(journal, model)
            store.verify(_get_before(home, model, before), before.digest)
            entry = ledger.roll_back(journal, before, by, reason)
            if entry is not None:
                return entry
