"""Classes in bodies: each label is a value of its own type."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from models_store.errors import InvalidInput
from models_store.spec import Spec
from models_store.targets.classes import Classes
from models_store.targets.classes import classes as declare
from prediction.http import bodies
from prediction.http.targets import classes
from prediction.journal.predictions import Prediction

TEXTS, INTEGERS, BOOLEANS = declare("a", "b"), declare(0, 1), declare(False, True)
ID = "01a20576-e6f4-7194-8645-6aff202c1351"


@pytest.mark.parametrize(
    ("target", "kind"), [(TEXTS, "string"), (INTEGERS, "integer"), (BOOLEANS, "boolean")]
)
def test_the_type_of_a_label_is_described(target: Classes, kind: str) -> None:
    """`docs.json` lists the labels, with their type; the keys of probabilities are texts."""
    fields = classes.answer_fields(target)

    for each in (classes.label(target), fields["predicted_class"][0]):
        assert {"enum": list(target.labels), "type": kind} == TypeAdapter(each).json_schema()
    assert (
        list(target.texts) == TypeAdapter(fields["probabilities"][0]).json_schema()["propertyNames"]["enum"]
    )


@pytest.mark.parametrize(
    ("target", "good", "bad"),
    [
        (TEXTS, {'"a"': "a"}, ["0", "true", '"c"', "null", '"A"']),
        (INTEGERS, {"0": 0, "1": 1, "1.0": 1}, ["true", "false", '"0"', "2", "0.5", "null"]),
        (BOOLEANS, {"true": True, "false": False}, ["0", "1", '"true"', "null", "1.0"]),
    ],
)
def test_a_label_is_what_was_declared(
    specs: dict[str, Spec], target: Classes, good: dict[str, Any], bad: list[str]
) -> None:
    """`1`, `true` and `"1"` are three labels; each refusal lists those of the model."""
    validator = bodies.feedback_validator(replace(specs["iris"], target=target))
    for raw, label in good.items():
        found = validator.row(f'{{"prediction_id": "{ID}", "label": {raw}}}'.encode()).label
        assert (label, type(label)) == (found, type(found))
    for raw in bad:
        with pytest.raises(InvalidInput, match=f"label: must be {target.expected}"):
            validator.row(f'{{"prediction_id": "{ID}", "label": {raw}}}'.encode())
        with pytest.raises(InvalidInput, match=f"0.label: must be {target.expected}"):
            validator.rows(f'[{{"prediction_id": "{ID}", "label": {raw}}}]'.encode(), 10)


@pytest.mark.parametrize(
    ("target", "text", "label"),
    [(TEXTS, "b", "b"), (INTEGERS, "1", 1), (BOOLEANS, "true", True), (INTEGERS, "gone", "gone")],
)
def test_an_answer_is_the_label_itself(target: Classes, text: str, label: Any) -> None:
    """And not its text in the journal; a class that the spec no longer has stays a text."""
    prediction = Prediction(ID, 0, "made", "v", "{}", text, json.dumps({text: 1.0}))
    found = json.loads("{" + classes.writer(target)(prediction) + "}")

    assert {"predicted_class": label, "probabilities": {text: 1.0}} == found
    assert type(label) is type(found["predicted_class"])


def test_a_described_answer_refuses_other_labels(specs: dict[str, Spec]) -> None:
    """The classes are a closed list."""
    body = bodies.answer(replace(specs["iris"], target=INTEGERS))
    sent = {"prediction_id": ID, "model": "iris", "version": "v", "predicted_class": 1}
    sent |= {"probabilities": {"0": 0.5, "1": 0.5}, "warnings": []}

    assert sent == body.model_validate(sent).model_dump()
    for wrong in ({"predicted_class": 2}, {"probabilities": {"2": 1.0}}):
        with pytest.raises(ValidationError):
            body.model_validate(sent | wrong)
