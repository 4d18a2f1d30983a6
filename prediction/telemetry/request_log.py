"""One log line a request, for operators who ask for it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prediction.telemetry import requests

_log = logging.getLogger("bentoml.prediction.requests")


@dataclass(frozen=True)
class RequestLog:
    """Logs each request with its status and its time, once the answer is sent or the client has gone."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, started = 0, time.perf_counter()

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, note)
        finally:
            log(scope, status, time.perf_counter() - started)


def log(scope: Scope, status: int, seconds: float) -> None:
    """Log one request; a status of 0 means that there was no answer."""
    found = requests.attributes(scope) | {"http.server.request.duration": round(seconds, 6)}
    client = scope.get("client")
    if client:
        found["client.address"] = client[0]
    if status:
        found["http.response.status_code"] = status
    words = status or "no answer"
    ids = requests.ids_in_words(scope)
    text = "%s %.200r %s in %.1f ms%s"
    _log.info(
        text, scope["method"], scope["path"], words, 1_000 * seconds, ids, extra={"attributes": found}
    )
