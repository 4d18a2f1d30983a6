"""BentoML's private names as we know them, and the whole service with BentoML behind the entrance."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
import shutil
import socket
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import click
import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from models_store import catalog
from prediction import errors, home
from prediction.http import entrance
from prediction.http.entrance import Entrance
from prediction.network.ending import PatientServer
from prediction.network.protocol import Connection
from prediction.network.proxies import Proxies
from tests.http.asgi import Answer, ask
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
        patch.setenv("FORWARDED_ALLOW_IPS", "*")  # the service must not believe it
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


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["application/json", "application/vnd.bentoml+pickle"])
def test_nothing_behind_the_entrance_reads_a_body(whole: Whole, kind: str) -> None:
    """BentoML's application has no route of its own to a call, so its pickles can't come in that way."""
    for path in whole.entrance.calls:
        assert 404 == whole.ask(whole.entrance.app, "POST", path, b"{}", content_type=kind).status


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_call_is_declared_to_bentomls_clients(whole: Whole) -> None:
    """`/schema.json`, which clients read first, has each call by its method's name, route and fields."""
    schema = json.loads(whole.ask(whole.entrance, "GET", "/schema.json").body)
    declared = {item["name"]: item for item in schema["routes"]}

    assert {call.method: path for path, call in whole.entrance.calls.items()} == {
        name: item["route"] for name, item in declared.items()
    }
    features = declared["iris_predict"]["input"]["properties"]
    assert set(catalog.load()["iris"].inputs) == set(features)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_uvicorn_believes_no_proxy(whole: Whole) -> None:
    """Without our change it takes the headers of any client on 127.0.0.1; our own module decides."""
    seen: list[Scope] = []

    async def behind(scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(scope)
        await PlainTextResponse("behind")(scope, _receive, send)

    whole.service.prediction.to_asgi()
    config = uvicorn.Config(app=behind, log_config=None)  # as BentoML makes it, after `to_asgi`
    config.load()
    whole.ask(config.loaded_app, "GET", "/", x_forwarded_for="192.0.2.9", x_forwarded_proto="https")

    assert [("http", ("127.0.0.1", 1))] == [(scope["scheme"], scope["client"]) for scope in seen]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("prefix", "expected"), [("", "."), ("/ml", "/ml")])
def test_the_description_names_the_prefix(whole: Whole, prefix: str, expected: str) -> None:
    """Clients that are made from `docs.json` call the proxy's address."""
    app = Proxies(whole.entrance, prefix, (), frozenset())
    document = json.loads(whole.ask(app, "GET", f"{prefix}/docs.json").body)

    assert [{"url": expected}] == document["servers"]
    assert "/iris/predict" in document["paths"]


def test_a_prefix_like_a_route_is_known(whole: Whole) -> None:
    """The first parts of all paths: a prefix that begins with one of them can't be removed here."""
    own = whole.service.prediction.parts.own()

    assert {"iris", "penguins", "models", "dashboard", "static_content", "docs.json", "livez"} <= own
    assert "" not in own


# ------------------------------------------------------------------------- BentoML's private names


