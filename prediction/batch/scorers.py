"""Scorers answer the rows of a batch in this process. `servers` has one that lets a server answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from models_store import catalog, store
from models_store.errors import InvalidInput, none_trained
from models_store.spec import Spec
from models_store.store import Version
from prediction import home, settings
from prediction.artifacts import exchange
from prediction.batch.features import kinds as feature_kinds
from prediction.batch.frames import Rows
from prediction.batch.recording import FileRecorder
from prediction.batch.targets import kinds
from prediction.errors import InvalidSettings
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.predictions import Prediction
from prediction.serving import adaptation, champions, predictor
from prediction.serving.predictor import Predictor
from prediction.serving.tables import ColumnTable
from prediction.settings import Settings

CHUNK_ROWS = 65_536
BLOCK_ROWS = 64
"""More than the vectors and tiles of any processor."""


@dataclass(frozen=True)
class Answers:
    """The answers to n rows.

    Parameters
    ----------
    said
        The answers, of the spec's kind of target.
    versions
        The version that answered each row, an Arrow array of n texts.
    prediction_ids
        One for each row, if the rows are recorded.
    """

    said: Any
    versions: Any
    prediction_ids: list[str | None] | None = None


class Scorer(Protocol):
    """Answers valid rows, `chunk_rows` at a time, in `threads` threads; `records` if each gets an id."""

    chunk_rows: int
    threads: int
    records: bool

    def answer(self, rows: Rows) -> Answers:
        """Answer at least one row."""

    def close(self) -> None:
        """Close connections and files."""


@dataclass(frozen=True)
class Pinned:
    """A version as a run answers with it from its first row to its last; plain values.

    Parameters
    ----------
    digest
        That of the ledger, or of this home's store for a version that was never a champion.
    width
        How wide its intervals are by the labels known when it was pinned.
    """

    version: str
    digest: str
    width: float


def pin(spec: Spec, version: str | None) -> Pinned:
    """Choose the champion, or another version, and fetch it if this home lacks it."""
    configured = settings.load()
    with closing(_migrated(configured)) as journal:
        return _choose(spec, version, journal, configured)[1]


def load(spec: Spec, version: str | None, record: bool) -> Scorer:
    """Load the champion, or another version, into this process."""
    configured = settings.load()
    journal = _migrated(configured)
    try:
        loaded = _load(spec, *_choose(spec, version, journal, configured))
    except BaseException:
        journal.close()
        raise
    if record:
        return RecordingScorer(loaded, journal)
    journal.close()
    return LocalScorer(loaded)


def load_pinned(spec: Spec, pinned: Pinned) -> LocalScorer:
    """Load a version by its digest into this process, for one thread; needs no journal."""
    configured = settings.load()
    home.make(configured.home)
    found = exchange.of(configured).obtain(spec.name, pinned.version, pinned.digest)
    return LocalScorer(_load(spec, found, pinned), threads=1)


def recording(scorer: LocalScorer, database: str, ids: Callable[[Rows], list[str]]) -> Scorer:
    """Let a scorer record its rows under ids that follow from them.

    Parameters
    ----------
    database
        The kind of database that the settings must name.

    Raises
    ------
    InvalidSettings
        When they name another one: on a machine without the setting, rows would go into a file of its own.
    """
    configured = settings.load()
    journal = Journal(configured.journal_url, configured.durable_predictions)
    if database != _kind(journal):
        journal.close()
        raise InvalidSettings(
            f"a worker records rows on {_kind(journal)}, and this run on {database}: start the worker with"
            " the PREDICTION_DATABASE_URL of the run"
        )
    return RecordingScorer(scorer.loaded, journal, ids)


def database() -> str:
    """Return the kind of database of the journal that the settings name."""
    with closing(Journal(settings.load().journal_url)) as journal:
        return _kind(journal)


def _kind(journal: Journal) -> str:
    return "sqlite" if journal.is_sqlite else "postgresql"


def _migrated(configured: Settings) -> Journal:
    home.make(configured.home)
    journal = Journal(configured.journal_url, configured.durable_predictions)
    try:
        journal.migrate()
    except BaseException:
        journal.close()
        raise
    return journal


def _choose(
    spec: Spec, version: str | None, journal: Journal, configured: Settings
) -> tuple[Version, Pinned]:
    champion = ledger.champions(journal).get(spec.name)
    shared = exchange.of(configured)
    if version is None and champion is None:
        if not any(store.versions(configured.home, name) for name in catalog.load()):
            raise none_trained()
        raise InvalidInput(f"{spec.name} has no champion: run `loop train {spec.name}`")
    if version is None and champion is not None:
        found = shared.obtain(spec.name, champion.to_version, champion.digest)
        digest = champion.digest
    else:
        found = champions.obtain(journal, shared, spec.name, str(version))
        digest = found.digest
    return found, Pinned(found.version, digest, adaptation.width(journal, spec, found.version))


def _load(spec: Spec, found: Version, pinned: Pinned) -> Predictor:
    loaded = predictor.load(spec, found, pinned.digest)
    loaded.width = pinned.width
    return loaded


class LocalScorer:
    """Answers in this process, on all cores: the runtime releases the GIL while it computes."""

    chunk_rows = CHUNK_ROWS
    records = False

    def __init__(self, loaded: Predictor, threads: int | None = None) -> None:
        self.threads = threads or len(os.sched_getaffinity(0))
        self.loaded = loaded

    def answer(self, rows: Rows) -> Answers:
        """Answer rows."""
        import pyarrow

        said = self.loaded.answers(_whole_blocks(rows))
        first = type(said)._make(each[: len(rows)] for each in said)
        return Answers(first, pyarrow.repeat(self.loaded.version.version, len(rows)))

    def close(self) -> None:
        """Nothing is open."""


def _whole_blocks(rows: Rows) -> Any:
    """Return columns in which the last row is repeated up to a multiple of `BLOCK_ROWS`.

    So an answer does not depend on the chunk, to the last bit: runtimes compute the rows behind the last
    whole vector with other instructions, which round in another way.
    """
    missing = -len(rows) % BLOCK_ROWS
    if not missing:
        return rows.columns
    return {
        name: np.concatenate([column, np.repeat(column[-1:], missing)])
        for name, column in rows.columns.items()
    }


class RecordingScorer:
    """Answers in this process, and records every row before it is written.

    Parameters
    ----------
    ids
        Makes the ids of rows that may be recorded already; by default each row gets a new one.
    """

    chunk_rows = CHUNK_ROWS
    threads = 1
    records = True

    def __init__(
        self, loaded: Predictor, journal: Journal, ids: Callable[[Rows], list[str]] | None = None
    ) -> None:
        self._predictor = loaded
        self._journal = journal
        self._recorder = FileRecorder(journal, again=ids is not None)
        self._ids = ids

    def answer(self, rows: Rows) -> Answers:
        """Answer rows, and return once they are committed."""
        spec = self._predictor.spec
        table = ColumnTable(spec, _plain_columns(spec, rows), len(rows))
        predictions = self._predictor.predict(table)
        if self._ids is not None:
            given = zip(self._ids(rows), predictions, strict=True)
            predictions = [Prediction(each, *made[1:]) for each, made in given]
        self._recorder.record(predictions)
        said = kinds.of(spec.target).recorded(spec.target, predictions)
        return gather(said, [prediction._asdict() for prediction in predictions])

    def close(self) -> None:
        """Close the journal."""
        self._recorder.close()
        self._journal.close()


def nothing(spec: Spec, records: bool) -> Answers:
    """Return the answers to no rows."""
    import pyarrow

    versions = pyarrow.array([], pyarrow.string())
    return Answers(kinds.of(spec.target).nothing(spec.target), versions, [] if records else None)


def _plain_columns(spec: Spec, rows: Rows) -> dict[str, list[Any]]:
    """Turn columns into plain values; None is a missing value."""
    return {name: feature_kinds.of(each).plain(rows.columns[name]) for name, each in spec.inputs.items()}


def plain_rows(spec: Spec, rows: Rows) -> list[dict[str, Any]]:
    """Turn columns into rows of plain values; None is a missing value."""
    columns = _plain_columns(spec, rows)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def gather(said: Any, found: Sequence[Mapping[str, Any]]) -> Answers:
    """Gather the answers of a server, or of `Predictor.predict`."""
    import pyarrow

    return Answers(
        said=said,
        versions=pyarrow.array([row["version"] for row in found]),
        prediction_ids=[row["prediction_id"] for row in found],
    )
