"""Pieces of Python code: literals that mean the same value, and lines that fit."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from prediction.proposals import code


@pytest.mark.parametrize(
    "value",
    [
        "it's",
        'so "called"',
        "both ' and \"",
        "a\\b\n\t\0",
        "é €",
        0,
        -12_345,
        1.5,
        1e300,
        True,
        None,
        ("a",),
    ],
)
def test_a_literal_means_its_value(value: Any) -> None:
    """Whatever marks a text holds."""
    assert value == ast.literal_eval(code.literal(value))


def test_large_integers_are_readable() -> None:
    """And an end of a range that is whole is written as an integer."""
    assert ["9999", "10_000", "-50_000", "0.5"] == [
        *map(code.literal, (9999, 10_000)),
        *map(code.end_of_range, (-50_000.0, 0.5)),
    ]


@pytest.mark.parametrize("text", ['a """ within', 'it ends with "', "it ends with \\", "one\n\ntwo"])
def test_a_docstring_is_one(text: str) -> None:
    """Whatever it says: it is not ended by its own text."""
    (found,) = ast.parse(code.docstring([text])).body

    assert isinstance(found, ast.Expr)
    assert isinstance(found.value, ast.Constant)


def test_a_table_has_its_first_column_on_the_left() -> None:
    """And figures on the right, below each other."""
    lines = ["who   n", "---  --", "a     1", "bcd  12"]

    assert "\n".join(lines) == code.table(["who", "n"], [["a", "1"], ["bcd", "12"]])
