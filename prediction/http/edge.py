"""What is changed in BentoML, all of it: only this module knows its private names.

`tests/http/test_edge.py` holds them against the pinned version.
"""

from __future__ import annotations

import inspect
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import bentoml
import click
from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk import images
from _bentoml_sdk.service import Service
from bentoml._internal import server
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.service.openapi.specification import Info, OpenAPISpecification, PathItem
from pydantic import SecretStr
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from prediction import home
from prediction.errors import AlreadyServing, InvalidSettings, NotReady, PortTaken
from prediction.http import calls, entrance
from prediction.http.calls import Call
from prediction.http.entrance import Entrance

STATIC_FILES = Path(server.__file__).parent / "static_content"
IMAGE_FOLDER = Path(__file__).parent / "image"
DOCS_PAGE = Path(__file__).parent / "docs.html"


@dataclass(frozen=True)
class Settings:
    """What a service answers beside its declared APIs, and its limits.

    Parameters
    ----------
    calls
        The POSTs; each is a declared API too.
    resources
        Our GET routes; in `gets` their OpenAPI operations by path, and in `schemas` what these refer to.
    protected, admin_token
        GET routes that need the token once there is one; it opens the admin calls.
    home
        Locked for the life of a server: a second one on the same home would delete its metrics.
    """

    calls: Sequence[Call]
    resources: Sequence[BaseRoute]
    gets: dict[str, dict[str, Any]]
    schemas: dict[str, Any]
    home: Path
    max_body_bytes: int
    max_in_flight: int
    protected: Sequence[BaseRoute] = ()
    admin_token: SecretStr | None = None


def start_error(message: str) -> bentoml.exceptions.BentoMLException:
    """Make the error that ends a start with one sentence in BentoML's command line."""
    return bentoml.exceptions.BentoMLException(message)


def command() -> str:
    """Return which of BentoML's commands runs: `serve`, `build`, or nothing."""
    context = click.get_current_context(silent=True)
    return str(context.info_name) if context is not None else ""


def declare(call: Call) -> Any:
    """Make the BentoML API of a call, which reads and writes the same bytes.

    In a client, fields are keywords and an array is the one positional argument.
    """

    async def object_method(_: object, **fields: Any) -> Any:
        return await call.run(call.validator.object(fields))

    async def array_method(_: object, rows: Any, /) -> Any:
        return await call.run(rows)

    array_method.__annotations__ = {"rows": call.body, "return": call.answer}
    is_array = call.max_rows is not None
    method: Any = array_method if is_array else object_method
    method.__name__, method.__doc__ = call.method, call.summary
    specs = {} if is_array else {"input_spec": call.body, "output_spec": call.answer}
    api: Any = bentoml.api(route=call.path, **specs)(method)

    async def from_http_request(_: type, request: Request, _serde: Any) -> Any:
        return call.parse(await request.body())

    async def to_http_response(_: type, answer: Any, _serde: Any) -> Response:
        return Response(to_json(answer), media_type="application/json")

    api.input_spec.from_http_request = classmethod(from_http_request)
    api.output_spec.to_http_response = classmethod(to_http_response)
    return api


def make_service(base: type, models: dict[str, Any], settings: Settings, **config: Any) -> Loop:
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
    apis = {call.method: declare(call) for call in settings.calls}
    description = inspect.cleandoc(base.__doc__ or "")  # it is Markdown, where indented lines are code
    inner = type(base.__name__, (base,), {"__doc__": description, **models, **apis})
    service: Loop = bentoml.service(service_class=Loop, **config)(inner)
    service.settings = settings
    return service


class Image(images.Image):
    """BentoML's image, ended by `image/`: small, with one volume, and its workers come back.

    `bentoml containerize` makes the Dockerfile anew from what a Bento notes, so ours is noted as a command.
    """

    def freeze(self, bento_fs: Path, *args: Any, **kwargs: Any) -> Any:
        """Note in a Bento what its image is made of."""
        ending = (IMAGE_FOLDER / "Dockerfile").read_text(encoding="utf-8")
        self.post_commands.append(f"true\n{ending}")
        info = super().freeze(bento_fs, *args, **kwargs)
        shutil.copy(IMAGE_FOLDER / "entrypoint.sh", bento_fs / "env" / "docker")
        return info


class Loop(Service[Any]):
    """BentoML's service with our entrance in front of it."""

    settings: Settings
    _lock: IO[str]

    def inject_config(self) -> None:
        """Take the home's lock where a server starts, before BentoML deletes another's metrics."""
        if command() == "serve":  # `build` comes here too
            try:
                self._lock = home.lock(self.settings.home)
                options = click.get_current_context().params
                host = options.get("host") or BentoMLContainer.http.host.get()
                demand_port(host, options.get("port") or BentoMLContainer.http.port.get())
            except (AlreadyServing, InvalidSettings, PortTaken) as error:
                raise start_error(str(error)) from None
        super().inject_config()

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Make a worker's application."""
        super().inject_config()
        token = self.settings.admin_token
        return Entrance(
            app=AppFactory(self, is_main=is_main)(),
            calls={call.path: call for call in self.settings.calls},
            resources=self.settings.resources,
            max_body_bytes=self.settings.max_body_bytes,
            max_in_flight=self.settings.max_in_flight,
            protected=self.settings.protected,
            admin_token=token.get_secret_value() if token else None,
            static=frozenset(f"/static_content/{file.name}" for file in STATIC_FILES.iterdir()),
        )

    @property
    def openapi_spec(self) -> OpenAPISpecification:
        """BentoML's description, with our POSTs and GETs as we describe them."""
        spec = super().openapi_spec
        version = self.bento.tag.version if self.bento else "not built"
        posts, schemas = calls.operations(self.settings.calls)
        schemas |= self.settings.schemas
        paths = {path: PathItem(post=operation) for path, operation in posts.items()}
        paths |= {path: PathItem(get=operation) for path, operation in self.settings.gets.items()}
        paths |= {path: item for path, item in spec.paths.items() if path not in posts}
        return OpenAPISpecification(
            openapi="3.1.0",
            info=Info(title=self.name, version=version, description=self.inner.__doc__),
            servers=spec.servers,
            paths=paths,
            components={"schemas": schemas, "securitySchemes": {"admin": calls.BEARER}},
        )


def demand_port(host: str, port: int) -> None:
    """Check that a server can listen on a port: BentoML would end the start with a traceback.

    Raises
    ------
    PortTaken
        Naming the port and the option that chooses another one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = (error.strerror or "").partition(" (")[0]
        message = f"can't listen on port {port} of {host}: {reason}: give another one by --port"
        raise PortTaken(message) from None


class AppFactory(ServiceAppFactory):
    """BentoML's application, with our errors, and a docs page that loads nothing from outside."""

    async def api_endpoint(self, name: str, request: Request) -> Response:
        """Answer one declared API."""
        try:
            return await super().api_endpoint(name, request)
        except Exception as error:
            status, reason, body, headers = entrance.explain(error)
            entrance.tell(request.scope, status, reason, error)
            return Response(body, status, headers, media_type="application/json")

    async def readyz(self, _: Request) -> Response:
        """Tell whether this worker can answer predict, and if not, in the shape of all errors."""
        try:
            return await super().readyz(_)
        except HTTPException:
            error = NotReady("this worker can't answer every model yet: /models tells what is served")
            status, _reason, body, headers = entrance.explain(error)
            return Response(body, status, headers, media_type="application/json")

    async def index_page(self, _: Request) -> Response:
        """Answer the docs page."""
        return HTMLResponse(DOCS_PAGE.read_text(encoding="utf-8"))
