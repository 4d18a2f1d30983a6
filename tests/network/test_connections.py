"""Many connections of a real server process: which are closed, in which order, and the log about it."""

from __future__ import annotations

import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models_store.spec import Spec
from prediction.network import connections
from prediction.network.connections import MAX_CONNECTIONS, MAX_LINGERING, RESERVED_DESCRIPTORS
from tests.network.small_server import Small, get, is_open, problem, read_to, read_to_end, running
from tests.servers import Server, series

MOST = 20
DESCRIPTORS = 1024


@pytest.fixture(scope="module")
def small() -> Iterator[Small]:
    """A server for few connections."""
    with running(head_seconds=2, keep_alive_seconds=20, connections=MOST) as server:
        yield server


@contextmanager
def opened(small: Small, count: int, sent: bytes = b"", end: bytes = b"") -> Iterator[list[socket.socket]]:
    """Open connections that send something each, and read to an end; the first was opened first."""
    clients = []
    try:
        for _ in range(count):
            clients.append(small.connect(sent))
            if end:
                read_to(clients[-1], end)
        yield clients
    finally:
        for client in clients:
            client.close()
        time.sleep(0.2)  # the server notices


# ----------------------------------------------------------------------------------------- too many


@pytest.mark.parametrize("sent", [b"", b"GET / HT"], ids=["silent", "half a head"])
def test_the_oldest_without_a_request_are_closed_first(small: Small, sent: bytes) -> None:
    """Clients beyond the limit are served; for each, the oldest one without a request is closed."""
    with (
        opened(small, 5, get("/"), b"ok") as idle,
        opened(small, MOST - 5, sent) as unused,
        opened(small, 4, get("/"), b"ok"),
    ):
        assert [False] * 4 + [True] * (MOST - 9) == [is_open(client) for client in unused]
        assert all(is_open(client) for client in idle)


def test_an_evicted_client_that_has_begun_reads_why(small: Small) -> None:
    """Half a request that is dropped gets a 503, so that its sender knows that it was not processed."""
    with opened(small, MOST, b"GET / HT") as unused, opened(small, 1, get("/"), b"ok"):
        assert "too many connections" in problem(read_to_end(unused[0]), 503)


def test_idle_ones_are_closed_only_when_all_have_been_used(small: Small) -> None:
    """Where every connection was used, the one that is idle longest is closed."""
    with opened(small, MOST, get("/"), b"ok") as idle:
        idle[0].sendall(get("/"))
        read_to(idle[0], b"ok")
        with opened(small, 3, get("/"), b"ok") as new:
            assert [True] + [False] * 3 + [True] * (MOST - 4) == [is_open(client) for client in idle]
            assert all(is_open(client) for client in new)


def test_a_connection_is_refused_only_when_all_are_busy(small: Small) -> None:
    """Where every connection has a running request, a new one gets a 503; the running ones are answered."""
    before = small.closed("full")
    with opened(small, MOST, get("/slow")) as busy:
        time.sleep(0.3)
        for _ in range(MAX_LINGERING + 5):
            answer = small.exchange(get("/"))
            assert "too many connections" in problem(answer, 503)
            assert b"retry-after: 1\r\n" in answer
        for client in busy:
            assert read_to(client, b"ok")

    assert before + MAX_LINGERING + 5 == small.closed("full")


def test_refused_clients_that_stay_do_not_add_up() -> None:
    """Clients that are refused and do not leave hold few descriptors beyond the limit."""
    with running(connections=5) as server, opened(server, 5, get("/slow")) as busy:
        time.sleep(0.3)
        before = server.process.num_fds()
        with opened(server, 200):
            assert server.process.num_fds() < before + 2 * MAX_LINGERING
        for client in busy:
            assert read_to(client, b"ok")


# ------------------------------------------------------------------------------------------ too slow


def test_a_silent_connection_is_closed_without_a_word(small: Small) -> None:
    """A connection that sends nothing is closed after its time, and counted."""
    before = small.closed("silent")
    with opened(small, 3) as silent:
        time.sleep(1)
        assert all(is_open(client) for client in silent)
        assert [b"", b"", b""] == [read_to_end(client) for client in silent]

    assert before + 3 == small.closed("silent")


def test_a_stall_of_the_server_is_not_blamed_on_clients() -> None:
    """Bytes that arrived while the server was stopped are read before anybody is judged."""
    with running(head_seconds=1) as server:
        client = server.connect(b"GET / HTTP/1.1\r\n")
        time.sleep(0.3)
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        client.sendall(b"Host: localhost\r\nConnection: close\r\n\r\n")
        server.process.send_signal(signal.SIGCONT)

        assert read_to_end(client).endswith(b"ok")
        client.close()


def test_the_log_gets_one_line_a_minute(capfd: pytest.CaptureFixture[str]) -> None:
    """However many connections are closed, the first line comes at once and the next one a minute later."""
    with running(connections=10) as server:
        for _ in range(3):
            with opened(server, 15):
                time.sleep(1.5)
        assert 15 == server.closed("evicted")

    (line,) = (line for line in capfd.readouterr().err.splitlines() if "closed connections" in line)
    assert re.fullmatch(r"WARNING closed connections: \d+ evicted \(at most 10 are open\)", line)


# --------------------------------------------------------------------------------------- descriptors


@contextmanager
def descriptors(limit: int) -> Iterator[None]:
    """Have a limit of descriptors, which processes inherit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_number_of_connections_follows_the_limit_of_descriptors() -> None:
    """Some descriptors stay for others, of a small limit half, and a large limit is not used up."""
    for limit, expected in (
        (DESCRIPTORS, DESCRIPTORS - RESERVED_DESCRIPTORS),
        (200, 100),
        (MAX_CONNECTIONS + RESERVED_DESCRIPTORS, MAX_CONNECTIONS),
    ):
        with descriptors(limit):
            assert expected == connections.max_connections()


def test_thousands_of_silent_connections_leave_the_server_alive(home: Path, specs: dict[str, Spec]) -> None:
    """With 1,024 descriptors a worker answers probes and predictions beside 2,200 silent connections."""
    with descriptors(DESCRIPTORS):
        server = Server(home, workers=1)
    with server, descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[1]):
        (worker,) = server.workers
        silent = []
        for number in range(2_200):
            silent.append(socket.create_connection(("127.0.0.1", server.port), 10))
            if number % 100 == 0:
                with socket.create_connection(("127.0.0.1", server.port), 10) as probe:
                    probe.sendall(get("/livez", b"Connection: close\r\n"))
                    assert read_to_end(probe).startswith(b"HTTP/1.1 200 ")
        assert worker.num_fds() < DESCRIPTORS - 64
        assert 200 == server.post("/iris/predict", specs["iris"].example).status_code
        assert series(server)['prediction_closed_connections_total{reason="evicted"}'] >= 1_000
        for client in silent:
            client.settimeout(20)
            assert read_to_end(client) == b""
            client.close()
        assert 200 == server.get("/readyz").status_code
    assert "Too many open files" not in server.read_log()
    assert 1 == server.read_log().count("closed connections: ")
