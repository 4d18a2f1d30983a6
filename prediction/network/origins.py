"""CORS: which pages of other origins may call the service from a browser."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Encoding, Content-Type, If-None-Match, Inference-Header-Content-Length,"
        b" traceparent, tracestate, X-Request-Id",
    ),
    (b"access-control-max-age", b"600"),
]
EXPOSED = (
    b"access-control-expose-headers",
    b"Allow, ETag, Inference-Header-Content-Length, Retry-After, X-Request-Id",
)
VARY = (b"vary", b"Origin")


@dataclass(frozen=True)
class Origins:
    """Answers preflights of the allowed origins, and lets these read all answers, errors too.

    A browser sends no token with a preflight, so preflights are answered before the token is checked.
    Cookies are not allowed: the service has none.

    Parameters
    ----------
    allowed
        Origins as browsers send them: scheme, host, and the port if it is not the scheme's own.
    """

    app: ASGIApp
    allowed: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"")
        added = [VARY]
        if origin.decode("latin-1") in self.allowed:
            added += [(b"access-control-allow-origin", origin), EXPOSED]
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                await send({"type": "http.response.start", "status": 204, "headers": [*added, *PREFLIGHT]})
                await send({"type": "http.response.body", "body": b""})
                return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self.app(scope, receive, answer)
