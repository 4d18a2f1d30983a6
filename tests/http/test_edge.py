"""BentoML's private names as we know them, and the whole service with BentoML behind the entrance."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import ASGIApp

from models_store import catalog
from models_store.spec import Spec
from prediction import errors, home
from prediction.http import bodies, entrance
from prediction.http.calls import Call
from prediction.http.entrance import Entrance
from tests.http.test_entrance import Answer, ask
from tests.servers import PROJECT

with warnings.catch_warnings():  # BentoML 1.4.39 uses what pydantic deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    import bentoml
    from _bentoml_impl.server.app import ServiceAppFactory
    from _bentoml_sdk.service import Service
    from bentoml._internal.server.base_app import BaseAppFactory
    from bentoml._internal.service.openapi.specification import Info, OpenAPISpecification, PathItem

    from prediction.http import edge


@dataclass
class Whole:
    """The real service in this process."""

    service: ModuleType
    entrance: Entrance
    runner: asyncio.Runner

    def ask(self, app: ASGIApp, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Send one request to the entrance, or to BentoML's application behind it."""
        return self.runner.run(asyncio.wait_for(ask(app, method, path, body, **headers), 30))


@pytest.fixture(scope="module")
def whole(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """`prediction/service.py` on a home of its own, started in this process."""
    own = Path(shutil.copytree(trained_home, tmp_path_factory.mktemp("edge") / "home", symlinks=True))
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), asyncio.Runner() as runner:
        warnings.simplefilter("ignore", DeprecationWarning)
        patch.setenv("BENTOML_HOME", str(own))
        patch.setenv("PREDICTION_MAX_BATCH_ROWS", "20")
        patch.delitem(sys.modules, "prediction.service", raising=False)
        patch.syspath_prepend(str(PROJECT))
        service = importlib.import_module("prediction.service")
        patch.delitem(sys.modules, "prediction.service")
        app = service.prediction.to_asgi()
        lifespan = app.app.router.lifespan_context(app.app)
        runner.run(lifespan.__aenter__())
        yield Whole(service, app, runner)
        runner.run(lifespan.__aexit__(None, None, None))


def without_id(body: bytes) -> bytes:
    """Leave the ids out of an answer."""
    return re.sub(rb'"prediction_id":"[0-9a-f-]{36}"', b'"prediction_id":""', body)


