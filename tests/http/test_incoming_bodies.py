"""How a body is read: its type, its size, its pace. In this process, over ASGI."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from starlette.types import Message

from prediction.http import incoming_bodies
from tests.http.asgi import MAX_BYTES, Answer, Never, Sender, World, ask, refused


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "text/plain",
            "",
            "application/jsonp",
            "multipart/form-data; boundary=x",
            "application/xml",
            "json",
        ),
        *(
            "application/x-www-form-urlencoded",
            "application/vnd.bentoml+pickle",
            "*/*",
            ";application/json",
            "",
        ),
    ],
)
def test_what_is_not_json_is_refused(world: World, good: bytes, kind: str) -> None:
    """Another content type, or none, is a 415 that says which header to send.

    A page of another site may have a browser send what has no type: it must not write into the journal.
    """
    answer = world.ask("POST", "/iris/echo", good, content_type=kind)

    assert 415 == answer.status
    assert "Content-Type: application/json" in answer.problem["error"]


def test_a_body_may_be_compressed_by_gzip(world: World, good: bytes) -> None:
    """Any other compression is refused by its name."""
    assert 200 == world.ask("POST", "/iris/echo", gzip.compress(good), content_encoding="gzip").status
    assert 200 == world.ask("POST", "/iris/echo", good, content_encoding="Identity").status

    answer = world.ask("POST", "/iris/echo", good, content_encoding="br")
    assert 415 == answer.status
    assert "or with Content-Encoding: gzip" in answer.problem["error"]


@pytest.mark.parametrize(
    "headers",
    [{"content_type": "application/json; charset=utf-8"}, {"content_type": " Application/JSON ;x"}],
)
def test_json_is_taken_by_any_of_its_names(world: World, good: bytes, headers: dict[str, str]) -> None:
    """A content type with parameters or capitals is JSON all the same."""
    assert 200 == world.ask("POST", "/iris/echo", good, **headers).status


def test_a_body_of_exactly_the_limit_is_read(world: World, good: bytes) -> None:
    """The limit is the largest size that is taken."""
    assert 200 == world.ask("POST", "/iris/echo", good.ljust(MAX_BYTES)).status
    assert 413 == world.ask("POST", "/iris/echo", good.ljust(MAX_BYTES + 1)).status


@pytest.mark.parametrize("length", ["1001", "9" * 30, "-1", "x", "1e3", " ", "+5", "0x10"])
def test_a_length_that_is_too_large_or_no_number_is_refused_at_once(world: World, length: str) -> None:
    """By its announced length a body is refused before its end is waited for."""
    answer = world.ask("POST", "/iris/echo", Sender([b"{}"], leaves=True), content_length=length)

    assert 413 == answer.status
    assert "1000 bytes" in answer.problem["error"]


def test_a_body_that_is_not_announced_is_refused_when_it_grows(world: World) -> None:
    """A chunked body is read to the limit, and no further than needed to answer its sender."""
    sender = Sender([b" " * 400] * 50)

    answer = world.ask("POST", "/iris/echo", sender, transfer_encoding="chunked")

    assert 413 == answer.status
    assert answer.problem


def test_a_chunked_body_is_put_together(world: World, good: bytes) -> None:
    """A body that comes in pieces is answered like one that comes whole."""
    pieces = Sender([good[:1], b"", good[1:20], good[20:], b""])

    answer = world.ask("POST", "/iris/echo", pieces, transfer_encoding="chunked")

    assert json.loads(good) == json.loads(answer.body)


def test_the_rest_of_a_refused_body_is_not_waited_for(world: World) -> None:
    """A sender that never ends gets its answer within seconds, and its connection is closed."""
    answer = world.ask("POST", "/iris/echo", Sender([b"{", b""]), content_length="5000")
    endless = Sender([b"x" * 600, b"x" * 600, b""], leaves=False)
    endless.chunks = [*endless.chunks[:2]]
    endless_answer = asyncio.run(ask(world.app, "POST", "/nowhere", Never(), content_length="10"))

    assert 413 == answer.status
    assert (404, "close") == (endless_answer.status, endless_answer.headers["connection"])


def test_who_waits_for_our_word_is_answered_without_it(world: World) -> None:
    """A sender of `Expect: 100-continue` is refused before it sends a byte of its body."""
    never = Never()

    answer = asyncio.run(
        ask(world.app, "POST", "/iris/echo", never, content_length="5000", expect="100-continue")
    )

    assert (413, "close", 0) == (answer.status, answer.headers["connection"], never.asked)


def test_a_client_that_leaves_is_not_answered(world: World) -> None:
    """When the connection ends inside a body, nothing is done and nothing is sent."""
    ran = []

    async def run(value: Any) -> Any:
        ran.append(value)

    world.run = run
    answer = world.ask("POST", "/iris/echo", Sender([b'{"sepal'], leaves=True), content_length="80")

    assert [] == answer.messages
    assert [] == ran


class Slow(Sender):
    """A client that sends the end of its body when it is let."""

    def __init__(self, body: bytes, go: asyncio.Event) -> None:
        super().__init__([body[:-1], body[-1:]])
        self._go = go

    async def __call__(self) -> Message:
        """Send the next part."""
        if self.asked:
            await self._go.wait()
        return await super().__call__()


@pytest.mark.parametrize(("size", "fit"), [(900, 17), (801, 20)])  # 899 and 800 bytes each in 16,000
def test_slow_bodies_fill_no_memory(world: World, good: bytes, size: int, fit: int) -> None:
    """Slow bodies together hold no more than a bound; a body that arrives at once is answered meanwhile."""

    async def main() -> tuple[int, int, list[int]]:
        go = asyncio.Event()
        slow = [Slow(good.ljust(size), go) for _ in range(fit + 3)]
        asked = [asyncio.create_task(ask(world.app, "POST", "/iris/echo", sender)) for sender in slow]
        await asyncio.sleep(0.05)
        held = world.app.buffers.held_bytes
        meanwhile = await ask(world.app, "POST", "/iris/echo", good)
        go.set()
        return held, meanwhile.status, [answer.status for answer in await asyncio.gather(*asked)]

    held, meanwhile, statuses = asyncio.run(asyncio.wait_for(main(), 10))

    assert (fit * (size - 1), 200) == (held, meanwhile)
    assert [200] * fit + [429] * 3 == sorted(statuses)
    assert 0 == world.app.buffers.held_bytes


def test_a_body_in_many_parts_is_held_no_longer_than_its_request(world: World, good: bytes) -> None:
    """After the answer none of its parts is counted any more."""
    parts = Sender([good[:10], good[10:20], good[20:30], good[30:]])

    assert 200 == world.ask("POST", "/iris/echo", parts, transfer_encoding="chunked").status
    assert 0 == world.app.buffers.held_bytes


def test_a_body_that_takes_too_long_is_a_408(
    world: World, good: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that stops in the middle of a body gets the timeout's message, and is counted."""
    monkeypatch.setattr(incoming_bodies, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(incoming_bodies, "DISCARD_SECONDS", 0.05)
    before = refused("slow_body", "iris")

    answer = world.ask("POST", "/iris/echo", Stopped(good[:9]), content_length=str(len(good)))

    assert (408, "close") == (answer.status, answer.headers["connection"])
    assert "the body took more than 0.05 s: send it faster, or less" == answer.problem["error"]
    assert before + 1 == refused("slow_body", "iris")


class Stopped(Sender):
    """A client that sends the first part of a body and then nothing."""

    def __init__(self, part: bytes) -> None:
        super().__init__([part, b""])

    async def __call__(self) -> Message:
        """Send the first part, and never the second."""
        if self.asked:
            await asyncio.sleep(3600)
        return await super().__call__()


@pytest.mark.parametrize(
    ("path", "parts", "headers"),
    [
        ("/nowhere", [b""], {}),
        ("/nowhere", [b"{", b"}"], {"content_length": "2"}),
        ("/nowhere", [b"{", b"}"], {"transfer_encoding": "chunked"}),
        ("/iris/echo", [b" " * 900, b" " * 900, b""], {"transfer_encoding": "chunked"}),
        ("/iris/echo", [b"{}"], {"content_length": "2"}),
    ],
)
def test_a_refused_request_that_was_read_to_its_end_keeps_its_connection(
    world: World, path: str, parts: list[bytes], headers: dict[str, str]
) -> None:
    """The client may send its next request on the same connection."""
    sender = Sender(parts)
    answer = world.ask("POST", path, sender, **headers)

    assert answer.status >= 400
    assert "connection" not in answer.headers
    assert sender.asked == (len(parts) if headers else 0)


def test_stalled_bodies_are_given_up_when_there_is_no_room(
    world: World, good: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that stop in the middle of large bodies get 408 then, and others are answered."""
    monkeypatch.setattr(incoming_bodies, "STALLED_SECONDS", 0.05)
    monkeypatch.setattr(incoming_bodies, "DISCARD_SECONDS", 0.05)
    part = good.ljust(MAX_BYTES - 1)

    async def main() -> tuple[list[Answer], Answer]:
        stalled = [
            asyncio.create_task(
                ask(world.app, "POST", "/iris/echo", Stopped(part), content_length=str(MAX_BYTES))
            )
            for _ in range(incoming_bodies.BODIES_AT_ONCE)
        ]
        await asyncio.sleep(0.2)
        whole = Sender([part, b" "])
        later = await ask(world.app, "POST", "/iris/echo", whole, transfer_encoding="chunked")
        return await asyncio.gather(*stalled), later

    stalled, later = asyncio.run(asyncio.wait_for(main(), 10))

    assert 200 == later.status
    assert {408} == {answer.status for answer in stalled}
    assert "nothing of the body came for 0.05 s, and the worker has no room" in stalled[0].problem["error"]
    assert 0 == world.app.buffers.held_bytes
    assert set() == world.app.buffers.unfinished
