"""All changes to BentoML: only this module uses its private names.

`tests/http/test_edge.py` compares them with the pinned version.
"""

from __future__ import annotations

import inspect
import json
import os
import shutil
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any

import bentoml
import click
import uvicorn.config
from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk import images
from _bentoml_sdk.service import Service
from bentoml._internal import configuration, log, server
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.service.openapi.specification import Info, OpenAPISpecification, PathItem
from pydantic import SecretStr
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Scope

from prediction import home
from prediction.errors import AlreadyServing, InvalidSettings, JournalFault, NotReady, PortTaken
from prediction.http import calls
from prediction.http.calls import Answerable, Call
from prediction.http.entrance import SYSTEM_PATHS, Entrance
from prediction.network import doors, error_answers, ports, proxies
from prediction.network.connections import Connections, Limits
from prediction.network.doors import PAGE_HEADERS, Hosts
from prediction.network.ending import PatientServer
from prediction.network.origins import Origins
from prediction.network.protocol import Connection
from prediction.network.proxies import Proxies
from prediction.processes import parent, watcher
from prediction.telemetry import logs
from prediction.telemetry.request_log import RequestLog
from prediction.telemetry.tracing import Traced, Tracing

STATIC_FILES = Path(server.__file__).parent / "static_content"
IMAGE_FOLDER = Path(__file__).parent / "image"
WHEELS = "wheels"
DOCS_PAGE = Path(__file__).parent / "docs.html"
WAITING = "this worker can't answer every model yet: GET /models shows what each worker serves"


@dataclass(frozen=True)
class Parts:
    """The parts of a service: its routes, its limits, its home.

    Parameters
    ----------
    calls
        The POST routes; each is declared to BentoML too.
    find
        Finds what answers a POST that is no call: those of the Open Inference Protocol.
    resources
        The GET routes.
    describe
        Returns the OpenAPI operations of all routes that are no calls, by path and method, and their
        schemas. It is called when somebody asks: it would take a tenth of the start.
    protected, admin_token
        The GET routes that need the admin token, if there is one. Admin calls always need it.
    hosts
        The names of the server; if empty, they follow from the address on which it listens.
    faults
        Models whose files of the catalog are broken, and why: their routes answer 503.
    hold
        Why no worker of this server is ready, whatever it has loaded; mostly empty.
    home
        Locked while a server or a worker of it runs: a second one would delete its metrics.
    """

    calls: Sequence[Call]
    resources: Sequence[BaseRoute]
    describe: Callable[[], tuple[dict[str, dict[str, Any]], dict[str, Any]]]
    home: Path
    max_body_bytes: int
    max_in_flight: int
    keep_alive_seconds: float
    grace_seconds: float
    find: Callable[[Scope], Answerable | None] = lambda _: None
    faults: dict[str, str] = field(default_factory=dict)
    hold: str = ""
    hosts: Sequence[str] = ()
    protected: Sequence[BaseRoute] = ()
    admin_token: SecretStr | None = None
    root_path: str = ""
    trusted_proxies: tuple[proxies.Network, ...] = ()
    cors_origins: tuple[str, ...] = ()
    log_requests: bool = False
    tracing: Tracing | None = None

    def own(self) -> frozenset[str]:
        """Return the first parts of all paths of the service."""
        gets = [route.path for route in self.resources if isinstance(route, Route)]
        paths = [*SYSTEM_PATHS, *gets, "/static_content", *(call.path for call in self.calls)]
        return frozenset(path.split("/")[1] for path in paths) - {""}


def start_error(message: str) -> bentoml.exceptions.BentoMLException:
    """Make an error that BentoML's command line prints as one sentence before it exits."""
    return bentoml.exceptions.BentoMLException(message)


def write_json_logs() -> None:
    """Let BentoML log JSON too, whenever it sets up its loggers, and write its command's errors so."""
    log.CLI_LOGGING_CONFIG["formatters"]["simple"] = {"()": logs.JsonFormatter}
    log.SERVER_LOGGING_CONFIG["formatters"]["traced"] = {"()": logs.JsonFormatter}
    for name in ("uvicorn.error", "circus"):
        log.SERVER_LOGGING_CONFIG["loggers"][name]["propagate"] = False  # the root would write lines twice
    click.ClickException.show = _log_failure  # type: ignore[method-assign, assignment]
    logs.write_json()


def _log_failure(error: click.ClickException, _file: object = None) -> None:
    logs.fail(click.unstyle(error.format_message()))


