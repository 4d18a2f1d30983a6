"""Ids of requests: taken or made, in the answer, in the log line and with the traceback."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from models_store.spec import Spec
from prediction.network import request_ids
from prediction.network.request_ids import HEADER, MAX_LENGTH
from tests.http.asgi import World
from tests.network import small_server
from tests.servers import Server

MADE = re.compile("[0-9a-f]{32}")


@pytest.mark.parametrize("given", ["a", "x" * MAX_LENGTH, "Root=1-67891233-abc/def:1+2~3@4._", "0" * 32])
def test_the_id_of_the_client_is_taken(given: str) -> None:
    """A valid id stays as it was sent."""
    assert given.encode() == request_ids.choose([(b"host", b"a"), (HEADER, given.encode())])


@pytest.mark.parametrize(
    "given", ["", "x" * (MAX_LENGTH + 1), "two words", "a\nb", "caf\u00e9", "a,b", '"', "\x1b[31m"]
)
def test_another_text_is_replaced(given: str) -> None:
    """A text that is too long, or that could break a log line, never reaches the log or the answer."""
    assert MADE.fullmatch(request_ids.choose([(HEADER, given.encode())]).decode())


def test_two_ids_are_replaced() -> None:
    """Nobody knows which one is meant."""
    assert MADE.fullmatch(request_ids.choose([(HEADER, b"one"), (HEADER, b"two")]).decode())


def test_every_request_gets_another_id() -> None:
    """Ids that are made here differ."""
    assert 100 == len({request_ids.choose([]) for _ in range(100)})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/livez", 200),
        ("GET", "/", 200),
        ("GET", "/models", 200),
        ("GET", "/dashboard", 200),
        ("GET", "/nope", 404),
        ("POST", "/livez", 405),
        ("POST", "/iris/predict", 400),
        ("POST", "/iris/rollback", 403),
    ],
)
def test_every_answer_carries_the_id(server: Server, method: str, path: str, status: int) -> None:
    """Resources, refusals, and the answers of BentoML's application."""
    answer = server.client.request(method, path, json={}, headers={"X-Request-Id": "mine"})

    assert (status, "mine") == (answer.status_code, answer.headers["x-request-id"])


def test_refusals_of_a_connection_carry_an_id() -> None:
    """A head that is refused gets an id; a body that is refused has that of its head."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\nTransfer-Encoding: chunked\r\n\r\n"
    with small_server.running() as server:
        no_http = server.exchange(b"nonsense\r\n\r\n")
        bad_chunk = server.exchange(head + b"nonsense\r\n\r\n")

    assert re.search(rb"\r\nx-request-id: [0-9a-f]{32}\r\n", no_http)
    assert b"\r\nx-request-id: mine\r\n" in bad_chunk


def test_the_log_line_of_a_refusal_names_the_request(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator finds the line of a client's complaint."""
    caplog.set_level(logging.DEBUG, "bentoml.prediction")
    world.ask("POST", "/iris/echo", b"{}", x_request_id="mine")

    (line,) = [record.getMessage() for record in caplog.records if record.name == "bentoml.prediction"]
    assert "POST '/iris/echo' 400 invalid, request mine" == line


def test_the_traceback_names_the_request(
    specs: dict[str, Spec], good: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The line above a traceback has the id that the client got."""

    async def fail(_: Any) -> Any:
        raise RuntimeError("a defect")

    answer = World(specs["iris"], fail).ask("POST", "/iris/echo", good, x_request_id="mine")

    assert 500 == answer.status
    (record,) = [item for item in caplog.records if item.exc_info]
    assert "POST '/iris/echo' failed, request mine" == record.getMessage()
