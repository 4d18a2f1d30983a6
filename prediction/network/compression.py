"""gzip: answers are compressed if the client asks, and bodies are decompressed within their limit."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib

from starlette.types import Message, Scope, Send

from prediction.network.error_answers import Refusal

LEAST_BYTES = 1_024
"""Shorter answers gain nothing."""

LOOP_BYTES = 65_536
"""Longer answers are compressed in a thread: the event loop would stand still meanwhile."""

LEVEL = 4
"""A fifth of the time of the best level, and answers a tenth longer."""

_ASKED = re.compile(
    rb"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q=(?:1(?:\.0*)?|0?\.0*[1-9][0-9]*)\s*)?(?:,|$)", re.IGNORECASE
)
_TEXTS = (b"application/json", b"application/javascript", b"text/")


def sender(scope: Scope, send: Send) -> Send:
    """Return a `send` that compresses the answer, if the client asks for it.

    Only whole answers of text are compressed. Streams, images and files with an ETag go out as they are.
    """
    is_asked = any(name == b"accept-encoding" and _ASKED.search(value) for name, value in scope["headers"])
    return _Sender(send) if is_asked and scope["method"] != "HEAD" else send


class _Sender:
    """Keeps the start of an answer back until its body shows whether compression is worth it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            body = message.get("body", b"")
            if not message.get("more_body") and len(body) >= LEAST_BYTES and _is_text(start):
                short = await _deflate(body)
                start = {**start, "headers": _headers(start, len(short))}
                message = {**message, "body": short}
            await self._send(start)
        await self._send(message)


def _is_text(start: Message) -> bool:
    headers = dict(start["headers"])
    kept = headers.keys() & {b"content-encoding", b"etag"}
    return not kept and headers.get(b"content-type", b"").startswith(_TEXTS)


def _headers(start: Message, length: int) -> list[tuple[bytes, bytes]]:
    others = [pair for pair in start["headers"] if pair[0] != b"content-length"]
    return [
        *others,
        (b"content-length", b"%d" % length),
        (b"content-encoding", b"gzip"),
        (b"vary", b"Accept-Encoding"),
    ]


async def _deflate(body: bytes) -> bytes:
    if len(body) <= LOOP_BYTES:
        return gzip.compress(body, LEVEL)
    return await asyncio.to_thread(gzip.compress, body, LEVEL)


async def inflate(raw: bytes, max_bytes: int) -> bytes | None:
    """Decompress a body, in a thread; None if it is longer than `max_bytes`, of which no more is made.

    Raises
    ------
    Refusal
        When the bytes are not exactly one gzip stream.
    """
    return await asyncio.to_thread(_inflate, raw, max_bytes)


def _inflate(raw: bytes, max_bytes: int) -> bytes | None:
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        text = stream.decompress(raw, max_bytes + 1)
    except zlib.error:
        raise _not_gzip() from None
    if len(text) > max_bytes:
        return None
    if not stream.eof or stream.unused_data:
        raise _not_gzip()
    return text


def _not_gzip() -> Refusal:
    message = "the body is not gzip: compress it as one gzip stream, or omit the header Content-Encoding"
    return Refusal("not_gzip", message)
