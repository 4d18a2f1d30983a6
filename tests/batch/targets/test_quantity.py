"""A quantity in files: columns of numbers, and labels read from cells."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow
import pytest

from models_store.targets.intervals import QuantityAnswers
from prediction.batch.targets import quantity
from prediction.http.targets import quantity as bodies
from prediction.journal.predictions import Prediction
from tests.rents import SPEC

TARGET: Any = SPEC.target
VALUES = np.array([150.0, 2000.0])
ANSWERS = QuantityAnswers(VALUES, VALUES, np.array([50.0, 80.0]), VALUES - 100, VALUES + 100)


def test_the_columns_of_answers_are_numbers() -> None:
    """Intervals are limited to the range, as in bodies."""
    found = quantity.columns(TARGET, ANSWERS)

    assert {
        "predicted_value": [150.0, 2000.0],
        "predicted_low": [100.0, 1900.0],
        "predicted_high": [250.0, 2100.0],
    } == {name: column.to_pylist() for name, column in found.items()}
    assert {pyarrow.float64()} == {column.type for column in found.values()}
    nothing = quantity.columns(TARGET, quantity.nothing(TARGET))
    assert {name: pyarrow.float64() for name in found} == {
        name: each.type for name, each in nothing.items()
    }
    assert {} == quantity.counts(TARGET, ANSWERS)


def test_answers_of_a_server_and_of_the_journal_are_the_same() -> None:
    """A server has limited the intervals, the journal has not."""
    made = Prediction("", 0, "rents", "v", "{}", "", "{}")
    said = TARGET.said(ANSWERS)
    predictions = [
        made._replace(value=value, low=low, high=high)
        for value, low, high in zip(said.values, said.low, said.high, strict=True)
    ]
    write = bodies.writer(TARGET)
    sent = [json.loads("{" + write(each) + "}") for each in predictions]

    for found in (quantity.recorded(TARGET, predictions), quantity.received(TARGET, sent)):
        assert quantity.columns(TARGET, ANSWERS) == quantity.columns(TARGET, found)


def test_an_exported_answer_has_its_columns() -> None:
    """A prediction of an older target, which had classes, has none of them."""
    prediction = Prediction("", 0, "rents", "v", "{}", "", "{}", "[]", 150.0, 50.0, 250.0)
    older = Prediction("", 0, "rents", "v", "{}", "dear", '{"dear":1.0}')

    assert list(quantity.exported(TARGET)) == list(quantity.exported_row(TARGET, prediction))
    assert [100.0, 250.0, 150.0] == list(quantity.exported_row(TARGET, prediction).values())
    assert {None} == set(quantity.exported_row(TARGET, older).values())
    assert float is quantity.label_type(TARGET)


@pytest.mark.parametrize(
    ("cell", "label"), [("1500", 1500.0), ("1.5e3", 1500.0), (1500, 1500), ("much", "much"), (None, None)]
)
def test_labels_are_read_from_cells(cell: Any, label: Any) -> None:
    """What is no number stays as it is, and is refused as a body's label is."""
    assert label == quantity.read_label(TARGET, cell)
