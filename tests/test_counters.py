"""Metrics and memory of all workers together, on a real server."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from models_store import store
from models_store.spec import Spec
from prediction.monitoring import gauges
from tests.servers import SHIPPED, Server, series


def test_a_thousand_unknown_urls_add_no_series(server: Server) -> None:
    """A scanner adds no series of counters; gauges come from the journal."""
    folders = ("", "/iris", "/models", "/static_content", "/iris/predictions")

    def counted() -> set[str]:
        return {each for each in series(server) if each.partition("{")[0] not in gauges.GAUGES}

    for folder in folders:
        for method in ("GET", "POST", "PUT"):
            server.client.request(method, f"{folder}/first")
    time.sleep(0.2)
    before = counted()

    for number in range(1_000):
        server.client.request(
            ("GET", "POST", "PUT")[number % 3], f"{folders[number % len(folders)]}/scan{number}"
        )

    assert set() == counted() - before


def test_answers_and_refusals_are_counted_over_all_workers(server: Server, specs: dict[str, Spec]) -> None:
    """`/metrics` is the sum over all workers, whichever answers."""
    version = store.newest(server.home, "iris").version
    rows = f'prediction_predictions_total{{model="iris",predicted_class="setosa",version="{version}"}}'
    refused = 'prediction_refused_requests_total{model="iris",reason="invalid"}'
    before = series(server)

    for _ in range(10):
        httpx.post(f"{server.url}/iris/predict_batch", json=[specs["iris"].example] * 3)
        httpx.post(f"{server.url}/iris/predict", json={})

    after = series(server)
    assert 30 == after[rows] - before.get(rows, 0)
    assert 10 == after[refused] - before.get(refused, 0)


def test_workers_hold_no_training_packages(server: Server, specs: dict[str, Spec]) -> None:
    """No worker has mapped scikit-learn or pandas, nor all of scipy, where every model is compiled."""
    assert 2 == len(server.workers)
    if {"onnx"} != {store.newest(server.home, name).runtime for name in specs}:
        assert set(SHIPPED) < set(specs), "the models that come with the project compile"
        return
    for worker in server.workers:
        mapped = Path(f"/proc/{worker.pid}/maps").read_text()
        assert "onnxruntime" in mapped
        late = ("/sklearn/", "/pandas/", "/scipy/stats/", "/scipy/optimize/")
        assert [] == [name for name in late if name in mapped]
