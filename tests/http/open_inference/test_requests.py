"""Requests: tensors become columns, and each fault is named with its place and its remedy."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.http.open_inference import requests
from prediction.http.open_inference.inferring import Model
from prediction.http.open_inference.requests import Question, Wanted
from tests import tensors
from tests.http.open_inference.conftest import MAX_ROWS

ROWS: list[dict[str, Any]] = [
    {"island": "Biscoe", "flipper_length_mm": 217.0, "sex": "female"},
    {"island": "Dream", "bill_length_mm": 49.5},
]
NAMES = ["predicted_class", "probabilities"]


def read(model: Model, raw: bytes, length: str | None = None) -> Question:
    """Read a request."""
    return asyncio.run(requests.read(raw, length.encode() if length else None, model.reader))


@pytest.mark.parametrize("shape", [[2, 1], [2]])
def test_a_tensor_a_feature_becomes_a_column(models: dict[str, Model], shape: list[int]) -> None:
    """In JSON, flat or a row a value, and in binary; missing values are NaN, null or an empty text."""
    penguins = models["penguins"]
    inputs = [each | {"shape": shape} for each in tensors.tensors(penguins.spec, ROWS)]
    raw, headers = tensors.binary(inputs)
    in_binary = read(penguins, raw, headers[tensors.LENGTH])
    in_json = read(penguins, json.dumps({"inputs": inputs}).encode())
    nested = [each | {"data": [[value] for value in each["data"]]} for each in inputs]
    in_rows = read(penguins, json.dumps({"inputs": nested}).encode())

    assert 2 == in_json.rows
    assert [217.0, None] == in_json.columns["flipper_length_mm"]
    assert ["female", ""] == in_json.columns["sex"]
    assert in_json.columns == in_binary.columns == in_rows.columns
    assert [Wanted(name, is_binary=False) for name in NAMES] == in_json.wanted
    assert in_json.id is None


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({"outputs": None}, [(name, False) for name in NAMES]),
        ({"outputs": []}, [(name, False) for name in NAMES]),
        ({"parameters": {"binary_data_output": True}}, [(name, True) for name in NAMES]),
        ({"outputs": [{"name": "probabilities"}]}, [("probabilities", False)]),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [
                    {"name": "probabilities", "parameters": {"binary_data": False}},
                    {"name": "predicted_class", "parameters": None},
                ],
            },
            [("probabilities", False), ("predicted_class", True)],
        ),
        (
            {"outputs": [{"name": "probabilities", "parameters": {"classification": 0, "x": []}}]},
            [("probabilities", False)],
        ),
    ],
)
def test_outputs_are_those_that_are_asked_for(
    models: dict[str, Model], more: dict[str, Any], wanted: list[tuple[str, bool]]
) -> None:
    """In their order; each says by itself whether it is binary, or the request says it for all."""
    inputs = tensors.tensors(models["penguins"].spec, ROWS)
    found = read(models["penguins"], json.dumps({"inputs": inputs, "id": "é", **more}).encode())

    assert [Wanted(*each) for each in wanted] == found.wanted
    assert "é" == found.id


ISLAND = {"name": "island", "shape": [1], "datatype": "BYTES", "data": ["Biscoe"]}
LENGTH = {"name": "bill_length_mm", "shape": [1], "datatype": "FP64", "data": [39.0]}
NAMED = "the inputs are bill_length_mm, bill_depth_mm, flipper_length_mm, body_mass_g, island, sex"
SHAPE = "must be [n, 1] or [n], where n is the number of rows"


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        ([], [], "send an object with inputs"),
        ({}, ["inputs"], "must be a list of tensors"),
        ({"inputs": {}}, ["inputs"], "must be a list of tensors"),
        ({"inputs": []}, ["inputs"], "must be a list of tensors"),
        ({"inputs": [1]}, ["inputs", 0], "must be an object with name, shape, datatype and data"),
        ({"inputs": [{}]}, ["inputs", 0, "name"], f"must be a text; {NAMED}"),
        ({"inputs": [ISLAND | {"name": "x" * 99}]}, ["inputs", 0, "name"], f"…' is no input; {NAMED}"),
        ({"inputs": [ISLAND, ISLAND]}, ["inputs", 1, "name"], "island is given twice"),
        ({"inputs": [ISLAND | {"shape": 1}]}, ["inputs", 0, "shape"], SHAPE),
        ({"inputs": [ISLAND | {"shape": []}]}, ["inputs", 0, "shape"], SHAPE),
        ({"inputs": [ISLAND | {"shape": [-1]}]}, ["inputs", 0, "shape"], SHAPE),
        ({"inputs": [ISLAND | {"shape": [True]}]}, ["inputs", 0, "shape"], SHAPE),
        ({"inputs": [ISLAND | {"shape": [1.0]}]}, ["inputs", 0, "shape"], SHAPE),
        ({"inputs": [ISLAND | {"shape": [1, 2]}]}, ["inputs", 0, "shape"], SHAPE),
        ({"inputs": [ISLAND | {"shape": [1, 1, 1]}]}, ["inputs", 0, "shape"], SHAPE),
        (
            {"inputs": [ISLAND | {"shape": [10**30]}]},
            ["inputs", 0, "shape"],
            f"at most {MAX_ROWS} rows in a batch: split it",
        ),
        (
            {"inputs": [ISLAND, LENGTH | {"shape": [2]}]},
            ["inputs", 1, "shape"],
            "has 2 rows, and the tensors before it 1: send the same",
        ),
        ({"inputs": [ISLAND | {"datatype": "FP64"}]}, ["inputs", 0, "datatype"], "must be BYTES"),
        (
            {"inputs": [LENGTH | {"datatype": []}]},
            ["inputs", 0, "datatype"],
            "must be FP64 or FP32 or INT64 or INT32",
        ),
        (
            {"inputs": [LENGTH | {"data": 1}]},
            ["inputs", 0, "data"],
            "must be an array of values, or binary",
        ),
        ({"inputs": [LENGTH | {"data": []}]}, ["inputs", 0, "data"], "has 0 values, and the shape says 1"),
        ({"inputs": [LENGTH | {"data": [[1, 2]]}]}, ["inputs", 0, "data"], "do not have one value each"),
        (
            {"inputs": [LENGTH | {"datatype": "INT64", "data": [1.5]}]},
            ["inputs", 0, "data"],
            "INT64 holds whole numbers",
        ),
        (
            {"inputs": [LENGTH | {"parameters": {"binary_data_size": 8}}]},
            ["inputs", 0, "data"],
            "is there, and also binary_data_size",
        ),
        ({"inputs": [LENGTH | {"parameters": []}]}, ["inputs", 0, "parameters"], "must be an object"),
        (
            {"inputs": [LENGTH | {"parameters": {"content_type": "base64"}}]},
            ["inputs", 0, "parameters"],
            "content_type must be one of np, pd, str, datetime",
        ),
        ({"inputs": [ISLAND], "id": 1}, ["id"], "must be a text of at most 1000 characters"),
        ({"inputs": [ISLAND], "id": "x" * 1001}, ["id"], "must be a text of at most 1000 characters"),
        ({"inputs": [ISLAND], "outputs": {}}, ["outputs"], "must be a list of objects with a name"),
        (
            {"inputs": [ISLAND], "outputs": [{"name": "x"}]},
            ["outputs", 0, "name"],
            "must be one of predicted_class, probabilities",
        ),
        ({"inputs": [ISLAND], "outputs": ["x"]}, ["outputs", 0, "name"], "must be one of predicted_class"),
        (
            {"inputs": [ISLAND], "outputs": [{"name": "probabilities"}] * 2},
            ["outputs", 1, "name"],
            "probabilities is given twice",
        ),
        (
            {
                "inputs": [ISLAND],
                "outputs": [{"name": "probabilities", "parameters": {"classification": 3}}],
            },
            ["outputs", 0, "parameters"],
            "classification is not supported: read probabilities",
        ),
        (
            {"inputs": [ISLAND], "parameters": {"binary_data_output": 1}},
            ["parameters"],
            "binary_data_output must be true or false",
        ),
    ],
)
def test_a_fault_is_named(models: dict[str, Model], body: Any, place: list[Any], words: str) -> None:
    """With its place, and before anything large is made of it."""
    with pytest.raises(InvalidInput) as error:
        read(models["penguins"], json.dumps(body).encode())

    assert [place] == [each["loc"] for each in error.value.detail]
    assert words in error.value.detail[0]["msg"]


SIZED = {"name": "bill_length_mm", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}


@pytest.mark.parametrize(
    ("change", "rest", "length", "words"),
    [
        ({}, bytes(8), "x", "Inference-Header-Content-Length must be a number up to the body's length"),
        ({}, bytes(8), "-1", "Inference-Header-Content-Length must be a number"),
        ({}, bytes(8), "9" * 5_000, "Inference-Header-Content-Length must be a number"),
        ({}, bytes(8), "100000", "Inference-Header-Content-Length must be a number"),
        ({}, bytes(8), "0", "the JSON of the request is not JSON"),
        ({}, bytes(8), "7", "the JSON of the request is not JSON"),
        ({}, bytes(8), None, "the JSON of the request is not JSON"),
        ({}, bytes(9), "", "1 bytes are left behind the last tensor: send exactly its values"),
        ({}, bytes(7), "", "binary_data_size must be a number up to 7, the bytes that are left"),
        (
            {"parameters": {"binary_data_size": -1}},
            bytes(8),
            "",
            "binary_data_size must be a number up to 8",
        ),
        (
            {"parameters": {"binary_data_size": "8"}},
            bytes(8),
            "",
            "binary_data_size must be a number up to 8",
        ),
        ({"parameters": {"binary_data_size": 7}}, bytes(7), "", "1 values of FP64 are 8 bytes, not 7"),
        ({"shape": [2]}, bytes(8), "", "2 values of FP64 are 16 bytes, not 8"),
    ],
)
def test_a_length_that_lies_is_named(
    models: dict[str, Model], change: dict[str, Any], rest: bytes, length: str | None, words: str
) -> None:
    """The length of the JSON, and those of the tensors behind it."""
    text = json.dumps({"inputs": [SIZED | change]}).encode()
    with pytest.raises(InvalidInput) as error:
        read(models["penguins"], text + rest, str(len(text)) if length == "" else length)

    assert words in error.value.detail[0]["msg"]


def test_no_rows_are_no_fault(models: dict[str, Model], specs: dict[str, Spec]) -> None:
    """As an empty batch."""
    raw, headers = tensors.binary(tensors.tensors(specs["iris"], []))

    assert 0 == read(models["iris"], raw, headers[tensors.LENGTH]).rows
