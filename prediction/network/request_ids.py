"""The id of a request, the client's or one made here: in the answer's header, and for the log."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Awaitable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = b"x-request-id"
MAX_LENGTH = 128
_TAKEN = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,%d}" % MAX_LENGTH)

_WORKER = os.urandom(10).hex().encode()
_numbers = itertools.count(1)


@dataclass(frozen=True)
class RequestIds:
    """Gives every request an id, as `request_id` of its scope, and sends it back as `X-Request-Id`.

    A client's id is taken if it has at most `MAX_LENGTH` characters that can't break a log line.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _taken(scope) or _made()
        scope["request_id"] = request_id.decode()

        def answer(message: Message) -> Awaitable[None]:
            # Not a coroutine of its own: every prediction comes here.
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (HEADER, request_id)]
            return send(message)

        await self.app(scope, receive, answer)


def _taken(scope: Scope) -> bytes | None:
    """Return the client's id; None if there is none, several, or one that is not valid."""
    given = [value for name, value in scope["headers"] if name == HEADER]
    return given[0] if len(given) == 1 and _TAKEN.fullmatch(given[0]) else None


def _made() -> bytes:
    return _WORKER + b"%012x" % next(_numbers)
