"""Requests of inference: from bytes to columns of values, and the outputs that are asked for.

Tensors are checked here; whether their values are those of a feature is checked by the spec.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models_store.errors import InvalidInput
from models_store.features.feature import Feature
from models_store.validation import SPLIT_IT, clip, listing
from prediction.http.open_inference import documents
from prediction.http.open_inference.datatypes import DATATYPES, Unreadable
from prediction.http.open_inference.documents import Document, NotADocument
from prediction.http.open_inference.features import kinds

MAX_ID = 1_000
"""Characters of the id of a request, which the answer repeats."""

CONTENT_TYPES = ("np", "pd", "str", "datetime")
"""Those of MLServer that change nothing here. Others mean that the values are written in some other way."""


@dataclass(frozen=True)
class Wanted:
    """An output that the answer shall have."""

    name: str
    is_binary: bool


@dataclass(frozen=True)
class Question:
    """A request.

    Parameters
    ----------
    columns
        The values of each feature that has a tensor, as JSON would hold them; not validated.
    rows
        How many each column has.
    """

    id: str | None
    columns: dict[str, list[Any]]
    rows: int
    wanted: list[Wanted]


def wrong(place: Sequence[str | int], words: str) -> InvalidInput:
    """Make the error of a place in a request."""
    return InvalidInput(words, [{"loc": list(place), "msg": words}])


async def read(raw: bytes, length: bytes | None, reader: Reader) -> Question:
    """Read a request.

    Parameters
    ----------
    length
        The header `Inference-Header-Content-Length`: the length of the JSON, which binary tensors follow.

    Raises
    ------
    InvalidInput
        With one detail for the first wrong place.
    """
    size = len(raw)
    if length is not None:
        if not length.isdigit() or len(length) > 15 or int(length) > size:
            raise wrong(
                [], f"Inference-Header-Content-Length must be a number up to the body's length, {size}"
            )
        size = int(length)
    try:
        document = await documents.read(raw[:size] if size < len(raw) else raw, reader.max_rows)
    except NotADocument as error:
        raise wrong([], f"the JSON of the request {error}") from None
    return await reader.read(document, memoryview(raw)[size:])


@dataclass(frozen=True)
class Reader:
    """Reads the requests of one model.

    Parameters
    ----------
    outputs
        The names of all outputs, in the order of an answer.
    """

    features: Mapping[str, Feature]
    outputs: Sequence[str]
    max_rows: int

    async def read(self, document: Document, binary: memoryview) -> Question:
        """Read a parsed request, and the bytes behind it."""
        content = document.content
        if not isinstance(content, dict):
            raise wrong([], "send an object with inputs")
        inputs = content.get("inputs")
        if not isinstance(inputs, list) or not inputs:
            raise wrong(["inputs"], f"must be a list of tensors, one for each of {listing(self.features)}")
        parameters = _parameters(content, [])
        columns: dict[str, list[Any]] = {}
        rows = 0
        for index, tensor in enumerate(inputs):
            place: list[Any] = ["inputs", index]
            name = self._name(tensor, place, columns)
            count = self._rows(tensor, [*place, "shape"])
            if columns and count != rows:
                raise wrong(
                    [*place, "shape"], f"has {count} rows, and the tensors before it {rows}: send the same"
                )
            rows = count
            columns[name], binary = self._column(document, tensor, place, rows, binary)
            await asyncio.sleep(0)
        if binary:
            raise wrong([], f"{len(binary)} bytes are left behind the last tensor: send exactly its values")
        return Question(_id(content), columns, rows, self._wanted(content, parameters))

    def _name(self, tensor: Any, place: list[Any], columns: Mapping[str, Any]) -> str:
        if not isinstance(tensor, dict):
            raise wrong(place, "must be an object with name, shape, datatype and data")
        name = tensor.get("name")
        if not isinstance(name, str) or name not in self.features:
            shown = f"{clip(name)!r} is no input" if isinstance(name, str) else "must be a text"
            raise wrong([*place, "name"], f"{shown}; the inputs are {listing(self.features)}")
        if name in columns:
            raise wrong([*place, "name"], f"{name} is given twice: send one tensor a feature")
        return name

    def _rows(self, tensor: dict[str, Any], place: list[Any]) -> int:
        shape = tensor.get("shape")
        good = isinstance(shape, list) and len(shape) in (1, 2) and all(type(n) is int for n in shape)
        if not good or shape[0] < 0 or shape[1:] not in ([], [1]):  # type: ignore[index]
            raise wrong(place, "must be [n, 1] or [n], where n is the number of rows")
        rows: int = shape[0]  # type: ignore[index]
        if rows > self.max_rows:
            raise wrong(place, f"at most {self.max_rows} {SPLIT_IT}")
        return rows

    def _column(
        self, document: Document, tensor: dict[str, Any], place: list[Any], rows: int, binary: memoryview
    ) -> tuple[list[Any], memoryview]:
        """Return the values of a tensor, and the bytes behind them."""
        part = kinds.of(self.features[tensor["name"]])
        name = tensor.get("datatype")
        if not isinstance(name, str) or name not in part.ACCEPTED:
            raise wrong([*place, "datatype"], f"must be {' or '.join(part.ACCEPTED)}")
        parameters = _parameters(tensor, place)
        size = parameters.get("binary_data_size")
        try:
            if size is None:
                values = DATATYPES[name].from_json(_flat(document.values(tensor.get("data")), rows))
            else:
                _demand_binary(size, tensor, len(binary))
                values = DATATYPES[name].from_binary(bytes(binary[:size]), rows)
                binary = binary[size:]
        except Unreadable as error:
            raise wrong([*place, "data"], str(error)) from None
        return part.plain(values), binary

    def _wanted(self, content: dict[str, Any], parameters: dict[str, Any]) -> list[Wanted]:
        """Return the outputs that are asked for: all, unless some are named."""
        default = _flag(parameters, "binary_data_output", [])
        outputs = content.get("outputs")
        if outputs is None or outputs == []:
            return [Wanted(name, default) for name in self.outputs]
        if not isinstance(outputs, list):
            raise wrong(["outputs"], f"must be a list of objects with a name: {listing(self.outputs)}")
        found: dict[str, Wanted] = {}
        for index, output in enumerate(outputs):
            place: list[Any] = ["outputs", index]
            name = output.get("name") if isinstance(output, dict) else None
            if not isinstance(name, str) or name not in self.outputs:
                raise wrong([*place, "name"], f"must be one of {listing(self.outputs)}")
            if name in found:
                raise wrong([*place, "name"], f"{name} is given twice: ask once for each output")
            own = _parameters(output, place)
            if own.get("classification"):
                raise wrong([*place, "parameters"], "classification is not supported: read probabilities")
            found[name] = Wanted(name, _flag(own, "binary_data", place, default))
        return list(found.values())


def _parameters(owner: dict[str, Any], place: list[Any]) -> dict[str, Any]:
    """Return the parameters of a request, a tensor or an output. Unknown ones mean nothing here."""
    found = owner.get("parameters")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise wrong([*place, "parameters"], "must be an object")
    kind = found.get("content_type")
    if kind is not None and kind not in CONTENT_TYPES:
        raise wrong([*place, "parameters"], f"content_type must be one of {', '.join(CONTENT_TYPES)}")
    return found


def _flag(parameters: dict[str, Any], name: str, place: list[Any], default: bool = False) -> bool:
    found = parameters.get(name, default)
    if not isinstance(found, bool):
        raise wrong([*place, "parameters"], f"{name} must be true or false")
    return found


def _id(content: dict[str, Any]) -> str | None:
    found = content.get("id")
    if found is not None and (not isinstance(found, str) or len(found) > MAX_ID):
        raise wrong(["id"], f"must be a text of at most {MAX_ID} characters")
    return found


def _flat(data: Any, rows: int) -> list[Any]:
    """Return the values of an array, or of an array of rows of one value each."""
    if not isinstance(data, list):
        raise Unreadable("must be an array of values, or binary, with its length in binary_data_size")
    if len(data) != rows:
        raise Unreadable(f"has {len(data)} values, and the shape says {rows}: send the same")
    if list not in set(map(type, data)):
        return data
    if not all(isinstance(row, list) and len(row) == 1 for row in data):
        raise Unreadable("is an array of arrays that do not have one value each")
    return [row[0] for row in data]


def _demand_binary(size: Any, tensor: dict[str, Any], left: int) -> None:
    if "data" in tensor:
        raise Unreadable("is there, and also binary_data_size: send one of them")
    if type(size) is not int or not 0 <= size <= left:
        raise Unreadable(f"binary_data_size must be a number up to {left}, the bytes that are left")
