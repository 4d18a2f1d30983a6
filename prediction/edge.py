"""What stands between the network and BentoML: routes, limits, one shape for errors, fast answers.

All that this project changes in BentoML is here, and only this module knows its private names;
`tests/test_edge.py` holds them against the pinned version.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import bentoml
from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk.service import Service
from bentoml._internal.service.openapi.specification import (
    Info,
    OpenAPISpecification,
    PathItem,
)
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models_store import errors as store_errors
from models_store.errors import Error
from prediction import calls, errors, metrics
from prediction.calls import Call

DOCS_PAGE = Path(__file__).parent / "templates" / "docs.html"
SYSTEM_PATHS = ("/", "/docs.json", "/schema.json", "/livez", "/healthz", "/readyz", "/metrics")
STATIC_PREFIX = "/static_content/"
LOCK_FILE = "server.lock"

STATUSES: dict[type[Error], tuple[int, str]] = {
    store_errors.InvalidInput: (400, "invalid"),
    store_errors.UnknownModel: (404, "not_found"),
    store_errors.UnknownVersion: (404, "not_found"),
    errors.UnknownPrediction: (404, "not_found"),
    errors.NotReady: (503, "not_ready"),
    errors.JournalUnavailable: (503, "journal"),
}
"""Each error's status, and the reason that `prediction_refused_requests_total` counts it under."""

_log = logging.getLogger("bentoml.prediction")


@dataclass(frozen=True)
class Entrance:
    """What the edge lets in.

    Parameters
    ----------
    calls
        The POSTs, by path: answered here, without BentoML's middlewares.
    resources
        Our GET routes, and in `gets` their OpenAPI operations by path.
    home
        Locked for the life of a server: a second one on the same home would delete its metrics.
    """

    calls: dict[str, Call]
    resources: list[BaseRoute]
    gets: dict[str, dict[str, Any]]
    home: Path
    max_body_bytes: int
    max_in_flight: int


def declare(call: Call, method: Callable[..., Any]) -> Any:
    """Make the BentoML API that reads and writes the same bytes as a call.

    Parameters
    ----------
    method
        Gets the parsed value: as keywords where the body is an object, else as it is.
    """
    method.__name__, method.__doc__ = call.method, call.summary
    if isinstance(call.body, type) and issubclass(call.body, BaseModel):
        api: Any = bentoml.api(route=call.path, input_spec=call.body, output_spec=call.answer)(method)
    else:
        method.__annotations__ = {"rows": call.body, "return": call.answer}
        api = bentoml.api(route=call.path)(method)

    async def from_http_request(_: type, request: Request, _serde: Any) -> Any:
        return call.parse(await request.body())

    async def to_http_response(_: type, answer: Any, _serde: Any) -> Response:
        return Response(to_json(answer), media_type="application/json")

    api.input_spec.from_http_request = classmethod(from_http_request)
    api.output_spec.to_http_response = classmethod(to_http_response)
    return api


