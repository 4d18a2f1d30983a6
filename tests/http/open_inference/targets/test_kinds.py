"""Answers as tensors: labels of their own type, probabilities in the order of the labels, intervals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models_store.targets.classes import Classes, classes
from models_store.targets.quantity import quantity
from prediction.http.open_inference.datatypes import DATATYPES
from prediction.http.open_inference.targets import kinds
from prediction.journal.predictions import Prediction


def answered(text: str, probabilities: dict[str, float], **more: Any) -> Prediction:
    """Make an answer."""
    return Prediction("id", 0, "m", "v", "{}", text, json.dumps(probabilities), **more)


@pytest.mark.parametrize(
    ("target", "datatype", "values"),
    [
        (classes("a", "b"), "BYTES", ["b"]),
        (classes(3, 7), "INT64", [7]),
        (classes(False, True), "BOOL", [True]),
        (classes(0, 2**63), "BYTES", [str(2**63)]),
    ],
)
def test_a_class_is_of_the_type_of_the_labels(target: Classes, datatype: str, values: list[Any]) -> None:
    """A whole number that no tensor holds is a text."""
    low, high = target.texts
    answer = answered(high, {high: 0.75, low: 0.25})
    label, probabilities = kinds.of(target).outputs(target)

    assert ("predicted_class", datatype, 1) == (label.name, label.datatype, label.width)
    assert values == label.values([answer])
    assert DATATYPES[datatype].to_binary(values)
    assert ("probabilities", "FP64", 2) == (probabilities.name, probabilities.datatype, probabilities.width)
    assert [0.25, 0.75, 0.25, 0.75] == probabilities.values([answer, answer])
    assert list(target.labels) == json.loads(probabilities.parameters([])["labels"])


def test_a_number_has_both_ends_of_its_interval() -> None:
    """Limited to the range, as in the other answers; parameters say what the numbers mean."""
    target = quantity("Price", unit="USD", low=0, high=100)
    answer = answered("", {}, value=50.0, low=-5.0, high=90.0)
    wide = answered("", {"adapted": 1.5}, value=50.0, low=-5.0, high=90.0)
    value, interval = kinds.of(target).outputs(target)

    assert ("predicted_value", "FP64", 1) == (value.name, value.datatype, value.width)
    assert [50.0] == value.values([answer])
    assert {"unit": "USD"} == value.parameters([])
    assert ("interval", "FP64", 2) == (interval.name, interval.datatype, interval.width)
    assert [0.0, 90.0] == interval.values([answer])
    assert {"unit": "USD", "level": 0.9} == interval.parameters([])
    assert 1.5 == interval.parameters([wide])["adapted"]
    assert 1.0 == interval.parameters([answer])["adapted"]
