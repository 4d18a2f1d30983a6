"""The routes: which path is a request for answers, and what server and models say of themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from models_store.errors import BrokenSpec
from prediction.errors import NotReady
from prediction.http.entrance import LARGE_BYTES, Entrance
from prediction.http.open_inference.features import kinds
from prediction.http.open_inference.inferring import Model
from prediction.http.open_inference.routes import Routes
from prediction.network.origins import Origins
from tests import tensors
from tests.http.asgi import Answer, ask

MAX_BYTES = 200_000
READY: list[Exception] = []
"""Why the worker is not ready; mostly empty."""


def demand_ready() -> None:
    """Raise what the test has put there."""
    for error in READY:
        raise error


@pytest.fixture
def app(models: dict[str, Model]) -> Entrance:
    """An entrance with the routes of the protocol only."""
    routes = Routes(models, {"broken": "its file is empty"}, lambda: "1", demand_ready)

    async def behind(*_: object) -> None:
        raise AssertionError("nothing is behind")

    return Entrance(
        app=behind,
        calls={},
        find=routes.find,
        resources=routes.routes(),
        max_body_bytes=MAX_BYTES,
        max_in_flight=8,
        admin_token="secret",
    )


def send(app: Entrance, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    """Send one request."""
    return asyncio.run(ask(app, method, path, body, **headers))


def infer(app: Entrance, model: Model, path: str = "/v2/models/iris/infer", **headers: str) -> Answer:
    """Send one row to a model."""
    inputs = tensors.tensors(model.spec, [model.spec.example])
    return send(app, "POST", path, json.dumps({"inputs": inputs}).encode(), **headers)


def refused(answer: Answer, status: int) -> str:
    """Return the message of an error, which must be in the protocol's shape."""
    body: Mapping[str, Any] = json.loads(answer.body)
    assert status == answer.status, body
    assert {"error"} == set(body)
    assert "application/json" == answer.headers["content-type"]
    return str(body["error"])


def test_the_server_says_what_it_is(app: Entrance) -> None:
    """Name, version, extensions; alive, ready."""
    server = {"name": "prediction", "version": "1", "extensions": ["binary_tensor_data"]}

    assert server == json.loads(send(app, "GET", "/v2").body)
    assert {"live": True} == json.loads(send(app, "GET", "/v2/health/live").body)
    assert {"ready": True} == json.loads(send(app, "GET", "/v2/health/ready").body)


def test_a_server_that_is_not_ready_says_why(app: Entrance) -> None:
    """A probe sees the status; it is alive all the same."""
    READY.append(NotReady("one model has no version"))
    try:
        answer = send(app, "GET", "/v2/health/ready")
        live = send(app, "GET", "/v2/health/live")
    finally:
        READY.clear()

    assert "one model has no version" == refused(answer, 503)
    assert 200 == live.status


def test_a_model_says_what_it_takes(app: Entrance, models: dict[str, Model]) -> None:
    """With the version that answers; by its name alone, and with that version."""
    for name, model in models.items():
        version = model.demand(None)
        found = json.loads(send(app, "GET", f"/v2/models/{name}").body)
        named = json.loads(send(app, "GET", f"/v2/models/{name}/versions/{version}").body)
        ready = json.loads(send(app, "GET", f"/v2/models/{name}/versions/{version}/ready").body)

        assert found == named
        assert (name, [version], "onnx") == (found["name"], found["versions"], found["platform"])
        assert [
            {"name": each.name, "datatype": kinds.of(each).datatype(each), "shape": [-1, 1]}
            for each in model.spec.inputs.values()
        ] == found["inputs"]
        assert list(model.outputs) == [each["name"] for each in found["outputs"]]
        assert {"name": name, "ready": True} == ready


@pytest.mark.parametrize("end", ["", "/ready", "/infer"])
def test_only_the_champion_is_there(app: Entrance, end: str) -> None:
    """Another version is a 404 with the reason, another model too; a broken one is a 503."""
    method = "POST" if end == "/infer" else "GET"

    old = refused(send(app, method, f"/v2/models/iris/versions/old{end}"), 404)
    none = refused(send(app, method, f"/v2/models/none{end}"), 404)
    assert "this version of iris is not served: only the champion is, which is" in old
    assert "there is no such model: the models are iris, penguins, planes" == none
    assert "its file is empty" in refused(send(app, method, f"/v2/models/broken{end}"), 503)


