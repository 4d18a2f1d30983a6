"""The routes of the protocol in `docs.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models_store.spec import Spec
from prediction.http import calls, parameters
from prediction.http.open_inference.features import kinds
from prediction.http.open_inference.inferring import LENGTH, MEDIA
from prediction.http.open_inference.routes import INFER, METADATA, MODEL_READY

Parameters = dict[str, str | float | bool]


class OpenInferenceProblem(BaseModel):
    """Every error of `/v2`, whatever its status."""

    error: str = Field(description="What is wrong and what to do; it names the first wrong places.")


class ServerMetadata(BaseModel):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(BaseModel):
    """The server answers."""

    live: bool


class ServerReady(BaseModel):
    """Every model has a version that answers."""

    ready: bool


class ModelReady(BaseModel):
    """The model has a version that answers."""

    name: str
    ready: bool


class TensorMetadata(BaseModel):
    """A tensor that a model takes or answers; -1 stands for the number of rows."""

    name: str
    datatype: Literal["FP64", "INT64", "BOOL", "BYTES"]
    shape: list[int]
    parameters: Parameters = {}


class ModelMetadata(BaseModel):
    """A model: its champion, its inputs and its outputs."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InputTensor(BaseModel):
    """The values of one feature, a row each: in `data`, or in binary behind the JSON."""

    name: str = Field(description="The name of a feature.")
    shape: list[int] = Field(description="[n, 1] or [n]")
    datatype: Literal["FP64", "FP32", "INT64", "INT32", "BOOL", "BYTES"]
    parameters: dict[str, Any] | None = Field(
        default=None, description="`binary_data_size`, the bytes of a binary tensor; `content_type`."
    )
    data: list[Any] = Field(
        default=[], description="Values; one that is missing is null or NaN, as BYTES an empty text."
    )


class WantedOutput(BaseModel):
    """An output that the answer shall have; without any it has all."""

    name: str
    parameters: dict[str, Any] | None = Field(default=None, description="`binary_data`: true or false.")


class InferenceRequest(BaseModel):
    """Rows by column: one tensor a feature. A feature that may be missing may have none."""

    model_config = ConfigDict(extra="allow")

    id: str | None = Field(default=None, max_length=1_000)
    parameters: dict[str, Any] | None = Field(
        default=None, description="`binary_data_output`: true or false, for all outputs."
    )
    inputs: list[InputTensor] = Field(min_length=1)
    outputs: list[WantedOutput] | None = None


class OutputTensor(BaseModel):
    """An output; in `data`, or in binary behind the JSON."""

    name: str
    shape: list[int]
    datatype: Literal["FP64", "INT64", "BOOL", "BYTES"]
    parameters: Parameters = {}
    data: list[Any] = []


class InferenceResponse(BaseModel):
    """The answers."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: Parameters = Field(
        description="`prediction_ids`: the id of each row, with commas between them. `warnings`: a JSON"
        " array of `loc` (row, feature) and `msg`."
    )
    outputs: list[OutputTensor]


def operations(
    specs: Sequence[Spec], faults: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Describe the routes as OpenAPI 3.1.

    Returns
    -------
    tuple
        The operations by path and method, and the schemas that they refer to.
    """
    schemas = dict[str, Any]()
    model = parameters.in_path("model", enum=sorted([*(spec.name for spec in specs), *faults]))
    version = parameters.in_path("version", type="string")
    found: dict[str, dict[str, Any]] = {}
    servers: list[tuple[str, str, Any]] = [
        ("/v2", "Open Inference Protocol: what the server is", ServerMetadata),
        ("/v2/health/live", "Whether the server answers", ServerLive),
        ("/v2/health/ready", "Whether every model has a version that answers", ServerReady),
    ]
    for path, summary, answer in servers:
        found[path] = {"get": _operation(path, summary, answer, schemas, [])}
    of_models = [
        (METADATA, "A model: its champion, its inputs and its outputs", ModelMetadata),
        (MODEL_READY, "Whether a model has a version that answers", ModelReady),
    ]
    for paths, summary, answer in of_models:
        for path, given in zip(paths, ([model], [model, version]), strict=True):
            found[path] = {"get": _operation(path, summary, answer, schemas, given)}
    for path, given in zip(INFER, ([model], [model, version]), strict=True):
        summary = "Predictions for rows that are given as tensors, one a feature"
        operation = _operation(path, summary, InferenceResponse, schemas, [*given, _LENGTH], is_post=True)
        found[path] = {"post": operation | {"requestBody": _body(specs, schemas)}}
    return found, schemas


_LENGTH = {
    "name": LENGTH.title(),
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The bytes of the JSON, if binary tensors follow it.",
}


def _operation(
    path: str,
    summary: str,
    answer: Any,
    schemas: dict[str, Any],
    given: list[dict[str, Any]],
    *,
    is_post: bool = False,
) -> dict[str, Any]:
    refusals = {*calls.OF_EVERY_POST, 403} if is_post else {400, 421, 429, 500, 503}
    refusals |= {404} if given else set()
    words = path.removeprefix("/").replace("{", "").replace("}", "").split("/")
    return {
        "tags": ["Open Inference Protocol"],
        "summary": summary,
        "operationId": "_".join([*words, "post" if is_post else "get"]),
        "parameters": given,
        "responses": calls.responses(answer, refusals, schemas, problem=OpenInferenceProblem),
    }


def _body(specs: Sequence[Spec], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = calls.schema(InferenceRequest, schemas)
    example = {"inputs": _example(specs[0])} if specs else {}
    return {
        "required": True,
        "content": {
            kind.decode(): {"schema": schema, "example": example}
            if kind == b"application/json"
            else {"schema": {"type": "string", "format": "binary"}}
            for kind in sorted(MEDIA.types)
            if kind
        },
    }


def _example(spec: Spec) -> list[dict[str, Any]]:
    """Return the example of a spec as tensors."""
    return [
        {"name": name, "shape": [1, 1], "datatype": kinds.of(each).datatype(each), "data": [each.example]}
        for name, each in spec.inputs.items()
    ]
