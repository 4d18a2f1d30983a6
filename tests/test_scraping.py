"""A real Prometheus with the configuration of compose: it scrapes two replicas, and knows the rules."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.manifests import DEPLOY
from tests.servers import Server, free_port
from tests.test_prometheus import RULES
from tests.timing import eventually

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")


@pytest.fixture
def prometheus(server: Server, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of one that scrapes a server, and a replica that is down."""
    shutil.copytree(DEPLOY / "prometheus", tmp_path, dirs_exist_ok=True)
    configuration, port = tmp_path / "replicas.yml", free_port()
    text = configuration.read_text()
    changes = {
        "replica1:3000": f"127.0.0.1:{server.port}",
        "replica2:3000": f"127.0.0.1:{free_port()}",
        "_interval: 15s": "_interval: 1s",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    configuration.write_text(text)
    options = [f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (tmp_path / "log").open("wb") as log:
        command = ["prometheus", f"--config.file={configuration}", *options]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1") as client:
            eventually(lambda: process.poll() is not None or bool(ask(client, "up")))
            assert process.poll() is None, (tmp_path / "log").read_text()
            yield client
    finally:
        process.kill()
        process.wait(20)


def ask(client: httpx.Client, query: str) -> list[dict[str, Any]]:
    """Return the series of a query; none while it starts."""
    with suppress(httpx.TransportError):
        answer = client.get("/query", params={"query": query})
        if answer.status_code == 200:
            return list(answer.json()["data"]["result"])
    return []


def test_prometheus_sees_both_replicas(prometheus: httpx.Client, server: Server) -> None:
    """One is up, with the figures that the rules ask for; the other is down, and an alert waits for it."""

    def ups() -> dict[str, str]:
        found = ask(prometheus, 'up{job="prediction"}')
        return {series["metric"]["instance"]: series["value"][1] for series in found}

    def pending() -> set[str]:
        return {series["metric"]["alertname"] for series in ask(prometheus, 'ALERTS{alertstate="pending"}')}

    eventually(lambda: sorted(ups().values()) == ["0", "1"])
    assert "1" == ups()[f"127.0.0.1:{server.port}"]
    eventually(lambda: bool(ask(prometheus, "prediction_champion_info == 1")))
    eventually(lambda: "PredictionServerDown" in pending())
    assert "PredictionJournalDown" not in pending()
    (group,) = prometheus.get("/rules").json()["data"]["groups"]
    assert [rule["alert"] for rule in RULES] == [rule["name"] for rule in group["rules"]]