def command() -> str:
    """Return the name of BentoML's running command, such as `serve` or `build`, or an empty text."""
    context = click.get_current_context(silent=True)
    return str(context.info_name) if context is not None else ""


def declare(call: Call) -> Any:
    """Make the BentoML API of a call: BentoML's clients make a method of it. The entrance answers the call.

    In a client, fields are keywords and an array is the one positional argument.
    """

    async def object_method(_: object, **fields: Any) -> Any:
        raise NotImplementedError

    async def array_method(_: object, rows: Any, /) -> Any:
        raise NotImplementedError

    array_method.__annotations__ = {"rows": call.body, "return": call.answer}
    is_array = call.max_rows is not None
    method: Any = array_method if is_array else object_method
    method.__name__, method.__doc__ = call.method, call.summary
    specs = {} if is_array else {"input_spec": call.body, "output_spec": call.answer}
    return bentoml.api(route=call.path, **specs)(method)


def make_service(base: type, models: dict[str, Any], parts: Parts, **config: Any) -> Loop:
    """Make a BentoML service.

    Parameters
    ----------
    base
        The class that holds the service's hooks; its docstring describes the service.
    models
        The BentoML models to pack into a Bento, by attribute.
    config
        That of `bentoml.service`.
    """
    apis = {call.method: declare(call) for call in parts.calls}
    description = inspect.cleandoc(base.__doc__ or "")  # it is Markdown, where indented lines are code
    inner = type(base.__name__, (base,), {"__doc__": description, **models, **apis})
    service: Loop = bentoml.service(service_class=Loop, **config)(inner)
    service.parts = parts
    return service


class Image(images.Image):
    """BentoML's image with `image/` as its last stage: small, with one volume.

    `bentoml containerize` makes the Dockerfile from the Bento, so our stage is stored there as a command.
    """

    def freeze(self, bento_fs: Path, *args: Any, **kwargs: Any) -> Any:
        """Store in the Bento how its image is made. Nothing is installed in this environment for that."""
        if not self.lock_python_packages:  # uv would be installed, and then not be asked
            configuration.get_uv_command = list
        ending = (IMAGE_FOLDER / "Dockerfile").read_text(encoding="utf-8")
        ending = ending.replace("FROM BASE_IMAGE", f"FROM {self.base_image}")
        self.post_commands.append(f"true\n{ending}")
        info = super().freeze(bento_fs, *args, **kwargs)
        shutil.copy(IMAGE_FOLDER / "entrypoint.sh", bento_fs / "env" / "docker")
        return info

    def _freeze_python_requirements(self, bento_fs: Path, *args: Any, **kwargs: Any) -> str:
        """Copy wheels into the stage that installs them: BentoML does so only if it locks them."""
        requirements: str = super()._freeze_python_requirements(bento_fs, *args, **kwargs)
        if (bento_fs / "src" / WHEELS).is_dir():  # the project's own, and those of packages from git
            self.build_include(WHEELS)
        return requirements


