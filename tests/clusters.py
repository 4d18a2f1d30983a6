"""Hosts of one deployment, as real servers behind nginx: own homes, one PostgreSQL, one S3 server."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from models_store import catalog
from models_store.spec import Spec
from tests.hosts import iris_home
from tests.servers import PROJECT, Server, free_port, series
from tests.test_behind_a_proxy import MAIN, NGINX
from tests.timing import eventually

TOKEN = "a-token-of-the-tests"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}

FRONT = """\
upstream prediction {
    %s
    keepalive 64;
    keepalive_timeout 60s;
}
server {
    listen 127.0.0.1:%d;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_connect_timeout 2s;
    proxy_next_upstream %s;
    location / { proxy_pass http://prediction; }
}
"""


@dataclass
class Cluster:
    """Hosts by number. nginx knows one more than are started."""

    folder: Path
    settings: dict[str, Any]
    ports: list[int]
    url: str
    servers: dict[int, Server] = field(default_factory=dict)

    def start(self, number: int) -> Server:
        """Start a host, on the home that it had, or on an empty one."""
        home = self.folder / f"host{number}"
        home.mkdir(exist_ok=True)
        self.servers[number] = Server(home, port=self.ports[number], **self.settings)
        return self.servers[number]

    def champion(self) -> str:
        """Return the champion of iris as the ledger has it."""
        return str(self.any.get("/models/iris").json()["champion"])

    @property
    def any(self) -> Server:
        """Return one host that runs."""
        return next(iter(self.servers.values()))

    def post(self, number: int, path: str, body: Any) -> dict[str, Any]:
        """POST to one host as an administrator."""
        answer = self.servers[number].client.post(path, json=body, headers=ADMIN)
        assert answer.status_code in (200, 202), answer.text
        return dict(answer.json())

    def agree(self, version: str) -> bool:
        """Return whether every worker of every host serves a version."""
        state = self.any.get("/models/iris").json()
        serving = [worker["version"] for worker in state["workers"]]
        return state["champion"] == version and [version] * len(self.servers) == serving

    def seconds_to(self, version: str) -> float:
        """Wait until all workers serve a version, and return how long that took."""
        began = time.monotonic()
        eventually(lambda: self.agree(version))
        return time.monotonic() - began

    def counted(self) -> Counter[str]:
        """Return how many rows the workers of all hosts have counted, by version."""
        found: Counter[str] = Counter()
        for server in self.servers.values():
            found.update(counted(server))
        return found


def counted(server: Server) -> Counter[str]:
    """Return how many rows the workers of one host have counted, by version."""
    found: Counter[str] = Counter()
    for name, value in series(server).items():
        if name.startswith("prediction_predictions_total{") and value:
            version = name.partition('version="')[2].partition('"')[0]
            found[version] += int(value)
    return found


@contextmanager
def running(trained_home: Path, folder: Path, hosts: int, **settings: Any) -> Iterator[Cluster]:
    """Start nginx and hosts; the first one has a trained model, the others have empty homes."""
    (folder / "catalog").mkdir()
    shutil.copy(PROJECT / "models_store" / "catalog" / "iris.py", folder / "catalog")
    ports = [free_port() for _ in range(hosts + 1)]
    with ExitStack() as stack:
        url = stack.enter_context(front(folder, ports))
        named = {"workers": 1, "admin_token": TOKEN, "catalog": folder / "catalog", **settings}
        cluster = Cluster(folder, named, ports, url)
        iris_home(trained_home, folder / "host0")
        try:
            for number in range(hosts):
                cluster.start(number)
            yield cluster
        finally:
            for server in cluster.servers.values():
                server.kill()


@contextmanager
def front(folder: Path, ports: list[int], retried: str = "error timeout") -> Iterator[str]:
    """Start nginx before hosts on these ports; yield its URL.

    Parameters
    ----------
    retried
        When it asks the next host: requests that the first one has got are not among these by default.
    """
    port = free_port()
    servers = "\n    ".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=2s;" for each in ports)
    (folder / "prediction.conf").write_text(FRONT % (servers, port, retried))
    (folder / "nginx.conf").write_text(MAIN)
    with (folder / "nginx.log").open("wb") as log:
        command = [str(NGINX), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


@dataclass(frozen=True)
class Asked:
    """One request through nginx; no version if it failed."""

    began: float
    ended: float
    status: int
    version: str


@dataclass
class Clients:
    """Clients that predict flowers, and send their true labels, through nginx."""

    url: str
    count: int = 3
    pause_seconds: float = 0.1
    asked: list[Asked] = field(default_factory=list)
    labelled: int = 0

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Ask and label meanwhile."""
        stop = threading.Event()
        spec = catalog.load()["iris"]
        threads = [
            threading.Thread(target=self._ask, args=(stop, spec, seed)) for seed in range(self.count)
        ]
        for thread in threads:
            thread.start()
        try:
            self.go_on()
            yield
            self.go_on()
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def go_on(self, requests: int = 60) -> None:
        """Wait until so many more requests are answered."""
        before = len(self.asked)
        eventually(lambda: len(self.asked) >= before + requests)

    def failed(self) -> list[Asked]:
        """Return the requests that failed."""
        return [each for each in self.asked if each.status != 200]

    def answered(self) -> dict[str, int]:
        """Return how many predictions were answered, by version."""
        found: dict[str, int] = {}
        for each in self.asked:
            if each.version:
                found[each.version] = found.get(each.version, 0) + 1
        return found

    def _ask(self, stop: threading.Event, spec: Spec, seed: int) -> None:
        draw = random.Random(seed)
        X, y = spec.load()
        columns, labels = spec.columns_of(X), list(y)
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not stop.wait(self.pause_seconds):
                row = draw.randrange(len(labels))
                body = {
                    name: max(0.1, round(values[row] + draw.gauss(0, 0.08), 3))
                    for name, values in columns.items()
                }
                answer = self._post(client, "/iris/predict", body)
                if answer is not None and draw.random() < 0.3:
                    label = {"prediction_id": answer["prediction_id"], "label": labels[row]}
                    self.labelled += self._post(client, "/iris/feedback", label) is not None

    def _post(self, client: httpx.Client, path: str, body: Any) -> dict[str, Any] | None:
        began, status, version = time.monotonic(), 0, ""
        try:
            answer = client.post(path, json=body)
            status = answer.status_code
            if status != 200:
                return None
            found = dict(answer.json())
            version = found.get("version", "")
            return found
        finally:
            self.asked.append(Asked(began, time.monotonic(), status, version))
