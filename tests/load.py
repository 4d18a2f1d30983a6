"""Clients that never stop asking a server, and a check that nothing is lost that it acknowledged."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from models_store.spec import Spec
from tests.databases import query
from tests.servers import Server
from tests.timing import eventually

BATCH_ROWS = 70
"""More than the server records in one transaction with other requests' rows."""


@dataclass(frozen=True)
class Request:
    """One request: when it began and ended, and its status, None where no answer came."""

    began: float
    ended: float
    status: int | None


@dataclass
class Load:
    """Clients that predict and label, each one model; every fourth predicts batches.

    Parameters
    ----------
    clients
        How many, each in a thread of its own.
    pause_seconds
        What each waits between its rounds.
    """

    server: Server
    specs: dict[str, Spec]
    clients: int = 4
    pause_seconds: float = 0.01
    requests: list[Request] = field(default_factory=list)
    predicted: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The answers that were given, by their prediction id."""
    labelled: dict[str, str] = field(default_factory=dict)
    """The labels that were acknowledged, by their prediction id."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the server busy meanwhile."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._ask, args=(stop, n)) for n in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            self.go_on()
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def go_on(self, labels: int = 50) -> None:
        """Wait until so many more labels and a few more batches are acknowledged."""
        predicted, labelled = len(self.predicted), len(self.labelled)
        eventually(lambda: len(self.labelled) >= labelled + labels)
        eventually(lambda: len(self.predicted) >= predicted + labels + 2 * BATCH_ROWS)

    @property
    def statuses(self) -> set[int]:
        """Every status that was answered."""
        return {request.status for request in self.requests if request.status is not None}

    def in_flight(self, moment: float) -> list[Request]:
        """Return the requests that had begun and not ended at a moment of the monotonic clock."""
        return [request for request in self.requests if request.began < moment < request.ended]

    def assert_recorded(self, url: str) -> None:
        """Assert that the journal holds each prediction as its client got it, and each label."""
        columns = "prediction_id, model, version, predicted_class, probabilities, value"
        recorded = {row[0]: row[1:] for row in query(url, f"SELECT {columns} FROM predictions")}
        for prediction_id, answer in self.predicted.items():
            *told, probabilities, value = recorded[prediction_id]
            assert [answer["model"], answer["version"], answer.get("predicted_class", "")] == told
            assert answer.get("probabilities", {}) == json.loads(probabilities)
            assert answer.get("predicted_value") == value
        labels = dict(query(url, "SELECT prediction_id, label FROM feedback"))
        assert self.labelled == {each: labels.get(each) for each in self.labelled}

    def _ask(self, stop: threading.Event, number: int) -> None:
        spec = list(self.specs.values())[number % len(self.specs)]
        client = httpx.Client(base_url=self.server.url, timeout=20)
        while not stop.wait(self.pause_seconds):
            try:
                if number % 4 == 0:
                    self._predict(client, spec.name, "predict_batch", [spec.example] * BATCH_ROWS)
                    continue
                for answer in self._predict(client, spec.name, "predict", spec.example):
                    label = (spec.target.texts or (spec.target.example,) * 2)[len(self.labelled) % 2]
                    body = {"prediction_id": answer["prediction_id"], "label": label}
                    if self._post(client, f"/{spec.name}/feedback", body) is not None:
                        self.labelled[answer["prediction_id"]] = spec.target.text(label)
            except httpx.TransportError:
                client.close()
                client = httpx.Client(base_url=self.server.url, timeout=20)
                time.sleep(0.02)
        client.close()

    def _predict(self, client: httpx.Client, model: str, route: str, body: Any) -> list[dict[str, Any]]:
        answer = self._post(client, f"/{model}/{route}", body)
        if answer is None:
            return []
        answers = answer if isinstance(answer, list) else [answer]
        self.predicted |= {item["prediction_id"]: item for item in answers}
        return answers

    def _post(self, client: httpx.Client, path: str, body: Any) -> Any:
        began, status = time.monotonic(), None
        try:
            answer = client.post(path, json=body)
            status = answer.status_code
            return answer.json() if status == 200 else None
        finally:
            self.requests.append(Request(began, time.monotonic(), status))
