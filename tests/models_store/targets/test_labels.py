"""Which labels a spec may declare."""

from __future__ import annotations

from typing import Any

import pytest

from models_store.targets.classes import classes
from models_store.targets.labels import MAX_INTEGER, MAX_LABEL, shown, text_of


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((), "give two or more labels"),
        (("dark",), "give two or more labels"),
        ((("dark", "white"),), 'without brackets: classes("dark", "white")'),
        (("white", "dark"), 'sorted, as scikit-learn orders them: classes("dark", "white")'),
        (("dark", "dark", "white"), "'dark' is there more than once"),
        ((10, 9), "sorted, as scikit-learn orders them: classes(9, 10)"),
        ((True, False), "sorted, as scikit-learn orders them: classes(False, True)"),
        ((0, True), "all texts, all integers or all booleans"),
        (("0", 1), "all texts, all integers or all booleans"),
        ((0.5, 1.5), "all texts, all integers or all booleans"),
        ((None, "a"), "all texts, all integers or all booleans"),
        (("", "a"), "a text has 1 to 255 characters"),
        (("a", "b\x00"), "a text has 1 to 255 characters, no NUL"),
        (("a", "b" * (MAX_LABEL + 1)), "a text has 1 to 255 characters"),
        ((0, MAX_INTEGER + 1), "integers are from -2**53 to 2**53"),
    ],
)
def test_labels_that_are_no_classes_are_a_fault(labels: tuple[Any, ...], message: str) -> None:
    """There are two labels or more, of one type, sorted, each once; the words have the right line."""
    (found,) = classes(*labels).faults()[:1]

    assert ("target",) == found.place
    assert message in found.words


@pytest.mark.parametrize(
    ("labels", "positive", "message"),
    [
        (("a", "b", "c"), "a", "for two classes"),
        (("fine", "fraud"), "Fraud", 'give one of "fine", "fraud"'),
        ((0, 1), True, "give one of 0, 1"),
        ((False, True), 1, "give one of False, True"),
    ],
)
def test_a_positive_class_is_one_of_two(labels: tuple[Any, ...], positive: Any, message: str) -> None:
    """It is a label as it is declared; `1` is not `True`."""
    (found,) = classes(*labels, positive=positive).faults()

    assert message in found.words


def test_labels_have_canonical_texts_and_are_shown_as_python_writes_them() -> None:
    """A boolean is written as JSON writes it, and shown as a spec declares it."""
    assert ["a", "7", "true"] == [text_of(label) for label in ("a", 7, True)]
    assert '"a", 7, True' == shown(["a", 7, True])
