"""An entrance in this process and a client of it, over ASGI: for the tests of the entrance and the edge."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models_store.spec import Spec
from prediction.http import bodies
from prediction.http.calls import Call
from prediction.http.entrance import Entrance

TOKEN = "a-token-of-the-tests"
MAX_BYTES = 1_000
LIMIT = 2
ADMIN = {"authorization": f"Bearer {TOKEN}"}


@dataclass
class Answer:
    """What an application sent."""

    messages: list[Message]

    @property
    def status(self) -> int:
        """The status; the messages must be those of ASGI."""
        assert "http.response.start" == self.messages[0]["type"]
        assert {"http.response.body"} == {message["type"] for message in self.messages[1:]}
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        """The headers by name."""
        names = [name for name, _ in self.messages[0]["headers"]]
        assert names == [name.lower() for name in names], "ASGI wants names in lower case"
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def problem(self) -> dict[str, Any]:
        """The body, which must be an error in the common shape."""
        assert "application/json" == self.headers["content-type"]
        problem = json.loads(self.body)
        assert {"error", "detail"} == set(problem)
        assert problem["error"]
        assert all({"loc", "msg"} == set(item) for item in problem["detail"])
        return dict(problem)


@dataclass
class Sender:
    """A client's end of one request, that counts what is asked of it."""

    chunks: Sequence[bytes]
    leaves: bool = False
    asked: int = field(default=0, init=False)

    async def __call__(self) -> Message:
        """Send the next part, and nothing after the last."""
        self.asked += 1
        if self.asked <= len(self.chunks):
            more = self.leaves or self.asked < len(self.chunks)
            return {"type": "http.request", "body": self.chunks[self.asked - 1], "more_body": more}
        if not self.leaves:
            await asyncio.sleep(3600)
        return {"type": "http.disconnect"}


class Never(Sender):
    """A client that announced a body and sends none."""

    def __init__(self) -> None:
        super().__init__([])


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    body: bytes | Sender = b"",
    **headers: str,
) -> Answer:
    """Send one request to an application; headers with `_` for `-`, and none that is empty.

    A request has the id that the header names, as if our connection had read it.
    """
    headers = {"content_type": "application/json", **headers}
    sender = body if isinstance(body, Sender) else Sender([body])
    if isinstance(body, bytes) and body:
        headers.setdefault("content_length", str(len(body)))
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items() if value]
    path, _, query = path.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"test"), *raw],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    if "x_request_id" in headers:
        scope["request_id"] = headers["x_request_id"]
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, sender, send)
    return Answer(messages)


@dataclass
class World:
    """An entrance with two calls, two resources, and an application behind it.

    The call `steer` is for administrators; `/{model}/rows/{name}` needs the token once there is one.
    """

    spec: Spec
    run: Callable[[Any], Awaitable[Any]]
    token: str | None = TOKEN
    scopes: list[dict[str, Any]] = field(default_factory=list, init=False)
    app: Entrance = field(init=False)

    def __post_init__(self) -> None:
        async def behind(scope: Scope, receive: Receive, send: Send) -> None:
            self.scopes.append(dict(scope))
            await PlainTextResponse("behind")(scope, receive, send)

        def resource(request: Request) -> PlainTextResponse:
            self.scopes.append(dict(request.scope))
            return PlainTextResponse(request.path_params["name"])

        async def run(value: Any) -> Any:
            return await self.run(value)

        call = Call(
            model=self.spec.name,
            name="echo",
            summary="",
            validator=self.spec.rows,
            answer=bodies.answer(self.spec),
            example=self.spec.example,
            run=run,
        )
        steer = replace(call, name="steer", admin=True)
        protected = [Route("/{model}/rows/{name}", resource)]
        self.app = Entrance(
            app=behind,
            calls={call.path: call, steer.path: steer},
            resources=[Route("/things/{name}", resource), *protected],
            protected=protected,
            max_body_bytes=MAX_BYTES,
            max_in_flight=LIMIT,
            admin_token=self.token,
            static=frozenset({"/static_content/swagger-ui.css"}),
        )

    def ask(self, method: str, path: str, body: bytes | Sender = b"", **headers: str) -> Answer:
        """Send one request."""
        return asyncio.run(asyncio.wait_for(ask(self.app, method, path, body, **headers), 10))


async def echo(value: Any) -> Any:
    """Answer with what was sent."""
    return value


def refused(reason: str, model: str = "") -> float:
    """Return how many requests were refused for a reason."""
    labels = {"model": model, "reason": reason}
    return REGISTRY.get_sample_value("prediction_refused_requests_total", labels) or 0


def series() -> set[str]:
    """Return every series of our metrics."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}"
        for family in REGISTRY.collect()
        if family.name.startswith("prediction_")
        for sample in family.samples
    }
