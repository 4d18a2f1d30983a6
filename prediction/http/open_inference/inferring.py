"""`POST /v2/models/{model}/infer`: one request, from its head to the bytes of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from pydantic_core import from_json, to_json

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.http.incoming_bodies import Media
from prediction.http.open_inference import requests
from prediction.http.open_inference.columns import ColumnValidator
from prediction.http.open_inference.datatypes import DATATYPES
from prediction.http.open_inference.outputs import Output
from prediction.http.open_inference.requests import Question, Reader
from prediction.http.open_inference.targets import kinds
from prediction.journal.predictions import NO_WARNINGS, Prediction
from prediction.serving.runtime import Runtime
from prediction.serving.tables import ColumnTable

LENGTH = "inference-header-content-length"
MAX_SHOWN = 10
"""Wrong places in the message of an error, which has no other place for them."""

MEDIA = Media(
    frozenset({b"application/json", b"application/octet-stream", b""}),
    "send JSON as application/json, or JSON and binary tensors as application/octet-stream",
)


@dataclass(frozen=True)
class Model:
    """A model as the protocol sees it."""

    spec: Spec
    runtime: Runtime
    max_rows: int

    @cached_property
    def outputs(self) -> dict[str, Output]:
        """The outputs by name, in the order of an answer."""
        return {each.name: each for each in kinds.of(self.spec.target).outputs(self.spec.target)}

    @cached_property
    def reader(self) -> Reader:
        """Reads requests."""
        return Reader(self.spec.inputs, list(self.outputs), self.max_rows)

    @cached_property
    def validator(self) -> ColumnValidator:
        """Validates their columns."""
        return ColumnValidator(self.spec)

    def demand(self, version: str | None) -> str:
        """Return the version that answers; refuse another one that is asked for.

        Raises
        ------
        UnknownVersion, NotReady
        """
        return self.runtime.version(self.spec.name, version).version


@dataclass
class Inference:
    """One request for answers. The entrance asks it what it asks of a `Call`.

    Parameters
    ----------
    version
        The version that the path names, if it names one.
    head
        The headers of the request.
    """

    known: Model
    version: str | None
    head: Mapping[bytes, bytes]
    headers: dict[str, str] = field(default_factory=dict, init=False)

    media: ClassVar[Media] = MEDIA
    name: ClassVar[str] = "infer"
    admin: ClassVar[bool] = False
    status: ClassVar[int] = 200
    max_bytes: ClassVar[None] = None

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.known.spec.name

    @property
    def path(self) -> str:
        """The route, without a version: turns and times of all versions are those of the model."""
        return path_of(self.model)

    async def respond(self, raw: bytes) -> bytes:
        """Answer the bytes of a body; the answer's further headers are in `headers` then."""
        known = self.known
        try:
            question = await requests.read(raw, self.head.get(LENGTH.encode()), known.reader)
            columns = await known.validator.validate(question.columns, question.rows)
        except InvalidInput as error:
            raise _flat(self.model, error) from None
        served = known.demand(self.version)
        table = ColumnTable(known.spec, columns, question.rows)
        answered = await known.runtime.predict(self.model, table, self.version)
        return self._write(question, answered, answered[0].version if answered else served)

    def _write(self, question: Question, answered: Sequence[Prediction], version: str) -> bytes:
        outputs, binary = [], []
        for wanted in question.wanted:
            output = self.known.outputs[wanted.name]
            values, parameters = output.values(answered), output.parameters(answered)
            shown = {"name": output.name, "shape": [len(answered), output.width]}
            shown |= {"datatype": output.datatype}
            if wanted.is_binary:
                binary.append(DATATYPES[output.datatype].to_binary(values))
                parameters = {**parameters, "binary_data_size": len(binary[-1])}
            else:
                shown |= {"data": values}
            outputs.append({**shown, "parameters": parameters} if parameters else shown)
        found = {"model_name": self.model, "model_version": version}
        found |= {"id": question.id} if question.id is not None else {}
        head = to_json({**found, "parameters": _parameters(answered), "outputs": outputs})
        if not binary:
            return head
        self.headers |= {LENGTH: str(len(head)), "content-type": "application/octet-stream"}
        return b"".join([head, *binary])


def path_of(model: str) -> str:
    """Return the route of a model."""
    return f"/v2/models/{model}/infer"


def _parameters(answered: Sequence[Prediction]) -> dict[str, Any]:
    """Return the ids of the answers and the warnings: as texts, because the protocol has no lists here."""
    warnings = [
        {"loc": [row, *each["loc"]], "msg": each["msg"]}
        for row, item in enumerate(answered)
        if item.warnings != NO_WARNINGS
        for each in from_json(item.warnings)
    ]
    found = {"warnings": to_json(warnings).decode()}
    ids = [item.prediction_id for item in answered if item.prediction_id is not None]
    return {"prediction_ids": ",".join(ids), **found} if ids else found


def _flat(model: str, error: InvalidInput) -> InvalidInput:
    """Return an error with its wrong places in the message: the protocol has no other place for them."""
    shown = [
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ") for each in error.detail
    ]
    more = f"; and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
    words = "; ".join(shown[:MAX_SHOWN])
    return InvalidInput(f"invalid input for {model}: {words}{more}", (), error.features)
