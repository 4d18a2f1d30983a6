"""The routes of `/v2`: which request is one for answers, and what the GETs say of server and models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from models_store.errors import UnknownModel, broken_spec
from prediction.http import parameters
from prediction.http.open_inference.features import kinds
from prediction.http.open_inference.inferring import Inference, Model
from prediction.network import doors

NAME = "prediction"
EXTENSIONS = ("binary_tensor_data",)
PREFIX = "/v2/models/"


def _of_model(end: str = "") -> tuple[str, str]:
    return f"{PREFIX}{{model}}{end}", f"{PREFIX}{{model}}/versions/{{version}}{end}"


METADATA, MODEL_READY, INFER = _of_model(), _of_model("/ready"), _of_model("/infer")
"""The paths of a model: without and with a version."""


@dataclass(frozen=True)
class Routes:
    """The protocol's routes for all models.

    Parameters
    ----------
    faults
        Models whose files of the catalog are broken, and why.
    version
        Returns that of this server.
    demand_ready
        Raises an error unless this worker can answer every model.
    """

    models: Mapping[str, Model]
    faults: Mapping[str, str]
    version: Callable[[], str]
    demand_ready: Callable[[], None]

    def find(self, scope: Scope) -> Inference | None:
        """Return what answers a request for answers; None for all other requests.

        Raises
        ------
        UnknownModel, UnknownVersion, NotReady, BrokenSpec
        Refusal
            When a page of another origin may have sent it.
        """
        path: str = scope["path"]
        if not path.startswith(PREFIX) or not path.endswith("/infer"):
            return None
        name, *rest = path.removeprefix(PREFIX).removesuffix("/infer").split("/")
        if rest and (len(rest) != 2 or rest[0] != "versions"):
            return None
        known = self._known(name)
        version = rest[1] if rest else None
        if scope["method"] == "POST":
            doors.demand_own_page(scope)
            known.demand(version)
        return Inference(known, version, dict(scope["headers"]))

    def routes(self) -> list[BaseRoute]:
        """Return the GET routes."""
        answers: dict[str, Callable[[Request], dict[str, Any]]] = {
            "/v2": self._server,
            "/v2/health/live": lambda _: {"live": True},
            "/v2/health/ready": self._ready,
            **dict.fromkeys(METADATA, self._metadata),
            **dict.fromkeys(MODEL_READY, self._model_ready),
        }
        return [Route(path, _endpoint(answer), methods=["GET"]) for path, answer in answers.items()]

    def _known(self, name: str) -> Model:
        if name in self.faults:
            raise broken_spec(name, self.faults[name])
        if name not in self.models:
            raise UnknownModel(f"there is no such model: the models are {', '.join(self.models)}")
        return self.models[name]

    def _server(self, _: Request) -> dict[str, Any]:
        return {"name": NAME, "version": self.version(), "extensions": EXTENSIONS}

    def _ready(self, _: Request) -> dict[str, Any]:
        self.demand_ready()
        return {"ready": True}

    def _model_ready(self, request: Request) -> dict[str, Any]:
        known = self._known(request.path_params["model"])
        known.demand(request.path_params.get("version"))
        known.runtime.demand_journal()
        return {"name": known.spec.name, "ready": True}

    def _metadata(self, request: Request) -> dict[str, Any]:
        known = self._known(request.path_params["model"])
        served = known.demand(request.path_params.get("version"))
        inputs = [
            {"name": name, "datatype": kinds.of(each).datatype(each), "shape": [-1, 1]}
            for name, each in known.spec.inputs.items()
        ]
        outputs = []
        for output in known.outputs.values():
            facts = {"name": output.name, "datatype": output.datatype, "shape": [-1, output.width]}
            more = output.parameters([])
            outputs.append({**facts, "parameters": more} if more else facts)
        platform = known.runtime.version(known.spec.name).runtime
        facts = {"name": known.spec.name, "versions": [served], "platform": platform}
        return {**facts, "inputs": inputs, "outputs": outputs}


def _endpoint(answer: Callable[[Request], dict[str, Any]]) -> Callable[[Request], Any]:
    """Make an endpoint on the event loop: nothing of this needs the journal."""

    async def endpoint(request: Request) -> Response:
        parameters.check(request, ())
        return Response(to_json(answer(request)), media_type="application/json")

    return endpoint
