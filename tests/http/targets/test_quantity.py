"""A quantity in bodies: a number with its unit and interval, and labels that are numbers of the range."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from models_store.errors import InvalidInput
from prediction.http import bodies
from prediction.http.targets import quantity
from prediction.journal.predictions import Prediction
from tests.rents import SPEC

ID = "01a20576-e6f4-7194-8645-6aff202c1351"
TARGET: Any = SPEC.target


def test_the_range_of_a_label_is_described() -> None:
    """`docs.json` has it."""
    schema = TypeAdapter(quantity.label(TARGET)).json_schema()

    assert {"type": "number", "minimum": 100, "maximum": 6000}.items() <= schema.items()


@pytest.mark.parametrize(("raw", "label"), [("1500", 1500.0), ("1500.5", 1500.5), ("6e3", 6000.0)])
def test_a_label_is_a_number_of_the_range(raw: str, label: float) -> None:
    """Whole ones too; it is a float."""
    validator = bodies.feedback_validator(SPEC)
    found = validator.row(f'{{"prediction_id": "{ID}", "label": {raw}}}'.encode()).label

    assert (label, float) == (found, type(found))


@pytest.mark.parametrize("raw", ["99", "6000.01", "true", '"1500"', "null", "[1500]", "1e999", "-1e400"])
def test_what_is_no_number_of_the_range_is_refused(raw: str) -> None:
    """In words that name it; a batch names the row."""
    validator = bodies.feedback_validator(SPEC)
    for words in ("NaN", raw):
        body = f'{{"prediction_id": "{ID}", "label": {words}}}'
        with pytest.raises(InvalidInput, match=r"label: must be a number from 100 to 6000 CHF|not JSON"):
            validator.row(body.encode())
        with pytest.raises(InvalidInput, match=r"label: must be a number from 100 to 6000 CHF|not JSON"):
            validator.rows(f"[{body}]".encode(), 10)


def test_an_answer_has_its_unit_and_interval() -> None:
    """The ends of the interval are limited to the range."""
    prediction = Prediction(ID, 0, "rents", "v", "{}", "", "{}", "[]", 150.0, -20.0, 320.0)
    said = json.loads("{" + quantity.writer(TARGET)(prediction) + "}")
    sent = {"prediction_id": ID, "model": "rents", "version": "v", **said, "warnings": []}

    assert {
        "predicted_value": 150.0,
        "unit": "CHF",
        "interval": {"level": 0.9, "low": 100.0, "high": 320.0, "adapted": 1.0},
    } == said
    wider = quantity.writer(TARGET)(prediction._replace(probabilities='{"adapted":1.25}'))
    assert 1.25 == json.loads("{" + wider + "}")["interval"]["adapted"]
    assert sent == bodies.answer(SPEC).model_validate(sent).model_dump()
    for wrong in ({"predicted_value": 99}, {"unit": "EUR"}):
        with pytest.raises(ValidationError):
            bodies.answer(SPEC).model_validate(sent | wrong)
