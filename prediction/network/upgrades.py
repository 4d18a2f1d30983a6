"""Requests to upgrade to another protocol. This server declines, and answers them as any other.

`curl --http2` and Java's client send one each time. httptools skips the body of such a request.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import httptools

FRAMING = (b"content-length", b"transfer-encoding")
"""The headers that say how long a body is."""


class BodyReader(Protocol):
    """What reads a request."""

    def on_body(self, body: bytes) -> None:
        """Take a part of its body."""

    def on_message_complete(self) -> None:
        """Note its end."""


def framing(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the lines of a head that say how long the body is; none if there is no body."""
    return b"".join(b"%b: %b\r\n" % header for header in headers if header[0] in FRAMING)


def head(lines: bytes) -> bytes:
    """Return the head with which a parser of a body begins."""
    return b"POST / HTTP/1.1\r\n%b\r\n" % lines


def body_parser(reader: BodyReader) -> httptools.HttpRequestParser:
    """Return a parser of one body. What follows it is dropped."""
    return httptools.HttpRequestParser(_Body(reader))


class _Body:
    """Hands on one body."""

    def __init__(self, reader: BodyReader) -> None:
        self._reader = reader
        self._is_over = False

    def on_body(self, body: bytes) -> None:
        if not self._is_over:
            self._reader.on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._reader.on_message_complete()