def test_a_worker_knows_its_bound_address() -> None:
    """BentoML gives its workers a socket by `--fd`; another process has none."""
    assert edge.bound_address() is None
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with click.Context(click.Command("worker")) as context:
            context.params["fd"] = listening.fileno()
            assert "127.0.0.1" == edge.bound_address()
        assert "127.0.0.1" == listening.getsockname()[0], "the socket must stay open"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_image_is_described_without_uv_and_takes_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BentoML would install uv here by pip, and would leave the wheels of a project behind."""
    monkeypatch.setattr(bentoml._internal.configuration, "get_uv_command", partial(pytest.fail, "asked"))
    wheels = tmp_path / "src" / edge.WHEELS
    wheels.mkdir(parents=True)
    (wheels / "own-1-py3-none-any.whl").touch()
    image = edge.Image(base_image="python:3.11-slim", distro="none", lock_python_packages=False)
    image.python_packages("./wheels/own-1-py3-none-any.whl")

    image.freeze(tmp_path, [])

    dockerfile = (tmp_path / "env" / "docker" / "Dockerfile").read_text()
    copied = dockerfile.index("./src/wheels ./src/wheels")
    assert (
        copied < dockerfile.index("uv --directory $INSTALL_ROOT pip install") < dockerfile.rindex("FROM ")
    )


def test_bentoml_is_the_version_that_we_know() -> None:
    """The names below were read in one version, which is the one that is pinned."""
    pinned = re.findall(r'"bentoml==([^"]+)"', (PROJECT / "pyproject.toml").read_text())

    assert ["1.4.39"] == pinned
    assert "1.4.39" == bentoml.__version__


def test_the_methods_that_we_override_are_there() -> None:
    """What we replace in BentoML exists there, and takes the same arguments."""
    for ours, theirs, names in (
        (edge.AppFactory, ServiceAppFactory, ("index_page", "openapi_spec_view", "readyz")),
        (edge.Loop, Service, ("inject_config", "to_asgi")),
    ):
        assert issubclass(ours, theirs)
        for name in names:
            expected = list(inspect.signature(getattr(theirs, name)).parameters)
            assert expected == list(inspect.signature(getattr(ours, name)).parameters)
    for ours, theirs, name in (
        (edge.Loop, Service, "openapi_spec"),
        (edge.AppFactory, ServiceAppFactory, "routes"),
    ):
        assert isinstance(getattr(theirs, name), property)
        assert getattr(ours, name) is not getattr(theirs, name)


def test_bentoml_calls_what_we_override() -> None:
    """BentoML calls our methods: to make its routes, to show its page, and before it starts."""
    for caller, called in (
        (BaseAppFactory.__call__, "self.routes"),
        (ServiceAppFactory.__call__, "self.index_page"),
        (ServiceAppFactory.__call__, "self.openapi_spec_view"),
        (ServiceAppFactory.openapi_spec_view, "self.service.openapi_spec"),
        (BaseAppFactory.get_system_routes, "self.readyz"),
    ):
        assert called in inspect.getsource(caller)
    serve_http = inspect.unwrap(Service.serve_http)
    assert "inject_config" in inspect.getsource(importlib.import_module(serve_http.__module__))


def test_uvicorn_takes_our_protocol(whole: Whole) -> None:
    """A worker makes its application before it configures uvicorn, and names no protocol there."""
    source = inspect.getsource(importlib.import_module("_bentoml_impl.worker.service"))
    before, _, after = source.partition("uvicorn.Config(")
    config = uvicorn.Config(whole.entrance, log_config=None)
    config.load()

    assert "service.to_asgi(" in before
    assert "http=" not in after
    assert isinstance(config.http_protocol_class, partial)
    assert Connection is config.http_protocol_class.func


def test_uvicorn_ends_as_we_want(whole: Whole) -> None:
    """A worker makes its application before it makes uvicorn's server, which it takes from the package."""
    source = inspect.getsource(importlib.import_module("_bentoml_impl.worker.service"))
    server = uvicorn.Server(uvicorn.Config(whole.entrance, log_config=None))

    assert source.index("service.to_asgi(") < source.index("uvicorn.Server(config).run(sockets=[socket])")
    assert isinstance(server, PatientServer)


def test_a_service_may_be_of_a_class_of_ours() -> None:
    """`bentoml.service` takes the class of the service it makes."""
    assert "service_class" in inspect.signature(bentoml.service).parameters


def test_bentoml_has_no_route_that_we_forgot(whole: Whole) -> None:
    """Every path of BentoML's application is a system path or its static files."""
    paths = {route.path for route in whole.entrance.app.routes}  # type: ignore[attr-defined]
    files = {path for path in paths if path == "/static_content"}

    assert entrance.SYSTEM_PATHS <= paths
    assert set() == paths - entrance.SYSTEM_PATHS - files
    assert 1 == len(files)


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
