"""Bodies made to stall a worker or to get a large answer. On a real server, beside a good client."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from models_store.spec import Spec
from tests.servers import Server

BAD = {
    "empty rows": b"[" + b",".join([b"{}"] * 10_000) + b"]",
    "zeros": json.dumps([0] * 300_000).encode(),
    "unknown keys": json.dumps([{f"field{number}": 1 for number in range(100_000)}]).encode(),
    "a long key": b'[{"' + b"k" * 1_000_000 + b'": 1}]',
}
JSON = {"content-type": "application/json"}
CLIENTS = 4
SHARE = 10
"""The slowest of a hundred answers may take so many times as long as on an idle server."""

LEAST_SECONDS = 0.03
"""This is fast enough, however fast an idle server is."""

TRIES = 3
"""Other programs may take the processors for a moment, but not each time."""


def send(server: Server, raw: bytes) -> tuple[int, bytes]:
    """Send one bad batch on a connection of its own."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("POST", "/iris/predict_batch", raw, JSON)
        answer = connection.getresponse()
        return answer.status, answer.read()


@contextmanager
def bad_clients(server: Server, raw: bytes) -> Iterator[list[int]]:
    """Let clients send a bad batch again and again; give the list of what they were answered."""
    stopping, statuses = threading.Event(), list[int]()

    def work() -> None:
        while not stopping.is_set():
            statuses.append(send(server, raw)[0])

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def slowest(server: Server, raw: bytes, requests: int) -> float:
    """Return the seconds that 99 of 100 good requests take at most."""
    seconds = []
    for _ in range(requests):
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
            started = time.perf_counter()
            connection.request("POST", "/iris/predict", raw, JSON)
            assert 200 == connection.getresponse().status
            seconds.append(time.perf_counter() - started)
        time.sleep(0.005)
    return sorted(seconds)[int(0.99 * requests)]


@pytest.mark.parametrize("kind", BAD)
def test_an_error_has_at_most_64_kilobytes(server: Server, kind: str) -> None:
    """No answer is larger, and none lists more than a hundred places."""
    status, body = send(server, BAD[kind])

    assert 400 == status
    assert len(body) <= 65_536
    assert 1 <= len(json.loads(body)["detail"]) <= 100


@pytest.mark.parametrize("kind", BAD)
def test_bad_batches_do_not_stall_good_requests(server: Server, specs: dict[str, Spec], kind: str) -> None:
    """Four clients that send nothing else slow down others by a factor of ten at most."""
    good = json.dumps(specs["iris"].example).encode()
    most = max(SHARE * slowest(server, good, requests=200), LEAST_SECONDS)
    with bad_clients(server, BAD[kind]) as statuses:
        beside = (slowest(server, good, requests=200) for _ in range(TRIES))
        assert any(each <= most for each in beside)

    assert len(statuses) > CLIENTS
    assert {400} == set(statuses)


def test_many_large_batches_do_not_delay_single_rows(home: Path, specs: dict[str, Spec]) -> None:
    """Large batches are answered in turn, without any failure, and single rows within a second."""
    row = json.dumps(specs["iris"].example).encode()
    batch = b"[" + b",".join([row] * 10_000) + b"]"
    statuses, seconds = list[int](), list[float]()

    def work(server: Server) -> None:
        statuses.append(send(server, batch)[0])

    with Server(home) as running:
        threads = [threading.Thread(target=work, args=(running,)) for _ in range(24)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            seconds.append(slowest(running, row, requests=1))
        memory = [worker.memory_info().rss for worker in running.workers]
        assert "database is locked" not in running.read_log()

    assert 24 == len(statuses)
    assert 200 in statuses
    assert set(statuses) <= {200, 429}
    assert max(seconds) < 1
    assert max(memory) < 600_000_000


def test_slow_large_bodies_do_not_keep_batches_out(server: Server, specs: dict[str, Spec]) -> None:
    """Clients that hold back the end of 40 bodies of 8 MB lose their places to others."""
    head = b"POST /iris/predict_batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: 7999999\r\n\r\n"
    batch = json.dumps([specs["iris"].example] * 3_000).encode()
    with ExitStack() as stack:
        for _ in range(40):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            with suppress(OSError):  # given up while it was sent
                slow.sendall(head + b" " * 7_999_990)
        time.sleep(1.2)
        statuses = [send(server, batch)[0] for _ in range(10)]

    assert [200] * 10 == statuses
