"""Which requests are traced: those with a sampled `traceparent` that is trusted. All others pass."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prediction.telemetry import spans, traceparents
from prediction.telemetry.exporter import END_SECONDS, Exporter
from prediction.telemetry.spans import Trace

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"})
OTHER_METHOD = "_OTHER"
"""OpenTelemetry's name of a method that is not HTTP's: a client could make up many."""

MAX_TRACESTATE = 512

_log = logging.getLogger("bentoml.prediction")


class Tracing:
    """The tracing of one worker: off until it is started.

    Parameters
    ----------
    trusts_clients
        Whether the flag of any client counts. If not, only that of a request from a trusted proxy.
    """

    def __init__(self, trusts_clients: bool = True) -> None:
        self.trusts_clients = trusts_clients
        self.exporter: Exporter | None = None

    def start(self) -> None:
        """Send spans from now on. A process that was forked later would have no thread for it.

        A worker that can't trace answers all the same.
        """
        try:
            self.exporter = Exporter()
        except (ValueError, RuntimeError) as error:
            cause = error if isinstance(error, ValueError) else type(error).__name__
            _log.error("nothing is traced: OpenTelemetry refuses a variable OTEL_...: %s", cause)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Send the last spans while the worker ends, and wait for them for at most a moment longer."""
        thread = self.exporter.begin_end() if self.exporter is not None else None
        yield
        if thread is not None:
            thread.join(END_SECONDS)


@dataclass
class Traced:
    """Traces the requests of an application.

    Parameters
    ----------
    route
        Returns the route of a request, such as `/iris/predict`; an empty text for an unknown path.
    """

    app: ASGIApp
    route: Callable[[Scope], str]
    tracing: Tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        parent = traceparents.find_sampled(scope["headers"]) if scope["type"] == "http" else None
        exporter = self.tracing.exporter
        if parent is None or exporter is None or not self._trusts(scope):
            await self.app(scope, receive, send)
            return
        trace = Trace(parent, time.time_ns(), _tracestate(scope))
        spans.begin(trace)

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                trace.of_request["http.response.status_code"] = message["status"]
            elif not message.get("more_body"):
                spans.end()  # uvicorn may start the next request of the connection from here
            await send(message)

        try:
            await self.app(scope, receive, note)
        finally:
            trace.ended_ns = time.time_ns()
            self._describe(trace, scope)
            exporter.send(trace)

    def _trusts(self, scope: Scope) -> bool:
        return self.tracing.trusts_clients or scope.get("is_proxied", False)

    def _describe(self, trace: Trace, scope: Scope) -> None:
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        route = self.route(scope)
        trace.name = f"{method} {route}".rstrip() if method != OTHER_METHOD else f"HTTP {route}".rstrip()
        trace.of_request |= {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
        trace.of_request["url.path"] = scope["path"][:200]
        if route:
            trace.of_request["http.route"] = route
        if "request_id" in scope:
            trace.of_request["prediction.request_id"] = scope["request_id"]
        status = trace.of_request.get("http.response.status_code", 0)
        trace.error = str(status) if status >= 500 else ""


def _tracestate(scope: Scope) -> str:
    """Return the header `tracestate`, which collectors may need; empty if it is too long."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"tracestate"]
    joined = ",".join(values)
    return joined if len(joined) <= MAX_TRACESTATE else ""
