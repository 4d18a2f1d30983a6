"""What a real server does when its processes are killed, when it is ended, and when files rot."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from models_store import store
from models_store.spec import Spec
from prediction.journal import Journal
from tests.serving import Server
from tests.test_predictor import copy_version

THREADS = 4


@dataclass(frozen=True)
class Request:
    """One request of the load: when it began, and its status, None where no answer came."""

    began: float
    ended: float
    status: int | None


@dataclass
class Load:
    """Clients that never stop asking, and what they were told."""

    server: Server
    specs: dict[str, Spec]
    requests: list[Request] = field(default_factory=list)
    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the server busy meanwhile."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._ask, args=(stop, number)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: len(self.acknowledged) > 200)
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _ask(self, stop: threading.Event, number: int) -> None:
        client = httpx.Client(base_url=self.server.url, timeout=20)
        name = list(self.specs)[number % len(self.specs)]
        row = self.specs[name].example
        route, body = ("predict", row) if number % 4 else ("predict_batch", [row] * 70)
        while not stop.is_set():
            began, status = time.monotonic(), None
            try:
                answer = client.post(f"/{name}/{route}", json=body)
                status = answer.status_code
                if status == 200:
                    found = answer.json() if isinstance(body, list) else [answer.json()]
                    self.acknowledged |= {item["prediction_id"]: item for item in found}
            except httpx.TransportError:
                client.close()
                client = httpx.Client(base_url=self.server.url, timeout=20)
                time.sleep(0.02)
            self.requests.append(Request(began, time.monotonic(), status))
        client.close()

    @property
    def statuses(self) -> set[int]:
        """Every status that was answered."""
        return {request.status for request in self.requests if request.status is not None}

    def assert_recorded(self) -> None:
        """Assert that each prediction that a client got is in the journal, as the client got it."""
        with closing(sqlite3.connect(self.server.home / "journal.db")) as connection:
            rows = connection.execute(
                "SELECT prediction_id, model, version, predicted_class, probabilities FROM predictions"
            )
            recorded = {row[0]: row for row in rows}
        assert len(self.acknowledged) > 200
        for prediction_id, answer in self.acknowledged.items():
            _, model, version, predicted_class, probabilities = recorded[prediction_id]
            assert (answer["model"], answer["version"]) == (model, version)
            assert answer["predicted_class"] == predicted_class
            assert answer["probabilities"] == json.loads(probabilities)


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.02)


class Victim:
    """A home, and the server on it, started anew whenever it is gone."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._server: Server | None = None

    def server(self) -> Server:
        """Return the running server."""
        if self._server is None or self._server.process.poll() is not None:
            self._server = Server(self.home)
        return self._server

    def end(self) -> None:
        """End it, if it runs."""
        if self._server is not None:
            self._server.stop()


@pytest.fixture(scope="module")
def victim(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """A server that tests may do anything to, as long as it can be started again."""
    home = tmp_path_factory.mktemp("victim") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    victim = Victim(home)
    yield victim
    victim.end()


def test_a_killed_worker_is_replaced_and_nothing_acknowledged_is_lost(
    victim: Victim, specs: dict[str, Spec]
) -> None:
    """`kill -9` of one worker under load: the others answer on, another takes its place, no row is lost."""
    server = victim.server()
    load = Load(server, specs)
    with load.running():
        dead = server.workers[0]
        dead.send_signal(signal.SIGKILL)
        before = len(load.acknowledged)
        wait_until(lambda: len(load.acknowledged) > before + 100)
        wait_until(lambda: dead.pid not in living(server) and len(living(server)) == 2)
        wait_until(lambda: set() < living(server) <= serving(server))
        before = len(load.acknowledged)
        wait_until(lambda: len(load.acknowledged) > before + 100)

    assert {200} == load.statuses
    load.assert_recorded()
    for prediction_id in list(load.acknowledged)[:20]:
        model = load.acknowledged[prediction_id]["model"]
        assert 200 == httpx.get(f"{server.url}/{model}/predictions/{prediction_id}").status_code


def living(server: Server) -> set[int]:
    """Return the living workers, none while one of them is just ending."""
    try:
        return {worker.pid for worker in server.workers}
    except psutil.Error:
        return set()


def serving(server: Server) -> set[int]:
    """Return the workers that say of themselves that they serve the champion."""
    model = httpx.get(f"{server.url}/models/iris", timeout=20).json()  # not by a connection that died
    return {item["worker"] for item in model["workers"] if item["version"] == model["champion"]}


def test_what_was_acknowledged_survives_the_end_of_all_processes(
    victim: Victim, specs: dict[str, Spec]
) -> None:
    """`kill -9` of the server and all its workers under load: a restart serves, and no row is lost."""
    load = Load(victim.server(), specs)
    with load.running():
        victim.server().kill()
        wait_until(lambda: load.requests[-1].status is None)

    assert {200} == load.statuses
    load.assert_recorded()
    again = victim.server()
    load.assert_recorded()
    for name, spec in specs.items():
        answer = again.post(f"/{name}/predict", spec.example).json()
        known = next(item for item in load.acknowledged.values() if item["model"] == name)
        assert known["probabilities"] == answer["probabilities"]
        assert known["version"] == answer["version"]


def test_a_server_that_is_told_to_end_answers_what_it_was_asked(
    victim: Victim, specs: dict[str, Spec]
) -> None:
    """SIGTERM under load: requests in flight get their answers, then all processes end, with 0."""
    server = victim.server()
    workers = server.workers
    load = Load(server, specs)
    with load.running():
        with closing(sqlite3.connect(server.home / "journal.db", isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(0.1)
            told = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            connection.execute("ROLLBACK")
        code = server.process.wait(timeout=30)

    in_flight = [request for request in load.requests if request.began < told < request.ended]
    assert len(in_flight) >= THREADS // 2
    assert {200} == {request.status for request in in_flight}
    assert {200} == load.statuses
    assert 0 == code
    assert [] == [worker for worker in workers if worker.is_running() and not is_zombie(worker)]
    assert "Traceback" not in server.read_log()
    load.assert_recorded()


def is_zombie(process: psutil.Process) -> bool:
    """Tell whether a process has ended, and only its parent has not noticed."""
    return bool(process.status() == psutil.STATUS_ZOMBIE)


def test_a_rotten_champion_is_passed_over_until_it_is_mended(
    trained_home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """A start on a champion whose file is damaged serves the last good one, says so, and mends itself."""
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    good = store.newest(home, "iris")
    bad = copy_version(good, home, lambda _: None)
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    journal.promote("iris", bad.version, bad.digest, by="test", reason="because")
    journal.close()
    graph = bad.path / store.ONNX
    whole = graph.read_bytes()
    graph.write_bytes(whole[:100] + b"rot" + whole[103:])

    with Server(home) as server:
        answer = server.post("/iris/predict", specs["iris"].example)
        model = server.get("/models/iris").json()
        log = server.read_log()
        graph.write_bytes(whole)
        wait_until(lambda: bool(server.get("/models/iris").json()["agree"]), 15)
        mended = server.post("/iris/predict", specs["iris"].example)

    assert (200, good.version) == (answer.status_code, answer.json()["version"])
    assert (bad.version, False) == (model["champion"], model["agree"])
    assert {good.version} == {worker["version"] for worker in model["workers"]}
    assert f"iris:{bad.version}: {store.ONNX} is not what was saved" in log
    assert "Traceback" not in log
    assert (200, bad.version) == (mended.status_code, mended.json()["version"])
