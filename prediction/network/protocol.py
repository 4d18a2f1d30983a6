"""One connection: uvicorn's protocol, with limits for heads and for the framing of bodies.

uvicorn passes on only complete heads, so bytes are counted here before they are parsed. Size and time of
bodies are limits of `http/incoming_bodies.py`.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from contextlib import suppress
from typing import Any

import httptools
from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from prediction.network import request_ids, upgrades
from prediction.network.connections import Connections, Queue

MAX_HEAD_BYTES = 65_535
MAX_HEADER_LINES = 199

MAX_PIPELINED = 16
"""Requests of one connection that wait for the answer to another one."""

FRAMING_FACTOR = 8
"""Bytes of framing that each byte of a chunked body may have; a chunk of one byte has five."""

REFUSALS = {
    "not_http": (400, "this is not a valid HTTP/1.1 request"),
    "framing": (
        400,
        "the chunks of the body have too much besides data: send larger chunks, no extensions",
    ),
    "slow_head": (408, "the headers took too long to arrive: send them at once"),
    "head_too_large": (431, "the headers are too large: send less than 64 KB and less than 200 lines"),
    "full": (503, "the worker has too many connections: try again in a second"),
    "ending": (503, "the server ended before it could answer: send the request again"),
}
"""Refusals with an answer, by reason."""


class TooMuch(Exception):
    """Ends the parsing of a piece from within; the argument is a reason to refuse."""


class Connection(HttpToolsProtocol):
    """A connection of uvicorn with limits.

    The parser gets no more bytes of a head than the limit allows. After a refusal nothing more is parsed.
    """

    def __init__(self, all_connections: Connections, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ws_protocol_class = None  # a request to upgrade is answered like any other: no route upgrades
        self.all = all_connections
        self.queue: Queue | None = None
        self.refusal = ""
        self._last_words = b""
        self._last: Any = None
        self._answering: Any = None
        self._in_head = True
        self._has_begun = False
        self._is_declined = False
        self._head_bytes = 0
        self._messages = 0
        self._body_bytes = 0
        self._framing_bytes = 0
        self._unsent_bytes = 0

    # ------------------------------------------------------------------- what the transport calls

    def connection_made(self, transport: Any) -> None:
        """Take the connection, if there is room."""
        super().connection_made(transport)
        self.all.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection: what waits is not answered, and an answer in the making is not sent."""
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._answering is not None:  # uvicorn knows the newest request only
            self._answering.disconnected = True
            self._answering.message_event.set()
        self.all.move(self, None)

    def data_received(self, data: bytes) -> None:
        """Parse what has come; of a head, never more than the limit."""
        while data and not self.refusal:
            room = MAX_HEAD_BYTES - self._head_bytes if self._in_head else len(data)
            piece, data = (data, b"") if len(data) <= room else (data[:room], data[room:])
            self._parse(piece)
        self.settle()

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self.settle()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        super().resume_writing()
        self.settle()

    # ------------------------------------------------------------------------------------ parsing

    def _parse(self, piece: bytes) -> None:
        was_in_body, messages, self._body_bytes = not self._in_head, self._messages, 0
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline(piece[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            if not self.refusal:  # else it is behind a request to upgrade
                self.refuse(cause.args[0] if isinstance(cause, TooMuch) else "not_http")
        else:
            if (
                messages == self._messages
            ):  # else the piece began in another request: count from the next one on
                self._count(len(piece), was_in_body)

    def _decline(self, rest: bytes) -> None:
        """Go on behind the head of a request to upgrade."""
        self._is_declined = True
        self.cycle.keep_alive = False  # what follows the request may be of another protocol
        lines = upgrades.framing(self.headers)
        if lines:
            self.parser = upgrades.body_parser(self)
            self._parse(upgrades.head(lines) + rest)
        else:
            self.refusal = "upgrade"

    def _count(self, size: int, was_in_body: bool) -> None:
        if self._in_head:
            self._head_bytes += size
            lines = len(self.headers) if self._has_begun else 0
            if self._head_bytes >= MAX_HEAD_BYTES or lines > MAX_HEADER_LINES:
                self.refuse("head_too_large")
        elif was_in_body:
            framing = self._framing_bytes + size - (1 + FRAMING_FACTOR) * self._body_bytes
            self._framing_bytes = max(framing, 0)
            if framing > MAX_HEAD_BYTES:
                self.refuse("framing")

    def on_message_begin(self) -> None:
        """Note the first byte of a head."""
        super().on_message_begin()
        self._has_begun = True

    def on_headers_complete(self) -> None:
        """Start the request, unless its head or the line of requests is too long."""
        if len(self.headers) > MAX_HEADER_LINES:
            raise TooMuch("head_too_large")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise TooMuch("pipelined")
        super().on_headers_complete()  # raises for an address that is none: the request has not begun then
        self._in_head = self._has_begun = False
        self._head_bytes = self._framing_bytes = 0
        if self._last is not None and not self._last.response_started:
            self._last.keep_alive = True  # it is not the last one after all
        if not self.pipeline:
            self._answering = self.cycle
        # Here and not in a layer around the application: uvicorn's own answers have the id too.
        request_id = request_ids.choose(self.headers)
        self.scope["request_id"] = request_id.decode()  # type: ignore[typeddict-unknown-key]
        self.cycle.default_headers = [*self.server_state.default_headers, (request_ids.HEADER, request_id)]
        if self.all.is_ending:
            self.be_last()

    def on_body(self, body: bytes) -> None:
        """Count the bytes that are data."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request: a head comes next, and nobody needs to wait for the body."""
        if self.parser.should_upgrade() and upgrades.framing(self.headers):
            return  # the parser has skipped the body: it is still to be read
        self.scope["body_arrived"] = True  # type: ignore[typeddict-unknown-key]
        self._in_head = True
        self._messages += 1
        super().on_message_complete()
        if self._is_declined:
            self.refusal = "upgrade"

    # ------------------------------------------------------------------------------------ waiting

    def settle(self) -> None:
        """Wait in the queue that fits the state."""
        if self.parser is None:  # the connection is lost
            return
        everyone = self.all
        if self.transport.is_closing() or self.flow.write_paused:
            queue: Queue | None = everyone.unread
        elif self.refusal:
            queue = self.queue if self.queue is everyone.lingering else None
        elif self.cycle is not None and not self.cycle.response_complete:
            queue = None
        elif self._has_begun or not self._in_head:
            queue = everyone.heads
        else:
            queue = everyone.silent if self.cycle is None else everyone.idle
        if queue is not self.queue:
            if queue is everyone.unread:
                self._unsent_bytes = _unsent(self.transport)
            everyone.move(self, queue)

    def expire(self) -> None:
        """End a wait that was too long."""
        if self.queue is self.all.unread:
            self._judge_reader()
        elif self.queue is self.all.heads and self._in_head:
            self.refuse("slow_head")
        else:
            if self.queue in (self.all.silent, self.all.heads):
                self.all.note("silent")
            self.close()

    def _judge_reader(self) -> None:
        unsent = _unsent(self.transport)
        if self._unsent_bytes - unsent < self.all.limits.unread_bytes:
            self.all.note("unread")
            self.transport.abort()  # a mere close would wait for the reader
        else:
            self._unsent_bytes = unsent
            self.all.move(self, self.all.unread)

    def evict(self) -> None:
        """Make room for another connection."""
        if self._has_begun:
            self.refuse("full")
        else:
            self.all.note("evicted")
            self.close()

    def be_last(self) -> None:
        """Let the connection end with the answer to its newest request, and say so in its head."""
        cycle = self.cycle
        if cycle is not None and cycle.keep_alive and not cycle.response_started:
            cycle.keep_alive = False
            self._last = cycle

    def give_up(self) -> None:
        """Close as the worker ends: a request without an answer gets an error."""
        cycle = self.cycle
        is_answering = cycle is not None and not cycle.response_complete
        if self.refusal or self.pipeline or (is_answering and cycle.response_started):
            self.close()
        elif is_answering or self._has_begun:
            if is_answering:
                cycle.disconnected = True
                cycle.message_event.set()
            self.refuse("ending")
        else:
            self.close()

    def close(self) -> None:
        """Close, once the client has read its answer."""
        self.transport.close()
        self.settle()

    def on_response_complete(self) -> None:
        """Go on as uvicorn does, but without its timer for each request."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._answering, application = self.pipeline.pop()
                self._start_asgi_task(self._answering, application)
            elif self.refusal:
                self._part()
        self.settle()

    # ------------------------------------------------------------------------------------ refusals

    def refuse(self, reason: str) -> None:
        """Answer with an error, after the requests before it, and close."""
        self.refusal = reason
        self.all.note(reason)
        if reason in REFUSALS:
            self._last_words = _answer(reason, self._default_headers())
        if not self._in_head:  # the fault is in the body of the last request
            self._give_up_request()
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.disconnected:
            self._part()

    def _default_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of any answer to the request that is being read."""
        if self._in_head:
            return [*self.server_state.default_headers, (request_ids.HEADER, request_ids.make())]
        return self.cycle.default_headers

    def _give_up_request(self) -> None:
        if self.pipeline:
            self.pipeline.popleft()
        elif self.cycle.response_started:
            self._last_words = b""  # an answer has gone out already
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _part(self) -> None:
        """Send the last words, and read on for a moment: a client that still sends would not read them."""
        if self._last_words:
            self.transport.write(self._last_words)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.all.linger(self)


def _unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes of the answers the client has not got yet."""
    in_kernel = bytearray(4)
    # The kernel holds megabytes and takes more only when a third is free: a slow reader seems not to read.
    with suppress(OSError):  # macOS can't tell
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, in_kernel)
    return transport.get_write_buffer_size() + int.from_bytes(in_kernel, sys.byteorder)


def _answer(reason: str, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return an error's whole answer, in the shape of all errors."""
    status, sentence = REFUSALS[reason]
    body = to_json({"error": sentence, "detail": []})
    headers = [
        *default_headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n", body])
