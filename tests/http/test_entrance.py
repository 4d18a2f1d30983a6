"""Routes, methods, the admin token, the order of checks, and room. In this process, over ASGI."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.types import Receive, Scope, Send

from models_store.spec import Spec
from prediction.http import entrance
from tests.http.asgi import ADMIN, LIMIT, TOKEN, Answer, Never, Sender, World, ask, echo, refused, series


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


# ------------------------------------------------------------------------------------- the admin token


@pytest.mark.parametrize("given", ["", "Bearer another"])
def test_protected_resources_need_the_token(world: World, given: str) -> None:
    """A protected route is a 401 without the token or with another one, and its endpoint is not called."""
    answer = world.ask("GET", "/iris/rows/a", authorization=given)

    assert (401, "Bearer") == (answer.status, answer.headers["www-authenticate"])
    assert "Authorization: Bearer" in answer.problem["error"]
    assert [] == world.scopes


def test_the_token_opens_protected_resources(world: World) -> None:
    """With the token a protected route is answered; other resources are answered without it."""
    answer = world.ask("GET", "/iris/rows/a", b"", **ADMIN)

    assert (200, b"a") == (answer.status, answer.body)
    assert 200 == world.ask("GET", "/things/a").status


def test_without_a_token_rows_are_open_and_admin_calls_are_shut(
    specs: dict[str, Spec], good: bytes
) -> None:
    """A server without an admin token shows rows to everybody, and lets nobody steer."""
    open_world = World(specs["iris"], echo, token=None)
    before = refused("forbidden", "iris")

    assert 200 == open_world.ask("GET", "/iris/rows/a").status
    for given in ("", ADMIN["authorization"], "Bearer ", "Bearer None"):
        answer = open_world.ask("POST", "/iris/steer", good, authorization=given)
        assert 403 == answer.status
        assert "set PREDICTION_ADMIN_TOKEN" in answer.problem["error"]
    assert before + 4 == refused("forbidden", "iris")


@pytest.mark.parametrize("path", ["/things/a", "/iris/rows/a", "/docs.json"])
def test_the_token_goes_no_further_than_the_entrance(world: World, path: str) -> None:
    """What answers behind the entrance learns whether the client is an administrator, not the token."""
    world.ask("GET", path, b"", **ADMIN, accept="text/html")

    (scope,) = world.scopes
    assert scope["is_admin"] is (path != "/docs.json")  # nobody looks at the token there
    assert TOKEN.encode() not in b"".join(value for _, value in scope["headers"])
    assert (b"accept", b"text/html") in scope["headers"]


def test_a_stranger_is_no_administrator(world: World, specs: dict[str, Spec]) -> None:
    """Without the token, or on a server that has none, `is_admin` is false."""
    open_world = World(specs["iris"], echo, token=None)
    world.ask("GET", "/things/a")
    open_world.ask("GET", "/things/a", b"", **ADMIN)

    assert [False, False] == [scope["is_admin"] for scope in (*world.scopes, *open_world.scopes)]


# ---------------------------------------------------------------------------------------- what is counted


def test_a_refusal_is_counted_for_the_model_in_its_path(world: World) -> None:
    """A call and a resource count for their model; an unknown model counts for none, and adds no series."""
    before = refused("method", "iris")
    nobody = refused("method"), refused("unknown_path")

    for method, path in (("POST", "/iris/rows/a"), ("GET", "/iris/echo"), ("GET", "/tulips/x")):
        world.ask(method, path)
    world.ask("POST", "/tulips/rows/a")

    assert before + 2 == refused("method", "iris")
    assert (nobody[0] + 1, nobody[1] + 1) == (refused("method"), refused("unknown_path"))
    assert not [each for each in series() if "tulips" in each or "None" in each]


def test_the_time_of_an_answer_is_observed(world: World, good: bytes) -> None:
    """Each answered call adds its seconds to the histogram of its model and route."""

    def observed(name: str) -> float:
        labels = {"model": "iris", "route": "echo"}
        return REGISTRY.get_sample_value(f"prediction_request_duration_seconds_{name}", labels) or 0.0

    count, total = observed("count"), observed("sum")
    world.ask("POST", "/iris/echo", good)

    assert count + 1 == observed("count")
    assert total < observed("sum") < total + 5


def test_a_method_that_is_made_up_is_cut(world: World) -> None:
    """The message repeats at most 20 characters of a method."""
    answer = world.ask("M" * 50, "/iris/echo")

    assert f"use POST, not {'M' * 20}, on this path" == answer.problem["error"]


def test_large_batches_are_answered_in_turn(
    world: World, good: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few at a time; one that waits too long gets a 429 that says so, and small bodies pass."""
    monkeypatch.setattr(entrance, "LARGE_BYTES", len(good))
    monkeypatch.setattr(entrance, "TURN_SECONDS", 0.05)
    world.app.max_in_flight = 100
    large, free, at_once = good + b" ", asyncio.Event(), []

    async def run(value: Any) -> Any:
        at_once.append(value)
        await free.wait()
        return value

    async def main() -> tuple[list[Answer], int, list[Answer]]:
        asked = [asyncio.create_task(ask(world.app, "POST", "/iris/echo", large)) for _ in range(5)]
        await asyncio.sleep(0.2)
        running = len(at_once)
        small = asyncio.create_task(ask(world.app, "POST", "/iris/echo", good))
        await asyncio.sleep(0)
        free.set()
        return await asyncio.gather(*asked), running, [await small]

    world.run = run
    answers, running, small = asyncio.run(asyncio.wait_for(main(), 10))

    assert entrance.LARGE_AT_ONCE == running == 2
    assert [200, 200, 429, 429, 429] == [answer.status for answer in answers]
    assert "too many large batches: try again in a second" in answers[-1].problem["error"]
    assert "1" == answers[-1].headers["retry-after"]
    assert [200] == [answer.status for answer in small]


def test_large_batches_leave_room_for_others(
    world: World, good: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take at most half of the requests that a worker answers at the same time."""
    monkeypatch.setattr(entrance, "LARGE_BYTES", len(good))
    world.app.max_in_flight = 8
    free = asyncio.Event()

    async def run(value: Any) -> Any:
        await free.wait()
        return value

    async def main() -> list[int]:
        asked = [asyncio.create_task(ask(world.app, "POST", "/iris/echo", good + b" ")) for _ in range(6)]
        await asyncio.sleep(0.05)
        free.set()
        return [answer.status for answer in await asyncio.gather(*asked)]

    world.run = run

    assert [200] * 4 + [429] * 2 == asyncio.run(asyncio.wait_for(main(), 10))


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/iris/echo", "/iris/echo"),
        ("/things/secret", "/things/{name}"),
        ("/iris/rows/7", "/{model}/rows/{name}"),
        ("/readyz", "/readyz"),
        ("/static_content/swagger-ui.css", "/static_content/swagger-ui.css"),
        ("/nowhere", ""),
    ],
)
def test_a_request_has_a_route(world: World, path: str, route: str) -> None:
    """Routes are few, whatever clients ask for: they name spans."""
    assert route == world.app.route({"type": "http", "method": "GET", "path": path})
