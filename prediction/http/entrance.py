"""The outermost application of a worker: routes, limits, one shape for errors, and the answers.

Pure ASGI: it wraps BentoML's application and knows nothing of it. It answers predictions itself, because
BentoML's middlewares would take longer than the prediction.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json
from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models_store import errors as store_errors
from models_store.errors import Error
from prediction import errors, metrics
from prediction.http.calls import Call

SYSTEM_PATHS = frozenset({"/", "/docs.json", "/schema.json", "/livez", "/healthz", "/readyz", "/metrics"})
BODY_SECONDS = 20.0
"""Timeout for the arrival of a body: a server that shuts down waits for such requests."""

BODIES_AT_ONCE = 16
"""A worker buffers at most as many bytes as this number of bodies of the largest size."""

DISCARD_SECONDS = 1.0
"""Timeout for the rest of a refused body: many clients read the answer only after they have sent all."""

STATUSES: dict[type[Error], tuple[int, str]] = {
    store_errors.InvalidInput: (400, "invalid"),
    store_errors.UnknownModel: (404, "not_found"),
    store_errors.UnknownVersion: (404, "not_found"),
    errors.UnknownPrediction: (404, "not_found"),
    errors.UnknownRun: (404, "not_found"),
    errors.ConflictingLabel: (409, "conflict"),
    errors.RunEnded: (409, "conflict"),
    errors.NothingToRollBack: (409, "conflict"),
    store_errors.DamagedVersion: (409, "conflict"),
    errors.NotReady: (503, "not_ready"),
    errors.JournalUnavailable: (503, "journal"),
}
"""The status of each error, and its reason in `prediction_refused_requests_total`."""

REFUSALS = {
    "unauthorized": 401,
    "forbidden": 403,
    "unknown_path": 404,
    "method": 405,
    "slow_body": 408,
    "too_large": 413,
    "not_json": 415,
    "encoded": 415,
    "busy": 429,
}
"""The status of each refusal before any work, by reason."""

_log = logging.getLogger("bentoml.prediction")


class Refusal(Exception):
    """A request is refused before any work; `reason` is one of `REFUSALS`."""

    def __init__(self, reason: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.headers = headers or {}


@dataclass
class Entrance:
    """Answers calls and resources, and lets BentoML answer the rest.

    It checks in this order: route, method, admin token, type and size of the body, free capacity.

    Parameters
    ----------
    app
        BentoML's application: it answers the system's paths.
    calls
        The POST routes, by path.
    resources
        The GET routes.
    protected
        The GET routes that need the admin token, if the server has one.
    admin_token
        Opens the admin calls; without it they are shut.
    static
        The paths of the docs page's files.
    """

    app: ASGIApp
    calls: dict[str, Call]
    resources: Sequence[BaseRoute]
    max_body_bytes: int
    max_in_flight: int
    protected: Sequence[BaseRoute] = ()
    admin_token: str | None = None
    static: frozenset[str] = frozenset()
    in_flight: int = field(default=0, init=False)
    held_bytes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._router = Router(self.resources, redirect_slashes=False)
        self._seconds = {
            path: metrics.REQUEST_SECONDS.labels(call.model, call.name) for path, call in self.calls.items()
        }
        self._models = {call.model for call in self.calls.values()}
        for model in ("", *self._models):
            for reason in REFUSALS:  # all series now, so that a scanner adds none
                metrics.REFUSED.labels(model, reason)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call = self.calls.get(scope["path"])
        body = Body(receive, self)
        try:
            if call is None:
                await self._forward(scope, receive, send)
            elif scope["method"] != "POST":
                raise _wrong_method(scope, "POST")
            else:
                await self._answer(call, scope, body, send)
        except ClientLeft:
            return
        except Exception as error:
            status, reason, answer, headers = explain(error)
            log_error(scope, status, reason, error)
            _count(call.model if call else self._model(scope), reason, error)
            if not await body.discard(scope):
                headers["connection"] = "close"
            await _send(send, status, answer, headers)
        finally:
            self.held_bytes -= body.held

    async def _answer(self, call: Call, scope: Scope, body: Body, send: Send) -> None:
        if call.admin:
            self._check_admin(scope)
        raw = await body.read(scope)
        if self.in_flight >= self.max_in_flight:
            raise busy()
        started = time.perf_counter()
        self.in_flight += 1
        try:
            answer = await call.respond(raw)
        finally:
            self.in_flight -= 1
        self._seconds[call.path].observe(time.perf_counter() - started)
        await _send(send, call.status, answer)

    def _model(self, scope: Scope) -> str:
        """Return the model in a path; an empty text for an unknown one, which would add a series."""
        for route in self.resources:
            match, found = route.matches(scope)
            if match is not Match.NONE:
                name = found["path_params"].get("model", "")
                return name if name in self._models else ""
        return ""

    def _check_admin(self, scope: Scope) -> None:
        if self.admin_token is None:
            message = "admin routes are shut: set PREDICTION_ADMIN_TOKEN where the server starts"
            raise Refusal("forbidden", message)
        if not self._is_admin(scope):
            message = "send the admin token: Authorization: Bearer <PREDICTION_ADMIN_TOKEN>"
            raise Refusal("unauthorized", message, {"www-authenticate": "Bearer"})

    def _is_admin(self, scope: Scope) -> bool:
        if self.admin_token is None:
            return False
        scheme, _, given = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        is_bearer = scheme.lower() == b"bearer"
        return hmac.compare_digest(given.strip(), self.admin_token.encode()) and is_bearer

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in SYSTEM_PATHS or path in self.static:
            app = self.app
        elif any(route.matches(scope)[0] is not Match.NONE for route in self.resources):
            app = self._router
        else:
            raise Refusal("unknown_path", "no such path: the routes are listed at /")
        if scope["method"] not in ("GET", "HEAD"):
            raise _wrong_method(scope, "GET", "HEAD")
        if self.admin_token and any(r.matches(scope)[0] is not Match.NONE for r in self.protected):
            self._check_admin(scope)
        scope = {**scope, "is_admin": self._is_admin(scope)}
        # Remove the token: BentoML stores requests with their headers.
        headers = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
        scope = {**scope, "headers": headers}
        await app(scope, receive, send)


class ClientLeft(Exception):
    """The client closed the connection."""


class Body:
    """The body of one request: JSON, of limited size, read once.

    The parts of a body that does not arrive at once are counted in `held` and in the entrance's
    `held_bytes` until the request is answered, so slow clients can't fill the memory of a worker.
    """

    def __init__(self, receive: Receive, entrance: Entrance) -> None:
        self._receive = receive
        self._entrance = entrance
        self._max_bytes = entrance.max_body_bytes
        self._at_end = False
        self.held = 0

    async def read(self, scope: Scope) -> bytes:
        """Read the whole body.

        Raises
        ------
        Refusal
            When it is not sent as JSON, too large or too slow, or the worker buffers too much already.
        ClientLeft
            When the client closed the connection.
        """
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if (
            kind != b"application/json"
        ):  # a page of another site can send a body without a type, but not this one
            raise Refusal("not_json", "send JSON, with the header Content-Type: application/json")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refusal("encoded", "send the body uncompressed, without the header Content-Encoding")
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
        if self._entrance.held_bytes + size > BODIES_AT_ONCE * self._max_bytes:
            raise busy()
        self._entrance.held_bytes += size
        self.held += size

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        self._at_end = not message.get("more_body", False)
        return message

    def _too_large(self) -> Refusal:
        limit = self._max_bytes
        return Refusal("too_large", f"the body is larger than {limit} bytes: split the batch")

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


def busy() -> Refusal:
    """Make the refusal for a worker without free capacity."""
    return Refusal("busy", "the worker is busy: try again in a second", {"retry-after": "1"})


def explain(error: Exception) -> tuple[int, str, bytes, dict[str, str]]:
    """Return the status, the reason, the body and the headers of an error's answer."""
    headers: dict[str, str] = {}
    if isinstance(error, Refusal):
        status, reason, headers = REFUSALS[error.reason], error.reason, dict(error.headers)
    else:
        status, reason = status_of(error)
    message = "the server failed: its log has the traceback" if status == 500 else str(error)
    detail: list[Any] = error.detail if isinstance(error, Error) and status < 500 else []
    if status == 503:
        headers["retry-after"] = "1"
    return status, reason, to_json({"error": message, "detail": detail}), headers


def status_of(error: Exception) -> tuple[int, str]:
    """Return the status and the reason of an error; an unknown error is a 500."""
    known = (STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    return next(known, (500, "internal"))


def log_error(scope: Scope, status: int, reason: str, error: Exception) -> None:
    """Log one line without values; only a 500 gets a traceback."""
    if status == 500:
        _log.error("%s %.200r failed", scope["method"], scope["path"], exc_info=error)
    else:
        level = logging.INFO if status < 500 else logging.WARNING
        cause = f": {errors.cause(error)}" if status >= 500 and error.__cause__ else ""
        _log.log(level, "%s %.200r %d %s%s", scope["method"], scope["path"], status, reason, cause)


def _count(model: str, reason: str, error: Exception) -> None:
    metrics.REFUSED.labels(model, reason).inc()
    if isinstance(error, store_errors.InvalidInput):
        for feature in error.features:
            metrics.INVALID_FIELDS.labels(model, feature).inc()


def _wrong_method(scope: Scope, *allowed: str) -> Refusal:
    message = f"use {allowed[0]}, not {scope['method'][:20]}, on this path"
    return Refusal("method", message, {"allow": ", ".join(allowed)})


async def _send(send: Send, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    raw = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    raw += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
