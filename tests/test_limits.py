"""Routes, methods, sizes and waiting times, on a real server."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from models_store.spec import Spec
from tests.servers import Server, problem


@pytest.fixture(scope="module", autouse=True)
def slow_sender(server: Server) -> Iterator[socket.socket]:
    """A client that began to send a body when these tests began, and never ends."""
    with closing(socket.create_connection(("127.0.0.1", server.port))) as slow:
        head = b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        slow.sendall(b"POST /iris/predict HTTP/1.1\r\n" + head)
        yield slow


@pytest.mark.parametrize(
    "path", ["/nope", "/iris/predict/", "/tulips/predict", "/models/", "/static_content/x"]
)
def test_an_unknown_path_is_not_found(server: Server, path: str) -> None:
    """A path that does not exist is a 404 in the common shape, whatever the method."""
    for method in ("GET", "POST", "DELETE"):
        problem(server.client.request(method, path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/iris/predict", "POST"), ("POST", "/models", "GET, HEAD"), ("PUT", "/metrics", "GET, HEAD")],
)
def test_a_wrong_method_gets_the_right_one(server: Server, method: str, path: str, allowed: str) -> None:
    """A wrong method is a 405 with the header that lists the right ones."""
    answer = server.client.request(method, path)

    problem(answer, 405)
    assert allowed == answer.headers["allow"]


def test_a_form_is_not_json(server: Server) -> None:
    """Forms and files are a 415, also where BentoML alone would fail on them."""
    for content in ("a=1", b"--x\r\nbroken"):
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/csv"):
            answer = server.client.post("/iris/predict", content=content, headers={"content-type": kind})
            problem(answer, 415)


def test_a_body_over_the_limit_is_refused_and_the_next_one_answered(
    server: Server, specs: dict[str, Spec]
) -> None:
    """More than 8 MB is a 413, announced or in chunks, and the client may go on at once."""
    chunk = b" " * 1_000_000
    for content in (chunk * 9, (chunk for _ in range(9))):
        answer = server.client.post(
            "/iris/predict_batch", content=content, headers={"content-type": "application/json"}
        )
        assert "8000000 bytes: split the batch" in problem(answer, 413)["error"]
        assert 200 == server.post("/iris/predict", specs["iris"].example).status_code


def test_one_row_may_have_64_kilobytes(server: Server, specs: dict[str, Spec]) -> None:
    """The routes of one row refuse more, announced or in chunks, and take a row with that many blanks."""
    row = json.dumps(specs["iris"].example).encode()
    headers = {"content-type": "application/json"}
    for route in ("predict", "feedback"):
        for content in (row.ljust(65_537), iter([row, b" " * 65_537])):
            answer = server.client.post(f"/iris/{route}", content=content, headers=headers)
            assert "larger than 65536 bytes: send one row" in problem(answer, 413)["error"]

    assert (
        200 == server.client.post("/iris/predict", content=row.ljust(65_536), headers=headers).status_code
    )


def test_head_answers_like_get_without_a_body(server: Server) -> None:
    """HEAD answers as GET does, without a body."""
    for path in ("/models", "/models/iris", "/livez", "/metrics", "/docs.json"):
        answer = server.client.head(path)

        assert (200, b"") == (answer.status_code, answer.content)


def test_the_probes_answer(server: Server) -> None:
    """A server with all its champions loaded is alive and ready."""
    assert [200, 200, 200] == [server.get(path).status_code for path in ("/livez", "/healthz", "/readyz")]


def test_a_locked_journal_is_a_503_after_a_timeout(server: Server, specs: dict[str, Spec]) -> None:
    """While the journal is locked, a request waits for the timeout, then gets a 503 with Retry-After."""
    with closing(sqlite3.connect(server.home / "journal.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        answer = server.post("/iris/predict", specs["iris"].example)
        waited = time.monotonic() - started
        assert 200 == server.get("/livez").status_code
        connection.execute("ROLLBACK")

    problem(answer, 503)
    assert "1" == answer.headers["retry-after"]
    assert 0.5 < waited < 5
    assert 200 == server.post("/iris/predict", specs["iris"].example).status_code


def test_a_body_that_never_ends_is_a_408(slow_sender: socket.socket) -> None:
    """A client that sends too slowly gets a 408 after 20 s, and the connection is closed."""
    slow_sender.settimeout(40)
    answer = b""
    while part := slow_sender.recv(4096):
        answer += part

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert {"error", "detail"} == set(json.loads(body))
