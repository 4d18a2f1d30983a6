"""A worker that ends: what was read is answered, each connection gets a last answer, what is late a 503."""

from __future__ import annotations

import errno
import inspect
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn.server

from prediction.network import ending
from tests.network.small_server import BIG_BYTES, Small, get, problem, read_to, read_to_end, running
from tests.timing import eventually

POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\n"


@contextmanager
def ended(small: Small, *sent: bytes) -> Iterator[list[socket.socket]]:
    """Open connections that send something, and end the server once it has read that."""
    clients = [small.connect(each) for each in sent]
    time.sleep(0.3)
    small.process.terminate()
    time.sleep(0.3)
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


@pytest.fixture
def small() -> Iterator[Small]:
    """A server for one test, which ends it."""
    with running() as server:
        yield server


def split(answer: bytes) -> tuple[bytes, bytes]:
    """Return the head of an answer in lower case, and its body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.lower(), body


def test_what_was_read_is_answered_also_in_part(small: Small) -> None:
    """Half a head and half a body: when the rest comes, they are answered, and their connections closed."""
    with ended(small, b"GET / HTTP/1.1\r\nHost: loc", POST + b"abc") as (head, body):
        head.sendall(b"alhost\r\n\r\n")
        body.sendall(b"def")
        answers = [split(read_to_end(client)) for client in (head, body)]

    assert [b"ok", b"6"] == [body for _, body in answers]
    assert all(b"connection: close" in head for head, _ in answers)


def test_an_idle_connection_gets_one_more_answer(small: Small) -> None:
    """A client that has just read an answer may send its next request before it knows of the end."""
    with ended(small, get("/")) as (client,):
        kept, _ = split(read_to(client, b"ok"))
        client.sendall(get("/"))
        last, body = split(read_to_end(client))

    assert b"connection: close" not in kept
    assert (b"ok", True) == (body, b"connection: close" in last)


def test_a_connection_that_stays_idle_is_closed(small: Small) -> None:
    """The end does not wait for the whole grace period."""
    began = time.monotonic()
    with ended(small, get("/"), b"") as (idle, silent):
        read_to(idle, b"ok")
        assert b"" == idle.recv(1) == silent.recv(1)
    assert ending.IDLE_SECONDS < time.monotonic() - began


def test_an_answer_under_way_promised_no_end(small: Small) -> None:
    """Its head said that the connection stays open, so the next request is answered too."""
    with ended(small, get("/big")) as (client,):
        answer = b""
        while len(answer.partition(b"\r\n\r\n")[2]) < BIG_BYTES:
            answer += client.recv(10_000_000)
        client.sendall(get("/"))
        head, body = split(read_to_end(client))

    assert b"connection: close" not in split(answer)[0]
    assert (b"ok", True) == (body, b"connection: close" in head)


def test_pipelined_requests_are_all_answered(small: Small) -> None:
    """Of those that were read, only the answer to the last closes the connection."""
    with ended(small, POST + b"abc") as (client,):
        client.sendall(b"def" + get("/slow") + get("/"))
        answer = read_to_end(client)

    assert 3 == answer.count(b"HTTP/1.1 200 ")
    assert 1 == answer.lower().count(b"connection: close")


def test_a_new_connection_is_refused(small: Small) -> None:
    """The port is closed while requests are still answered."""
    with ended(small, POST + b"abc") as (client,):
        eventually(lambda: is_refused(small.port))
        client.sendall(b"def")
        assert b"6" == split(read_to_end(client))[1]


def is_refused(port: int) -> bool:
    """Return whether nobody listens on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_requests_beyond_the_grace_period_get_an_error() -> None:
    """Half a body and half a head get a 503, and the server ends in time."""
    with running(grace_seconds=2) as small, ended(small, POST + b"abc", b"GET / HT") as clients:
        sentences = [problem(read_to_end(client), 503) for client in clients]

    assert all("the server ended before it could answer" in each for each in sentences)


def test_uvicorn_ends_by_the_method_that_we_override() -> None:
    """It calls `shutdown` with its sockets, and keeps its servers and connections under these names."""
    parameters = inspect.signature(uvicorn.server.Server.shutdown).parameters

    assert ["self", "sockets"] == list(parameters)
    assert "await self.shutdown(sockets=sockets)" in inspect.getsource(uvicorn.server.Server._serve)
    source = inspect.getsource(uvicorn.server.Server.shutdown)
    for name in ("self.servers", "self.server_state.connections", "self.config.timeout_graceful_shutdown"):
        assert name in source
