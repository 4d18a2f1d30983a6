"""The processes of a server: what is left when one of them is killed, stopped or ended."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from models_store.spec import Spec
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


# ------------------------------------------------------------------------------------ an orderly end


@dataclass
class Client:
    """Asks again and again until nobody listens any more, on one connection as long as the server keeps it.

    Parameters
    ----------
    keeps
        Whether it keeps its connection; else each request has a new one.
    """

    port: int
    path: str
    body: Any
    keeps: bool
    answered: int = 0
    closed: int = 0
    """How many answers closed a connection that this client wanted to keep."""
    failures: list[str] = field(default_factory=list)

    def ask(self) -> None:
        """Ask until the port is closed."""
        connection = None
        while True:
            if connection is None or connection.sock is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    return
            try:
                headers = {"content-type": "application/json"}
                headers |= {} if self.keeps else {"connection": "close"}
                connection.request("POST", self.path, json.dumps(self.body), headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                return
            if answer.status != 200:
                self.failures.append(str(answer.status))
            self.answered += 1
            self.closed += self.keeps and answer.getheader("connection") == "close"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_ends_resets_no_request(
    home: Path, specs: dict[str, Spec], number: signal.Signals
) -> None:
    """Kept connections, new ones and batches under load: each request is answered; the exit code is 0."""
    row = specs["iris"].example
    with Server(home) as server:
        clients = [Client(server.port, "/iris/predict", row, keeps=n % 3 > 0) for n in range(9)]
        clients += [Client(server.port, "/iris/predict_batch", [row] * 500, keeps=n > 0) for n in range(2)]
        threads = [threading.Thread(target=client.ask) for client in clients]
        for thread in threads:
            thread.start()
        eventually(lambda: all(client.answered > 5 for client in clients))
        server.process.send_signal(number)
        server.process.send_signal(signal.SIGTERM)  # a second one changes nothing
        code = server.process.wait(60)
        for thread in threads:
            thread.join()
        log = server.read_log()

    assert [] == [failure for client in clients for failure in client.failures]
    assert 0 == code
    assert all(client.closed for client in clients if client.keeps)
    assert "Traceback" not in log


def test_a_stopped_worker_is_killed_after_the_grace_period(home: Path) -> None:
    """The other worker has ended before; the log names the one that was killed, and the exit code is 0."""
    with Server(home, grace_seconds=4) as server:
        stopped, other = server.workers
        stopped.suspend()
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not is_there(other))
        assert is_there(stopped)
        code = server.process.wait(60)
        log = server.read_log()

    assert 0 == code
    assert not is_there(stopped)
    assert 1 == log.count("had not ended")
    assert f"worker {stopped.pid} had not ended by itself: killed" in log


def test_a_second_interrupt_ends_at_once(home: Path) -> None:
    """Somebody at a terminal who presses Ctrl+C twice does not wait for the grace period."""
    with Server(home, grace_seconds=600) as server:
        workers = server.workers
        for worker in workers:
            worker.suspend()
        server.process.send_signal(signal.SIGINT)
        time.sleep(1)
        assert all(map(is_there, workers))
        server.process.send_signal(signal.SIGINT)
        code = server.process.wait(60)

        log = server.read_log()

    assert 0 == code
    assert not any(map(is_there, workers))
    assert "the server ends in at most 600 s; press Ctrl+C once more to end it now" in log
