"""The way in: every request that is answered, turned away or handed on. In this process, over ASGI."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models_store import errors as store_errors
from models_store.errors import Error
from models_store.spec import Spec
from prediction import errors
from prediction.http import bodies, entrance
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
        """The status."""
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        """The headers, by lower-case name."""
        return {name.decode().lower(): value.decode() for name, value in self.messages[0]["headers"]}

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


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    body: bytes | Sender = b"",
    **headers: str,
) -> Answer:
    """Send one request to an application; headers with `_` for `-`, and none that is empty."""
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
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, sender, send)
    return Answer(messages)


@dataclass
class World:
    """An entrance with two calls, one an administrator's, a resource, and an application behind it."""

    spec: Spec
    run: Callable[[Any], Awaitable[Any]]
    app: Entrance = field(init=False)

    def __post_init__(self) -> None:
        async def behind(scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("behind")(scope, receive, send)

        def resource(request: Request) -> PlainTextResponse:
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
        self.app = Entrance(
            app=behind,
            calls={call.path: call, steer.path: steer},
            resources=[Route("/things/{name}", resource)],
            max_body_bytes=MAX_BYTES,
            max_in_flight=LIMIT,
            admin_token=TOKEN,
            static=frozenset({"/static_content/swagger-ui.css"}),
        )

    def ask(self, method: str, path: str, body: bytes | Sender = b"", **headers: str) -> Answer:
        """Send one request."""
        return asyncio.run(asyncio.wait_for(ask(self.app, method, path, body, **headers), 10))


async def echo(value: Any) -> Any:
    """Answer with what was sent."""
    return value


@pytest.fixture
def world(specs: dict[str, Spec]) -> World:
    """An entrance whose call gives the row back."""
    return World(specs["iris"], echo)


@pytest.fixture
def good(specs: dict[str, Spec]) -> bytes:
    """A valid body."""
    return json.dumps(specs["iris"].example).encode()


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


# ------------------------------------------------------------------------------------ routes, methods


def test_a_call_is_answered_at_the_entrance(world: World, good: bytes) -> None:
    """A good body gets the call's answer as JSON, whole and with its length."""
    answer = world.ask("POST", "/iris/echo", good)

    assert 200 == answer.status
    assert json.loads(good) == json.loads(answer.body)
    assert {"content-type": "application/json", "content-length": str(len(answer.body))} == answer.headers


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        *(
            "/x",
            "/iris",
            "/iris/echo/",
            "//iris/echo",
            "/IRIS/echo",
            "/things",
            "/livez/",
            "/static_content",
        ),
        *("", "/%2e%2e/etc/passwd", "/\ud800", "/iris/predict", "/metrics/x", "/\x00"),
    ],
)
def test_an_unknown_path_is_not_found(world: World, path: str, method: str) -> None:
    """Whatever the method, a path that is no route is a 404 that says where the routes are."""
    answer = world.ask(method, path)

    assert 404 == answer.status
    assert "no such path: the routes are listed at /" == answer.problem["error"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post"])
def test_a_call_takes_post_only(world: World, method: str) -> None:
    """Another method is refused, with the one that is allowed."""
    answer = world.ask(method, "/iris/echo")

    assert (405, "POST") == (answer.status, answer.headers["allow"])
    assert answer.problem["error"].startswith("use POST")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/docs.json", "/static_content/swagger-ui.css", "/things/a"]
)
def test_everything_else_is_read_only(world: World, path: str, method: str) -> None:
    """Pages, probes and resources take GET and HEAD, and say so."""
    answer = world.ask(method, path)

    assert (405, "GET, HEAD") == (answer.status, answer.headers["allow"])


@pytest.mark.parametrize("path", sorted(entrance.SYSTEM_PATHS))
def test_system_paths_are_answered_behind(world: World, path: str) -> None:
    """Probes, pages and metrics are BentoML's own."""
    assert b"behind" == world.ask("GET", path).body


