"""A home on a disk without room: no worker dies, and nothing that was counted or promised is lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models_store.spec import Spec
from tests import disks
from tests.databases import query
from tests.servers import SHIPPED, Server, series
from tests.timing import eventually


@pytest.fixture
def small_home(trained_home: Path, tmp_path: Path) -> Iterator[Path]:
    """A home on a small file system of its own; the log is elsewhere."""
    home = tmp_path / "home"
    with disks.small(home, "30m"):
        shutil.copytree(trained_home, home, symlinks=True, dirs_exist_ok=True)
        (home / "server.log").unlink(missing_ok=True)
        (home / "server.log").symlink_to(tmp_path / "server.log")
        yield home


def ask(server: Server, path: str, body: Any) -> httpx.Response:
    """Ask either worker."""
    return httpx.post(f"{server.url}{path}", json=body, timeout=20)


def answers(server: Server, specs: dict[str, Spec]) -> bool:
    """Tell whether all models answer, whoever takes the request."""
    try:
        found = [ask(server, f"/{name}/predict", specs[name].example) for name in SHIPPED * 4]
    except httpx.TransportError:
        return False
    return {200} == {answer.status_code for answer in found}


def counted(server: Server) -> float:
    """Return how many rows the workers have counted."""
    return sum(
        value for name, value in series(server).items() if name.startswith("prediction_predictions_total")
    )


@pytest.mark.parametrize("required", ["true", "false"])
def test_no_worker_dies_on_a_full_disk(small_home: Path, specs: dict[str, Spec], required: str) -> None:
    """Workers stay the same, probes and scrapes are answered; the journal decides about predictions."""
    with Server(small_home, journal_required=required) as server:
        folder = small_home / "prometheus_multiproc_dir"
        for file in folder.glob("*.db"):  # BentoML's own too: reserved before anything is counted
            assert file.stat().st_blocks * 512 >= file.stat().st_size > 0, file.name
        eventually(lambda: answers(server, specs))
        before, rows = {worker.pid for worker in server.workers}, counted(server)
        with disks.full(small_home):
            statuses, ids = set(), set()
            for number in range(150):
                batch = [specs[SHIPPED[number % 2]].example] * 20
                answer = ask(server, f"/{SHIPPED[number % 2]}/predict_batch", batch)
                statuses.add(answer.status_code)
                if answer.status_code == 200:
                    rows += 20
                    ids |= {row["prediction_id"] for row in answer.json()}
                assert 400 == ask(server, f"/{SHIPPED[number % 2]}/predict", {}).status_code
                assert 200 == httpx.get(f"{server.url}/livez").status_code
            assert 200 == httpx.get(f"{server.url}/metrics").status_code
            assert before == {worker.pid for worker in server.workers}
            ready = httpx.get(f"{server.url}/readyz").status_code
        assert (503 if required == "true" else 200) in statuses
        assert (503 if required == "true" else 200) == ready
        eventually(lambda: answers(server, specs) and server.get("/readyz").status_code == 200)
        assert before == {worker.pid for worker in server.workers}
        assert counted(server) >= rows
        assert 'fault="full"' in " ".join(series(server))
        assert "the disk of the journal is full: make room on it" in server.read_log()
        assert "Traceback" not in server.read_log()

    recorded = {
        each
        for (each,) in query(f"sqlite:///{small_home}/journal.db", "SELECT prediction_id FROM predictions")
    }
    assert ids - {None} <= recorded


def test_a_worker_starts_on_a_full_disk(small_home: Path, specs: dict[str, Spec]) -> None:
    """A new worker finds no room for its metrics; it serves, and they are seen once there is room."""
    with Server(small_home, workers=1, journal_required="false") as server:
        (old,) = server.workers
        with disks.full(small_home):
            old.kill()
            eventually(lambda: answers(server, specs))
            (new,) = server.workers
            assert old.pid != new.pid
            assert 200 == httpx.get(f"{server.url}/metrics").status_code
            mine = list((small_home / "prometheus_multiproc_dir").glob(f"*_{new.pid}.db"))
            assert not mine
        eventually(lambda: answers(server, specs))
        eventually(lambda: answers(server, specs) and counted(server) >= 3 * 8)
        assert [new.pid] == [worker.pid for worker in server.workers]
