"""The start of a server, before its workers: versions of a Bento, the journal, first champions.

It writes the ledger only for a model without a champion, and for versions that come with an image.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from models_store import store
from models_store.artifacts import adopting
from models_store.errors import DamagedVersion, UnknownVersion
from models_store.spec import Spec
from prediction.artifacts.exchange import Exchange
from prediction.errors import ArtifactsUnavailable, InvalidSettings, NoRoom
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.serving import champions

FIRST_SECONDS = 20.0
"""How long a start tries to publish a first champion."""

_log = logging.getLogger("bentoml.prediction")


def prepare(
    specs: dict[str, Spec],
    home: Path,
    journal: Journal,
    baked: Sequence[Path],
    promote_baked: bool = False,
    *,
    exchange: Exchange | None = None,
) -> None:
    """Prepare home and journal, once, before the workers start.

    A new champion is published before the ledger names it. Champions of the ledger are fetched, or shared,
    as far as the store of artefacts answers; the workers try again.

    Parameters
    ----------
    baked
        Folders of versions. Those that are not in the home's store came with a Bento: they are copied.
    promote_baked
        Whether copied versions that are new to the ledger become champions.

    Raises
    ------
    NothingTrained
        When a model has no version.
    ArtifactsUnavailable, NoRoom
        When the first champion can't be published.
    """
    exchange = exchange or Exchange(home)
    baked = [folder for folder in baked if folder.resolve().parents[1] != (home / "models").resolve()]
    _adopt(home, baked)
    store.recover(home, list(specs))
    journal.migrate()
    known = ledger.champions(journal) if exchange.is_shared else {}
    for name in specs:
        if name not in known:
            newest = store.newest(home, name)
            exchange.publish(newest, FIRST_SECONDS)
            new = champions.as_champion(newest, "server", "first start")
            if ledger.promote_first(journal, new):
                _log.info("%s: champion is %s (first start)", name, newest.version)
    _exchange_champions(journal, exchange, [name for name in specs if name in known])
    if promote_baked:
        for folder in baked:
            _promote_new(journal, exchange, store.get(home, folder.parent.name, folder.name))


def _adopt(home: Path, baked: Sequence[Path]) -> None:
    try:
        for folder in baked:
            adopting.adopt(home, folder)
    except OSError as error:
        raise InvalidSettings(f"BENTOML_HOME: {home} can't be written to: {error}") from error


def _promote_new(journal: Journal, exchange: Exchange, version: store.Version) -> None:
    """Promote a version unless it was champion before: a rollback from it must last."""
    if ledger.entry_of(journal, version.model, version.version) is None:
        exchange.publish(version, FIRST_SECONDS)
        ledger.promote(journal, champions.as_champion(version, "server", "came with the image"))
        _log.info("%s: champion is %s (came with the image)", version.model, version.version)


def _exchange_champions(journal: Journal, exchange: Exchange, models: Sequence[str]) -> None:
    """Fetch the champions that this home lacks, and share those that only this home has.

    A store of artefacts that does not answer does not hold up the start: the workers try again.
    """
    if not exchange.is_shared:
        return
    for model in models:
        for entry in ledger.restorable(journal, model)[:2]:  # labels may come for the one before
            here = exchange.local(model, entry.to_version, entry.digest)
            try:
                if here is not None:
                    exchange.publish(here)
                else:
                    exchange.obtain(model, entry.to_version, entry.digest)
            except ArtifactsUnavailable as error:
                _log.warning("%s:%s is neither fetched nor shared: %s", model, entry.to_version, error)
                return
            except (UnknownVersion, DamagedVersion, NoRoom) as error:
                _log.warning("%s", error)
