"""The bodies that clients send: type, size, time, and the bytes that a worker holds of all of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope

from prediction.network.error_answers import Refusal, busy

BODY_SECONDS = 20.0
"""Timeout for the arrival of a body: a server that shuts down waits for such requests."""

BODIES_AT_ONCE = 16
"""A worker buffers at most as many bytes as this number of bodies of the largest size."""

DISCARD_SECONDS = 1.0
"""Timeout for the rest of a refused body: many clients read the answer only after they have sent all."""


class ClientLeft(Exception):
    """The client closed the connection."""


@dataclass
class Buffers:
    """The bytes of unfinished bodies that a worker holds, and the size that one body may have."""

    max_body_bytes: int
    held_bytes: int = 0


class Body:
    """The body of one request: JSON, of limited size, read once.

    The parts of a body that does not arrive at once are counted until the request is answered, so
    slow clients can't fill the memory of a worker.
    """

    def __init__(self, receive: Receive, buffers: Buffers) -> None:
        self._receive = receive
        self._buffers = buffers
        self._max_bytes, self._remedy = buffers.max_body_bytes, "split the batch"
        self._at_end = False
        self.held = 0

    async def read(self, scope: Scope, row_bytes: int | None = None) -> bytes:
        """Read the whole body.

        Parameters
        ----------
        row_bytes
            The size that the body may have if it is one row; None if it is an array.

        Raises
        ------
        Refusal
            When it is not sent as JSON, too large or too slow, or the worker buffers too much already.
        ClientLeft
            When the client closed the connection.
        """
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind != b"application/json":  # a page of another site can send a body without a type
            raise Refusal("not_json", "send JSON, with the header Content-Type: application/json")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refusal("encoded", "send the body uncompressed, without the header Content-Encoding")
        if row_bytes is not None and row_bytes < self._max_bytes:
            self._max_bytes, self._remedy = row_bytes, "send one row"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 15 or int(length) > self._max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._read_chunks()
        except TimeoutError:
            raise Refusal(
                "slow_body", f"the body took more than {BODY_SECONDS:g} s: send it faster, or less"
            ) from None

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
                self._hold(len(chunks[-1]))
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _hold(self, size: int) -> None:
        if self._buffers.held_bytes + size > BODIES_AT_ONCE * self._buffers.max_body_bytes:
            raise busy()
        self._buffers.held_bytes += size
        self.held += size

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        self._at_end = not message.get("more_body", False)
        return message

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
