"""How a worker gets the versions that its home lacks: in threads of their own, with ever longer delays.

A store of artefacts that hangs delays neither other models nor requests.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from models_store.errors import DamagedVersion, Error, UnknownVersion
from models_store.store import Version
from prediction import metrics
from prediction.artifacts.exchange import Exchange
from prediction.errors import ArtifactsUnavailable, Fetching, NoRoom
from prediction.journal import runs
from prediction.journal.database import Journal
from prediction.journal.ledger import Entry

WAIT_SECONDS = 0.5
"""How long a caller waits for a fetch, which is mostly over by then."""

FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 1.0, 30.0
"""The delay after the first failure, and the longest one; each is twice that before, more or less."""

UNAVAILABLE = "unavailable"
RESULTS: dict[type[Exception], str] = {
    ArtifactsUnavailable: UNAVAILABLE,
    UnknownVersion: "missing",
    DamagedVersion: "damaged",
    NoRoom: "no_room",
}
"""The label of each error in the metric."""

_log = logging.getLogger("bentoml.prediction")


@dataclass
class _Fetch:
    """The tries to fetch one version."""

    thread: threading.Thread | None = None
    error: Error | None = None
    delay_seconds: float = FIRST_DELAY_SECONDS
    next_at: float = 0.0


@dataclass
class Fetcher:
    """Fetches versions for one worker.

    One thread calls `obtain`; another one may call `prefetch`.
    """

    exchange: Exchange
    _fetches: dict[Entry, _Fetch] = field(default_factory=dict)
    _down: tuple[float, ArtifactsUnavailable] | None = None
    """Until when the store of artefacts counts as down for versions not tried yet, and why."""
    _tried: dict[str, float] = field(default_factory=dict)
    """By candidate: when it was prefetched in vain, on the monotonic clock."""

    def obtain(self, entry: Entry) -> Version:
        """Return the version of an entry of the ledger, if it is here, or can be fetched in a moment.

        Raises
        ------
        Fetching
            When it is on its way: ask again.
        ArtifactsUnavailable, UnknownVersion, DamagedVersion, NoRoom
            When the last try has failed; the next one comes after a delay.
        """
        if not self.exchange.is_shared:
            return self.exchange.obtain(entry.model, entry.to_version, entry.digest)
        found = self.exchange.local(entry.model, entry.to_version, entry.digest)
        if found is not None:
            self._fetches.pop(entry, None)
            return found
        if entry not in self._fetches and self._down is not None and time.monotonic() < self._down[0]:
            raise self._down[1]
        fetch = self._fetches.setdefault(entry, _Fetch())
        if fetch.thread is None and time.monotonic() >= fetch.next_at:
            fetch.thread = threading.Thread(target=self._run, args=(entry, fetch), daemon=True)
            fetch.thread.start()
        if fetch.thread is not None:
            fetch.thread.join(WAIT_SECONDS)
            if fetch.thread.is_alive():
                if fetch.error is not None:
                    raise fetch.error
                raise Fetching(
                    f"{entry.model}:{entry.to_version} is being fetched from the store of artefacts"
                )
            fetch.thread = None
        if fetch.error is not None:
            raise fetch.error
        return self.exchange.obtain(entry.model, entry.to_version, entry.digest)

    def _run(self, entry: Entry, fetch: _Fetch) -> None:
        result = "fetched"
        try:
            self.exchange.obtain(entry.model, entry.to_version, entry.digest)
            fetch.error = None
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
            known = error if isinstance(error, Error) else ArtifactsUnavailable(words)
            result = next((name for kind, name in RESULTS.items() if isinstance(known, kind)), UNAVAILABLE)
            fetch.error = known
            metrics.LOAD_FAILURES.labels(entry.model).inc()
            fetch.next_at = time.monotonic() + fetch.delay_seconds * random.uniform(0.75, 1.0)  # noqa: S311
            if isinstance(known, ArtifactsUnavailable):
                self._down = fetch.next_at, known
            fetch.delay_seconds = min(2 * fetch.delay_seconds, MAX_DELAY_SECONDS)
        else:
            _log.info("%s:%s was fetched from the store of artefacts", entry.model, entry.to_version)
        metrics.ARTIFACT_FETCHES.labels(entry.model, result).inc()

    def prefetch(self, journal: Journal, models: Sequence[str]) -> None:
        """Download the candidates of retrainings that are about to be promoted."""
        for model, version in runs.candidates(journal):
            tag = f"{model}:{version}"
            if model not in models or time.monotonic() < self._tried.get(tag, 0.0):
                continue
            self._tried = {tag: time.monotonic() + MAX_DELAY_SECONDS}
            if self.exchange.prefetch(model, version):
                _log.info("%s was prefetched from the store of artefacts", tag)
