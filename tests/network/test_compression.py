"""gzip in both directions: only what the client asks for, and never more than the limit."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from models_store.spec import Spec
from prediction.network import compression
from prediction.network.error_answers import Refusal
from tests.http.asgi import Answer, World, ask, echo
from tests.servers import Server, problem

LONG = "a text that repeats. " * 100


def answer(app: ASGIApp, accepted: str | None, method: str = "GET") -> Answer:
    """Ask an application behind the compression."""

    async def compressing(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, compression.sender(scope, send))

    return asyncio.run(ask(compressing, method, "/", accept_encoding=accepted or ""))


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("br", False),
        ("xgzip", False),
        (None, False),
    ],
)
def test_an_answer_is_compressed_if_the_client_asks(accepted: str | None, expected: bool) -> None:
    """The body is the same; its length and `Vary` fit."""
    found = answer(PlainTextResponse(LONG), accepted)

    headers = dict(found.headers)
    assert expected is (headers.get("content-encoding") == "gzip")
    assert LONG.encode() == (gzip.decompress(found.body) if expected else found.body)
    assert str(len(found.body)) == headers["content-length"]
    assert expected is (headers.get("vary") == "Accept-Encoding")


@pytest.mark.parametrize(
    "response",
    [
        PlainTextResponse("x" * (compression.LEAST_BYTES - 1)),
        PlainTextResponse(LONG, headers={"etag": '"1"'}),
        PlainTextResponse(LONG, headers={"content-encoding": "br"}),
        Response(LONG, media_type="image/png"),
    ],
)
def test_other_answers_go_out_as_they_are(response: Response) -> None:
    """Short ones, those with an ETag, those that are encoded already, and images."""
    found = answer(response, "gzip")

    assert response.body == found.body
    assert dict(found.headers).get("content-encoding") == response.headers.get("content-encoding")


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_a_body_is_decompressed_up_to_its_limit(size: int) -> None:
    """Exactly at the limit it is whole; one byte more is too much, of which nothing is made."""
    raw = gzip.compress(b"x" * size)

    assert b"x" * size == asyncio.run(compression.inflate(raw, size))
    if size:
        assert asyncio.run(compression.inflate(raw, size - 1)) is None


WHOLE = gzip.compress(b"{}", mtime=0)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", WHOLE[:-1], WHOLE + b"x", WHOLE * 2],
    ids=["empty", "not gzip", "cut", "more bytes", "two streams"],
)
def test_what_is_not_one_gzip_stream_is_refused(raw: bytes) -> None:
    """Cut, followed by more, or no gzip at all."""
    with pytest.raises(Refusal, match="is not gzip"):
        asyncio.run(compression.inflate(raw, 1_000))


def test_a_bomb_holds_no_memory(specs: dict[str, Spec]) -> None:
    """It is refused, and the worker counts nothing for it afterwards."""
    world = World(specs["iris"], echo)
    bomb = gzip.compress(b" " * 50_000_000)

    found = world.ask("POST", "/iris/echo", bomb, content_encoding="gzip")

    assert 413 == found.status
    assert 0 == world.app.buffers.held_bytes


def test_a_server_speaks_gzip(server: Server, specs: dict[str, Spec]) -> None:
    """A compressed batch is answered, compressed; a bomb is 413, and other bytes are 400."""
    rows = json.dumps([specs["iris"].example] * 100).encode()
    headers = {"content-type": "application/json", "content-encoding": "gzip"}

    good = server.client.post("/iris/predict_batch", content=gzip.compress(rows), headers=headers)
    bomb = server.client.post(
        "/iris/predict_batch", content=gzip.compress(b" " * 100_000_000), headers=headers
    )
    bad = server.client.post("/iris/predict_batch", content=rows, headers=headers)

    assert 100 == len(good.json())
    assert "gzip" == good.headers["content-encoding"]
    problem(bomb, 413)
    assert "is not gzip" in problem(bad, 400)["error"]
