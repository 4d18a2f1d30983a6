"""A dialect names what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from models_store.dialects import DECIMAL_COMMAS, NUMBERS, Dialect


def test_a_dialect_of_features_has_no_fault() -> None:
    """And says how the cells of each are written."""
    dialect = Dialect(
        encoding="cp1252",
        separator=";",
        numbers={"a": "1.234,5"},
        times={"b": "%d.%m.%Y"},
        missing={"c": ("unknown",)},
    )

    assert [] == dialect.faults({"a", "b", "c"})
    assert ["written as 1.234,5", "written as %d.%m.%Y", ""] == [dialect.words(name) for name in "abc"]
    assert [] == Dialect(numbers=dict(zip("abcdef", NUMBERS, strict=True))).faults(set("abcdef"))
    assert ("1234,5", "1.234,5", "$1.234,5%") == DECIMAL_COMMAS


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"encoding": "utf-9"}, "there is no encoding 'utf-9'"),
        ({"encoding": "hex"}, "there is no encoding 'hex'"),
        ({"encoding": None}, "there is no encoding None"),
        ({"separator": ":"}, "the separator is one of ',', ';', '\\t', '|'"),
        ({"numbers": "1234,5"}, "numbers is a dict by the name of the feature"),
        ({"numbers": {"b": "1234,5"}}, "numbers: there is no feature 'b'"),
        ({"numbers": {"a": "1 234,5"}}, "numbers of a: a way to write numbers is one of '1234.5', "),
        ({"times": {"a": "%d.%m."}}, "times of a: a way to write times has a day, a month and a year"),
        ({"missing": {"a": "unknown"}}, "missing of a: give a list of words"),
    ],
)
def test_each_fault_is_named(given: dict[str, Any], words: str) -> None:
    """With what would be right."""
    (fault,) = Dialect(**given).faults({"a"})

    assert fault.place == ("dialect",)
    assert fault.words.startswith(words)
