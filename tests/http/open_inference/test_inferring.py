"""Requests for answers: the numbers of the other routes, recorded as theirs, in the protocol's form."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from models_store.errors import InvalidInput, UnknownVersion
from models_store.spec import Spec
from prediction.http.open_inference import inferring
from prediction.http.open_inference.inferring import LENGTH, MAX_SHOWN, Inference, Model
from prediction.journal import predictions
from prediction.journal.database import Journal
from prediction.journal.predictions import Prediction
from tests import tensors
from tests.servers import SHIPPED


def ask(
    model: Model, raw: bytes, head: Mapping[str, str] | None = None, version: str | None = None
) -> tuple[dict[str, Any], Inference]:
    """Send one request; return the answer, and what answered."""
    headers = {name.lower().encode(): value.encode() for name, value in (head or {}).items()}
    inference = Inference(model, version, headers)
    answer = asyncio.run(inference.respond(raw))
    known = {name.title(): value for name, value in inference.headers.items()}
    return tensors.unpack(answer, known), inference


def rows_of(spec: Spec, count: int) -> list[dict[str, Any]]:
    """Return rows of the dataset, as JSON holds them."""
    columns = spec.columns_of(spec.load()[0].head(count))
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [spec.rows.object(row).model_dump() for row in rows]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_answers_are_those_of_rows(models: dict[str, Model], journal: Journal, name: str) -> None:
    """Bit by bit, in JSON and in binary; what is recorded is the same too, but for id and time."""
    model = models[name]
    rows = rows_of(model.spec, 300)
    valid = [model.spec.rows.object(row) for row in rows]
    expected = asyncio.run(model.runtime.predict(name, valid))
    inputs = tensors.tensors(model.spec, rows)
    raw, head = tensors.binary(inputs, parameters={"binary_data_output": True})
    for body, headers in ((json.dumps({"inputs": inputs}).encode(), {}), (raw, head)):
        answer, inference = ask(model, body, headers)
        found = {each["name"]: each for each in answer["outputs"]}
        ids = answer["parameters"]["prediction_ids"].split(",")
        recorded = [predictions.find(journal, each) for each in ids]

        assert bool(headers) == (inference.headers.get("content-type") == "application/octet-stream")
        assert list(model.outputs) == list(found)
        for output in model.outputs.values():
            assert [len(rows), output.width] == found[output.name]["shape"]
            assert output.datatype == found[output.name]["datatype"]
            assert output.values(expected) == found[output.name]["data"]
        assert [each._replace(prediction_id=None, at_us=0) for each in expected] == [
            each._replace(prediction_id=None, at_us=0) for each in recorded
        ]


def test_an_answer_names_model_version_and_request(models: dict[str, Model]) -> None:
    """The id is the request's, and there is none if it had none."""
    iris = models["iris"]
    inputs = tensors.tensors(iris.spec, [iris.spec.example])
    version = iris.runtime.version("iris").version
    named, _ = ask(iris, json.dumps({"id": "a\n", "inputs": inputs}).encode(), version=version)
    unnamed, _ = ask(iris, json.dumps({"id": None, "inputs": inputs}).encode())

    assert ("iris", version, "a\n") == tuple(named[key] for key in ("model_name", "model_version", "id"))
    assert "id" not in unnamed
    assert "[]" == named["parameters"]["warnings"]


def test_warnings_name_row_and_feature(models: dict[str, Model]) -> None:
    """As JSON, in a parameter: parameters of the protocol are texts, numbers and booleans."""
    iris = models["iris"]
    rows = [iris.spec.example, iris.spec.example | {"petal_width_cm": 4.9}]
    answer, _ = ask(iris, json.dumps({"inputs": tensors.tensors(iris.spec, rows)}).encode())
    (warning,) = json.loads(answer["parameters"]["warnings"])

    assert [1, "petal_width_cm"] == warning["loc"]
    assert warning["msg"].startswith("4.9 is above the training range")


def test_no_rows_get_no_answers(models: dict[str, Model]) -> None:
    """As an empty batch."""
    iris = models["iris"]
    raw, head = tensors.binary(tensors.tensors(iris.spec, []), parameters={"binary_data_output": True})
    answer, _ = ask(iris, raw, head)

    assert [[0, 1], [0, 3]] == [each["shape"] for each in answer["outputs"]]
    assert {"warnings": "[]"} == answer["parameters"]


def test_another_version_is_not_there(models: dict[str, Model]) -> None:
    """The message says which one is."""
    iris = models["iris"]
    inputs = tensors.tensors(iris.spec, [iris.spec.example])
    with pytest.raises(UnknownVersion, match=f"only the champion is, which is {iris.demand(None)}"):
        ask(iris, json.dumps({"inputs": inputs}).encode(), version="old")


@pytest.mark.parametrize("wrong", [1, 3, MAX_SHOWN + 5])
def test_the_message_has_the_wrong_places(models: dict[str, Model], wrong: int) -> None:
    """The words are those of a batch; the features are counted as theirs."""
    iris = models["iris"]
    rows = [iris.spec.example | {"petal_width_cm": -1} for _ in range(wrong)]
    with pytest.raises(InvalidInput) as batch:
        iris.spec.rows.rows(json.dumps(rows).encode(), 100)
    with pytest.raises(InvalidInput) as error:
        ask(iris, json.dumps({"inputs": tensors.tensors(iris.spec, rows)}).encode())

    words = [f"{row}.petal_width_cm: {each['msg']}" for row, each in enumerate(batch.value.detail)]
    more = f"; and {wrong - MAX_SHOWN} more" if wrong > MAX_SHOWN else ""
    assert wrong == len(words)
    assert f"invalid input for iris: {'; '.join(words[:MAX_SHOWN])}{more}" == str(error.value)
    assert batch.value.features == error.value.features
    assert [] == error.value.detail


def test_rows_that_could_not_be_recorded_have_no_ids(models: dict[str, Model]) -> None:
    """Their server answers without a journal."""
    item = Prediction(None, 0, "iris", "v", "{}", "setosa", json.dumps(dict.fromkeys(("setosa",), 1.0)))
    assert {"warnings": "[]"} == inferring._parameters([item])


def test_the_header_of_the_length_is_that_of_the_protocol() -> None:
    """Clients look for exactly this name."""
    assert tensors.LENGTH == LENGTH.title()
