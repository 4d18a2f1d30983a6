"""One line a request: with its status and time, also where there is no answer."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from prediction.telemetry.request_log import RequestLog


def ask(answers: bool, kind: str = "http") -> None:
    """Send a request through the log to an application that answers it, or does not."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if answers:
            await send({"type": "http.response.start", "status": 201, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"petal": 1.5}'}

    async def send(_message: Any) -> None:
        pass

    scope = {
        "type": kind,
        "method": "POST",
        "path": "/iris/predict",
        "headers": [],
        "request_id": "r-1",
        "client": ("192.0.2.1", 5),
    }
    asyncio.run(RequestLog(app)(scope, receive, send))


def test_a_request_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """The line has what an operator looks for, in words and as fields."""
    caplog.set_level(logging.INFO)
    ask(answers=True)
    (line,) = caplog.records
    fields = vars(line)["attributes"]

    assert line.getMessage().startswith("POST '/iris/predict' 201 in ")
    assert line.getMessage().endswith(" ms, request r-1")
    assert 0 <= fields.pop("http.server.request.duration") < 60
    assert {
        "http.request.method": "POST",
        "url.path": "/iris/predict",
        "http.response.status_code": 201,
        "client.address": "192.0.2.1",
        "prediction.request_id": "r-1",
    } == fields


def test_a_client_that_leaves_has_a_line_too(caplog: pytest.LogCaptureFixture) -> None:
    """Its line has no status."""
    caplog.set_level(logging.INFO)
    ask(answers=False)
    (line,) = caplog.records

    assert "no answer" in line.getMessage()
    assert "http.response.status_code" not in vars(line)["attributes"]


def test_the_life_of_the_application_is_no_request(caplog: pytest.LogCaptureFixture) -> None:
    """Its messages are passed on without a line."""
    caplog.set_level(logging.INFO)
    ask(answers=False, kind="lifespan")

    assert [] == caplog.records
