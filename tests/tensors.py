"""Requests of the Open Inference Protocol, made of rows as the other routes take them."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from models_store.spec import Spec
from prediction.http.open_inference.features import kinds
from tests import odd_bodies

LENGTH = "Inference-Header-Content-Length"
LAYOUTS = {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "INT32": "<i4", "BOOL": "?"}
Row = Mapping[str, Any]


def column(datatype: str, values: Sequence[Any]) -> list[Any]:
    """Return values as a tensor has them: a missing one is NaN or an empty text."""
    if datatype == "BYTES":
        return ["" if value is None else str(value) for value in values]
    return [float("nan") if value is None else value for value in values]


def pack(datatype: str, values: Sequence[Any]) -> bytes:
    """Write values in binary, as the protocol says."""
    if datatype != "BYTES":
        with np.errstate(over="ignore"):  # 1e308 is an infinity in FP32
            return np.array(values, LAYOUTS[datatype]).tobytes()
    written = [value.encode() for value in values]
    return b"".join(struct.pack("<I", len(each)) + each for each in written)


def tensors(spec: Spec, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the tensors of rows, of the datatypes that the metadata names, with their values in JSON."""
    found = []
    for name, feature in spec.inputs.items():
        datatype = kinds.of(feature).datatype(feature)
        values = column(datatype, [row.get(name) for row in rows])
        found.append({"name": name, "shape": [len(rows), 1], "datatype": datatype, "data": values})
    return found


def binary(inputs: Sequence[Mapping[str, Any]], **more: Any) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a request whose tensors are binary."""
    heads, parts = [], []
    for each in inputs:
        parts.append(pack(each["datatype"], each["data"]))
        head = {name: value for name, value in each.items() if name != "data"}
        heads.append(head | {"parameters": {"binary_data_size": len(parts[-1])}})
    text = json.dumps({"inputs": heads, **more}).encode()
    return text + b"".join(parts), {LENGTH: str(len(text))}


def unpack(raw: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """Read an answer; the values of binary outputs are put into their `data`."""
    length = int(headers.get(LENGTH, len(raw)))
    answer: dict[str, Any] = json.loads(raw[:length])
    for output in answer["outputs"]:
        size = output.get("parameters", {}).pop("binary_data_size", None)
        if size is None:
            continue
        part, length = raw[length : length + size], length + size
        output["data"] = _values(output["datatype"], part)
    assert length == len(raw)
    return answer


def _values(datatype: str, raw: bytes) -> list[Any]:
    if datatype != "BYTES":
        return list(np.frombuffer(raw, LAYOUTS[datatype]).tolist())
    found = []
    while raw:
        end = 4 + struct.unpack("<I", raw[:4])[0]
        found.append(raw[4:end].decode())
        raw = raw[end:]
    return found


SIZES: list[Any] = [-1, 0, 1, 2, 7, 10**6, 2**31, 2**63, 2**80, 1.0, True, None, "1", [], {}]
"""In place of numbers that say how large something is."""


def draw(spec: Spec, requests: int, seed: int = 0) -> Iterator[tuple[bytes, str]]:
    """Draw requests in which something is odd: body and headers."""
    rng = random.Random(seed)
    for _ in range(requests):
        inputs = tensors(spec, [spec.example] * rng.choice([1, 1, 2, 5]))
        for _ in range(rng.randrange(3)):
            _spoil(rng, inputs)
        more: dict[str, Any] = {"id": "1", "parameters": {}, "outputs": []}
        if rng.random() < 0.3:
            more[rng.choice(list(more))] = rng.choice([*odd_bodies.ODD, *SIZES, [{"name": "x"}], [{}]])
        try:
            raw, headers = binary(inputs, **more)
        except (ValueError, KeyError, TypeError, OverflowError, AttributeError):
            raw, headers = json.dumps({"inputs": inputs, **more}).encode("utf-8", "surrogatepass"), {}
        else:
            if rng.random() < 0.3:
                raw, headers = json.dumps({"inputs": inputs, **more}).encode(), {}
        yield _damage(rng, raw), _head(rng, headers)


def _spoil(rng: random.Random, inputs: list[Any]) -> None:
    """Change something of a tensor, or of the list of tensors."""
    tensor = rng.choice(inputs) if inputs else {}
    what = rng.choice(["name", "shape", "datatype", "data", "value", "value", "twice", "gone", "other"])
    if not isinstance(tensor, dict):
        return
    if what == "value" and isinstance(tensor.get("data"), list) and tensor["data"]:
        tensor["data"][rng.randrange(len(tensor["data"]))] = rng.choice(odd_bodies.ODD)
    elif what == "shape":
        tensor["shape"] = [rng.choice(SIZES) for _ in range(rng.randrange(4))]
    elif what == "twice" and inputs:
        inputs.append(dict(tensor))
    elif what == "gone" and inputs:
        inputs.remove(tensor)
    elif what == "datatype":
        tensor["datatype"] = rng.choice([*LAYOUTS, "BYTES", "FP16", "fp64", "", None, [], {}])
    elif what == "other":
        tensor["parameters"] = rng.choice([{"binary_data_size": rng.choice(SIZES)}, *odd_bodies.ODD])
    else:
        tensor[what] = rng.choice(odd_bodies.ODD)


def _damage(rng: random.Random, raw: bytes) -> bytes:
    """Change, cut or add bytes of some bodies."""
    kind, place = rng.randrange(12), rng.randrange(max(1, len(raw)))
    if kind == 0:
        return raw[:place]
    if kind == 1:
        return raw[:place] + rng.randbytes(1) + raw[place + rng.randrange(2) :]
    return raw + rng.randbytes(9) if kind == 2 else raw


def _head(rng: random.Random, headers: Mapping[str, str]) -> str:
    """Write headers; some lengths are wrong, and some content types are others."""
    found = dict(headers)
    if rng.random() < 0.1:
        found[LENGTH] = rng.choice(["0", "1", "-1", "x", "9" * 30, "7.0", "99999999", " 12"])
    kind = rng.choice([None, "application/json", "application/octet-stream", "application/json; a=b"])
    if kind is not None:
        found["Content-Type"] = kind
    return "".join(f"{name}: {value}\r\n" for name, value in found.items())