def test_resources_are_answered_at_the_entrance(world: World) -> None:
    """A GET route of ours is answered without BentoML."""
    assert b"anything" == world.ask("GET", "/things/anything").body


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_what_is_no_request_is_handed_on(world: World, kind: str) -> None:
    """Start and end of the application, and sockets, are BentoML's to answer."""
    seen = []

    async def behind(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def main() -> None:
        world.app.app = behind
        await world.app({"type": kind, "path": "/"}, Sender([]), lambda _: asyncio.sleep(0))

    asyncio.run(main())

    assert [kind] == seen


# ------------------------------------------------------------------------------------- type and size


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "text/plain",
            "",
            "application/jsonp",
            "multipart/form-data; boundary=x",
            "application/xml",
            "json",
        ),
        *(
            "application/x-www-form-urlencoded",
            "application/vnd.bentoml+pickle",
            "*/*",
            ";application/json",
            "",
        ),
    ],
)
def test_what_is_not_json_is_refused(world: World, good: bytes, kind: str) -> None:
    """Another content type, or none, is a 415 that says which header to send.

    A page of another site may have a browser send what has no type: it must not write into the journal.
    """
    answer = world.ask("POST", "/iris/echo", good, content_type=kind)

    assert 415 == answer.status
    assert "Content-Type: application/json" in answer.problem["error"]


def test_a_compressed_body_is_refused(world: World, good: bytes) -> None:
    """By what it says of itself: its bytes alone would be told to be no JSON."""
    answer = world.ask("POST", "/iris/echo", gzip.compress(good), content_encoding="gzip")

    assert 415 == answer.status
    assert "without the header Content-Encoding" in answer.problem["error"]
    assert 200 == world.ask("POST", "/iris/echo", good, content_encoding="Identity").status


@pytest.mark.parametrize(
    "headers",
    [{"content_type": "application/json; charset=utf-8"}, {"content_type": " Application/JSON ;x"}],
)
def test_json_is_taken_by_any_of_its_names(world: World, good: bytes, headers: dict[str, str]) -> None:
    """A content type with parameters or capitals is JSON all the same."""
    assert 200 == world.ask("POST", "/iris/echo", good, **headers).status


def test_a_body_of_exactly_the_limit_is_read(world: World, good: bytes) -> None:
    """The limit is the largest size that is taken."""
    assert 200 == world.ask("POST", "/iris/echo", good.ljust(MAX_BYTES)).status
    assert 413 == world.ask("POST", "/iris/echo", good.ljust(MAX_BYTES + 1)).status


@pytest.mark.parametrize("length", ["1001", "9" * 30, "-1", "x", "1e3", " ", "+5", "0x10"])
def test_a_length_that_is_too_large_or_no_number_is_refused_at_once(world: World, length: str) -> None:
    """By its announced length a body is refused before its end is waited for."""
    answer = world.ask("POST", "/iris/echo", Sender([b"{}"], leaves=True), content_length=length)

    assert 413 == answer.status
    assert "1000 bytes" in answer.problem["error"]


def test_a_body_that_is_not_announced_is_refused_when_it_grows(world: World) -> None:
    """A chunked body is read to the limit, and no further than needed to answer its sender."""
    sender = Sender([b" " * 400] * 50)

    answer = world.ask("POST", "/iris/echo", sender, transfer_encoding="chunked")

    assert 413 == answer.status
    assert answer.problem


def test_a_chunked_body_is_put_together(world: World, good: bytes) -> None:
    """A body that comes in pieces is answered like one that comes whole."""
    pieces = Sender([good[:1], b"", good[1:20], good[20:], b""])

    answer = world.ask("POST", "/iris/echo", pieces, transfer_encoding="chunked")

    assert json.loads(good) == json.loads(answer.body)


def test_the_rest_of_a_refused_body_is_not_waited_for(world: World) -> None:
    """A sender that never ends gets its answer within seconds, and its connection is closed."""
    answer = world.ask("POST", "/iris/echo", Sender([b"{", b""]), content_length="5000")
    endless = Sender([b"x" * 600, b"x" * 600, b""], leaves=False)
    endless.chunks = [*endless.chunks[:2]]
    endless_answer = asyncio.run(ask(world.app, "POST", "/nowhere", Never(), content_length="10"))

    assert 413 == answer.status
    assert (404, "close") == (endless_answer.status, endless_answer.headers["connection"])