def test_a_broken_model_is_counted_as_itself(models: dict[str, Model]) -> None:
    """The error is that of its other routes."""
    routes = Routes(models, {"broken": "its file is empty"}, lambda: "1", demand_ready)
    scope = {"type": "http", "method": "POST", "path": "/v2/models/broken/infer", "headers": []}

    with pytest.raises(BrokenSpec):
        routes.find(scope)


@pytest.mark.parametrize(
    "path",
    [
        *("/v2/", "/v2/x", "/v2/health", "/v2/models", "/v2/models/", "/v2/models/iris/"),
        *("/v2/models/iris/versions", "/v2/models/iris/predict", "/v2/models/iris/x/y/infer"),
        *("/v2/models//versions/a/b/infer", "/v2/models/iris/versions/a/b/infer"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_paths_are_unknown(app: Entrance, path: str, method: str) -> None:
    """In the protocol's shape too."""
    assert "no such" in refused(send(app, method, path), 404)


def test_methods_are_those_of_the_protocol(app: Entrance) -> None:
    """An answer to another method names the right one."""
    assert "POST" == send(app, "GET", "/v2/models/iris/infer").headers["allow"]
    assert "GET, HEAD" == send(app, "POST", "/v2/models/iris").headers["allow"]
    assert 405 == send(app, "OPTIONS", "/v2/models/iris/infer").status
    assert "x is not a parameter" in refused(send(app, "GET", "/v2/models/iris?x=1"), 400).replace(
        ": ", " "
    )


@pytest.mark.parametrize(
    "kind", ["application/json", "application/octet-stream", "", "application/json; a=b"]
)
def test_the_content_types_are_those_of_clients(app: Entrance, models: dict[str, Model], kind: str) -> None:
    """JSON, binary, and none: Triton's client sends none."""
    assert 200 == infer(app, models["iris"], content_type=kind).status


def test_other_content_types_are_refused(app: Entrance, models: dict[str, Model]) -> None:
    """A form of another site can send these."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert "send JSON as application/json" in refused(
            infer(app, models["iris"], content_type=kind), 415
        )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://test"}, 200),
        ({"origin": "http://TEST", "sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"origin": "http://evil"}, 403),
        ({"origin": "http://test.evil"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"origin": "http://evil", "content_type": " ; charset=utf-8"}, 403),
        ({"origin": "http://evil", "content_type": "application/json"}, 200),
    ],
)
def test_a_foreign_page_can_send_no_body_without_a_type(
    app: Entrance, models: dict[str, Model], headers: dict[str, str], status: int
) -> None:
    """For a body with a type its browser asks first, and the answer is no."""
    answer = infer(app, models["iris"], **{"content_type": "", **headers})

    assert status == answer.status
    if status == 403:
        assert "must send the header Content-Type" in refused(answer, 403)


def test_large_requests_wait_their_turn_and_are_timed(app: Entrance, models: dict[str, Model]) -> None:
    """Those of all versions of a model are on one route."""
    iris = models["iris"]
    rows = [iris.spec.example] * 1_100
    raw = json.dumps({"inputs": tensors.tensors(iris.spec, rows)}, indent=6).encode()
    assert LARGE_BYTES < len(raw) < MAX_BYTES
    answer = send(app, "POST", f"/v2/models/iris/versions/{iris.demand(None)}/infer", raw)

    assert 200 == answer.status, answer.body
    assert ["/v2/models/iris/infer"] == list(app._turns)
    assert "is larger than" in refused(
        send(app, "POST", "/v2/models/iris/infer", bytes(MAX_BYTES + 1)), 413
    )


def test_a_preflight_is_answered_before_all_checks(app: Entrance) -> None:
    """An allowed page may send the header of the length, and read that of the answer."""
    allowed = Origins(app, frozenset({"http://page"}))
    path, method = "/v2/models/iris/infer", "POST"
    asked = ask(allowed, "OPTIONS", path, origin="http://page", access_control_request_method=method)
    preflight = asyncio.run(asked)
    answer = asyncio.run(ask(allowed, "GET", "/v2", origin="http://page"))

    assert 204 == preflight.status
    assert tensors.LENGTH in preflight.headers["access-control-allow-headers"]
    assert tensors.LENGTH in answer.headers["access-control-expose-headers"]
