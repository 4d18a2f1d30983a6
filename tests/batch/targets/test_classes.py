"""Classes in files: columns of the labels' own type, and labels read from cells."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow
import pytest

from models_store.targets.classes import Classes
from models_store.targets.classes import classes as declare
from models_store.targets.decisions import ClassAnswers
from prediction.batch.targets import classes
from prediction.journal.predictions import Prediction

TEXTS, INTEGERS, BOOLEANS = declare("a", "b"), declare(0, 1), declare(False, True)
ANSWERS = ClassAnswers(np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]]), np.array([0, 1, 1]))


@pytest.mark.parametrize(
    ("target", "kind", "said"),
    [
        (TEXTS, pyarrow.string(), ["a", "b", "b"]),
        (INTEGERS, pyarrow.int64(), [0, 1, 1]),
        (BOOLEANS, pyarrow.bool_(), [False, True, True]),
    ],
)
def test_the_columns_of_answers_have_the_type_of_the_labels(
    target: Classes, kind: Any, said: list[Any]
) -> None:
    """The class is that of the decision, and each class has a column of probabilities."""
    found = classes.columns(target, ANSWERS)
    first, second = target.texts

    assert ["predicted_class", f"probability_{first}", f"probability_{second}"] == list(found)
    assert (kind, said) == (found["predicted_class"].type, found["predicted_class"].to_pylist())
    assert [0.1, 0.3, 0.8] == found[f"probability_{second}"].to_pylist()
    assert {first: 1, second: 2} == classes.counts(target, ANSWERS)


@pytest.mark.parametrize("target", [TEXTS, INTEGERS, BOOLEANS])
def test_no_rows_have_the_same_columns(target: Classes) -> None:
    """A file without rows has the types of one with rows."""
    nothing = classes.columns(target, classes.nothing(target))

    assert {name: column.type for name, column in classes.columns(target, ANSWERS).items()} == {
        name: column.type for name, column in nothing.items()
    }
    assert {0} == set(classes.counts(target, classes.nothing(target)).values())


@pytest.mark.parametrize("target", [TEXTS, INTEGERS, BOOLEANS])
def test_answers_of_a_server_and_of_the_journal_are_gathered(target: Classes) -> None:
    """A server sends labels, the journal holds their texts."""
    said = target.said(ANSWERS)
    bodies = [
        {"predicted_class": target.value(text), "probabilities": json.loads(probabilities)}
        for text, probabilities in zip(said.classes, said.probabilities, strict=True)
    ]
    predictions = [
        Prediction("", 0, "made", "v", "{}", text, probabilities)
        for text, probabilities in zip(said.classes, said.probabilities, strict=True)
    ]

    for found in (classes.received(target, bodies), classes.recorded(target, predictions)):
        np.testing.assert_array_equal(ANSWERS.probabilities, found.probabilities)
        np.testing.assert_array_equal(ANSWERS.best, found.best)


def test_an_exported_answer_has_its_columns() -> None:
    """A class that the spec no longer has is a text, which does not fit the column."""
    prediction = Prediction("", 0, "made", "v", "{}", "1", '{"0":0.25,"1":0.75}')

    assert {"probability_0": float, "probability_1": float, "predicted_class": int} == classes.exported(
        INTEGERS
    )
    assert {"probability_0": 0.25, "probability_1": 0.75, "predicted_class": 1} == classes.exported_row(
        INTEGERS, prediction
    )
    gone = classes.exported_row(INTEGERS, prediction._replace(predicted_class="2"))
    assert gone["predicted_class"] == "2"


@pytest.mark.parametrize(
    ("target", "cell", "label"),
    [
        (TEXTS, "1", "1"),
        (TEXTS, 1, 1),
        (INTEGERS, "1", 1),
        (INTEGERS, "-1", -1),
        (INTEGERS, "1.0", 1),
        (INTEGERS, 1.0, 1.0),
        (INTEGERS, "1.5", "1.5"),
        (INTEGERS, "one", "one"),
        (INTEGERS, True, True),
        (BOOLEANS, "True", True),
        (BOOLEANS, "false", False),
        (BOOLEANS, "0", False),
        (BOOLEANS, "yes", "yes"),
        (BOOLEANS, True, True),
    ],
)
def test_a_label_is_read_from_a_cell(target: Classes, cell: Any, label: Any) -> None:
    """What is no label stays as it is, for the error that names it."""
    found = classes.read_label(target, cell)

    assert (label, type(label)) == (found, type(found))


def test_names_of_classes_are_written_as_json() -> None:
    """Whatever characters they have, those of a template and ends of lines among them."""
    target = Classes(("50 %s", 'a "b"\n', "帝\u2028企"))
    said = target.said(ClassAnswers(np.array([[0.5, 0.25, 1e-17], [0, 0.125, 1]]), np.array([0, 2])))

    assert ["50 %s", "帝\u2028企"] == said.classes
    assert [[0.5, 0.25, 1e-17], [0, 0.125, 1]] == [
        list(json.loads(text).values()) for text in said.probabilities
    ]
    assert target.texts == tuple(json.loads(said.probabilities[1]))