class Never(Sender):
    """A client that announced a body and sends none."""

    def __init__(self) -> None:
        super().__init__([])


def test_who_waits_for_our_word_is_answered_without_it(world: World) -> None:
    """A sender of `Expect: 100-continue` is refused before it sends a byte of its body."""
    never = Never()

    answer = asyncio.run(
        ask(world.app, "POST", "/iris/echo", never, content_length="5000", expect="100-continue")
    )

    assert (413, "close", 0) == (answer.status, answer.headers["connection"], never.asked)


def test_a_client_that_leaves_is_not_answered(world: World) -> None:
    """When the connection ends inside a body, nothing is done and nothing is sent."""
    ran = []

    async def run(value: Any) -> Any:
        ran.append(value)

    world.run = run
    answer = world.ask("POST", "/iris/echo", Sender([b'{"sepal'], leaves=True), content_length="80")

    assert [] == answer.messages
    assert [] == ran


# ------------------------------------------------------------------------------------------- too busy


def test_more_than_there_is_room_for_is_told_to_come_back(world: World, good: bytes) -> None:
    """Beyond the limit requests get 429 and when to try again; those inside are answered."""
    free = asyncio.Event()

    async def run(value: Any) -> Any:
        await free.wait()
        return value

    async def main() -> list[Answer]:
        inside = [asyncio.create_task(ask(world.app, "POST", "/iris/echo", good)) for _ in range(LIMIT)]
        await asyncio.sleep(0.05)
        outside = await ask(world.app, "POST", "/iris/echo", good)
        still = await ask(world.app, "GET", "/livez")
        free.set()
        after = [*await asyncio.gather(*inside), await ask(world.app, "POST", "/iris/echo", good)]
        return [outside, still, *after]

    world.run = run
    before = refused("busy", "iris")
    outside, still, *answered = asyncio.run(asyncio.wait_for(main(), 10))

    assert (429, "1") == (outside.status, outside.headers["retry-after"])
    assert "busy" in outside.problem["error"]
    assert before + 1 == refused("busy", "iris")
    assert b"behind" == still.body
    assert [200] * (LIMIT + 1) == [answer.status for answer in answered]


def test_a_request_that_is_given_up_leaves_its_room(world: World, good: bytes) -> None:
    """Cancelled and failed requests do not fill the worker for ever."""

    async def run(_value: Any) -> Any:
        await asyncio.sleep(3600)

    async def fail(_value: Any) -> Any:
        raise ValueError("on purpose")

    async def main() -> None:
        gone = [asyncio.create_task(ask(world.app, "POST", "/iris/echo", good)) for _ in range(LIMIT)]
        await asyncio.sleep(0.05)
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        world.run = fail
        for _ in range(LIMIT + 1):
            assert 500 == (await ask(world.app, "POST", "/iris/echo", good)).status

    world.run = run
    asyncio.run(asyncio.wait_for(main(), 10))

    assert 0 == world.app.in_flight


class Slow(Sender):
    """A client that sends the end of its body when it is let."""

    def __init__(self, body: bytes, go: asyncio.Event) -> None:
        super().__init__([body[:-1], body[-1:]])
        self._go = go

    async def __call__(self) -> Message:
        """Send the next part."""
        if self.asked:
            await self._go.wait()
        return await super().__call__()


