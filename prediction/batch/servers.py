"""A server as a scorer: it answers the rows of a batch through BentoML's client, and records them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import bentoml
import httpx
from bentoml.exceptions import BentoMLException

from models_store.spec import Spec
from models_store.validation import SPLIT_IT
from prediction.batch import scorers
from prediction.batch.frames import Rows
from prediction.batch.scorers import Answers
from prediction.batch.targets import kinds
from prediction.errors import ServerFailed

CALL_ROWS = 1_000
"""Rows of one call to a server, whose default limit is ten times that; calls shrink to a lower one."""

CALLS = 4
"""Calls to a server at the same time."""

READY_SECONDS = 10.0
"""Timeout of the first request, which asks whether the server is ready."""

BUSY_SECONDS = 30.0
"""How long calls are retried while the server, or the journal, is busy."""


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
        plain = scorers.plain_rows(self._spec, rows)
        found: list[dict[str, Any]] = []
        while len(found) < len(plain):
            part = plain[len(found) : len(found) + self._call_rows]
            try:
                found += self._ask(part)
            except _TooLong:
                self._call_rows = min(self._call_rows, len(part) // 2)  # for all threads
        target = self._spec.target
        return scorers.gather(kinds.of(target).received(target, found), found)

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
