"""Many swaps under load. It reports everything that tests assert."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from models_store import catalog, store
from models_store.spec import Spec
from prediction.retraining import training
from prediction.retraining.datasets import Example
from prediction.serving import predictor
from tests.servers import Server

TOKEN = "a-token-of-the-tests"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
CLIENTS = 6


@dataclass
class Shown:
    """What clients saw.

    Parameters
    ----------
    failures
        Answers that were not 200.
    wrong
        Answers whose probabilities are not those of the version they name.
    versions
        Those that answered, once an answer.
    counted, monitored
        What `/metrics` and `/iris/monitoring` counted of each version in the end.
    seconds
        Of each swap, from the promotion asked to all workers agreeing.
    """

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    counted: dict[str, float] = field(default_factory=dict)
    monitored: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


def swap_under_load(home: Path, swaps: int, workers: int = 4, pause_seconds: float = 0.0) -> Shown:
    """Swap the champion of iris over and over while clients predict, and check every answer.

    Parameters
    ----------
    pause_seconds
        What each client waits between its requests.
    """
    spec = catalog.load()["iris"]
    versions = [store.newest(home, "iris")]
    versions += [
        training.save(training.train(spec, seed, examples=noise(spec, seed)), home) for seed in (1, 2)
    ]
    rows = [spec.rows.object(row) for row in example_rows(spec)]
    columns = spec.columns(rows)
    expected = {
        each.version: predictor.load(spec, each, each.digest).score(columns).probabilities
        for each in versions
    }
    shown, stop = Shown(), threading.Event()
    bodies = [row.model_dump() for row in rows]
    with Server(home, workers=workers, admin_token=TOKEN) as running:
        ask = partial(_ask, running.url, spec, bodies, expected, shown, partial(stop.wait, pause_seconds))
        threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for number in range(swaps):
            version = versions[(number + 1) % len(versions)].version
            started = time.monotonic()
            body = {"version": version, "reason": "a swap"}
            running.client.post("/iris/promote", json=body, headers=ADMIN).raise_for_status()
            while not _agree(running, version, workers):
                time.sleep(0.02)
                assert time.monotonic() < started + 30, "the workers do not agree"
            shown.seconds.append(time.monotonic() - started)
        stop.set()
        for thread in threads:
            thread.join()
        shown.counted = _counted(running)
        found = running.get("/iris/monitoring?window=24h").raise_for_status().json()
        shown.monitored = {item["version"]: item["predictions"] for item in found["versions"]}
    return shown


def _counted(server: Server) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(server.get("/metrics").text):
        for sample in family.samples:
            if sample.name == "prediction_predictions_total" and sample.value:
                version = sample.labels["version"]
                found[version] = found.get(version, 0) + sample.value
    return found


def _ask(
    url: str,
    spec: Spec,
    bodies: Sequence[dict[str, float]],
    expected: dict[str, np.ndarray],
    shown: Shown,
    is_over: Callable[[], bool],
) -> None:
    with httpx.Client(base_url=url, timeout=30) as client:
        while not is_over():
            number = random.randrange(len(bodies))
            answer = client.post(f"/{spec.name}/predict", json=bodies[number])
            shown.requests += 1
            if answer.status_code != 200:
                shown.failures.append(answer.text)
                continue
            body = answer.json()
            shown.versions.append(body["version"])
            found = [body["probabilities"][name] for name in spec.target.texts]
            if float(np.abs(found - expected[body["version"]][number]).max()) > 1e-12:
                shown.wrong.append(answer.text)


def _agree(server: Server, version: str, workers: int) -> bool:
    state = server.get("/models/iris").json()
    return [version] * workers == [worker["version"] for worker in state["workers"]]


def example_rows(spec: Spec) -> list[dict[str, float]]:
    """Return some rows of the dataset."""
    X, _ = spec.load()
    return [dict(row) for row in X.iloc[::15].to_dict("records")]


def noise(spec: Spec, seed: int) -> list[Example]:
    """Make examples that lead to another candidate for each seed."""
    draw = random.Random(seed)
    found = []
    for number in range(30):
        features = {name: round(item.example + draw.random(), 3) for name, item in spec.inputs.items()}
        found.append(Example(f"{seed}-{number}", features, spec.target.texts[0]))
    return found
