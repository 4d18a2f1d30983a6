"""Ids of requests: taken or made, in the answer, in the log line and with the traceback."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest

from models_store.spec import Spec
from prediction.network.request_ids import MAX_LENGTH, RequestIds
from tests.http.asgi import Answer, World, ask

MADE = re.compile("[0-9a-f]{32}")


def send(world: World, path: str = "/iris/echo", body: bytes = b"{}", **headers: str) -> Answer:
    """Send one POST to the entrance behind the ids."""
    return asyncio.run(ask(RequestIds(world.app), "POST", path, body, **headers))


@pytest.mark.parametrize("given", ["a", "x" * MAX_LENGTH, "Root=1-67891233-abc/def:1+2~3@4._", "0" * 32])
def test_the_id_of_the_client_is_taken(world: World, good: bytes, given: str) -> None:
    """A valid id comes back as it was sent."""
    answer = send(world, body=good, x_request_id=given)

    assert (200, given) == (answer.status, answer.headers["x-request-id"])


@pytest.mark.parametrize(
    "given", ["", "x" * (MAX_LENGTH + 1), "two words", "a\nb", "caf\u00e9", "a,b", '"', "\x1b[31m"]
)
def test_another_text_is_replaced(world: World, good: bytes, given: str) -> None:
    """A text that is too long, or that could break a log line, never reaches the log or the answer."""
    answer = send(world, body=good, x_request_id=given)

    assert MADE.fullmatch(answer.headers["x-request-id"])


def test_two_ids_are_replaced() -> None:
    """Nobody knows which one is meant."""
    sent: list[Any] = []

    async def behind(scope: Any, _receive: Any, send: Any) -> None:
        sent.append(scope["request_id"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def keep(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-request-id", b"one"), (b"x-request-id", b"two")]
    asyncio.run(RequestIds(behind)({"type": "http", "headers": headers}, None, keep))  # type: ignore[arg-type]

    assert MADE.fullmatch(sent[0])
    assert [(b"x-request-id", sent[0].encode())] == sent[1]["headers"]


def test_every_request_gets_another_id(world: World, good: bytes) -> None:
    """Ids that are made here differ."""
    made = {send(world, body=good).headers["x-request-id"] for _ in range(100)}

    assert 100 == len(made)


def test_refusals_and_resources_carry_the_id(world: World) -> None:
    """An error's answer has the id too, and so has everything that is answered behind."""
    for path, status in [("/nope", 404), ("/iris/echo", 400), ("/iris/steer", 401), ("/livez", 405)]:
        answer = send(world, path, x_request_id="mine")
        assert (status, "mine") == (answer.status, answer.headers["x-request-id"])
    for path in ("/livez", "/things/a"):
        answer = asyncio.run(ask(RequestIds(world.app), "GET", path, x_request_id="mine"))
        assert (200, "mine") == (answer.status, answer.headers["x-request-id"])


def test_the_log_line_of_a_refusal_names_the_request(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator finds the line of a client's complaint."""
    caplog.set_level(logging.DEBUG, "bentoml.prediction")
    send(world, x_request_id="mine")

    (line,) = [record.getMessage() for record in caplog.records if record.name == "bentoml.prediction"]
    assert "POST '/iris/echo' 400 invalid, request mine" == line


def test_the_traceback_names_the_request(
    specs: dict[str, Spec], good: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The line above a traceback has the id that the client got."""

    async def fail(_: Any) -> Any:
        raise RuntimeError("a defect")

    answer = send(World(specs["iris"], fail), body=good)

    assert 500 == answer.status
    (record,) = [item for item in caplog.records if item.exc_info]
    assert f"POST '/iris/echo' failed, request {answer.headers['x-request-id']}" == record.getMessage()


def test_other_scopes_pass_untouched() -> None:
    """The start and the end of a worker are no requests."""
    seen: list[Any] = []

    async def behind(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope)

    scope = {"type": "lifespan"}
    asyncio.run(RequestIds(behind)(scope, None, None))  # type: ignore[arg-type]

    assert [{"type": "lifespan"}] == seen
