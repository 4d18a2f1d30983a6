"""The processes of a server: what is left when one of them is killed, stopped or ended."""

from __future__ import annotations

from pathlib import Path

from prediction.home import LOCK_FILE
from tests.servers import Server, free_port, is_there
from tests.timing import eventually


def test_workers_end_with_their_server(home: Path) -> None:
    """After `kill -9` of the parent no worker is left, not even a stopped one; a server can start then."""
    port = free_port()
    with Server(home, port=port) as first:
        workers = first.workers
        owners = [str(first.process.pid), *(str(worker.pid) for worker in workers)]
        assert sorted(owners) == sorted((home / LOCK_FILE).read_text().split())
        workers[0].suspend()
        first.process.kill()
        first.process.wait()

        eventually(lambda: not any(map(is_there, workers)), seconds=5)
        with Server(home, port=port) as second:
            assert 200 == second.get("/readyz").status_code