class Refusal(Exception):
    """An answer that the edge gives before any work is done."""

    def __init__(self, status: int, reason: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def make_service(inner: type, entrance: Entrance, **config: Any) -> Loop:
    """Make the BentoML service of a class; `config` is that of `bentoml.service`."""
    service: Loop = bentoml.service(service_class=Loop, **config)(inner)
    service.entrance = entrance
    return service


class Loop(Service[Any]):
    """BentoML's service with our edge around it."""

    entrance: Entrance
    _lock: IO[str]

    def inject_config(self) -> None:
        """Take the home's lock: BentoML calls this first when it starts a server."""
        self._lock = _lock_home(self.entrance.home)
        super().inject_config()

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Make a worker's application."""
        super().inject_config()
        app = AppFactory(self, is_main=is_main)()
        return Edge(app, self.entrance, {api.route for api in self.apis.values()})

    @property
    def openapi_spec(self) -> OpenAPISpecification:
        """BentoML's description with our POSTs described by us, our GETs, and one shape of errors."""
        spec = super().openapi_spec
        posts, schemas = calls.operations(list(self.entrance.calls.values()))
        gets = self.entrance.gets
        for operation in gets.values():
            operation["responses"] |= calls.problems()
        system = {path: item for path, item in spec.paths.items() if path not in posts}
        return OpenAPISpecification(
            openapi="3.1.0",
            info=Info(title=self.name, version=spec.info.version, description=self.inner.__doc__),
            servers=spec.servers,
            paths={path: PathItem(post=operation) for path, operation in posts.items()}
            | {path: PathItem(get=operation) for path, operation in gets.items()}
            | system,
            components={"schemas": schemas},
        )


class AppFactory(ServiceAppFactory):
    """BentoML's application, with our errors, and a docs page that loads nothing from outside."""

    async def api_endpoint(self, name: str, request: Request) -> Response:
        """Answer one declared API."""
        try:
            return await super().api_endpoint(name, request)
        except Exception as error:
            status, reason, body, headers = explain(error)
            _tell(request.scope, status, reason, error)
            return Response(body, status, headers, media_type="application/json")

    async def index_page(self, _: Request) -> Response:
        """Answer the docs page."""
        return HTMLResponse(DOCS_PAGE.read_text())


@dataclass
class Edge:
    """The outermost application of a worker.

    In this order: does the route exist, is the body JSON, is it small enough, is there room for it;
    then it is answered here or handed to BentoML.
    """

    app: ASGIApp
    entrance: Entrance
    posts: set[str]
    in_flight: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._resources = Router(self.entrance.resources, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call = self.entrance.calls.get(scope["path"])
        try:
            if call is not None and scope["method"] == "POST":
                await self._answer(call, scope, receive, send)
            else:
                await self._forward(scope, receive, send)
        except Exception as error:
            status, reason, body, headers = explain(error)
            _tell(scope, status, reason, error)
            _count(call, reason, error)
            await _send(send, status, body, headers)

    async def _answer(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await self._read_body(scope, receive)
        if raw is None:
            return
        if self.in_flight >= self.entrance.max_in_flight:
            raise Refusal(429, "busy", "the worker is busy: try again in a second", retry_after="1")
        started = time.perf_counter()
        self.in_flight += 1
        try:
            body = await call.respond(raw)
        finally:
            self.in_flight -= 1
        metrics.REQUEST_SECONDS.labels(call.model, call.name).observe(time.perf_counter() - started)
        await _send(send, 200, body)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path in SYSTEM_PATHS or path.startswith(STATIC_PREFIX):
            _allow(method, "GET", "HEAD")
            await self.app(scope, receive, send)
        elif path in self.posts:
            _allow(method, "POST")
            raw = await self._read_body(scope, receive)
            if raw is not None:
                await self.app(scope, _replay(raw, receive), send)
        elif any(r.matches(scope)[0] is not Match.NONE for r in self.entrance.resources):
            _allow(method, "GET", "HEAD")
            await self._resources(scope, receive, send)
        else:
            raise Refusal(404, "unknown_path", "no such path: the routes are listed at /")

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Read a JSON body of limited size; None when the client left."""
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower()
        if kind != b"application/json":
            raise Refusal(415, "not_json", "send JSON, with the header Content-Type: application/json")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.entrance.max_body_bytes:
            raise self._too_large()
        chunks, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self.entrance.max_body_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self) -> Refusal:
        limit = self.entrance.max_body_bytes
        return Refusal(413, "too_large", f"the body is larger than {limit} bytes: split the batch")


def explain(error: Exception) -> tuple[int, str, bytes, dict[str, str]]:
    """Turn an error into status, reason, body and headers; what is not known is a 500."""
    detail: list[Any] = []
    if isinstance(error, Refusal):
        status, reason, message, headers = error.status, error.reason, str(error), error.headers
    else:
        known = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)
        status, reason = known or (500, "internal")
        message = str(error) if known else "the server failed: its log has the traceback"
        headers = {"retry-after": "1"} if status == 503 else {}
        if isinstance(error, Error):
            detail = error.detail
    return status, reason, to_json({"error": message, "detail": detail}), headers


def touch_metrics(models: list[str]) -> None:
    """Make the series that strangers can cause, so that a scanner adds none."""
    for reason in ("unknown_path", "method", "not_json", "too_large", "busy"):
        metrics.REFUSED.labels("", reason)
        for model in models:
            metrics.REFUSED.labels(model, reason)


def _tell(scope: Scope, status: int, reason: str, error: Exception) -> None:
    """Log one line without values for a 4xx, a traceback for what should not happen."""
    if status == 500:
        _log.error("%s %.200r failed", scope["method"], scope["path"], exc_info=error)
    else:
        level = logging.INFO if status < 500 else logging.WARNING
        _log.log(level, "%s %.200r %d %s", scope["method"], scope["path"], status, reason)


def _count(call: Call | None, reason: str, error: Exception) -> None:
    metrics.REFUSED.labels(call.model if call else "", reason).inc()
    if call and isinstance(error, store_errors.InvalidInput):
        for feature in error.features:
            metrics.INVALID_FIELDS.labels(call.model, feature).inc()


def _allow(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise Refusal(
            405,
            "method",
            f"use {allowed[0]}, not {method[:20]}, on this path",
            allow=", ".join(allowed),
        )


def _replay(raw: bytes, receive: Receive) -> Receive:
    """Give a body that was read to an application, as one message."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return replay


async def _send(send: Send, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    raw = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    raw += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _lock_home(home: Path) -> IO[str]:
    home.mkdir(parents=True, exist_ok=True)
    lock = (home / LOCK_FILE).open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        raise start_error(
            f"process {owner} serves {home} already: stop it, or set BENTOML_HOME to another folder"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def start_error(message: str) -> bentoml.exceptions.BentoMLException:
    """Make the error that ends a start with one sentence in BentoML's command line."""
    return bentoml.exceptions.BentoMLException(message)