class Loop(Service[Any]):
    """BentoML's service with our entrance in front of it."""

    parts: Parts
    _lock: IO[str]

    def inject_config(self) -> None:
        """Lock the home when a server starts, before BentoML deletes the metrics of another server."""
        if command() == "serve":  # `build` comes here too
            try:
                self._lock = home.lock(self.parts.home)
                options = click.get_current_context().params
                host = options.get("host") or BentoMLContainer.http.host.get()
                ports.demand(host, options.get("port") or BentoMLContainer.http.port.get())
            except (AlreadyServing, InvalidSettings, PortTaken) as error:
                raise start_error(str(error)) from None
            home.share(self._lock)
            parent.bind_children()
            self._replace_watcher()
        super().inject_config()

    def _replace_watcher(self) -> None:
        from bentoml import serving  # only the server's process needs it

        made = partial(watcher.make, serving.create_watcher, self.parts.grace_seconds)
        serving.create_watcher = made

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Make a worker's application, and the connections that uvicorn hands to it."""
        if parent.follow():
            home.sign(self.parts.home)
        os.environ["FORWARDED_ALLOW_IPS"] = ""  # read next by uvicorn, which else trusts 127.0.0.1
        # BentoML names no protocol to uvicorn, which then takes this one.
        connections = Connections(Limits(keep_alive_seconds=self.parts.keep_alive_seconds))
        uvicorn.config.HTTP_PROTOCOLS["auto"] = partial(Connection, connections)  # type: ignore[assignment]
        uvicorn.Server = partial(PatientServer, connections, self.parts.grace_seconds)  # type: ignore[misc, assignment]
        parts = self.parts
        entrance = self.entrance(is_main)
        app: ASGIApp = entrance
        if parts.tracing is not None:
            app = Traced(app, entrance.route, parts.tracing)
        if parts.cors_origins:
            app = Origins(app, frozenset(parts.cors_origins))
        if parts.log_requests:
            app = RequestLog(app)
        if parts.root_path or parts.trusted_proxies:
            app = Proxies(app, parts.root_path, parts.trusted_proxies, parts.own())
        return app

    def entrance(self, is_main: bool = True) -> Entrance:
        """Make a worker's entrance with BentoML's application behind it."""
        super().inject_config()
        token = self.parts.admin_token
        names = self.parts.hosts or doors.default_names(bound_address())
        return Entrance(
            app=AppFactory(self, is_main=is_main)(),
            calls={call.path: call for call in self.parts.calls},
            resources=self.parts.resources,
            max_body_bytes=self.parts.max_body_bytes,
            max_in_flight=self.parts.max_in_flight,
            find=self.parts.find,
            faults=self.parts.faults,
            protected=self.parts.protected,
            admin_token=token.get_secret_value() if token else None,
            hosts=Hosts(names) if names else None,
            trusted_proxies=self.parts.trusted_proxies,
            static=frozenset(f"/static_content/{file.name}" for file in STATIC_FILES.iterdir()),
        )

    @property
    def version(self) -> str:
        """The version of the Bento."""
        return str(self.bento.tag.version) if self.bento else "not built"

    @cached_property
    def openapi_spec(self) -> OpenAPISpecification:
        """BentoML's description with our own description of our routes."""
        spec = super().openapi_spec
        posts, schemas = calls.operations(self.parts.calls)
        described, others = self.parts.describe()
        schemas |= others
        paths = {path: PathItem(post=operation) for path, operation in posts.items()}
        paths |= {path: PathItem(**methods) for path, methods in described.items()}
        paths |= {path: item for path, item in spec.paths.items() if path not in posts}
        return OpenAPISpecification(
            openapi="3.1.0",
            info=Info(title=self.name, version=self.version, description=self._description()),
            servers=spec.servers,
            paths=paths,
            components={"schemas": schemas, "securitySchemes": {"admin": calls.BEARER}},
        )

    def _description(self) -> str:
        """Describe the service, and the models that can't answer; it is Markdown."""
        faults = [f"- `{name}` can't answer: {fault}" for name, fault in self.parts.faults.items()]
        return "\n\n".join([self.inner.__doc__ or "", *(["\n".join(faults)] if faults else [])])


def bound_address() -> str | None:
    """Return the address of the socket that a worker was given; None if this process is no worker."""
    context = click.get_current_context(silent=True)
    fd = context.params.get("fd") if context is not None else None
    if fd is None:
        return None
    with socket.socket(fileno=os.dup(fd)) as listening:
        name = listening.getsockname()
    return str(name[0]) if isinstance(name, tuple) else None


class AppFactory(ServiceAppFactory):
    """BentoML's application without its API routes; the docs page loads nothing from outside."""

    @property
    def routes(self) -> list[BaseRoute]:
        """Return BentoML's probes and metrics only.

        Without its routes to the declared APIs, no path leads to code that would unpickle a body.
        """
        return list(self.get_system_routes(self.service.path_prefix))

    async def readyz(self, _: Request) -> Response:
        """Answer whether this worker can predict; if not, in the common shape of errors."""
        try:
            return await super().readyz(_)
        except (HTTPException, JournalFault) as caught:
            error = NotReady(
                str(caught) if isinstance(caught, JournalFault) else self.service.parts.hold or WAITING
            )
            status, _reason, body, headers = error_answers.explain(error)
            return Response(body, status, headers, media_type="application/json")

    async def openapi_spec_view(self, req: Request) -> Response:
        """Answer `docs.json`; where a prefix is known, it is the server's address."""
        answer = await super().openapi_spec_view(req)
        prefix = req.scope.get("prefix")
        if not prefix or answer.status_code != 200:
            return answer
        document = json.loads(answer.body) | {"servers": [{"url": prefix}]}
        return JSONResponse(document)

    async def index_page(self, _: Request) -> Response:
        """Answer the docs page."""
        return HTMLResponse(DOCS_PAGE.read_text(encoding="utf-8"), headers=PAGE_HEADERS)