def test_bodies_that_trickle_in_fill_no_memory(world: World, good: bytes) -> None:
    """All that are being sent hold no more than a bound, and who sends at once is answered meanwhile."""
    fit = 17  # of 899 bytes each in 16 times 1,000

    async def main() -> tuple[int, int, list[int]]:
        go = asyncio.Event()
        slow = [Slow(good.ljust(900), go) for _ in range(fit + 3)]
        asked = [asyncio.create_task(ask(world.app, "POST", "/iris/echo", sender)) for sender in slow]
        await asyncio.sleep(0.05)
        held = world.app.held_bytes
        meanwhile = await ask(world.app, "POST", "/iris/echo", good)
        go.set()
        return held, meanwhile.status, [answer.status for answer in await asyncio.gather(*asked)]

    held, meanwhile, statuses = asyncio.run(asyncio.wait_for(main(), 10))

    assert (fit * 899, 200) == (held, meanwhile)
    assert [200] * fit + [429] * 3 == sorted(statuses)
    assert 0 == world.app.held_bytes


# --------------------------------------------------------------------------------------- what is told


def test_an_unforeseen_error_is_logged_and_not_told(
    world: World, good: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure of ours is a 500 without any detail, and the log has the traceback."""

    async def run(_value: Any) -> Any:
        raise ValueError("the password is hunter2")

    world.run = run
    answer = world.ask("POST", "/iris/echo", good)

    assert 500 == answer.status
    assert {"error": "the server failed: its log has the traceback", "detail": []} == answer.problem
    assert "hunter2" in caplog.text
    assert "Traceback" in caplog.text


def test_an_error_of_ours_that_nobody_mapped_is_not_told_either(world: World, good: bytes) -> None:
    """An error without a status in the table is unforeseen, whatever its words."""

    async def run(_value: Any) -> Any:
        raise Error("the password is hunter2", [{"loc": ["x"], "msg": "hunter2"}])

    world.run = run
    answer = world.ask("POST", "/iris/echo", good)

    assert 500 == answer.status
    assert b"hunter2" not in answer.body


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (store_errors.InvalidInput("no", [{"loc": [3, "x"], "msg": "bad"}], ["x"]), 400),
        (store_errors.UnknownModel("no"), 404),
        (store_errors.UnknownVersion("no"), 404),
        (errors.UnknownPrediction("no"), 404),
        (errors.UnknownRun("no"), 404),
        (errors.ConflictingLabel("no"), 409),
        (errors.RunEnded("no"), 409),
        (errors.NothingToRollBack("no"), 409),
        (store_errors.DamagedVersion("no"), 409),
        (errors.NotReady("no"), 503),
        (errors.JournalUnavailable("no"), 503),
        (errors.JournalBusy("no"), 503),
    ],
    ids=lambda item: type(item).__name__ if isinstance(item, Exception) else str(item),
)
def test_every_known_error_has_its_status(
    world: World, good: bytes, error: Error, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors of the loop become their status, in their own words, with no traceback in the log."""

    async def run(_value: Any) -> Any:
        raise error

    world.run = run
    answer = world.ask("POST", "/iris/echo", good)

    assert status == answer.status
    assert {"error": "no", "detail": error.detail} == answer.problem
    assert ("1" if status == 503 else None) == answer.headers.get("retry-after")
    assert "Traceback" not in caplog.text


def test_a_cause_of_many_lines_is_one_line_of_the_log(
    world: World, good: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What a database says in its further lines, rows and statements, stays out of the log."""

    async def run(_value: Any) -> Any:
        raise errors.JournalUnavailable("no") from ValueError(
            "it failed\nDETAIL: Key (label)=(secret-7731)"
        )

    world.run = run
    world.ask("POST", "/iris/echo", good)

    assert ["POST '/iris/echo' 503 journal: it failed"] == [line.getMessage() for line in caplog.records]


@pytest.mark.parametrize(
    ("method", "path", "headers", "size", "expected"),
    [
        ("PUT", "/nowhere", {"content_type": "text/plain"}, 2_000, 404),
        ("PUT", "/iris/steer", {"content_type": "text/plain"}, 2_000, 405),
        ("POST", "/iris/steer", {"content_type": "text/plain"}, 2_000, 401),
        ("POST", "/iris/steer", {"content_type": "text/plain", **ADMIN}, 2_000, 415),
        ("POST", "/iris/steer", ADMIN, 2_000, 413),
        ("POST", "/iris/steer", ADMIN, 2, 429),
    ],
)
def test_refusals_come_in_one_order(
    world: World, method: str, path: str, headers: dict[str, str], size: int, expected: int
) -> None:
    """Route, method, client, type, size, room, content: the first that is wrong is what is told."""
    world.app.in_flight = LIMIT

    assert expected == world.ask(method, path, b"[" * size, **headers).status
    if expected == 429:
        world.app.in_flight = 0
        assert 400 == world.ask(method, path, b"[" * size, **headers).status


def test_no_byte_of_a_stranger_s_body_is_read(world: World) -> None:
    """Who may not is told before the body came, however large it is said to be."""
    never = Never()
    answer = world.ask("POST", "/iris/steer", never, content_length="500", expect="100-continue")

    assert (401, "Bearer", 0) == (answer.status, answer.headers["www-authenticate"], never.asked)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        *((f"{scheme} {TOKEN}", 200) for scheme in ("Bearer", "bearer", "BEARER", "Bearer ")),
        *((f"{scheme}{TOKEN}", 401) for scheme in ("", "Bearer", "Basic ", "Bearer x", "Bearer x ")),
        *(
            (given, 401)
            for given in ("Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN.upper()}")
        ),
    ],
)
def test_the_token_opens_by_a_scheme_of_any_case(
    world: World, good: bytes, given: str, status: int
) -> None:
    """Schemes of HTTP know no case; the token does, and is compared whole."""
    assert status == world.ask("POST", "/iris/steer", good, authorization=given).status


def test_a_refused_request_is_one_line_without_its_values(
    world: World, good: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A 4xx is logged once, as information, and not one value of the body with it."""
    caplog.set_level(logging.DEBUG, "bentoml.prediction")

    world.ask("POST", "/iris/echo", good.replace(b"5.1", b'"secret-7731"'))

    (line,) = [record for record in caplog.records if record.name == "bentoml.prediction"]
    assert "INFO" == line.levelname
    assert "POST '/iris/echo' 400 invalid" == line.getMessage()
    assert "7731" not in caplog.text


def test_a_long_path_does_not_fill_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A path that a scanner makes up is cut, and can't break a line of the log."""
    caplog.set_level(logging.DEBUG, "bentoml.prediction")

    world.ask("GET", "/" + "x\n" * 5_000)

    (line,) = [record.getMessage() for record in caplog.records if record.name == "bentoml.prediction"]
    assert len(line) < 300
    assert "\n" not in line


def test_refusals_and_wrong_fields_are_counted(world: World, good: bytes) -> None:
    """Each refusal is counted by its reason, and each wrong feature by its name, once a value."""
    row = json.loads(good) | {"petal_width_cm": "x", "sepal_width_cm": 99, "colour": "red"}
    before = refused("invalid", "iris")
    fields = {name: invalid_fields(name) for name in json.loads(good)}

    world.ask("POST", "/iris/echo", json.dumps(row).encode())

    assert before + 1 == refused("invalid", "iris")
    wrong = {"petal_width_cm", "sepal_width_cm"}
    assert {name: count + (name in wrong) for name, count in fields.items()} == {
        name: invalid_fields(name) for name in fields
    }


def invalid_fields(feature: str) -> float:
    """Return how many values of an iris feature were refused."""
    labels = {"model": "iris", "feature": feature}
    return REGISTRY.get_sample_value("prediction_invalid_fields_total", labels) or 0


def test_strangers_add_no_series(world: World, good: bytes) -> None:
    """Unknown paths and methods, wrong types and sizes, and fields made up are counted in what is there."""
    world.ask("POST", "/iris/echo", b"{}")
    before = series()

    for number in range(50):
        world.ask("GET", f"/scanner/{number}")
        world.ask(f"M{number}", "/iris/echo")
        world.ask("POST", "/iris/echo", good, content_type=f"text/{number}")
        world.ask("POST", "/iris/echo", json.dumps({f"field{number}": 1}).encode())
        world.ask("POST", "/iris/echo", b" " * 2_000)

    assert before == series()
