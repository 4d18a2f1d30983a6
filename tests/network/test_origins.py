"""CORS: preflights, answers that pages of other origins may read, and those that they may not."""

from __future__ import annotations

import asyncio

import pytest

from prediction.network.origins import Origins
from tests.http.asgi import ADMIN, Answer, World, ask

OURS = "https://app.example.com"
ASKED = {"access_control_request_method": "POST", "access_control_request_headers": "authorization"}


def send(world: World, method: str, path: str, body: bytes = b"", /, **headers: str) -> Answer:
    """Send one request to the entrance behind CORS with one allowed origin."""
    app = Origins(world.app, frozenset({OURS}))
    return asyncio.run(ask(app, method, path, body, **headers))


@pytest.mark.parametrize("path", ["/iris/echo", "/iris/steer", "/iris/rows/1", "/things/a", "/"])
def test_a_preflight_is_answered_before_the_admin_check(world: World, path: str) -> None:
    """A browser sends no token with it, and then may send the token with the call."""
    answer = send(world, "OPTIONS", path, origin=OURS, **ASKED)

    assert (204, b"") == (answer.status, answer.body)
    assert OURS == answer.headers["access-control-allow-origin"]
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-encoding", "content-type", "x-request-id"} <= set(allowed)
    assert {"traceparent", "tracestate"} <= set(allowed), "a page that is traced could not call"
    assert "Origin" == answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["", "null", "https://evil.example.com", "http://app.example.com", f"{OURS}.evil.com", "\u00e9"],
)
def test_another_origin_gets_nothing(world: World, good: bytes, origin: str) -> None:
    """Its preflight is a wrong method as before, and its browser keeps answers from it."""
    preflight = send(world, "OPTIONS", "/iris/echo", origin=origin, **ASKED)
    answer = send(world, "POST", "/iris/echo", good, origin=origin)

    assert [405, 200] == [preflight.status, answer.status]
    for each in (preflight, answer):
        assert "access-control-allow-origin" not in each.headers
        assert "Origin" == each.headers["vary"]


def test_an_allowed_page_reads_answers_and_errors(world: World, good: bytes) -> None:
    """Errors have the header too: a page could not show their sentence otherwise."""
    for path, body, headers, status in [
        ("/iris/echo", good, {}, 200),
        ("/iris/echo", b"{}", {}, 400),
        ("/iris/steer", good, {}, 401),
        ("/iris/steer", good, ADMIN, 200),
        ("/nope", b"", {}, 404),
    ]:
        answer = send(world, "POST", path, body, origin=OURS, **headers)

        assert (status, OURS) == (answer.status, answer.headers["access-control-allow-origin"])
        assert "X-Request-Id" in answer.headers["access-control-expose-headers"]


def test_options_without_a_preflights_header_is_a_wrong_method(world: World) -> None:
    """OPTIONS alone is no preflight."""
    answer = send(world, "OPTIONS", "/iris/echo", origin=OURS)

    assert (405, OURS) == (answer.status, answer.headers["access-control-allow-origin"])