def bodies_of(spec: Spec) -> dict[str, bytes]:
    """Return good and bad bodies for a spec, by what they are."""
    row = spec.example
    name = next(iter(row))
    rows: dict[str, Any] = {
        "good": row,
        "a number as text": row | {name: "5.1"},
        "true": row | {name: True},
        "unknown field": row | {"colour": "red"},
        "out of range": row | {name: 1e9},
        "surprising": row | {name: spec.inputs[name].high},
        "all wrong": {key: [] for key in row},
        "empty": {},
        "a list": [1, 2],
        "null": None,
    }
    return {key: json.dumps(value).encode() for key, value in rows.items()} | {
        "NaN": json.dumps(row | {name: float("nan")}).encode(),
        "no JSON": b"{",
        "nothing": b"",
        "no text": b"\xff\xfe",
        "a name twice": json.dumps(row).encode()[:-1] + f', "{name}": 3'.encode() + b"}",
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", list(catalog.load()))
def test_the_declared_api_and_the_entrance_say_the_same(
    whole: Whole, specs: dict[str, Spec], name: str
) -> None:
    """BentoML's own way to an API gives the same status and bytes as the fast one, but for the id."""
    for what, body in bodies_of(specs[name]).items():
        wrapped = body if body[:1] == b"[" else b"[" + body + b"]"
        for path, sent in ((f"/{name}/predict", body), (f"/{name}/predict_batch", wrapped)):
            fast = whole.ask(whole.entrance, "POST", path, sent)
            declared = whole.ask(whole.entrance.app, "POST", path, sent)

            assert (fast.status, without_id(fast.body)) == (declared.status, without_id(declared.body)), (
                what
            )
            assert fast.headers["content-type"] == declared.headers["content-type"]
            assert fast.status in (200, 400), what


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_both_ways_count_rows_alike(whole: Whole, specs: dict[str, Spec]) -> None:
    """As many rows as are allowed are answered, none among them; one more is the same error on both."""
    row = specs["iris"].example
    for count in (0, 1, 20, 21):
        body = json.dumps([row] * count).encode()
        fast = whole.ask(whole.entrance, "POST", "/iris/predict_batch", body)
        declared = whole.ask(whole.entrance.app, "POST", "/iris/predict_batch", body)

        assert (fast.status, without_id(fast.body)) == (declared.status, without_id(declared.body))
        assert (200 if count <= 20 else 400) == fast.status


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_failure_behind_a_declared_api_has_the_common_shape(
    whole: Whole, specs: dict[str, Spec], caplog: pytest.LogCaptureFixture
) -> None:
    """An unforeseen error inside BentoML's own way is a 500 in our shape, with one traceback in the log."""
    method = whole.service.prediction.apis["iris_predict"]
    good = method.input_spec.from_http_request

    async def explode(_cls: type, _request: Request, _serde: Any) -> Any:
        raise ValueError("the password is hunter2")

    method.input_spec.from_http_request = classmethod(explode)
    try:
        body = json.dumps(specs["iris"].example).encode()
        answer = whole.ask(whole.entrance.app, "POST", "/iris/predict", body)
    finally:
        method.input_spec.from_http_request = good

    assert 500 == answer.status
    assert "the server failed: its log has the traceback" == answer.problem["error"]
    assert 1 == caplog.text.count("Traceback")


# ------------------------------------------------------------------------- BentoML's private names


def test_bentoml_is_the_version_that_we_know() -> None:
    """The names below were read in one version, which is the one that is pinned."""
    pinned = re.findall(r'"bentoml==([^"]+)"', (PROJECT / "pyproject.toml").read_text())

    assert ["1.4.39"] == pinned
    assert "1.4.39" == bentoml.__version__


def test_the_methods_that_we_override_are_there() -> None:
    """What we replace in BentoML exists there, and takes the same arguments."""
    for ours, theirs, names in (
        (edge.AppFactory, ServiceAppFactory, ("api_endpoint", "index_page", "readyz")),
        (edge.Loop, Service, ("inject_config", "to_asgi")),
    ):
        assert issubclass(ours, theirs)
        for name in names:
            expected = list(inspect.signature(getattr(theirs, name)).parameters)
            assert expected == list(inspect.signature(getattr(ours, name)).parameters)
    assert isinstance(Service.openapi_spec, property)


def test_bentoml_calls_what_we_override() -> None:
    """BentoML comes through our methods: to answer an API, to show its page, and before it starts."""
    for caller, called in (
        (ServiceAppFactory.api_endpoint_wrapper, "self.api_endpoint("),
        (ServiceAppFactory.__call__, "self.index_page"),
        (ServiceAppFactory.openapi_spec_view, "self.service.openapi_spec"),
        (BaseAppFactory.get_system_routes, "self.readyz"),
    ):
        assert called in inspect.getsource(caller)
    serve_http = inspect.unwrap(Service.serve_http)
    assert "inject_config" in inspect.getsource(importlib.import_module(serve_http.__module__))


def test_a_service_may_be_of_a_class_of_ours() -> None:
    """`bentoml.service` takes the class of the service it makes."""
    assert "service_class" in inspect.signature(bentoml.service).parameters


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_declared_api_reads_and_writes_through_its_specs(specs: dict[str, Spec]) -> None:
    """The two hooks that we replace on an API are those that BentoML's endpoint calls."""
    source = inspect.getsource(ServiceAppFactory.api_endpoint)
    assert "method.input_spec.from_http_request(request, serde)" in source
    assert "method.output_spec.to_http_response(output, serde)" in source

    async def run(row: Any) -> Any:
        return row

    spec = specs["iris"]
    call = Call(spec.name, "x", "", spec.rows, bodies.answer(spec), spec.example, run)
    api = edge.declare(call)
    assert ("iris_x", "/iris/x") == (api.name, api.route)


def test_bentoml_has_no_route_that_we_forgot(whole: Whole) -> None:
    """Every path of BentoML's application is a system path, its static files, or a call of ours."""
    paths = {route.path for route in whole.entrance.app.routes}  # type: ignore[attr-defined]
    statics = {path for path in paths if path == "/static_content"}

    assert entrance.SYSTEM_PATHS <= paths
    assert set() == paths - entrance.SYSTEM_PATHS - statics - set(whole.entrance.calls)
    assert 1 == len(statics)


def test_the_docs_page_finds_its_files(whole: Whole) -> None:
    """Every file that the docs page names is among BentoML's static files."""
    page = whole.ask(whole.entrance, "GET", "/").body.decode()
    files = re.findall(r'(?:src|href)="\./([^"]+)"', page)

    assert len(files) >= 4
    for file in files:
        assert 200 == whole.ask(whole.entrance, "GET", f"/{file}").status


def test_openapi_objects_have_the_fields_that_we_give() -> None:
    """BentoML's description takes paths, one operation a method, and our components."""
    made = OpenAPISpecification(
        openapi="3.1.0",
        info=Info(title="x", version="1", description="y"),
        servers=[],
        paths={"/x": PathItem(post={"summary": "z"})},
        components={"schemas": {}},
    ).asdict()

    assert {"/x": {"post": {"summary": "z"}}} == made["paths"]


def test_a_home_is_locked_while_a_server_lives(tmp_path: Path) -> None:
    """A second server on one home is told the first one's process, and may start once it is gone."""
    lock = home.lock(tmp_path)
    with pytest.raises(errors.AlreadyServing, match=r"process \d+ serves .*BENTOML_HOME"):
        home.lock(tmp_path)
    lock.close()

    home.lock(tmp_path).close()
