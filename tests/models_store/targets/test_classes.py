"""Classes as a target: which labels a spec may declare, and the canonical text of each."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_store.errors import InvalidSpec
from models_store.targets.classes import classes

TEXTS, INTEGERS, BOOLEANS = classes("a", "b", "c"), classes(-1, 0, 10), classes(False, True)


def test_a_positive_class_is_kept() -> None:
    """For two classes of each type."""
    assert [] == TEXTS.faults() + INTEGERS.faults() + BOOLEANS.faults()
    assert [] == classes(0, 1, positive=0).faults() + classes(False, True, positive=True).faults()
    assert "fraud" == classes("fine", "fraud", positive="fraud").positive
    assert classes(0, 1, positive=0).positive == 0
    assert classes(False, True, positive=True).positive is True
    assert INTEGERS.positive is None


@pytest.mark.parametrize(
    ("target", "texts"),
    [(TEXTS, ("a", "b", "c")), (INTEGERS, ("-1", "0", "10")), (BOOLEANS, ("false", "true"))],
)
def test_each_label_has_one_canonical_text(target: Any, texts: tuple[str, ...]) -> None:
    """Booleans are written as JSON writes them; a text leads back to its label."""
    assert texts == target.texts == tuple(map(target.text, target.labels))
    assert list(target.labels) == [target.value(text) for text in texts]
    assert [type(label) for label in target.labels] == [type(target.value(text)) for text in texts]
    assert all(map(target.knows, texts))


def test_a_text_that_is_no_class_any_more_stays_a_text() -> None:
    """The journal may hold answers of an earlier spec."""
    assert not INTEGERS.knows("2")
    assert INTEGERS.value("2") == "2"
    assert not BOOLEANS.knows("True")


@pytest.mark.parametrize(
    ("target", "y", "texts"),
    [
        (TEXTS, pd.Series(["c", "a"]), ["c", "a"]),
        (TEXTS, pd.Series(["c", "a"], dtype="category"), ["c", "a"]),
        (TEXTS, ["c", "a"], ["c", "a"]),
        (INTEGERS, pd.Series([10, -1], dtype="int8"), ["10", "-1"]),
        (INTEGERS, np.array([0, 10]), ["0", "10"]),
        (BOOLEANS, pd.Series([True, False]), ["true", "false"]),
    ],
)
def test_labels_of_a_dataset_are_read(target: Any, y: Any, texts: list[str]) -> None:
    """Series, arrays and lists of the declared type."""
    assert texts == target.read(y)


def test_the_labels_are_named_with_their_type() -> None:
    """A client that sends the text "0" for the integer 0 reads what is wrong."""
    assert "one of a, b, c" == TEXTS.expected
    assert "one of the integers -1, 0, 10" == INTEGERS.expected
    assert "one of the booleans false, true" == BOOLEANS.expected


@pytest.mark.parametrize(
    ("target", "y", "message"),
    [
        (TEXTS, ["a", "d"], "row 1 of load(): the label 'd' is not one of a, b, c"),
        (TEXTS, [0, 1], "the label 0 is no text: declare classes(...) with integers, or return texts"),
        (INTEGERS, [True, False], "the label True is no integer: declare classes(...) with booleans"),
        (INTEGERS, ["0"], "the label '0' is no integer: declare classes(...) with texts"),
        (INTEGERS, [0.0], "the label 0.0 is a float: return integers, for example y.astype(int)"),
        (BOOLEANS, [1.0], "the label 1.0 is a float: return booleans, for example y.astype(bool)"),
        (INTEGERS, pd.Series([0, None]), "row 0 of load(): the label 0.0 is a float"),
        (INTEGERS, pd.Series([0, None], dtype="Int64"), "row 1 of load(): there is no label: leave such"),
        (TEXTS, ["a", float("nan")], "row 1 of load(): there is no label: leave such rows out"),
        (TEXTS, ["a", "nan"], "row 1 of load(): the label 'nan' is not one of a, b, c"),
        (BOOLEANS, [0, 1], "the label 0 is no boolean: declare classes(...) with integers"),
        (TEXTS, ["a", None], "row 1 of load(): there is no label: leave such rows out"),
        (TEXTS, np.array([["a", "b"]]), "several columns"),
        (TEXTS, pd.DataFrame({"x": ["a"], "y": ["b"]}), "several columns"),
    ],
)
def test_other_labels_of_a_dataset_are_refused(target: Any, y: Any, message: str) -> None:
    """Nothing is converted silently: the error names the row, the label and the remedy."""
    with pytest.raises(InvalidSpec, match=re.escape(message)):
        target.read(y)


def test_a_pipeline_is_fitted_with_the_labels_themselves() -> None:
    """Texts as objects, integers and booleans as arrays of their own type."""
    assert ["b", "a"] == TEXTS.as_y(["b", "a"]).tolist()
    assert object == TEXTS.as_y(["a"]).dtype
    assert ["10", "-1"] == list(map(str, INTEGERS.as_y(["10", "-1"]).tolist()))
    assert ("i", "b") == (INTEGERS.as_y(["10"]).dtype.kind, BOOLEANS.as_y(["true"]).dtype.kind)
    assert BOOLEANS.as_y(["true", "false"]).tolist() == [True, False]
