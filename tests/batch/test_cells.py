"""Cells are read in the way of their column, and in no other one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from prediction.batch import cells
from prediction.batch.cells import UNREADABLE, Cells


@pytest.mark.parametrize(
    ("way", "read", "unread"),
    [
        ("1234.5", {"1": 1, "-.5": -0.5, "+1e3": 1000, "2.": 2}, ["1,5", "1_0", "0x1", "1e999", "", "e5"]),
        ("1234,5", {"1": 1, "-,5": -0.5, "1,5e-3": 0.0015, "2,": 2}, ["1.5", "1.500", "1,5,0", ","]),
        ("1.234,5", {"1.234,5": 1234.5, "1.000": 1000, "7,5": 7.5}, ["1.5", "12.34,5", "1234.5"]),
        ("1,234.5", {"1,234.5": 1234.5, "1,000": 1000, "7.5": 7.5, "1e3": 1000}, ["1,5", "12,34.5"]),
        ("$1,234.5%", {"$1,000.5": 1000.5, "12 %": 12, "7": 7}, ["$", "7,5"]),
        ("$1.234,5%", {"1.000,5 €": 1000.5, "12,5%": 12.5}, ["€", "7.5"]),
    ],
)
def test_numbers_are_read_in_their_way(way: str, read: dict[str, float], unread: list[str]) -> None:
    """A number of another way is none: 1.500 with a decimal comma in the column would be guessed."""
    assert read == {text: cells.number(text, way) for text in read}
    assert [None] * len(unread) == [cells.number(text, way) for text in unread]


@pytest.mark.parametrize(
    ("text", "way", "expected"),
    [
        ("2024-01-31", "", date(2024, 1, 31)),
        ("2024-01-31", "%d.%m.%Y", date(2024, 1, 31)),
        ("31.01.2024", "%d.%m.%Y", date(2024, 1, 31)),
        ("31.01.2024 05:06", "%d.%m.%Y %H:%M", datetime(2024, 1, 31, 5, 6)),  # noqa: DTZ001
        ("2024-01-31t05:06:07z", "", datetime(2024, 1, 31, 5, 6, 7, tzinfo=UTC)),
        ("01/31/2024", "%d/%m/%Y", None),
        ("2024-02-30", "%d.%m.%Y", None),
        ("31.01.2024", "", None),
    ],
)
def test_times_are_read_in_their_way_and_as_iso(text: str, way: str, expected: date | None) -> None:
    """A date stays a date."""
    found = cells.moment(text, way)

    assert (type(expected), expected) == (type(found), found)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("number", " 7 ", 7.0),
        ("number", "?", None),
        ("number", "Infinity", None),
        ("number", "unknown", None),
        ("number", "seven", UNREADABLE),
        ("flag", "TRUE", True),
        ("flag", "yes", UNREADABLE),
        ("flag", "-", None),
        ("category", " N/A ", None),
        ("category", "?", "?"),
        ("category", "unknown", None),
        ("text", " a\0b ", "a b"),
        ("moment", "NULL", None),
        ("moment", "soon", UNREADABLE),
    ],
)
def test_a_cell_is_a_value_or_missing_or_unreadable(kind: str, text: str, expected: Any) -> None:
    """More words are missing values in numbers, flags and times than in texts."""
    assert expected == Cells(kind, missing=frozenset({"unknown"})).value(text)
