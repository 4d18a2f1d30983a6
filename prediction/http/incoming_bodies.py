"""The bodies that clients send: type, size, time, and the bytes that a worker holds of all of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from starlette.types import Message, Receive, Scope

from prediction.network import compression
from prediction.network.error_answers import Refusal, busy

BODY_SECONDS = 20.0
"""Timeout for the arrival of a body: a server that shuts down waits for such requests."""

BODIES_AT_ONCE = 16
"""A worker buffers at most as many bytes as this number of bodies of the largest size."""

STALLED_SECONDS = 1.0
"""A worker without room for more bytes gives up the bodies of which nothing came for so long."""

DISCARD_SECONDS = 1.0
"""Timeout for the rest of a refused body: many clients read the answer only after they have sent all."""


@dataclass(frozen=True)
class Media:
    """The content types that a body may have, and what to do if it has another one."""

    types: frozenset[bytes]
    remedy: str


JSON = Media(frozenset({b"application/json"}), "send JSON, with the header Content-Type: application/json")
"""A page of another site can send a body without a type, but not one of this type."""


class ClientLeft(Exception):
    """The client closed the connection."""


@dataclass
class Buffers:
    """The bytes of unfinished bodies that a worker holds, and the size that one body may have."""

    max_body_bytes: int
    held_bytes: int = 0
    unfinished: set[Body] = field(default_factory=set)

    def hold(self, body: Body, size: int) -> None:
        """Count bytes of a body. If there is no room, stalled bodies are given up.

        Raises
        ------
        Refusal
            When there is no room, and no body is stalled.
        """
        limit = BODIES_AT_ONCE * self.max_body_bytes
        if self.held_bytes + size > limit:
            for other in [each for each in self.unfinished if each is not body and each.is_stalled]:
                other.give_up()
        if self.held_bytes + size > limit:
            raise busy("the worker holds too many unfinished bodies")
        self.held_bytes += size
        body.held += size


class Body:
    """The body of one request, of limited size, read once.

    The parts of a body that does not arrive at once are counted until the request is answered, so
    slow clients can't fill the memory of a worker.
    """

    def __init__(self, receive: Receive, buffers: Buffers) -> None:
        self._receive = receive
        self._buffers = buffers
        self._max_bytes, self._remedy = buffers.max_body_bytes, "split the batch"
        self._at_end = False
        self._timeout: asyncio.Timeout | None = None
        self._given_up = False
        self._last_part_at = 0.0
        self.held = 0

    async def read(self, scope: Scope, row_bytes: int | None = None, media: Media = JSON) -> bytes:
        """Read the whole body.

        Parameters
        ----------
        row_bytes
            The size that the body may have if it is one row; None if it is an array.

        Raises
        ------
        Refusal
            When it is of another type, too large or too slow, or the worker buffers too much already.
        ClientLeft
            When the client closed the connection.
        """
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind not in media.types:
            raise Refusal("not_json", media.remedy)
        encoding = headers.get(b"content-encoding", b"identity").lower()
        if encoding not in (b"identity", b"gzip"):
            raise Refusal("encoded", "send the body uncompressed, or with Content-Encoding: gzip")
        if row_bytes is not None and row_bytes < self._max_bytes:
            self._max_bytes, self._remedy = row_bytes, "send one row"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 15 or int(length) > self._max_bytes:
            raise self._too_large()
        raw = await (self._read_chunks() if scope.get("body_arrived") else self._read_in_time())
        return await self._inflate(raw) if encoding == b"gzip" else raw

    async def _read_in_time(self) -> bytes:
        try:
            async with asyncio.timeout(BODY_SECONDS) as self._timeout:
                return await self._read_chunks()
        except TimeoutError:
            raise self._too_slow() from None
        finally:
            self._buffers.unfinished.discard(self)

    async def _inflate(self, raw: bytes) -> bytes:
        text = await compression.inflate(raw, self._max_bytes)
        if text is None:
            raise self._too_large()
        self._buffers.hold(self, len(text))
        return text

    async def _read_chunks(self) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while not self._at_end:
            message = await self._next()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._max_bytes:
                raise self._too_large()
            if not self._at_end:
                self._last_part_at = asyncio.get_running_loop().time()
                self._buffers.hold(self, len(chunks[-1]))
                self._buffers.unfinished.add(self)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    @property
    def is_stalled(self) -> bool:
        """Whether no part of the body came for some time."""
        return asyncio.get_running_loop().time() - self._last_part_at > STALLED_SECONDS

    def give_up(self) -> None:
        """End the reading at once, as if its timeout were over."""
        self.release()
        self._buffers.unfinished.discard(self)
        self._given_up = True
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        self._at_end = not message.get("more_body", False)
        return message

    def _too_slow(self) -> Refusal:
        if self._given_up:
            seconds = STALLED_SECONDS
            message = (
                f"nothing of the body came for {seconds:g} s, and the worker has no room: send it again"
            )
        else:
            message = f"the body took more than {BODY_SECONDS:g} s: send it faster, or less"
        return Refusal("slow_body", message)

    def _too_large(self) -> Refusal:
        return Refusal("too_large", f"the body is larger than {self._max_bytes} bytes: {self._remedy}")

    def release(self) -> None:
        """Count the body's bytes no longer: its request is answered."""
        self._buffers.held_bytes -= self.held
        self.held = 0

    async def discard(self, scope: Scope) -> bool:
        """Read the rest and drop it; return whether the end was reached.

        If not, the connection must be closed: the server would wait forever for the rest of the body.
        """
        headers = dict(scope["headers"])
        if self._at_end or not headers.keys() & {b"content-length", b"transfer-encoding"}:
            return True
        if b"expect" in headers:  # the client waits for "100 Continue" before it sends
            return False
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self._at_end:
                    await self._next()
        except (TimeoutError, ClientLeft):
            return False
        return True
