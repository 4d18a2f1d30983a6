"""The outermost application of a worker: routes, the admin token, and the answers.

Pure ASGI: it wraps BentoML's application and knows nothing of it. It answers predictions itself, because
BentoML's middlewares would take longer than the prediction.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from prometheus_client import Histogram
from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from models_store.errors import broken_spec
from models_store.faults import RESERVED_NAMES
from prediction import metrics
from prediction.http.calls import Answerable, Call
from prediction.http.incoming_bodies import Body, Buffers, ClientLeft
from prediction.network import compression, error_answers
from prediction.network.doors import Hosts, Keeper
from prediction.network.error_answers import REFUSALS, Refusal, busy
from prediction.network.proxies import Network

SYSTEM_PATHS = frozenset({"/", "/docs.json", "/schema.json", "/livez", "/healthz", "/readyz", "/metrics"})

PLAIN = "v2"
"""Below this part of a path, errors have the shape of the Open Inference Protocol."""

LARGE_BYTES = 65_536
"""A body with more bytes is a large batch."""

LARGE_AT_ONCE = 2
"""Large batches of one route that a worker answers at the same time; others wait."""

TURN_SECONDS = 10.0
"""Timeout for a large batch that waits for its turn; then it is answered 429."""

TOO_MANY_LARGE = "the worker has too many large batches"


@dataclass
class Entrance:
    """Answers calls and resources, and lets BentoML answer the rest.

    It checks in this order: host, route, method, admin token, type and size of the body, free capacity.

    Parameters
    ----------
    app
        BentoML's application: it answers the system's paths.
    calls
        The POST routes, by path.
    find
        Finds what answers a POST whose path is none of `calls`: those of the Open Inference Protocol.
    resources
        The GET routes.
    protected
        The GET routes that need the admin token, if the server has one.
    admin_token
        Opens the admin calls; without it they are shut.
    faults
        Models whose files of the catalog are broken, and why: every path below `/{model}/` answers 503.
    static
        The paths of the docs page's files.
    hosts
        The names of this server; None: any name.
    trusted_proxies
        Networks whose addresses are not slowed after wrong tokens.
    """

    app: ASGIApp
    calls: dict[str, Call]
    resources: Sequence[BaseRoute]
    max_body_bytes: int
    max_in_flight: int
    find: Callable[[Scope], Answerable | None] = lambda _: None
    faults: Mapping[str, str] = field(default_factory=dict)
    protected: Sequence[BaseRoute] = ()
    admin_token: str | None = None
    static: frozenset[str] = frozenset()
    hosts: Hosts | None = None
    trusted_proxies: tuple[Network, ...] = ()
    in_flight: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.buffers = Buffers(self.max_body_bytes)
        self._turns = defaultdict[str, asyncio.Semaphore](partial(asyncio.Semaphore, LARGE_AT_ONCE))
        self._large = 0
        self._keeper = Keeper(self.admin_token, self.trusted_proxies)
        self._router = Router(self.resources, redirect_slashes=False)
        self._seconds = _Seconds()
        for call in self.calls.values():
            self._seconds[call.model, call.name]
        self._faults = {name: fault for name, fault in self.faults.items() if name not in RESERVED_NAMES}
        self._models = {call.model for call in self.calls.values()} | set(self._faults)
        for model in ("", *self._models):
            for reason in REFUSALS:  # all series now, so that a scanner adds none
                metrics.REFUSED.labels(model, reason)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call: Answerable | None = self.calls.get(scope["path"])
        body = Body(receive, self.buffers)
        try:
            if self.hosts is not None:
                self.hosts.check(scope)
            if call is None:
                call = self.find(scope)
            if call is None:
                await self._forward(scope, receive, send)
            elif scope["method"] != "POST":
                raise _wrong_method(scope, "POST")
            else:
                await self._answer(call, scope, body, send)
        except ClientLeft:
            return
        except Exception as error:
            status, reason, answer, headers = error_answers.explain(error, _first_part(scope) == PLAIN)
            error_answers.log_error(scope, status, reason, error)
            error_answers.count(call.model if call else self._model(scope), reason, error)
            if not await body.discard(scope):
                headers["connection"] = "close"
            await _send(scope, send, status, answer, headers)
        finally:
            body.release()

    async def _answer(self, call: Answerable, scope: Scope, body: Body, send: Send) -> None:
        if call.admin:
            await self._keeper.demand(scope)
        raw = await body.read(scope, call.max_bytes, call.media)
        if self.in_flight >= self.max_in_flight:
            raise busy()
        started = time.perf_counter()
        self.in_flight += 1
        try:
            if len(raw) > LARGE_BYTES:
                answer = await self._respond_in_turn(call, raw)
            else:
                answer = await call.respond(raw)
        finally:
            self.in_flight -= 1
        self._seconds[call.model, call.name].observe(time.perf_counter() - started)
        await _send(scope, send, call.status, answer, call.headers)

    async def _respond_in_turn(self, call: Answerable, raw: bytes) -> bytes:
        """Answer a large batch in its turn: all at once would fill the memory and lock the journal."""
        if self._large >= max(1, self.max_in_flight // 2):  # the other half is for single rows
            raise busy(TOO_MANY_LARGE)
        self._large += 1
        try:
            async with asyncio.timeout(TURN_SECONDS) as waiting, self._turns[call.path]:
                waiting.reschedule(None)
                return await call.respond(raw)
        except TimeoutError:
            if not waiting.expired():
                raise
            raise busy(TOO_MANY_LARGE) from None
        finally:
            self._large -= 1

    def route(self, scope: Scope) -> str:
        """Return the route of a request; an empty text for an unknown path."""
        path = str(scope["path"])
        if path in self.calls or path in SYSTEM_PATHS or path in self.static:
            return path
        found = (route for route in self.resources if route.matches(scope)[0] is not Match.NONE)
        return str(getattr(next(found, None), "path", ""))

    def _model(self, scope: Scope) -> str:
        """Return the model in a path; an empty text for an unknown one, which would add a series."""
        if (name := _first_part(scope)) in self._faults:
            return name
        for route in self.resources:
            match, found = route.matches(scope)
            if match is not Match.NONE:
                name = found["path_params"].get("model", "")
                return name if name in self._models else ""
        return ""

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if (name := _first_part(scope)) in self._faults:
            raise broken_spec(name, self._faults[name])
        if path in SYSTEM_PATHS or path in self.static:
            app = self.app
        elif any(route.matches(scope)[0] is not Match.NONE for route in self.resources):
            app = self._router
        else:
            place = f"{scope.get('prefix', '')}/"
            raise Refusal("unknown_path", f"no such path: the routes are listed at {place}")
        if scope["method"] not in ("GET", "HEAD"):
            raise _wrong_method(scope, "GET", "HEAD")
        is_admin = False
        if app is self._router:
            if self.admin_token and any(r.matches(scope)[0] is not Match.NONE for r in self.protected):
                await self._keeper.demand(scope)
                is_admin = True
            else:
                is_admin = await self._keeper.is_admin(scope)
        scope = {**scope, "is_admin": is_admin}
        # Remove the token: BentoML stores requests with their headers.
        headers = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
        scope = {**scope, "headers": headers}
        await app(scope, receive, compression.sender(scope, send))


class _Seconds(dict[tuple[str, str], Histogram]):
    """The times of requests by model and route."""

    def __missing__(self, key: tuple[str, str]) -> Histogram:
        found = self[key] = metrics.REQUEST_SECONDS.labels(*key)
        return found


def _first_part(scope: Scope) -> str:
    return str(scope["path"]).split("/", 2)[1] if scope["path"].startswith("/") else ""


def _wrong_method(scope: Scope, *allowed: str) -> Refusal:
    message = f"use {allowed[0]}, not {scope['method'][:20]}, on this path"
    return Refusal("method", message, {"allow": ", ".join(allowed)})


async def _send(scope: Scope, send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    if len(body) >= compression.LEAST_BYTES:
        send = compression.sender(scope, send)
    raw = [(b"content-length", b"%d" % len(body))]
    raw += [(name.encode(), value.encode()) for name, value in headers.items()]
    if "content-type" not in headers:
        raw.append((b"content-type", b"application/json"))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
