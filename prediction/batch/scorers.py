"""Scorers, which answer the rows of a batch: this process, or a server."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

import bentoml
import httpx
from bentoml.exceptions import BentoMLException

from models_store import catalog, store
from models_store.errors import InvalidInput, none_trained
from models_store.spec import Spec
from models_store.validation import SPLIT_IT
from prediction import home, settings
from prediction.artifacts import exchange
from prediction.batch.features import kinds as feature_kinds
from prediction.batch.frames import Rows
from prediction.batch.recording import FileRecorder
from prediction.batch.targets import kinds
from prediction.errors import ServerFailed
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.serving import adaptation, champions, predictor
from prediction.serving.predictor import Predictor

CHUNK_ROWS = 65_536
CALL_ROWS = 1_000
"""Rows of one call to a server, whose default limit is ten times that; calls shrink to a lower one."""

CALLS = 4
"""Calls to a server at the same time."""

READY_SECONDS = 10.0
"""Timeout of the first request, which asks whether the server is ready."""

BUSY_SECONDS = 30.0
"""How long calls are retried while the server, or the journal, is busy."""


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


def load(spec: Spec, version: str | None, record: bool) -> Scorer:
    """Load the champion, or another version, into this process."""
    configured = settings.load()
    home.make(configured.home)
    journal = Journal(configured.journal_url, configured.durable_predictions)
    try:
        journal.migrate()
        champion = ledger.champions(journal).get(spec.name)
        shared = exchange.of(configured)
        if version is None and champion is None:
            if not any(store.versions(configured.home, name) for name in catalog.load()):
                raise none_trained()
            raise InvalidInput(f"{spec.name} has no champion: run `loop train {spec.name}`")
        if version is None and champion is not None:
            found = shared.obtain(spec.name, champion.to_version, champion.digest)
            loaded = predictor.load(spec, found, champion.digest)
        else:
            found = champions.obtain(journal, shared, spec.name, str(version))
            loaded = predictor.load(spec, found, found.digest)
        loaded.width = adaptation.width(journal, spec, loaded.version.version)
    except BaseException:
        journal.close()
        raise
    if record:
        return RecordingScorer(loaded, journal)
    journal.close()
    return LocalScorer(loaded)


class LocalScorer:
    """Answers in this process, on all cores: the runtime releases the GIL while it computes."""

    chunk_rows = CHUNK_ROWS
    records = False

    def __init__(self, loaded: Predictor) -> None:
        self.threads = len(os.sched_getaffinity(0))
        self._predictor = loaded

    def answer(self, rows: Rows) -> Answers:
        """Answer rows."""
        import pyarrow

        columns: Any = rows.columns
        versions = pyarrow.repeat(self._predictor.version.version, len(rows))
        return Answers(self._predictor.answers(columns), versions)

    def close(self) -> None:
        """Nothing is open."""


class RecordingScorer:
    """Answers in this process, and records every row before it is written."""

    chunk_rows = CHUNK_ROWS
    threads = 1
    records = True

    def __init__(self, loaded: Predictor, journal: Journal) -> None:
        self._predictor = loaded
        self._journal = journal
        self._recorder = FileRecorder(journal)

    def answer(self, rows: Rows) -> Answers:
        """Answer rows, and return once they are committed."""
        spec = self._predictor.spec
        valid = [spec.features.model_construct(**row) for row in _plain_rows(spec, rows)]
        predictions = self._predictor.predict(valid)
        self._recorder.record(predictions)
        said = kinds.of(spec.target).recorded(spec.target, predictions)
        return _answers(said, [prediction._asdict() for prediction in predictions])

    def close(self) -> None:
        """Close the journal."""
        self._recorder.close()
        self._journal.close()


class _TooLong(Exception):
    """The server takes fewer rows in a call."""


def _is_too_long(error: BentoMLException) -> bool:
    if error.error_code == HTTPStatus.BAD_REQUEST:
        return SPLIT_IT in str(error)
    return bool(error.error_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def _sentence(error: BentoMLException) -> str:
    """Return the sentence in the JSON that the server answers."""
    try:
        return str(json.loads(str(error))["error"])
    except (ValueError, KeyError, TypeError):  # a proxy has answered
        return " ".join(str(error).split())


class ServerScorer:
    """Lets a server answer, by parallel calls through BentoML's client."""

    chunk_rows = CALL_ROWS
    threads = CALLS
    records = True

    def __init__(self, spec: Spec, url: str) -> None:
        self._spec = spec
        self._url = url.rstrip("/")
        self._call_rows = CALL_ROWS
        self._own = threading.local()
        self._clients: list[bentoml.SyncHTTPClient] = []
        if not self._url.startswith(("http://", "https://")):
            raise ServerFailed(f"{self._url} is no URL of a server: give one such as http://127.0.0.1:3000")
        try:
            self._demand_server()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error).partition("\n")[0]  # httpx adds a line with a link
            raise ServerFailed(f"{self._url} does not answer as this service: {reason}") from error
        self._call()

    def _demand_server(self) -> None:
        """Check that the server is ready, or serves at least this model: another one may be broken."""
        ready = httpx.get(f"{self._url}/readyz", timeout=READY_SECONDS)
        if ready.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            found = httpx.get(f"{self._url}/models/{self._spec.name}", timeout=READY_SECONDS)
            with suppress(ValueError, KeyError, TypeError):  # it is another service
                if any(each["version"] for each in found.json()["workers"]):
                    return
        ready.raise_for_status()

    def answer(self, rows: Rows) -> Answers:
        """Answer rows."""
        plain = _plain_rows(self._spec, rows)
        found: list[dict[str, Any]] = []
        while len(found) < len(plain):
            part = plain[len(found) : len(found) + self._call_rows]
            try:
                found += self._ask(part)
            except _TooLong:
                self._call_rows = min(self._call_rows, len(part) // 2)  # for all threads
        target = self._spec.target
        return _answers(kinds.of(target).received(target, found), found)

    def _ask(self, part: list[dict[str, Any]]) -> list[dict[str, Any]]:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return self._call()(part)
            except BentoMLException as error:
                if len(part) > 1 and _is_too_long(error):
                    raise _TooLong from error
                is_busy = error.error_code in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
                if not is_busy or time.monotonic() > deadline:
                    raise ServerFailed(f"{self._url} does not answer rows: {_sentence(error)}") from error
            except httpx.HTTPError as error:
                raise ServerFailed(f"{self._url} does not answer: {error}") from error
            time.sleep(0.5)

    def _call(self) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
        """Return the method of this thread's client."""
        if not hasattr(self._own, "client"):
            try:
                # No wait for `/readyz`: that of a server with another, broken model never comes.
                self._own.client = bentoml.SyncHTTPClient(self._url, server_ready_timeout=0)
            except (BentoMLException, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                raise ServerFailed(f"{self._url} does not answer as this service: {error}") from error
            self._clients.append(self._own.client)
        method = getattr(self._own.client, f"{self._spec.name}_predict_batch", None)
        if method is None:
            raise ServerFailed(f"{self._url} serves no model {self._spec.name}")
        return method  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()


def nothing(spec: Spec, records: bool) -> Answers:
    """Return the answers to no rows."""
    import pyarrow

    versions = pyarrow.array([], pyarrow.string())
    return Answers(kinds.of(spec.target).nothing(spec.target), versions, [] if records else None)


def _plain_rows(spec: Spec, rows: Rows) -> list[dict[str, Any]]:
    """Turn columns into rows of plain values; None is a missing value."""
    columns = [feature_kinds.of(feature).plain(rows.columns[name]) for name, feature in spec.inputs.items()]
    return [dict(zip(spec.inputs, row, strict=True)) for row in zip(*columns, strict=True)]


def _answers(said: Any, found: Sequence[Mapping[str, Any]]) -> Answers:
    """Gather the answers of a server, or of `Predictor.predict`."""
    import pyarrow

    return Answers(
        said=said,
        versions=pyarrow.array([row["version"] for row in found]),
        prediction_ids=[row["prediction_id"] for row in found],
    )
